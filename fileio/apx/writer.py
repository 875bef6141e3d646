"""Writing AstroPix files, also while data are taken: every prefix of the file is one itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FileError, FormatError, RecorderFault
from sapwood.fileio.apx.columns import strip_padding
from sapwood.fileio.apx.errors import ApxError
from sapwood.fileio.apx.header import FileHeader, open_mapped
from sapwood.fileio.apx.readout import HEAD, MARKER, AbstractAstroPixReadout
from sapwood.fileio.apx.records import walk_file
from sapwood.fileio.filelayer import FileLayer, retried
from sapwood.fileio.formats import CHUNK_BYTES, PathLike
from sapwood.fileio.recording.parts import Part, cut_back, write_all
from sapwood.streams.windows import windows

if TYPE_CHECKING:
    from typing import Self

    from sapwood.fileio.apx.recording import ReadoutRecorder
    from sapwood.streams import FrameBatch

__all__ = ["ApxWriter", "encode"]

_STAGED = 1 << 16  # bytes kept in memory before they are written, by default


def _whole(records: bytes | memoryview, limit: int) -> int:
    """Return the bytes of the records that end before byte `limit`."""
    end = 0
    while end + HEAD.size <= limit:
        following = end + HEAD.size + HEAD.unpack_from(records, end)[-1]
        if following > limit:
            break
        end = following
    return end


def encode(
    batch: FrameBatch, readout_id: NDArray[np.uint32], timestamp: NDArray[np.uint64]
) -> NDArray[np.uint8]:
    """Return the records of many readouts, one after the other, without filler at their ends.

    Parameters
    ----------
    batch
        The bytes of the boards; its other columns are not looked at.
    readout_id, timestamp
        u4 and u8, shape (n,).
    """
    short = strip_padding(batch.payload, batch.start, np.ascontiguousarray(batch.size))
    size = short + HEAD.size
    behind = np.cumsum(size)
    begin = behind - size
    out = np.empty(int(behind[-1]) if len(size) else 0, np.uint8)
    heads = np.empty(len(size), [("m", "V3"), ("id", "<u4"), ("time", "<u8"), ("size", "<u4")])
    heads["m"], heads["id"], heads["time"] = np.void(MARKER), readout_id, timestamp
    heads["size"] = short
    if len(size):
        windows(out, HEAD.size)[begin] = heads.view(f"V{HEAD.size}")
    for width in np.unique(short[short > 0]).tolist():
        rows = np.flatnonzero(short == width)
        windows(out, width)[begin[rows] + HEAD.size] = windows(batch.payload, width)[batch.start[rows]]
    return out


class ApxWriter:
    """Appends readouts to a file that can be read at any time.

    Records are given to the system whole, `staged` bytes at a time at the latest. When the disk
    fails, a record of which only a part was written is cut away again, and the writer takes no more.
    A stream is recorded by ``source >> writer``, see `ReadoutRecorder`.

    Parameters
    ----------
    path
        The file. It gets its name, its header and a place in its folder before this returns.
    header
        Of the file; for `append` that of the existing file when left out.
    files
        The disk; None for the real one.
    append
        Go on with an existing file, whose header must be the same; a missing file is made.
    exclusive
        Refuse an existing file; else it is replaced.
    staged
        Bytes kept in memory; 0 writes each record at once.

    Attributes
    ----------
    readouts, nbytes
        Records taken since this was made, and bytes of the file that the system has.

    Raises
    ------
    ApxTypeError
        When the header cannot be written; no file is made then.
    FileError
        When the file cannot be made, or `append` finds a damaged file, or one of another header.
    """

    def __init__(
        self,
        path: PathLike,
        header: FileHeader | None,
        files: FileLayer | None = None,
        *,
        append: bool = False,
        exclusive: bool = False,
        staged: int = _STAGED,
    ) -> None:
        self.path = os.fspath(path)
        self.readouts = self.nbytes = 0
        self._files = FileLayer() if files is None else files
        self._limit = staged
        self._staged: list[bytes | memoryview] = []
        self._waiting = 0
        self._fault: RecorderFault | None = None
        self._part: Part | None = None
        self._slave: ReadoutRecorder | None = None
        if append and os.path.exists(self.path) and os.path.getsize(self.path):
            self.header = self._go_on(header)
            return
        if header is None:
            raise ApxError("A header is needed to write an AstroPix file", file=self.path)
        self.header = header
        preamble = header.to_bytes()
        self._create(exclusive)
        self._put([preamble], len(preamble))

    # Opening

    def _create(self, exclusive: bool) -> None:
        try:
            self._part = Part(self.path, self._files.open(self.path, exclusive=exclusive))
            retried(self._files.sync_dir, os.path.dirname(self.path) or ".")
        except OSError as error:
            if self._part is not None:
                self._files.close(self._part.fd)
                self._part = None
            if isinstance(error, FileNotFoundError):
                raise
            raise FileError(f"Failed to open data file: {self.path}", file=self.path, seen=error) from error

    def _go_on(self, header: FileHeader | None) -> FileHeader:
        """Check the existing file and open it behind its last record."""
        file, text, begin = open_mapped(self.path)
        with file:
            found = FileHeader.deserialize(text)
            if header is not None and header != found:
                raise ApxError(
                    "The file has another header", file=self.path, expected=str(header), seen=str(found)
                )
            for records in walk_file(file, begin, CHUNK_BYTES):
                for one in records.breaks:
                    raise FormatError(
                        f"A damaged file is not appended to: {one.reason}",
                        file=self.path,
                        offset=one.offset,
                        hint="Recover it first.",
                    )
            size = file.size
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._part = Part(self.path, fd, size)
        self.nbytes = size
        return found

    # Writing

    def write(self, record: bytes | memoryview) -> int:
        """Take one or more whole records, see `to_bytes` of readouts; return their bytes.

        Raises
        ------
        RecorderFault
            When the disk fails now, or failed before.
        """
        self._check()
        self._staged.append(record)
        self._waiting += len(record)
        self.readouts += 1
        if self._waiting >= self._limit:
            self.flush()
        return len(record)

    def write_readout(self, readout: AbstractAstroPixReadout) -> None:
        """Take a readout."""
        self.write(readout.to_bytes())

    def write_batch(
        self,
        batch: FrameBatch,
        readout_id: NDArray[np.uint32] | None = None,
        timestamp: NDArray[np.uint64] | None = None,
    ) -> None:
        """Take many readouts as frames.

        Parameters
        ----------
        batch
            The bytes of the boards.
        readout_id, timestamp
            u4 and u8, shape (n,); when left out, counted on from the readouts taken so far, and
            the times of the frames.
        """
        if readout_id is None:
            readout_id = (np.arange(len(batch)) + self.readouts).astype(np.uint32)
        if timestamp is None:
            timestamp = batch.time.astype(np.uint64)
        if len(batch):
            self.write(encode(batch, readout_id, timestamp).data)
            self.readouts += len(batch) - 1

    def _getStreamSlave(self) -> ReadoutRecorder:
        """Return what records the frames of a stream here."""
        if self._slave is None:
            from sapwood.fileio.apx.recording import ReadoutRecorder

            self._slave = ReadoutRecorder(self)
        return self._slave

    def _check(self) -> Part:
        if self._fault is not None:
            raise self._fault
        if self._part is None:
            raise ValueError(f"I/O operation on closed file: {self.path}")
        return self._part

    def flush(self) -> None:
        """Give what is staged to the system."""
        self._check()
        staged, count, self._staged, self._waiting = self._staged, self._waiting, [], 0
        if staged:
            self._put(staged, count)

    def _put(self, pieces: list[bytes | memoryview], count: int) -> None:
        part = self._check()
        done, error = write_all(self._files, part.fd, pieces, count)
        for piece in pieces:
            whole = len(piece) if done >= len(piece) else _whole(piece, done)
            done -= whole
            part.size += whole
            if whole < len(piece):
                break
        self.nbytes = part.size
        if error is not None:
            told = cut_back(self._files, part, done)
            self._fault = RecorderFault(
                f"Writing {self.path} failed.{told}", file=self.path, offset=part.size, seen=error
            )
            raise self._fault from error

    def sync(self) -> None:
        """Return when everything taken lies on the disk."""
        self.flush()
        part = self._check()
        try:
            retried(self._files.fdatasync, part.fd)
        except OSError as error:
            self._fault = RecorderFault(f"Syncing {self.path} failed", file=self.path, seen=error)
            raise self._fault from error

    @property
    def closed(self) -> bool:
        """The file is closed."""
        return self._part is None

    def close(self) -> None:
        """Write what is staged and close; does nothing when closed.

        Raises
        ------
        RecorderFault
            When the disk refuses what is staged; the file is closed all the same.
        """
        if self._part is None:
            return
        try:
            if self._fault is None:
                self.flush()
        finally:
            self.abort()

    def abort(self) -> None:
        """Close without writing what is staged."""
        if self._part is not None:
            self._files.close(self._part.fd)
            self._part = None
        self._staged, self._waiting = [], 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
