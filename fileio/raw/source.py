"""Where the bytes of a stream come from: a mapped file, a decompressed one, a connection."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import MissingExtra
from sapwood.extras import need
from sapwood.fileio.formats import PathLike
from sapwood.fileio.mapped import MappedFile

__all__ = ["FileSource", "ReadingSource", "Source", "is_packed", "open_source"]

_READ_BYTES = 1 << 20
_RELEASE_BYTES = 1 << 20
_UNPACK_BYTES = 1 << 17
_UNPACKERS = ("zlib", "isal", "igzip", "zst")  # in the modules of their errors


class Source(Protocol):
    """Bytes read from front to end.

    Attributes
    ----------
    name
        For messages: a path or an address.
    offset
        Bytes of the stream (after decompression) that were consumed.
    problems
        What went wrong while they were read.
    """

    name: str
    offset: int
    problems: list[str]

    def peek(self, nbytes: int, least: int | None = None) -> NDArray[np.uint8]:
        """Return the next `nbytes` bytes as a read-only view, fewer only at the end of the stream.

        With `least`, do not wait for more than so many: a live stream gives what it has.
        """
        ...

    def advance(self, nbytes: int) -> None:
        """Consume bytes that `peek` has shown."""
        ...

    def close(self) -> None:
        """Let go of what is behind it; views stay valid."""
        ...


class FileSource:
    """A file as it is, mapped into memory.

    Raises
    ------
    FileError
        When it cannot be opened.
    """

    def __init__(self, path: PathLike) -> None:
        self._file = MappedFile(path)
        self.name = self._file.path
        self.offset = 0
        self.problems: list[str] = []
        self._used = 0  # bytes before were consumed by an earlier call: nobody looks at them any more

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._file.size

    def peek(self, nbytes: int, least: int | None = None) -> NDArray[np.uint8]:
        """Return the next bytes; nothing is copied."""
        return self._file.data[self.offset : self.offset + nbytes]

    def advance(self, nbytes: int) -> None:
        """Consume bytes; the memory of those consumed before goes back to the system."""
        if self.offset - self._used >= _RELEASE_BYTES:
            self._file.release(self._used, self.offset)
            self._used = self.offset
        self.offset += nbytes

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class ReadingSource:
    """Bytes that a function reads: of a decompressor or a socket.

    Parameters
    ----------
    name
        For messages.
    read
        Returns up to so many bytes, none at the end.
    close
        Called once at the end.
    live
        Whether bytes come when they please; else it is worth waiting for more than the least asked for.
    """

    def __init__(
        self, name: str, read: Callable[[int], bytes], close: Callable[[], None], live: bool = True
    ) -> None:
        self.name = name
        self.offset = 0
        self.problems: list[str] = []
        self._read, self._close, self._live = read, close, live
        self._buffer = np.empty(0, np.uint8)
        self._ended = False

    def peek(self, nbytes: int, least: int | None = None) -> NDArray[np.uint8]:
        """Return the next bytes; reads until there are enough or the stream ends."""
        wanted = nbytes if least is None else min(max(least, 0 if self._live else nbytes // 4), nbytes)
        if len(self._buffer) < wanted and not self._ended:
            parts, there = [self._buffer], len(self._buffer)
            while there < wanted:
                data = self._read(max(nbytes - there, _READ_BYTES))
                if not data:
                    self._ended = True
                    break
                parts.append(np.frombuffer(data, np.uint8))
                there += len(data)
            self._buffer = np.concatenate(parts)
        return self._buffer[:nbytes]

    def advance(self, nbytes: int) -> None:
        """Consume bytes."""
        self._buffer = self._buffer[nbytes:]
        self.offset += nbytes

    def close(self) -> None:
        """Close what is behind it."""
        self._close()


def open_source(name: Any) -> Source:
    """Return the source for a path (plain, gzip, bzip2 or zstd), an address ``tcp://...``, or a `Source`.

    Raises
    ------
    FileError
        When it cannot be opened.
    """
    if hasattr(name, "peek") and hasattr(name, "advance"):
        source: Source = name
        return source
    text = os.path.expandvars(os.fspath(name))
    if text.startswith("tcp://"):
        from sapwood.fileio.raw.sockets import open_tcp

        return open_tcp(text)
    source = FileSource(text)
    head = source.peek(4).tobytes()
    for magic, opener in _PACKED.items():
        if head.startswith(magic):
            source.close()
            return _unpacked(text, opener)
    return source


def is_packed(head: bytes) -> bool:
    """Tell whether a file that begins with `head` is packed in a way that `open_source` unpacks."""
    return head.startswith(tuple(_PACKED))


def _gzip(path: str) -> Any:
    import gzip

    try:
        return need("isal.igzip", extra="raw").open(path, "rb")
    except MissingExtra:
        return gzip.open(path, "rb")


def _bz2(path: str) -> Any:
    import bz2

    return bz2.open(path, "rb")


def _zstd(path: str) -> Any:
    return need("zstandard", extra="raw").open(path, "rb")


_PACKED: dict[bytes, Callable[[str], Any]] = {
    b"\x1f\x8b": _gzip,
    b"BZh": _bz2,
    b"\x28\xb5\x2f\xfd": _zstd,
}


def _unpacked(path: str, opener: Callable[[str], Any]) -> ReadingSource:
    file = opener(path)
    some = getattr(file, "read1", file.read)  # what comes before damage is not lost with it

    def read(nbytes: int) -> bytes:
        try:
            data: bytes = some(min(nbytes, _UNPACK_BYTES))
        except Exception as error:
            known = isinstance(error, OSError | EOFError | ValueError)
            if not known and not any(one in type(error).__module__ for one in _UNPACKERS):
                raise
            source.problems.append(f"{path}: the compressed data are damaged: {error}")
            return b""
        return data

    source = ReadingSource(path, read, file.close, live=False)
    return source
