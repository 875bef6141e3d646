"""AstroPix files as tables: hits, readouts, and readouts as frames."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FileError, FormatError
from sapwood.fileio.apx.columns import Hits, decode, strip_padding
from sapwood.fileio.apx.errors import ApxError, ApxKeyError, DecodingError
from sapwood.fileio.apx.header import UID, open_mapped, parse_header
from sapwood.fileio.apx.layout import HitLayout
from sapwood.fileio.apx.readout import HEAD, AbstractAstroPixReadout, uid_to_readout_class
from sapwood.fileio.apx.records import Break, Records, walk_file
from sapwood.fileio.apx.status import Decoding
from sapwood.fileio.formats import CHUNK_BYTES, PathLike, Reader
from sapwood.fileio.table import FRAMES, Column, ColumnInfo, Table, TableInfo
from sapwood.streams import FrameBatch

__all__ = ["HITS", "READOUTS", "ApxReader", "Summary"]

HITS, READOUTS = "hits", "readouts"
_LATEST = np.uint64(np.iinfo(np.int64).max)  # times of frames are signed
_DECODED = 4 << 20  # bytes of the file decoded together: working arrays are many times as large
_ORDERS = 256  # hits of a readout whose numbers fit one byte


@dataclass
class Summary:
    """What a whole file holds, from one pass over it."""

    readouts: int = 0
    hits: int = 0
    data_bytes: int = 0
    most_hits: int = 0
    joined: int = 0
    skipped: int = 0
    orphans: int = 0
    extras: int = 0
    empty: int = 0  # readouts without hits
    status: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(Decoding), np.int64))
    breaks: list[Break] = field(default_factory=list)

    def count(self, hits: Hits) -> None:
        """Add the hits of some readouts."""
        self.hits += len(hits)
        self.most_hits = max(self.most_hits, int(hits.count.max(initial=0)))
        self.empty += int(np.count_nonzero(hits.count == 0))
        self.joined += hits.joined
        self.skipped += hits.skipped
        self.orphans += hits.orphans
        self.extras += hits.extras
        for flag in Decoding:
            self.status[flag] += int(np.count_nonzero(hits.status >> flag & 1))


class ApxReader(Reader):
    """An AstroPix file, read up to the size it has when it is opened.

    Parameters
    ----------
    path
        The file.
    chain
        Join hits that were split over two readouts.
    strict
        Decode as the peer does: it loses a hit that ends with its readout, and joins none. It
        fails on readouts without hits, as the peer does.
    strip
        Which 0xFF at the end of readouts are filler: ``all``, or ``idle``: those behind an idle
        byte.
    carry
        The beginning of a hit at the end of the file before, see `handover`.

    Raises
    ------
    FormatError
        When magic or header are damaged.
    """

    format = "apx"

    def __init__(
        self,
        path: PathLike,
        *,
        chain: bool = True,
        strict: bool = False,
        strip: str = "all",
        carry: bytes | None = None,
    ) -> None:
        if strip not in ("all", "idle"):
            raise ApxError("Unknown rule of stripping", expected="all, idle", seen=strip)
        self._file, self.header_text, self._begin = open_mapped(path)
        self.path = self._file.path
        try:
            self.content = parse_header(self.header_text)
            if UID not in self.content:
                raise ApxKeyError(f"The header holds no {UID}", seen=", ".join(self.content) or "nothing")
        except FormatError as error:
            error.file, error.offset = self.path, 10
            raise
        self._chain, self._strict, self._strip = chain and not strict, strict, strip
        self._carry, self._left = carry, carry
        self._summary: Summary | None = None
        self._breaks: dict[int, Break] = {}

    # The class of the readouts

    @property
    def readout_class(self) -> type[AbstractAstroPixReadout]:
        """Class of the readouts.

        Raises
        ------
        ApxError
            When the file's ``readout_uid`` is not known.
        """
        try:
            return uid_to_readout_class(self.content[UID])
        except ApxError as error:
            error.file, error.offset = self.path, 10
            raise

    @property
    def layout(self) -> HitLayout | None:
        """Layout of the hits; None when the file's ``readout_uid`` is not known."""
        try:
            return self.readout_class.HIT_CLASS.LAYOUT
        except ApxError:
            return None

    def preamble(self) -> bytes:
        """Return magic and header as they stand in the file."""
        return self.data[: self._begin].tobytes()

    # Readouts

    def records(self, nbytes: int = CHUNK_BYTES) -> Iterator[Records]:
        """Yield the readouts, of about `nbytes` of the file at a time; sizes without filler."""
        data = self.data
        for records in walk_file(self._file, self._begin, nbytes):
            records.size = strip_padding(data, records.offset + HEAD.size, records.size, self._strip)
            self._breaks.update((one.offset, one) for one in records.breaks)
            yield records

    @property
    def data(self) -> NDArray[np.uint8]:
        """The bytes of the file, u1, shape (size,), mapped."""
        if self._file.size == 0:
            raise FileError("The reader is closed", file=self.path)
        return self._file.data

    def batches(self, *, nbytes: int = CHUNK_BYTES) -> Iterator[FrameBatch]:
        """Yield all readouts in order as frames: the bytes of the board and the time of the host."""
        for records in self.records(nbytes):
            if len(records):
                yield self._frames(records)

    def _frames(self, records: Records) -> FrameBatch:
        time = np.where(records.timestamp <= _LATEST, records.timestamp, np.uint64(0)).astype(np.int64)
        return FrameBatch(self.data, records.offset + HEAD.size, records.size, time=time)

    def read(self) -> FrameBatch:
        """Return all readouts as one batch of frames, over the mapped file."""
        batches = list(self.batches(nbytes=max(self._file.size, 1)))
        return batches[0] if batches else FrameBatch.empty()

    # Hits

    def decoded(self, nbytes: int = CHUNK_BYTES) -> Iterator[tuple[Records, Hits]]:
        """Yield readouts and their hits, of about `nbytes` of the file at a time.

        Raises
        ------
        ApxError
            When the ``readout_uid`` of the file is not known.
        DecodingError
            When strict, for readouts that the peer's decoder fails on.
        """
        layout = self.readout_class.HIT_CLASS.LAYOUT
        carry = self._carry
        data = self.data
        for records in self.records(nbytes):
            window = data[records.begin : max(records.end, records.begin)]
            begin = records.offset + (HEAD.size - records.begin)
            if self._strict:
                hits = self._decode_strictly(records)
            else:
                hits = decode(window, begin, records.size, layout, carry, chain=self._chain)
                carry = hits.carry
            yield records, hits

    def _decode_strictly(self, records: Records) -> Hits:
        layout, data = self.readout_class.HIT_CLASS.LAYOUT, self.data
        count, status = np.zeros(len(records), np.int64), np.zeros(len(records), np.uint16)
        raw: list[bytes] = []
        places = zip(records.offset.tolist(), records.size.tolist(), strict=True)
        for index, (offset, size) in enumerate(places):
            begin = offset + HEAD.size
            readout = self.readout_class(data[begin : begin + size].tobytes(), 0, 0, strip=self._strip)
            try:
                hits = readout.decode(strict=True)
            except DecodingError as error:
                error.file, error.offset = self.path, offset
                raise
            raw += [hit.raw_data for hit in hits]
            count[index], status[index] = len(hits), int(readout.decoding_status())
        row = np.repeat(np.arange(len(records)), count)
        order = np.arange(len(row)) - (np.cumsum(count) - count)[row]
        flat = np.frombuffer(b"".join(raw), np.uint8).reshape(len(raw), layout.size)
        return Hits(flat, row, order, count, status, carry=None, joined=0, skipped=0, orphans=0, extras=0)

    def hit_arrays(
        self, names: Sequence[str] | None = None, nbytes: int = CHUNK_BYTES
    ) -> Iterator[dict[str, NDArray[Any]]]:
        """Yield columns `names` of the hits, all when left out, of about `nbytes` of the file at a time."""
        layout = self.readout_class.HIT_CLASS.LAYOUT
        chosen = layout.select(names)
        whole = self._file.size - self._begin <= nbytes
        for records, hits in self.decoded(nbytes):
            host: dict[str, NDArray[Any]] = {
                "readout_id": records.readout_id[hits.row],
                "timestamp": records.timestamp[hits.row],
                "decoding_order": hits.order.astype(self.order_type(hits if whole else None)),
            }
            yield layout.arrays(hits.raw, host, chosen)

    def order_type(self, hits: Hits | None = None) -> str:
        """Return the type of ``decoding_order``: one byte, or two when a readout has more than 256 hits.

        The whole file is looked at, unless `hits` are those of all.
        """
        most = self._most(hits)
        return "u1" if most <= _ORDERS else "u2" if most <= 1 << 16 else "u4"

    def _most(self, hits: Hits | None) -> int:
        if self._summary is None and hits is not None:
            return int(hits.count.max(initial=0))
        return self.summary().most_hits

    # Tables

    def tables(self) -> list[TableInfo]:
        """Return what the file holds: ``hits``, and as other views of it ``readouts`` and ``frames``.

        Counts are exact. A file whose ``readout_uid`` is not known has no hits, and ``readouts`` is
        no view then.
        """
        summary, layout = self.summary(), self.layout
        found = []
        if layout is not None:
            dtype = layout.dtype(None, self.order_type())
            columns = {name: ColumnInfo(dtype[name]) for name in layout.names}
            found.append(TableInfo(HITS, summary.hits, columns))
        readouts = {
            "readout_id": ColumnInfo(np.dtype("u4")),
            "timestamp": ColumnInfo(np.dtype("u8")),
            "data": ColumnInfo(np.dtype("u1"), values=summary.data_bytes),
        }
        if layout is not None:
            readouts |= {"hits": ColumnInfo(np.dtype("u4")), "status": ColumnInfo(np.dtype("u2"))}
        found.append(TableInfo(READOUTS, summary.readouts, readouts, view=layout is not None))
        found.append(TableInfo.of_frames(summary.readouts, summary.data_bytes, view=True))
        return found

    def chunks(
        self, table: str = HITS, start: int = 0, stop: int | None = None, nbytes: int = CHUNK_BYTES
    ) -> Iterator[Table]:
        """Yield rows `start` to `stop` of a table, from about `nbytes` of the file at a time.

        Raises
        ------
        FileError
            For a name that is none of the tables, or when the file is cut while it is read.
        """
        nbytes = min(nbytes, _DECODED)
        makers = {HITS: self._hit_tables, READOUTS: self._readout_tables, FRAMES: self._frame_tables}
        if table not in makers or (table == HITS and self.layout is None):
            names = [name for name in makers if name != HITS or self.layout is not None]
            raise FileError(f"There is no table {table!r}", file=self.path, expected=", ".join(names))
        row = 0
        for whole in makers[table](nbytes):
            first, last = max(start - row, 0), len(whole) if stop is None else min(stop - row, len(whole))
            row += len(whole)
            if first < last:
                yield whole if last - first == len(whole) else _rows(whole, first, last)
            if stop is not None and row >= stop:
                return

    def _attributes(self, base: int = 0) -> dict[str, Any]:
        return {"file": os.path.basename(self.path), "base": base, "header": self.header_text}

    def _hit_tables(self, nbytes: int) -> Iterator[Table]:
        layout = self.readout_class.HIT_CLASS.LAYOUT
        for arrays in self.hit_arrays(None, nbytes):
            columns = {
                name: Column(values, unit=layout.by_name[name].unit) for name, values in arrays.items()
            }
            yield Table(HITS, columns, self._attributes())

    def _readout_tables(self, nbytes: int) -> Iterator[Table]:
        if self.layout is None:
            for records in self.records(nbytes):
                yield Table(READOUTS, self._readout_columns(records), self._attributes())
            return
        for records, hits in self.decoded(nbytes):
            columns = self._readout_columns(records)
            columns["hits"] = Column(hits.count.astype(np.uint32))
            columns["status"] = Column(hits.status)
            yield Table(READOUTS, columns, self._attributes())

    def _readout_columns(self, records: Records) -> dict[str, Column]:
        return {
            "readout_id": Column(records.readout_id),
            "timestamp": Column(records.timestamp, unit="ns"),
            "data": Column(self.data, records.offset + HEAD.size, records.size),
        }

    def _frame_tables(self, nbytes: int) -> Iterator[Table]:
        for records in self.records(nbytes):
            attributes = {**self._attributes(), "readout_id": records.readout_id}
            yield Table.from_frames(self._frames(records), attributes)

    # Summaries

    def summary(self) -> Summary:
        """Return what the file holds; the first call decodes it."""
        if self._summary is None:
            self._summary = self._scan()
        return self._summary

    def _scan(self) -> Summary:
        summary = Summary()
        last: Hits | None = None
        pairs = (
            self.decoded(_DECODED)
            if self.layout is not None
            else ((records, None) for records in self.records(_DECODED))
        )
        for records, hits in pairs:
            summary.readouts += len(records)
            summary.data_bytes += int(records.size.sum())
            summary.breaks += records.breaks
            if hits is not None:
                summary.count(hits)
                last = hits
        if last is not None:
            self._left = last.carry
            summary.extras += len(last.carry or b"")
        return summary

    def handover(self) -> dict[str, Any]:
        """Return the option `carry` for the next part: what of a split hit lies at the end of this one."""
        self.summary()
        return {"carry": self._left}

    def info(self) -> dict[str, Any]:
        """Return a summary that JSON can hold.

        Returns
        -------
        dict
            ``format, file, tables {name: rows}, header, readout_class, readouts, hits, data_bytes,
            readouts_without_hits, joined_hits, skipped_bytes, orphan_bytes, extra_bytes, status
            {flag: readouts}, damaged``. Orphan and extra bytes are those that were not joined.
        """
        summary = self.summary()
        layout = self.layout
        found = {
            "format": self.format,
            "file": os.path.basename(self.path),
            "tables": {table.name: table.rows for table in self.tables()},
            "header": self.content,
            "readout_class": None if layout is None else self.readout_class.__name__,
            "readouts": summary.readouts,
            "data_bytes": summary.data_bytes,
            "damaged": len(summary.breaks),
        }
        if layout is not None:
            found |= {
                "hits": summary.hits,
                "readouts_without_hits": summary.empty,
                "joined_hits": summary.joined,
                "skipped_bytes": summary.skipped,
                "orphan_bytes": summary.orphans,
                "extra_bytes": summary.extras,
                "status": {flag.name: int(n) for flag, n in zip(Decoding, summary.status, strict=True) if n},
            }
        return found

    def problems(self) -> list[str]:
        """Return what is damaged, one sentence each with file and offset."""
        return self._told(self.summary().breaks)

    def problems_seen(self) -> list[str]:
        """Return the damage met so far, without looking at the rest of the file."""
        return self._told(self._breaks.values())

    def _told(self, breaks: Iterable[Break]) -> list[str]:
        return [f"{self.path}, offset {one.offset}: {one.reason}" for one in breaks]

    def close(self) -> None:
        """Let go of the file; tables that were handed out stay valid."""
        self._file.close()


def _rows(table: Table, first: int, last: int) -> Table:
    """Return rows `first` to ``last - 1`` of `table`."""
    rows = slice(first, last)
    columns = {}
    for name, one in table.columns.items():
        if one.start is not None and one.size is not None:
            columns[name] = Column(one.values, one.start[rows], one.size[rows], one.unit, one.attributes)
        else:
            columns[name] = Column(one.values[rows], unit=one.unit, attributes=one.attributes)
    attributes = dict(table.attributes)
    if "readout_id" in attributes:
        attributes["readout_id"] = attributes["readout_id"][rows]
    return Table(table.name, columns, attributes)
