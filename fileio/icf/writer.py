"""Write container files object by object, under the names of SSDAQ, and from batches."""

from __future__ import annotations

import os
import time
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sapwood.errors import FormatError
from sapwood.fileio.filelayer import FileLayer
from sapwood.fileio.formats import PathLike
from sapwood.fileio.icf.block import common_size, split
from sapwood.fileio.icf.compressors import by_name
from sapwood.fileio.icf.encode import Bunches, Chunks, Encoder, Group
from sapwood.fileio.icf.errors import ClosedFile, UnknownId
from sapwood.fileio.icf.layout import (
    MAX_BUNCHES,
    MAX_EXTENSION,
    MAX_OBJECT,
    FileHeader,
    pack_header,
)
from sapwood.fileio.icf.outlet import Outlet

if TYPE_CHECKING:
    from typing import Self

    from sapwood.streams import FrameBatch

__all__ = ["BUNCH_BYTES", "RawObjectWriterBase", "RawObjectWriterV0", "RawObjectWriterV1"]

BUNCH_BYTES = 1_000_000
_GROUP_BYTES = 256 << 10  # protocol 0: objects written by one call
_AT_ONCE = 16 << 20  # bytes of a batch that become objects together


def _as_bytes(data: Any) -> bytes:
    """Return a bytes-like object, of whatever items, as bytes; a `TypeError` for anything else."""
    if isinstance(data, bytes):
        return data
    try:
        return memoryview(data).tobytes()
    except TypeError:
        raise TypeError(f"Objects are written as bytes, not as {type(data).__name__}") from None


class _Writer:
    """What the writers of both protocols share: objects are gathered into groups."""

    _groups_left: int | None = None  # groups that the file still takes; None: any number

    def __init__(
        self, filename: PathLike, header: FileHeader, encoder: Encoder, limit: int, files: FileLayer | None
    ) -> None:
        self.filename = os.fspath(filename)
        self._limit = limit
        self._file = Outlet(filename, pack_header(header), encoder, files or FileLayer())
        self._outlet: Outlet | None = self._file  # None once closed
        self._written = 0
        self._begin_group()

    def _begin_group(self) -> None:
        self._pending: list[bytes] = []
        self._append = self._pending.append
        self._room = self._limit

    @property
    def data_counter(self) -> int:
        """Objects written since the file was opened."""
        return self._written + len(self._pending)

    @property
    def filesize(self) -> int:
        """Bytes of the file so far; what is not written yet counts uncompressed."""
        written = 0 if self._outlet is None else self._outlet.size
        return written + (self._limit - self._room if self._pending else 0)

    @property
    def stored(self) -> tuple[int, int]:
        """Objects that the system has, and bytes of the file with them; also once closed."""
        return self._file.stored, self._file.size

    @property
    def bunches_left(self) -> int | None:
        """Bunches that the file still takes; None for any number."""
        return self._groups_left

    def write(self, data: Any) -> None:
        """Append one object, any bytes-like one; all its bytes count, whatever its items.

        Raises
        ------
        TypeError
            When it is not bytes-like; nothing is written.
        FormatError
            (A `ValueError`) for 4 GiB or more, or when the file takes no more bunches.
        FileError
            When the disk refuses. When it refuses an earlier group still, this object was not
            taken; else it was, and is written by the next call that succeeds.
        ClosedFile
            (A `ValueError`) after `close`.
        """
        if data.__class__ is not bytes:
            data = _as_bytes(data)
        room = self._room - len(data)
        if room < 0:
            self._cross(data)
        else:
            self._room = room
            self._append(data)

    def _cross(self, data: bytes) -> None:
        """Take the object that completes a group, and hand the group over."""
        self._ready()
        if len(data) > MAX_OBJECT:
            raise FormatError(
                "The object is too large for the format",
                file=self.filename, expected=f"{MAX_OBJECT} bytes at most", seen=f"{len(data)} bytes",
            )  # fmt: skip
        self._pending.append(data)
        self._hand_over(Group(self._pending))

    def _ready(self) -> Outlet:
        """Return the outlet when it takes another group."""
        outlet = self._outlet
        if outlet is None:
            raise ClosedFile("The writer is closed", file=self.filename)
        outlet.retry()
        if self._groups_left == 0:
            raise FormatError(
                f"The file has {MAX_BUNCHES} bunches, more cannot be numbered",
                file=self.filename, hint="Use a larger bunchsize, or a new file.",
            )  # fmt: skip
        return outlet

    def _hand_over(self, group: Group) -> None:
        outlet = self._ready()
        self._written += len(group.objects)
        if self._groups_left is not None:
            self._groups_left -= 1
        self._begin_group()
        if self._groups_left == 0:
            self._room = -1  # the next object is looked at before it is taken
        outlet.add(group)

    def write_many(self, values: Any, sizes: ArrayLike) -> None:
        """Append objects that lie one after the other in `values`, as if written one by one.

        Parameters
        ----------
        values
            Any contiguous buffer.
        sizes
            Bytes of each object, shape (n,); they must add up to `values`.
        """
        flat = np.frombuffer(values, np.uint8)
        size = np.atleast_1d(np.asarray(sizes, np.int64))
        if (size < 0).any() or int(size.sum()) != len(flat):
            raise FormatError(
                "Sizes and bytes do not fit", expected=f"{size.sum()} bytes", seen=f"{len(flat)} bytes"
            )  # fmt: skip
        self._check_open()
        equal = common_size(size)
        ends = np.cumsum(size)
        first, base = 0, 0
        while first < len(size):
            self._ready()
            crossing = int(np.searchsorted(ends, base + self._room, side="right"))
            last = min(crossing + 1, len(size))
            end = int(ends[last - 1])
            self._take(flat[base:end], size[first:last], equal, crossing < len(size))
            first, base = last, end

    def _take(
        self, data: NDArray[np.uint8], sizes: NDArray[np.int64], equal: int | None, crossing: bool
    ) -> None:
        """Append objects; when `crossing` the last one completes a group."""
        objects = split(data, sizes, equal)
        if not crossing:
            self._pending.extend(objects)
            self._room -= len(data)
        elif self._pending:
            self._pending.extend(objects[:-1])
            self._cross(objects[-1])
        elif len(objects[-1]) > MAX_OBJECT:
            self._cross(objects[-1])
        else:
            self._hand_over(Group(objects, data.data, sizes))

    def write_frames(self, batch: FrameBatch) -> None:
        """Append the payload of each frame as an object."""
        for part in batch.split(_AT_ONCE):
            dense = part.compact()
            self.write_many(dense.payload, dense.size)

    def _check_open(self) -> Outlet:
        if self._outlet is None:
            raise ClosedFile("The writer is closed", file=self.filename)
        return self._outlet

    def flush(self) -> None:
        """Write all objects so far, ending the present bunch; readers see them after `reload`.

        Raises
        ------
        FileError
            When the disk refuses; what is not written is kept.
        """
        outlet = self._check_open()
        if self._pending:
            self._hand_over(Group(self._pending))
        outlet.drain()

    def sync(self) -> None:
        """Write all objects so far and return when the disk holds them."""
        self.flush()
        self._check_open().sync()

    def close(self) -> None:
        """Write the rest and close the file; once closed, do nothing.

        Raises
        ------
        FileError
            When the disk refuses the rest: it is lost, the file ends with its last whole bunch.
        """
        if self._outlet is None:
            return
        try:
            self.flush()
        finally:
            self.abort()

    def abort(self) -> None:
        """Close the file without what was not written yet."""
        outlet, self._outlet = self._outlet, None
        self._room = -1
        if outlet is not None:
            outlet.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class RawObjectWriterV0(_Writer):
    """A new file of protocol 0.

    Parameters
    ----------
    filename
        A file of this name is replaced.
    header
        The free first 8 bytes, a number.
    files
        The disk; the real one when left out.
    """

    def __init__(self, filename: PathLike, header: int = 0, *, files: FileLayer | None = None) -> None:
        if not 0 <= header < 1 << 64:
            raise FormatError("The header is a number of 64 bits", file=filename, seen=header)
        super().__init__(filename, FileHeader(0, header), Chunks(), _GROUP_BYTES, files)


class RawObjectWriterV1(_Writer):
    """A new file of protocol 1.

    Parameters
    ----------
    filename
        A file of this name is replaced.
    header_ext
        Up to 65,535 free bytes; None for none.
    marker_ext
        Up to 4 bytes of text.
    bunchsize
        A bunch ends with the object that makes it larger than this, bytes before compression.
    compressor
        None, ``bz2``, or of Sapwood's own, which SSDAQ cannot read, ``zlib`` and ``zstd``.
    timestamp
        When the file was created: Unix seconds or a datetime; now when left out.
    files
        The disk; the real one when left out.

    Raises
    ------
    FormatError
        (A `ValueError`) for an argument that does not fit; the file is not touched.
    UnknownId
        (A `KeyError`) for an unknown compressor; the file is not touched.
    """

    def __init__(
        self,
        filename: PathLike,
        header_ext: Any = None,
        marker_ext: str = "",
        bunchsize: int = BUNCH_BYTES,
        compressor: str | None = None,
        *,
        timestamp: float | datetime | None = None,
        files: FileLayer | None = None,
    ) -> None:
        extension = b"" if header_ext is None else _as_bytes(header_ext)
        if len(extension) > MAX_EXTENSION:
            raise FormatError(
                "The header extension is too long",
                file=filename, expected=f"{MAX_EXTENSION} bytes at most", seen=f"{len(extension)} bytes",
            )  # fmt: skip
        if not 0 <= bunchsize <= MAX_OBJECT:
            raise FormatError(
                "No such bunchsize", file=filename, expected=f"0 to {MAX_OBJECT} bytes", seen=bunchsize
            )
        created = timestamp.timestamp() if isinstance(timestamp, datetime) else timestamp
        header = FileHeader(
            1,
            marker_ext=marker_ext.encode()[:4],
            created=int(time.time() if created is None else created),
            compressor=by_name(compressor).id,
            extension=extension,
        )
        self._groups_left = MAX_BUNCHES
        super().__init__(filename, header, Bunches(by_name(compressor)), int(bunchsize), files)


class RawObjectWriterBase:
    """A new container file of either protocol.

    Parameters
    ----------
    filename
        A file of this name is replaced.
    protocol
        0 or 1.
    compressor
        Of protocol 1; protocol 0 has none and takes no notice.
    kwargs
        Those of `RawObjectWriterV0` (``header``) or `RawObjectWriterV1` (``header_ext, marker_ext,
        bunchsize, timestamp``), and ``files``.

    Raises
    ------
    UnknownId
        (A `KeyError`) for another protocol, or an unknown compressor; the file is not touched.
    """

    def __init__(
        self, filename: PathLike, protocol: int = 1, compressor: str | None = "bz2", **kwargs: Any
    ) -> None:
        if protocol not in (0, 1):
            raise UnknownId("There is no such protocol", file=filename, expected="0 or 1", seen=protocol)
        self._writer: _Writer = (
            RawObjectWriterV1(filename, compressor=compressor, **kwargs)
            if protocol
            else RawObjectWriterV0(filename, **kwargs)
        )
        self.filename = self._writer.filename
        self.version = protocol

    @property
    def data_counter(self) -> int:
        """Objects written since the file was opened."""
        return self._writer.data_counter

    @property
    def filesize(self) -> int:
        """Bytes of the file so far; what is not written yet counts uncompressed."""
        return self._writer.filesize

    @property
    def stored(self) -> tuple[int, int]:
        """Objects that the system has, and bytes of the file with them; also once closed."""
        return self._writer.stored

    @property
    def bunches_left(self) -> int | None:
        """Bunches that the file still takes; None for any number."""
        return self._writer.bunches_left

    def write(self, data: Any) -> None:
        """Append one object, any bytes-like one; see `RawObjectWriterV1.write`."""
        self._writer.write(data)

    def write_many(self, values: Any, sizes: ArrayLike) -> None:
        """Append objects that lie one after the other in `values`."""
        self._writer.write_many(values, sizes)

    def write_frames(self, batch: FrameBatch) -> None:
        """Append the payload of each frame as an object."""
        self._writer.write_frames(batch)

    def flush(self) -> None:
        """Write all objects so far, ending the present bunch."""
        self._writer.flush()

    def sync(self) -> None:
        """Write all objects so far and return when the disk holds them."""
        self._writer.sync()

    def close(self) -> None:
        """Write the rest and close the file."""
        self._writer.close()

    def abort(self) -> None:
        """Close the file without what was not written yet."""
        self._writer.abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
