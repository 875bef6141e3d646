"""Where the bytes of a stream come from: a mapped file, a decompressed one, a connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.formats import PathLike
from sapwood.fileio.mapped import MappedFile

__all__ = ["FileSource", "ReadingSource", "Source"]

_READ_BYTES = 1 << 20
_RELEASE_BYTES = 1 << 20


class Source(Protocol):
    """Bytes read from front to end.

    Attributes
    ----------
    name
        For messages: a path or an address.
    offset
        Bytes of the stream (after decompression) that were consumed.
    """

    name: str
    offset: int

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
    """

    def __init__(self, name: str, read: Callable[[int], bytes], close: Callable[[], None]) -> None:
        self.name = name
        self.offset = 0
        self._read, self._close = read, close
        self._buffer = np.empty(0, np.uint8)
        self._ended = False

    def peek(self, nbytes: int, least: int | None = None) -> NDArray[np.uint8]:
        """Return the next bytes; reads until there are enough or the stream ends."""
        wanted = nbytes if least is None else min(least, nbytes)
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
