"""Files whose objects have a type: readers that decode, writers that encode."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from sapwood.errors import FormatError
from sapwood.fileio.formats import PathLike
from sapwood.fileio.icf.bag import Frame
from sapwood.fileio.icf.errors import WrongType
from sapwood.fileio.icf.layout import FileHeader
from sapwood.fileio.icf.reader import RawObjectReaderBase
from sapwood.fileio.icf.schema import parse
from sapwood.fileio.icf.triggers import TriggerPacket
from sapwood.fileio.icf.writer import RawObjectWriterBase

__all__ = [
    "LOG",
    "TIMESTAMP",
    "TRIGGER",
    "TYPES",
    "DataReader",
    "FrameWriter",
    "LogReader",
    "LogWriter",
    "ObjectType",
    "RawTriggerWriter",
    "TimestampReader",
    "TimestampWriter",
    "TriggerReader",
    "TriggerWriter",
    "type_header",
    "type_of",
]

_EXTENSION = struct.Struct("<2HB")  # file version, type, characters of the version text
_FILE_VERSION = 1
_WRITER = "sapwood"


@dataclass(frozen=True, slots=True)
class ObjectType:
    """A type of objects: its code in files, SSDAQ's name of it, and its bytes."""

    code: int
    data_type: str
    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]


def _message_type(code: int, name: str) -> ObjectType:
    def encode(value: Any) -> bytes:
        if getattr(getattr(value, "DESCRIPTOR", None), "name", None) != name:
            raise TypeError(f"The file takes {name} messages, not {type(value).__name__}")
        data: bytes = value.SerializeToString()
        return data

    return ObjectType(code, f"<ssdaq.data._dataimpl.{name}>", lambda data: parse(name, data), encode)


def _encode_trigger(value: Any) -> bytes:
    if not isinstance(value, TriggerPacket):
        raise TypeError(f"The file takes trigger packets, not {type(value).__name__}")
    return value.pack()


def _encode_frame(value: Any) -> bytes:
    if not isinstance(value, Frame):
        raise TypeError(f"The file takes frames, not {type(value).__name__}")
    return value.serialize()


LOG, TIMESTAMP, TRIGGER, FRAME = 1, 2, 3, 4
TYPES = {
    LOG: _message_type(LOG, "LogData"),
    TIMESTAMP: _message_type(TIMESTAMP, "TriggerMessage"),
    TRIGGER: ObjectType(
        TRIGGER, "<ssdaq.data._dataimpl.trigger_format.TriggerPacket>", TriggerPacket.unpack, _encode_trigger
    ),
    FRAME: ObjectType(FRAME, "<ssdaq.data._dataimpl.frame.Frame>", Frame.deserialize, _encode_frame),
}


def type_of(header: FileHeader, file: str) -> tuple[ObjectType, dict[str, Any]]:
    """Return the type of the objects of a file, and what its header says of it.

    Raises
    ------
    WrongType
        (A `ValueError`, `IndexError` and `TypeError`) when the header names no known type.
    """
    if header.version == 0:
        return _known(header.custom, file, 0), {}
    extension = header.extension
    if len(extension) < _EXTENSION.size:
        raise _wrong(file, 24, "a header extension of 5 bytes or more", f"{len(extension)} bytes")
    version, code, length = _EXTENSION.unpack_from(extension)
    text = extension[_EXTENSION.size :]
    if len(text) != length:
        raise _wrong(file, 28, f"a version text of {length} bytes", f"{len(text)} bytes")
    kind = _known(code, file, 26)
    return kind, {
        "ssdaq_version": text.decode("ascii", "replace"),
        "chec_file_version": version,
        "data_type": kind.data_type,
    }


def _known(code: int, file: str, offset: int) -> ObjectType:
    if code not in TYPES:
        raise _wrong(file, offset, f"a type code of {', '.join(map(str, TYPES))}", code)
    return TYPES[code]


def _wrong(file: str, offset: int, expected: str, seen: object) -> WrongType:
    return WrongType(
        "No compatible reader: the file does not say what its objects are",
        file=file, offset=offset, expected=expected, seen=seen,
        hint="RawObjectReaderBase reads its objects as bytes.",
    )  # fmt: skip


class DataReader(RawObjectReaderBase):
    """The objects of a typed file, decoded.

    Parameters
    ----------
    filename, options
        See `RawObjectReaderBase`.

    Raises
    ------
    WrongType
        (A `ValueError`) when the file does not say of what known type its objects are.
    """

    _code: ClassVar[int | None] = None
    _decoding = True

    def __init__(self, filename: PathLike, **options: Any) -> None:
        super().__init__(filename, **options)
        try:
            self.type, self._metadata = type_of(self._source.header, self.filename)
            if self._code not in (None, self.type.code):
                raise _wrong(self.filename, 0, f"the type code {self._code}", self.type.code)
        except FormatError:
            self.close()
            raise

    @property
    def metadata(self) -> dict[str, Any]:
        """``ssdaq_version, chec_file_version, data_type``; empty for protocol 0."""
        return dict(self._metadata)

    def _decode(self, data: bytes) -> Any:
        return self.type.decode(data)


class LogReader(DataReader):
    """Log messages."""

    _code = LOG


class TimestampReader(DataReader):
    """Trigger messages of the central time stamping."""

    _code = TIMESTAMP


class TriggerReader(DataReader):
    """Trigger packets."""

    _code = TRIGGER


def type_header(code: int, protocol: int, version: str = _WRITER) -> dict[str, Any]:
    """Return the options of `RawObjectWriterBase` for a file of objects of type `code`."""
    if protocol == 0:
        return {"header": code}
    text = version.encode("ascii", "replace")[:255]
    return {"header_ext": _EXTENSION.pack(_FILE_VERSION, code, len(text)) + text}


class _TypedWriter(RawObjectWriterBase):
    """A new file of objects of one type.

    Parameters
    ----------
    filename, protocol, compressor, kwargs
        See `RawObjectWriterBase`.
    version
        What the header says of the program that wrote the file; ASCII, 255 characters at most.
    """

    _code: ClassVar[int]

    def __init__(
        self,
        filename: PathLike,
        protocol: int = 1,
        compressor: str | None = "bz2",
        *,
        version: str = _WRITER,
        **kwargs: Any,
    ) -> None:
        for name, value in type_header(self._code, protocol, version).items():
            kwargs.setdefault(name, value)
        super().__init__(filename, protocol, compressor, **kwargs)

    def write(self, data: Any) -> None:
        """Append one object of the type of the file; a `TypeError` for anything else."""
        super().write(TYPES[self._code].encode(data))


class LogWriter(_TypedWriter):
    """Writes LogData messages."""

    _code = LOG


class TimestampWriter(_TypedWriter):
    """Writes TriggerMessage messages."""

    _code = TIMESTAMP


class TriggerWriter(_TypedWriter):
    """Writes trigger packets."""

    _code = TRIGGER


class RawTriggerWriter(_TypedWriter):
    """Writes trigger packets that are bytes already."""

    _code = TRIGGER

    def write(self, data: Any) -> None:
        """Append the bytes of one trigger packet."""
        RawObjectWriterBase.write(self, data)


class FrameWriter(_TypedWriter):
    """Writes frames of objects under keys."""

    _code = FRAME
