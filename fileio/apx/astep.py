"""A-STEP streams: frames led by their length, with the hits of AstroPix 3 or 4 in them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FileError
from sapwood.fileio.apx.errors import ApxError
from sapwood.fileio.apx.layout import LAYOUT_3, LAYOUT_4, PADDING, ROLLOVER
from sapwood.fileio.formats import CHUNK_BYTES, PathLike, Reader
from sapwood.fileio.mapped import MappedFile
from sapwood.fileio.partfile import complete_file
from sapwood.fileio.sinks.rowtext import rows_text
from sapwood.fileio.table import Column, ColumnInfo, Table, TableInfo
from sapwood.streams.windows import windows

__all__ = ["AstepReader", "Frames", "astep_hits", "astep_to_csv", "frame"]

_LENGTHS = {3: 0x0A, 4: 0x0D}  # bytes that follow the first byte of a frame, by version
_LONGEST = 32  # bytes that a frame of another kind may announce
_TICK_NS = {3: 10.0, 4: 5.0}
_INFO = re.compile(rb"INFO:b(['\"])([0-9a-fA-F]*)\1")

Arrays = dict[str, NDArray[Any]]


@dataclass(slots=True)
class Frames:
    """What a stream holds.

    Parameters
    ----------
    hits
        i8: where the frames of hits begin.
    odd
        Place and length byte of each frame of another length.
    skipped
        Bytes that belong to no frame; filler is not counted.
    """

    hits: list[int] = field(default_factory=list)
    odd: list[tuple[int, int]] = field(default_factory=list)
    skipped: int = 0


def frame(data: bytes, version: int) -> Frames:
    """Find the frames of a stream by their lengths.

    Where a length leads to nothing that could begin a frame, one byte is passed over, unless it
    is the length of a hit.
    """
    found, at, end, expected = Frames(), 0, len(data), _LENGTHS[version]
    while at < end:
        length = data[at]
        if length == PADDING:
            at += 1
            continue
        behind = at + 1 + length
        leads_on = behind == end or (
            behind < end and (data[behind] == PADDING or 0 < data[behind] <= _LONGEST)
        )
        if length == expected and behind <= end:
            found.hits.append(at)
        elif 1 < length <= _LONGEST and leads_on:
            found.odd.append((at, length))
        else:
            found.skipped += 1
            behind = at + 1
        at = behind
    return found


def _version_of(data: bytes) -> int:
    """Return the version whose frames the stream holds most of."""
    counts = {version: len(frame(data[:65536], version).hits) for version in _LENGTHS}
    return max(counts, key=lambda version: counts[version])


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
        if version not in (None, *_LENGTHS):
            raise ApxError("There is no such version", expected="3 or 4", seen=version)
        self.path = os.fspath(path)
        self._text = self.path.endswith(".log")
        with MappedFile(path) as file:
            raw = file.data.tobytes()
        self._readout_begin = [0]
        data = self._from_text(raw) if self._text else raw
        self.version = _version_of(data) if version is None else version
        self.frames = frame(data, self.version)
        self._data = np.frombuffer(data, np.uint8)
        self._tick_ns, self._strict = tick_ns, strict

    def _from_text(self, raw: bytes) -> bytes:
        """Return the bytes of all lines, and note where each begins; half bytes are left out."""
        parts, at = [], 0
        self._readout_begin = []
        for found in _INFO.finditer(raw):
            digits = found[2].decode()
            parts.append(bytes.fromhex(digits[: len(digits) // 2 * 2]))
            self._readout_begin.append(at)
            at += len(parts[-1])
        return b"".join(parts)

    def columns(self, start: int = 0, stop: int | None = None) -> Arrays:
        """Return hits `start` to `stop` as columns."""
        at = np.array(self.frames.hits, np.int64)
        width = _LENGTHS[self.version] + 1
        rows = np.empty((0, width), np.uint8)
        if len(at[start:stop]):
            rows = windows(self._data, width)[at[start:stop]].view(np.uint8).reshape(-1, width)
        found = astep_hits(rows, self.version, tick_ns=self._tick_ns, strict=self._strict, text=self._text)
        if self._text and "readout" in found:
            readout = np.searchsorted(np.array(self._readout_begin), at, side="right") - 1
            first = np.searchsorted(readout, readout)
            found["readout"] = readout[start:stop].astype(np.uint32)
            found["dec_ord"] = (np.arange(len(at)) - first)[start:stop].astype(np.uint32)
        return found

    def tables(self) -> list[TableInfo]:
        """Return the one table, ``hits``."""
        columns = {name: ColumnInfo(values.dtype) for name, values in self.columns(0, 0).items()}
        return [TableInfo("hits", len(self.frames.hits), columns)]

    def chunks(
        self, table: str = "hits", start: int = 0, stop: int | None = None, nbytes: int = CHUNK_BYTES
    ) -> Iterator[Table]:
        """Yield rows `start` to `stop` of the table ``hits``, of about `nbytes` of the file at a time."""
        if table != "hits":
            raise FileError(f"There is no table {table!r}", file=self.path, expected="hits")
        last = len(self.frames.hits) if stop is None else min(stop, len(self.frames.hits))
        step = max(nbytes // (_LENGTHS[self.version] + 1), 1)
        units = {"tot_us": "us"}
        for first in range(start, last, step):
            arrays = self.columns(first, min(first + step, last))
            columns = {name: Column(values, unit=units.get(name, "")) for name, values in arrays.items()}
            yield Table("hits", columns, {"file": os.path.basename(self.path)})

    def info(self) -> dict[str, Any]:
        """Return ``format, file, tables, version, hits, odd_frames {length: frames}, skipped_bytes``."""
        odd = [length for _, length in self.frames.odd]
        return {
            "format": self.format,
            "file": os.path.basename(self.path),
            "tables": {"hits": len(self.frames.hits)},
            "version": self.version,
            "hits": len(self.frames.hits),
            "odd_frames": {str(length): odd.count(length) for length in sorted(set(odd))},
            "skipped_bytes": self.frames.skipped,
        }

    def problems(self) -> list[str]:
        """Return frames of another length and bytes between frames."""
        told = [
            f"{self.path}, offset {at}: a frame of {length} bytes, not {_LENGTHS[self.version]}"
            for at, length in self.frames.odd
        ]
        if self.frames.skipped:
            told.append(f"{self.path}: {self.frames.skipped} bytes belong to no frame")
        return told

    def close(self) -> None:
        """Let go of the bytes."""
        self._data = np.empty(0, np.uint8)
        self.frames = Frames()


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
        file.write(",".join(reader.columns(0, 0)).encode() + b"\n")
        for chunk in reader.chunks():
            file.write(rows_text([column.values for column in chunk.columns.values()], b","))
    return output
