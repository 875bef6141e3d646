"""Protocol 1: bunches of objects, each with its tables and a trailer that points backwards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FormatError
from sapwood.fileio.icf.block import Block
from sapwood.fileio.icf.compressors import Compressor
from sapwood.fileio.icf.errors import ChecksumError, DamagedFile
from sapwood.fileio.icf.layout import TRAILER
from sapwood.fileio.icf.runs import Index, Run

__all__ = ["index", "load", "payload_bytes", "recovered"]

_LOOK_BYTES = 1 << 20  # searched for trailers together
_SELF = 16  # where in a trailer its own offset stands


class Trailer(NamedTuple):
    """The last bytes of a bunch; `at`, where it was found, is not among them.

    Parameters
    ----------
    back
        Bytes from the trailer before to this one; for the first bunch, from byte 0.
    data_back
        Bytes from the start of the data of the bunch to this trailer.
    place
        Where the trailer begins.
    crc
        Always 0.
    objects
        In the bunch.
    number
        Of the bunch.
    """

    back: int
    data_back: int
    place: int
    crc: int
    objects: int
    number: int

    def run(self) -> Run:
        """Return the bunch."""
        begin = self.place - self.data_back
        return Run(begin, self.place + TRAILER.size, self.objects, self.data_back - 8 * self.objects)

    def fault(self, at: int, begin: int) -> str | None:
        """Return why this cannot be a trailer at byte `at` of a file whose bunches start at `begin`."""
        before = begin if self.back == at else at - self.back + TRAILER.size
        if self.place != at:
            return f"it says that it lies at {self.place}"
        if self.objects < 1:
            return "its bunch has no objects"
        if not 0 < self.back <= at or before < begin:
            return f"it points {self.back} bytes back to the trailer before"
        if at - self.data_back != before:
            return f"it points {self.data_back} bytes back to data that must begin at {before}"
        if 8 * self.objects > self.data_back:
            return f"{self.objects} objects do not fit into {self.data_back} bytes"
        return None


def _trailer(data: NDArray[np.uint8], at: int) -> Trailer:
    return Trailer(*TRAILER.unpack_from(data.data, at))


def index(data: NDArray[np.uint8], begin: int, file: str, *, start: int | None = None) -> Index:
    """Return the bunches of `data`, the file, by the chain of its trailers.

    Parameters
    ----------
    begin
        Where bunches begin, bytes.
    start
        Return those from here on only: the end of a bunch that is known.

    Raises
    ------
    DamagedFile
        (A `RuntimeError`) when the trailers do not chain: the file is cut, something follows its
        last bunch, or it is damaged.
    """
    known = begin if start is None else start
    runs: list[Run] = []
    at = len(data) - TRAILER.size
    while at + TRAILER.size > known:
        if at < known:
            raise _corrupted(file, known, "there is no room for a trailer")
        trailer = _trailer(data, at)
        fault = trailer.fault(at, begin)
        if fault is not None:
            raise _corrupted(file, at, fault)
        runs.append(trailer.run())
        at = at - trailer.back if trailer.back != at else begin - TRAILER.size
    if at + TRAILER.size != known:
        raise _corrupted(file, known, "the chain leads past it")
    return Index(known, len(data), runs[::-1])


def _corrupted(file: str, at: int, seen: str) -> DamagedFile:
    return DamagedFile(
        "File offsets are corrupted, unable to read file index: the file is cut, padded or damaged",
        file=file, offset=at, expected="the trailer of a bunch", seen=seen,
        hint="recover=True reads the bunches that are whole.",
    )  # fmt: skip


def recovered(
    data: NDArray[np.uint8], begin: int, file: str, *, start: int | None = None, stored: bool = False
) -> Index:
    """Return the whole bunches that a search finds; needs no trailer at the end.

    Parameters
    ----------
    begin
        Where bunches begin, bytes.
    start
        Where to search from: the end of a bunch that is known.
    stored
        The file is not compressed: sizes must add up to the data.
    """
    runs: list[Run] = []
    gaps: list[str] = []
    end = known = begin if start is None else start
    lost = 0
    for at in _candidates(data, known):
        if at < end:
            continue
        trailer = _trailer(data, at)
        if trailer.fault(at, begin) or trailer.run().begin < end:
            continue
        run = trailer.run()
        if stored and payload_bytes(data, run) != run.data_bytes:
            continue
        if run.begin > end:
            gaps.append(f"{file}, offset {end}: {run.begin - end} bytes belong to no whole bunch")
            lost += run.begin - end
        runs.append(run)
        end = run.end
    left = len(data) - end
    tail = f"{file}, offset {end}: the last {left} bytes belong to no whole bunch" if left else None
    return Index(known, len(data), runs, gaps, lost, tail)


def _candidates(data: NDArray[np.uint8], start: int) -> Iterator[int]:
    """Yield every byte from `start` on where a trailer may begin: it holds its own offset."""
    last = len(data) - TRAILER.size + 1
    for first in range(start, last, _LOOK_BYTES):
        count = min(_LOOK_BYTES, last - first)
        low = np.ndarray((count,), "<u4", data, first + _SELF, (1,))
        wanted = np.arange(first, first + count, dtype=np.int64).astype(np.uint32)
        for offset in np.flatnonzero(low == wanted).tolist():
            yield first + offset


def _tables(data: NDArray[np.uint8], run: Run) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Return checksums (u4) and sizes (i8) of the objects of `run`, shape (n,) each."""
    at = run.begin + run.data_bytes
    tables = np.ndarray((2, run.objects), "<u4", data, at)
    return tables[0], tables[1].astype(np.int64)


def payload_bytes(data: NDArray[np.uint8], run: Run) -> int:
    """Return the bytes of the objects of `run`, expanded, as its table gives them."""
    at = run.begin + run.data_bytes + 4 * run.objects
    return int(np.ndarray((run.objects,), "<u4", data, at).sum(dtype=np.int64))


def load(data: NDArray[np.uint8], run: Run, compressor: Compressor, file: str) -> Block:
    """Return the objects of the bunch `run`; mapped where they are not compressed.

    Raises
    ------
    ChecksumError
        When data and sizes do not fit together, or the data cannot be expanded.
    """
    crcs, sizes = _tables(data, run)
    total = int(sizes.sum())
    stored = data[run.begin : run.begin + run.data_bytes]
    if compressor.inflate is not None:
        try:
            expanded = compressor.expand(stored.data, total)
        except FormatError as error:
            raise ChecksumError(f"A bunch cannot be read: {error}", file=file, offset=run.begin) from error
        return Block(np.frombuffer(expanded, np.uint8), sizes, crcs, held=True)
    if total != run.data_bytes:
        raise ChecksumError(
            "The sizes of the objects of a bunch do not add up",
            file=file, offset=run.begin, expected=f"{run.data_bytes} bytes", seen=f"{total} bytes",
        )  # fmt: skip
    return Block(stored, sizes, crcs)
