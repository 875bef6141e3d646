"""Frames of SSDAQ: several objects under keys, serialized together.

Nothing that a frame names is imported: its classes are looked up in a fixed table, and what is
not there is given as bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, ItemsView, Iterator, KeysView
from typing import Any, NamedTuple

import numpy as np

from sapwood.errors import FormatError, SapwoodError
from sapwood.fileio.icf.readout import SSReadout
from sapwood.fileio.icf.schema import parse
from sapwood.fileio.icf.triggers import TriggerPacket

__all__ = ["Frame"]

_TAIL = struct.Struct("<3I")
_DATA = "ssdaq.data._dataimpl"
_MESSAGES = ("LogData", "MonitorData", "MonitorFrame", "TelData", "TriggerBunch", "TriggerMessage")
_TRIGGERS = (
    "TriggerPacket",
    "NominalTriggerPacketV1",
    "BusyTriggerPacketV1",
    "TriggerPacketV2",
    "TriggerPacketV3",
)


class _UnfitError(SapwoodError, AttributeError, ValueError):
    """A value that no frame can hold."""


def _parser(name: str) -> Callable[[bytes], Any]:
    return lambda data: parse(name, data)


_DECODERS: dict[str, Callable[[bytes], Any]] = {
    "SSReadout": SSReadout.unpack,
    **dict.fromkeys(_TRIGGERS, TriggerPacket.unpack),
    **{name: _parser(name) for name in _MESSAGES},
}


class _Member(NamedTuple):
    kind: str
    module: str
    data: bytes


class Frame:
    """Objects under keys: readouts, trigger packets, messages, frames.

    Members of a class that is not known, arrays among them (SSDAQ keeps those in a form that
    pyarrow no longer reads), are given as bytes and written as they came.
    """

    def __init__(self) -> None:
        self._members: dict[str, _Member] = {}

    # As a mapping

    def __getitem__(self, key: str) -> Any:
        """Return the member `key`; `KeyError` when there is none."""
        member = self._members[key]
        decode = _DECODERS.get(member.kind) if member.module.startswith("ssdaq.") else None
        return member.data if decode is None else decode(member.data)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the member `key`, or `default` when there is none."""
        return self[key] if key in self._members else default

    def __setitem__(self, key: str, value: Any) -> None:
        self.add(key, value)

    def add(self, key: str, value: Any) -> None:
        """Put `value` under `key`.

        Raises
        ------
        FormatError
            (A `ValueError`, `AttributeError`) for a value that no frame can hold, or a key with a
            comma or line feed.
        """
        if not key or "," in key or "\n" in key:
            raise FormatError("A key of a frame has no comma and no line feed", seen=repr(key))
        self._members[key] = _member(value)

    def __contains__(self, key: object) -> bool:
        return key in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def keys(self) -> KeysView[str]:
        """Return the keys, in the order of the frame."""
        return self._members.keys()

    def items(self) -> ItemsView[str, Any]:
        """Return keys and members, all decoded."""
        return {key: self[key] for key in self._members}.items()

    def class_of(self, key: str) -> str:
        """Return the name of the class that the frame gives for the member `key`."""
        return self._members[key].kind

    def __repr__(self) -> str:
        return f"Frame({', '.join(f'{key}: {member.kind}' for key, member in self._members.items())})"

    # As bytes

    def serialize(self) -> bytes:
        """Return the bytes of the frame."""
        members = self._members
        data = b"".join(member.data for member in members.values())
        ends = np.cumsum([len(member.data) for member in members.values()], dtype="<u4").tobytes()
        lines = [f"{key},{member.kind},{member.module}\n" for key, member in members.items()]
        classes = "".join(lines).encode()
        return data + ends + classes + _TAIL.pack(len(classes), len(members), len(data))

    pack = serialize

    @classmethod
    def deserialize(cls, data: bytes) -> Frame:
        """Return the frame that `data` holds; members are decoded when they are asked for.

        Raises
        ------
        FormatError
            (A `ValueError`) when it holds none.
        """
        room = len(data) - _TAIL.size
        if room < 0:
            raise FormatError("A frame is cut", expected="12 bytes or more", seen=f"{len(data)} bytes")
        # The first number counts characters where SSDAQ wrote it, not bytes: the others tell the same.
        _, count, length = _TAIL.unpack_from(data, room)
        begin = length + 4 * count
        if begin > room:
            raise FormatError(
                "The tail of a frame does not fit", expected=f"{begin} bytes before it", seen=f"{room} bytes"
            )  # fmt: skip
        ends = [0, *np.frombuffer(data, "<u4", count, length).tolist()]
        if ends != sorted(ends) or ends[-1] != length:
            raise FormatError("The members of a frame do not lie one after the other", seen=ends[:8])
        try:
            lines = data[begin:room].decode().split("\n")[:-1]
        except UnicodeDecodeError as error:
            raise FormatError("The classes of a frame are no text", seen=str(error)) from error
        if len(lines) != count:
            raise FormatError("The classes of a frame are not all there", expected=count, seen=len(lines))
        frame = cls()
        for line, first, last in zip(lines, ends[:-1], ends[1:], strict=True):
            key, kind, module = _names(line)
            frame._members[key] = _Member(kind, module, data[first:last])
        return frame

    unpack = deserialize


def _names(line: str) -> list[str]:
    names = line.rsplit(",", 2)
    if len(names) != 3:
        raise FormatError("A member of a frame has no class", expected="key,class,module", seen=line[:80])
    return names


def _member(value: Any) -> _Member:
    """Return `value` in its serialized form."""
    if isinstance(value, SSReadout):
        return _Member("SSReadout", f"{_DATA}.slowsignal_format", value.pack())
    if isinstance(value, TriggerPacket):
        return _Member(type(value).__name__, f"{_DATA}.trigger_format", value.pack())
    if isinstance(value, Frame):
        return _Member("Frame", f"{_DATA}.frame", value.serialize())
    descriptor = getattr(value, "DESCRIPTOR", None)
    if descriptor is not None and descriptor.name in _MESSAGES:
        return _Member(descriptor.name, _DATA, value.SerializeToString())
    raise _UnfitError(
        f"A frame cannot hold a {type(value).__name__}",
        expected="a readout, a trigger packet, a message or a frame",
    )


_DECODERS["Frame"] = Frame.deserialize
