"""A-STEP streams: the hits of AstroPix 3 or 4 in frames, as a table."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FileError
from sapwood.fileio.apx.astepframes import LENGTHS, Frames, HitFrames, TextStream, frame, hit_frames, opened
from sapwood.fileio.apx.errors import ApxError
from sapwood.fileio.apx.layout import LAYOUT_3, LAYOUT_4, ROLLOVER
from sapwood.fileio.formats import CHUNK_BYTES, PathLike, Reader
from sapwood.fileio.partfile import complete_file
from sapwood.fileio.sinks.rowtext import rows_text
from sapwood.fileio.table import Column, ColumnInfo, Table, TableInfo

__all__ = ["AstepReader", "astep_hits", "astep_to_csv"]

_TICK_NS = {3: 10.0, 4: 5.0}
_LOOK_BYTES = 64 << 10  # from which the version is told
_FRAMED = 4 << 20  # bytes of the file framed together: working arrays are many times as large
_MOST_PLACES = 1000  # of frames of another length that are told

_UNITS = {"tot_us": "us"}
HITS = "hits"

Arrays = dict[str, NDArray[Any]]


def _fpga(rows: NDArray[np.uint8], version: int, *, text: bool) -> NDArray[np.uint32]:
    order = "<u4" if version == 3 and not text else ">u4"
    return np.ascontiguousarray(rows[:, -4:]).view(order)[:, 0].astype(np.uint32)


def astep_hits(
    rows: NDArray[np.uint8],
    version: int,
    *,
    tick_ns: float | None = None,
    strict: bool = False,
    text: bool = False,
) -> Arrays:
    """Return the hits of frames as columns, under the names of the A-STEP scripts.

    Parameters
    ----------
    rows
        u1, shape (n, 11) for version 3, (n, 14) for version 4: whole frames.
    tick_ns
        Unit of the time over threshold, ns; 10 for version 3 and 5 for version 4 when left out.
    strict
        The time over threshold of version 4 as the scripts compute it: stamps that are equal, or
        have rolled over, give one unit too little of a whole turn.
    text
        The frames come from a text log: the FPGA time of version 3 is big-endian there.
    """
    tick = _TICK_NS[version] if tick_ns is None else tick_ns
    body = rows[:, 2:-4]
    fpga = _fpga(rows, version, text=text)
    zero = np.zeros(len(rows), np.uint32)
    host = {"readout_id": zero, "timestamp": zero, "decoding_order": zero}
    if version == 3:
        got = LAYOUT_3.arrays(body, host)
        names = {"chipID": "chip_id", "payload": "payload", "location": "location", "isCol": "column",
                 "timestamp": "chip_timestamp", "tot_msb": "tot_msb", "tot_lsb": "tot_lsb",
                 "tot_total": "tot_dec"}  # fmt: skip
        head: Arrays = {"dec_ord": zero, "readout": zero, "layer": rows[:, 1].copy()}
        return {
            **head,
            **{name: got[source] for name, source in names.items()},
            "tot_us": got["tot_dec"] * tick / 1000,
            "fpga_ts": fpga,
        }
    got = LAYOUT_4.arrays(body, host)
    binary = got["ts_dec2"] % np.uint32(ROLLOVER)
    first = got["ts_dec1"] * np.uint32(2) + got["ts_neg1"]
    second = binary * np.uint32(2) + got["ts_neg2"]
    return {
        "pack_len": rows[:, 0].copy(),
        "layer": rows[:, 1].copy(),
        "chipID": got["chip_id"],
        "payload": got["payload"],
        "row": got["row"],
        "col": got["column"],
        "tsneg1": got["ts_neg1"],
        "ts1": got["ts_coarse1"],
        "tsfine1": got["ts_fine1"],
        "tstdc1": got["ts_tdc1"],
        "tsneg2": got["ts_neg2"],
        "ts2": got["ts_coarse2"],
        "tsfine2": got["ts_fine2"],
        "tstdc2": got["ts_tdc2"],
        "ts1_dec": first,
        "ts2_dec": second,
        "tot_us": _elapsed(first, second, strict=strict) * tick / 1000,
        "fpga_ts": fpga,
    }


def _elapsed(first: NDArray[np.uint32], second: NDArray[np.uint32], *, strict: bool) -> NDArray[np.int64]:
    turn = 2 * ROLLOVER
    ticks = second.astype(np.int64) - first
    if strict:
        return np.where(ticks > 0, ticks, ticks + turn - 1)
    return ticks % turn


class AstepReader(Reader):
    """A stream of frames, or a text log of them, as the table ``hits``.

    Parameters
    ----------
    path
        A binary stream; a name that ends with ``.log`` is a text log, whose lines
        ``INFO:b'hex'`` are readouts.
    version
        3 (also of the quad chip) or 4; the one that fits better when left out.
    tick_ns, strict
        See `astep_hits`.
    """

    format = "astep"

    def __init__(
        self,
        path: PathLike,
        *,
        version: int | None = None,
        tick_ns: float | None = None,
        strict: bool = False,
    ) -> None:
        if version not in (None, *LENGTHS):
            raise ApxError("There is no such version", expected="3 or 4", seen=version)
        self.path = os.fspath(path)
        self._stream = opened(path)
        self._text = isinstance(self._stream, TextStream)
        self.version = self._guess() if version is None else version
        self._tick_ns, self._strict = tick_ns, strict
        self._open = True

    def _guess(self) -> int:
        """Return the version whose frames the beginning of the stream holds most of."""
        data, _ = next(self._stream.pieces(_LOOK_BYTES), (b"", []))
        counts = {version: len(frame(data, version)[0].hits) for version in LENGTHS}
        return max(counts, key=lambda version: counts[version])

    def hit_frames(self, nbytes: int = CHUNK_BYTES) -> Iterator[HitFrames]:
        """Yield the frames of hits, from about `nbytes` of the file at a time, 4 MiB at most.

        Raises
        ------
        FileError
            After `close`.
        """
        if not self._open:
            raise FileError("The reader is closed", file=self.path)
        return hit_frames(self._stream, self.version, max(min(nbytes, _FRAMED), 1))

    @cached_property
    def frames(self) -> Frames:
        """What the whole stream holds, without the places of the hits; the first use reads it."""
        found = Frames()
        for part in self.hit_frames():
            found.count += len(part.rows)
            found.odd += part.frames.odd[: max(_MOST_PLACES - len(found.odd), 0)]
            found.lengths += part.frames.lengths
            found.skipped += part.frames.skipped
        return found

    def _columns(self, part: HitFrames) -> Arrays:
        found = astep_hits(
            part.rows, self.version, tick_ns=self._tick_ns, strict=self._strict, text=self._text
        )
        if self._text and "readout" in found:
            found["readout"] = part.readout.astype(np.uint32)
            found["dec_ord"] = part.order.astype(np.uint32)
        return found

    def columns(self, start: int = 0, stop: int | None = None) -> Arrays:
        """Return hits `start` to `stop` as columns."""
        parts = [
            {name: column.values for name, column in chunk.columns.items()}
            for chunk in self.chunks(HITS, start, stop)
        ] or [self._no_hits()]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _no_hits(self) -> Arrays:
        return astep_hits(np.empty((0, LENGTHS[self.version] + 1), np.uint8), self.version)

    def tables(self) -> list[TableInfo]:
        """Return the one table, ``hits``."""
        columns = {name: ColumnInfo(values.dtype) for name, values in self._no_hits().items()}
        return [TableInfo(HITS, self.frames.count, columns)]

    def chunks(
        self, table: str = HITS, start: int = 0, stop: int | None = None, nbytes: int = CHUNK_BYTES
    ) -> Iterator[Table]:
        """Yield rows `start` to `stop` of the table ``hits``, of about `nbytes` of the file at a time."""
        if table != HITS:
            raise FileError(f"There is no table {table!r}", file=self.path, expected=HITS)
        row = 0
        for part in self.hit_frames(nbytes):
            rows = len(part.rows)
            first, last = max(start - row, 0), rows if stop is None else min(stop - row, rows)
            row += rows
            if first < last:
                columns = {
                    name: Column(values[first:last], unit=_UNITS.get(name, ""))
                    for name, values in self._columns(part).items()
                }
                yield Table(HITS, columns, {"file": os.path.basename(self.path)})
            if stop is not None and row >= stop:
                return

    def info(self) -> dict[str, Any]:
        """Return ``format, file, tables, version, hits, odd_frames {length: frames}, skipped_bytes``."""
        lengths = self.frames.lengths
        return {
            "format": self.format,
            "file": os.path.basename(self.path),
            "tables": {HITS: self.frames.count},
            "version": self.version,
            "hits": self.frames.count,
            "odd_frames": {str(length): lengths[length] for length in sorted(lengths)},
            "skipped_bytes": self.frames.skipped,
        }

    def problems(self) -> list[str]:
        """Return frames of another length, the first 1,000, and bytes between frames."""
        told = [
            f"{self.path}, offset {at}: a frame of {length} bytes, not {LENGTHS[self.version]}"
            for at, length in self.frames.odd
        ]
        more = self.frames.lengths.total() - len(told)
        if more:
            told.append(f"{self.path}: {more} more frames of other lengths")
        if self.frames.skipped:
            told.append(f"{self.path}: {self.frames.skipped} bytes belong to no frame")
        return told

    def close(self) -> None:
        """Let go of the file."""
        self._open = False
        self._stream.close()


def astep_to_csv(
    path: PathLike,
    output_file_path: PathLike | None = None,
    *,
    version: int | None = None,
    tick_ns: float | None = None,
    strict: bool = False,
) -> PathLike:
    """Write the hits of a stream as CSV, as the A-STEP scripts do; return the new file.

    It lies beside the stream, with the ending ``.csv``, when no other name is given; an existing
    one is replaced. For the other parameters see `AstepReader`.
    """
    output = os.path.splitext(os.fspath(path))[0] + ".csv" if output_file_path is None else output_file_path
    with (
        AstepReader(path, version=version, tick_ns=tick_ns, strict=strict) as reader,
        complete_file(output, overwrite=True) as part,
        open(part, "wb") as file,
    ):
        file.write(",".join(reader.tables()[0].columns).encode() + b"\n")
        for chunk in reader.chunks():
            file.write(rows_text([column.values for column in chunk.columns.values()], b","))
    return output
