"""What became of the bytes of a readout: the role of each, and flags for the whole."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["ByteType", "Decoding", "DecodingStatus"]


class ByteType(IntEnum):
    """Role of one byte of a readout."""

    NOT_ASSIGNED = 0
    PADDING = 1
    IDLE = 2  # padding bytes too
    HIT_START = 3
    HIT = 4
    EXTRA = 5
    ORPHAN = 6
    DROPPED = 7


class Decoding(IntEnum):
    """Bit numbers of a `DecodingStatus`. The first and the fourth are no errors."""

    ORPHAN_BYTES_MATCHED = 0
    ORPHAN_BYTES_DROPPED = 1
    ORPHAN_BYTES_NOT_USED = 2
    VALID_EXTRA_BYTES = 3
    INVALID_EXTRA_BYTES = 4
    INCOMPLETE_HIT_DROPPED = 5
    NOT_ALL_BYTES_VISITED = 6
    UNKNOWN_FATAL_ERROR = 7
    BYTES_SKIPPED = 8  # between hits; never set by strict decoding


class DecodingStatus:
    """The flags of one decoding; true when any is set.

    Parameters
    ----------
    value
        Bit n stands for member n of `Decoding`.
    """

    __slots__ = ("value",)

    def __init__(self, value: int = 0) -> None:
        self.value = value

    def set(self, flag: Decoding) -> None:
        """Set one flag."""
        self.value |= 1 << flag

    def __contains__(self, flag: Decoding) -> bool:
        return bool(self.value >> flag & 1)

    def __getitem__(self, flag: Decoding) -> bool:
        return flag in self

    def __bool__(self) -> bool:
        return self.value != 0

    def __int__(self) -> int:
        return self.value

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (DecodingStatus, int)):
            return self.value == int(other)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        names = " | ".join(flag.name for flag in Decoding if flag in self)
        return f"DecodingStatus({names or 'OK'})"
