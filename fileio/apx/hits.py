"""Hits as objects, one class for each chip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from sapwood.extras import need
from sapwood.fileio.apx.layout import LAYOUT_3, LAYOUT_4, LAYOUT_QUAD, HitLayout

__all__ = ["AbstractAstroPixHit", "AstroPix3Hit", "AstroPix3QuadChipHit", "AstroPix4Hit"]


class AbstractAstroPixHit:
    """One hit; its columns are attributes.

    Parameters
    ----------
    data
        The bytes of the hit in logical bit order.
    readout_id, timestamp
        Of the readout that holds the hit; the time in ns since 1970.
    decoding_order
        Number of the hit in its readout.

    Attributes
    ----------
    raw_data
        `data`, as bytes.
    """

    LAYOUT: ClassVar[HitLayout]
    ATTRIBUTE_NAMES: ClassVar[tuple[str, ...]]
    SIZE: ClassVar[int]

    __hash__ = None  # type: ignore[assignment]  # hits are equal by their bytes alone

    def __init__(self, data: bytes, readout_id: int = 0, timestamp: int = 0, decoding_order: int = 0) -> None:
        self.raw_data = bytes(data)
        self.__dict__.update(self.LAYOUT.values(self.raw_data, readout_id, timestamp, decoding_order))

    def __init_subclass__(cls) -> None:
        cls.ATTRIBUTE_NAMES, cls.SIZE = cls.LAYOUT.names, cls.LAYOUT.size

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def attribute_values(self, names: Sequence[str] | None = None) -> list[Any]:
        """Return the values of `names`, of all columns when left out.

        Raises
        ------
        AttributeError
            For a name that is none of the columns.
        """
        return [getattr(self, name) for name in (self.ATTRIBUTE_NAMES if names is None else names)]

    @classmethod
    def empty_table(cls, names: Sequence[str] | None = None) -> Any:
        """Return an astropy table of no rows with the columns `names`, all when left out.

        Raises
        ------
        ApxError
            For an unknown name, or one given twice.
        """
        return need("astropy.table", extra="apx").Table(dtype=cls.LAYOUT.dtype(names))

    def dict(self) -> dict[str, Any]:
        """Return all columns and ``raw_data`` by name."""
        return {**{name: getattr(self, name) for name in self.ATTRIBUTE_NAMES}, "raw_data": self.raw_data}

    def __eq__(self, other: object) -> bool:
        if isinstance(other, AbstractAstroPixHit):
            return self.raw_data == other.raw_data
        return NotImplemented

    def __str__(self) -> str:
        facts = ", ".join(f"{name} = {value}" for name, value in self.dict().items())
        return f"{type(self).__name__}({facts})"

    __repr__ = __str__


class AstroPix4Hit(AbstractAstroPixHit):
    """A hit of AstroPix 4: pixel and two time stamps; see `LAYOUT_4` for its attributes."""

    LAYOUT = LAYOUT_4


class AstroPix3Hit(AbstractAstroPixHit):
    """A half hit of AstroPix 3: a row or a column, and its time over threshold; see `LAYOUT_3`."""

    LAYOUT = LAYOUT_3


class AstroPix3QuadChipHit(AbstractAstroPixHit):
    """A half hit of AstroPix 3 in a frame of the quad chip: with layer and FPGA time; see `LAYOUT_QUAD`."""

    LAYOUT = LAYOUT_QUAD
