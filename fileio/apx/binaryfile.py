"""AstroPix files as Python files: readouts one by one, written or read."""

from __future__ import annotations

import logging
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from sapwood.errors import FormatError
from sapwood.extras import need
from sapwood.fileio.apx.errors import ApxError
from sapwood.fileio.apx.header import FileHeader, read_preamble
from sapwood.fileio.apx.readout import HEAD, AbstractAstroPixReadout
from sapwood.fileio.apx.records import Break, Records, walk
from sapwood.fileio.apx.writer import ApxWriter
from sapwood.fileio.filelayer import FileLayer
from sapwood.fileio.formats import PathLike
from sapwood.fileio.mapped import MappedFile

if TYPE_CHECKING:
    from typing import Self

__all__ = ["SUFFIX", "AstroPixBinaryFile", "apx_open", "sanitize_path"]

_LOG = logging.getLogger("sapwood.fileio")

SUFFIX = ".apx"
_NUMBER = re.compile(r"\.[1-9][0-9]*$")
_MODES = ("rb", "wb", "ab")
_PART = 1 << 16  # bytes of the file that are made into readouts together


def sanitize_path(path: PathLike, extension: str | None = None, *, parts: bool = False) -> str:
    """Return `path` as text.

    Parameters
    ----------
    parts
        The number of a part of a recording may follow the extension: ``run.apx.2``.

    Raises
    ------
    ApxError
        When it does not end with `extension`.
    """
    name = os.fspath(path)
    end = _NUMBER.sub("", name) if parts else name
    if extension is not None and not end.endswith(extension):
        raise ApxError(f"The name of the file does not end with {extension}", file=name)
    return name


class AstroPixBinaryFile:
    """An AstroPix file, opened by a ``with`` block; each block begins at the first readout.

    Reading goes on behind damage and notes it in `problems`; `strict` raises instead.

    Parameters
    ----------
    path
        The file; its name ends with ``.apx``, that of a part to be read with ``.apx.2`` or so.
    mode
        ``rb`` reads, ``wb`` replaces an existing file, ``ab`` adds to one.
    header
        Needed to write; to add, it must be that of the file when given.
    strict
        Reading ends with an error where the chain of readouts breaks.
    strip
        Which 0xFF at the end of readouts are filler, see `AbstractAstroPixReadout`.
    files
        The disk that is written to; None for the real one.

    Attributes
    ----------
    header
        `FileHeader`, once the block is entered.
    problems
        What is damaged in the part read so far, one sentence each.

    Raises
    ------
    ApxError
        For another ending, or when a header is missing.
    ValueError
        For another mode.
    """

    def __init__(
        self,
        path: PathLike,
        mode: str = "rb",
        header: FileHeader | None = None,
        *,
        strict: bool = False,
        strip: str = "all",
        files: FileLayer | None = None,
    ) -> None:
        self.path = sanitize_path(path, SUFFIX, parts=mode == "rb")
        if mode not in _MODES:
            raise ValueError(f"Mode {mode!r} is not one of {', '.join(_MODES)}")
        if mode == "wb" and header is None:
            raise ApxError("A header is needed to write an AstroPix file", file=self.path)
        self.mode = mode
        self.header = header
        self.problems: list[str] = []
        self._strict, self._strip, self._files = strict, strip, files
        self._file: BinaryIO | None = None
        self._writer: ApxWriter | None = None
        self._entered = False
        self._begin = 0
        self._records: Records | None = None
        self._at = 0  # where the readouts begin that are not `_ready`
        self._ready: deque[AbstractAstroPixReadout] = deque()

    def __enter__(self) -> Self:
        self.problems, self._records = [], None
        self._ready.clear()
        if self.mode == "rb":
            self._file = open(self.path, "rb")  # closed by __exit__
            try:
                text, self._begin = read_preamble(self._file, self.path)
                self._at = self._begin
                self.header = FileHeader.deserialize(text)
            except FormatError as error:
                error.file = self.path
                self._close()
                raise
            except BaseException:
                self._close()
                raise
        else:
            self._writer = ApxWriter(self.path, self.header, self._files, append=self.mode == "ab")
            self.header = self._writer.header
        self._entered = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        if self._writer is not None:
            self._writer.close()

    # Writing

    def write(self, data: bytes) -> int:
        """Append the bytes of whole records; return their number.

        Raises
        ------
        OSError
            When the file was opened for reading, or the disk fails.
        """
        return self._writing().write(data)

    def flush(self) -> None:
        """Give everything written to the system: readers see it."""
        self._writing().flush()

    def sync(self) -> None:
        """Return when everything written lies on the disk."""
        self._writing().sync()

    def _writing(self) -> ApxWriter:
        if self._writer is None:
            raise self._misused("write")
        return self._writer

    def _misused(self, what: str) -> Exception:
        if self._entered:
            return OSError(f"{self.path} is not opened to {what}")
        return AttributeError(f"{self.path} is opened by a with block")

    # Reading

    def _reading(self) -> BinaryIO:
        if self._file is None:
            raise self._misused("read")
        if self._file.closed:
            raise ValueError(f"I/O operation on closed file: {self.path}")
        return self._file

    def _class(self) -> type[AbstractAstroPixReadout]:
        if self.header is None:
            raise self._misused("read")
        return self.header.readout_class()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> AbstractAstroPixReadout:
        file = self._reading()
        if self._strict:
            readout = self._next_strictly(file)
        else:
            if not self._ready:
                self._refill(growing=False)
            readout = self._ready.popleft() if self._ready else None
        if readout is None:
            raise StopIteration
        return readout

    def _next_strictly(self, file: BinaryIO) -> AbstractAstroPixReadout | None:
        offset = file.tell()
        try:
            return self._class().from_file(file, strip=self._strip)
        except FormatError as error:
            error.file, error.offset = self.path, offset
            raise

    def _refill(self, *, growing: bool) -> None:
        """Take the next readouts from the file, a part at a time.

        Parameters
        ----------
        growing
            Leave a truncated readout at the end: the rest of it may come.
        """
        readout_class = self._class()
        with MappedFile(self.path) as mapped:
            data, begin = mapped.data, self._at
            if begin >= mapped.size:
                return
            records = walk(data, begin, min(begin + _PART, mapped.size))
            kept, self._at = _settled(records) if growing else (len(records), records.end)
            for one in records.breaks:
                if one.offset < self._at:
                    self._note(one)
            missing = {one.offset: one.nbytes for one in records.breaks if one.cut}
            columns = (records.offset, records.size, records.readout_id, records.timestamp)
            rows = zip(*(column[:kept].tolist() for column in columns), strict=True)
            for offset, size, readout_id, timestamp in rows:
                at = offset + HEAD.size
                board = data[at : at + size].tobytes()
                readout = readout_class(board, readout_id, timestamp, strip=self._strip)
                readout.missing = missing.get(offset, 0)
                self._ready.append(readout)

    def _note(self, one: Break) -> None:
        problem = f"{self.path}, offset {one.offset}: {one.reason}"
        _LOG.warning("%s", problem)
        self.problems.append(problem)

    def index(self) -> Records:
        """Return offset, size, id and time of every readout, as columns; found when first called."""
        self._reading()
        if self._records is None:
            with MappedFile(self.path) as mapped:
                self._records = walk(mapped.data, self._begin, mapped.size)
        return self._records

    def readout(self, number: int) -> AbstractAstroPixReadout:
        """Return readout `number` of the file, -1 for the last; iteration goes on where it was.

        Raises
        ------
        IndexError
            When there are not so many.
        """
        records = self.index()
        at, size = int(records.offset[number]) + HEAD.size, int(records.size[number])
        with MappedFile(self.path) as mapped:
            data = mapped.data[at : at + size].tobytes()
        head = int(records.readout_id[number]), int(records.timestamp[number])
        return self._class()(data, *head, strip=self._strip)

    def follow(
        self, timeout_s: float | None = None, *, poll_s: float = 0.1, stop: Callable[[], bool] | None = None
    ) -> Iterator[AbstractAstroPixReadout]:
        """Yield readouts from here on, and those that are added while this waits.

        Parameters
        ----------
        timeout_s
            End when nothing was added for so long; None: never.
        poll_s
            Time between two looks, seconds.
        stop
            Asked at each look; ends the waiting when it returns True.
        """
        since = time.monotonic()
        while True:
            self._reading()
            if not self._ready:
                self._refill(growing=True)
            while self._ready:
                yield self._ready.popleft()
                since = time.monotonic()
            if stop is not None and stop():
                return
            if timeout_s is not None and time.monotonic() - since >= timeout_s:
                return
            time.sleep(poll_s)

    def to_table(self, col_names: Sequence[str] | None = None) -> Any:
        """Return the hits of all readouts from here on as an astropy table.

        Hits split over two readouts are joined; the header's text is the ``comments`` of its meta.

        Raises
        ------
        ApxError
            For an unknown column, or one named twice.
        """
        layout = self._class().HIT_CLASS.LAYOUT
        names = layout.select(col_names)
        rows: list[tuple[Any, ...]] = []
        most, carry = 0, None
        for readout in self:
            hits = readout.decode(carry, strict=self._strict)
            carry = None if self._strict else readout.extra_bytes()
            most = max(most, len(hits))
            rows += [tuple(hit.attribute_values(names)) for hit in hits]
        dtype = layout.dtype(names, "u1" if most <= 256 else "u2" if most <= 1 << 16 else "u4")
        table = need("astropy.table", extra="apx").Table(np.array(rows, dtype))
        if self.header is not None:
            table.meta["comments"] = [self.header.serialize()]
        return table


def _settled(records: Records) -> tuple[int, int]:
    """Return how many records of a growing file are complete, and where to look again for the next."""
    if records.breaks and records.breaks[-1].at_end:
        last = records.breaks[-1]
        return len(records) - last.cut, last.offset
    return len(records), records.end


def apx_open(
    path: PathLike, mode: str = "rb", header: FileHeader | None = None, **options: Any
) -> AstroPixBinaryFile:
    """Return an AstroPix file for a ``with`` block; see `AstroPixBinaryFile` for all options."""
    return AstroPixBinaryFile(path, mode, header, **options)
