"""Objects of typed files as columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sapwood.fileio.icf.schema import parse
from sapwood.fileio.icf.triggers import SUPERPIXELS, PacketHead, read_head
from sapwood.fileio.icf.typed import LOG, TIMESTAMP, TRIGGER
from sapwood.fileio.table import Column, ColumnInfo, Table, TableInfo

__all__ = ["TYPED_TABLES", "TypedTable"]

Columns = dict[str, Column]

_TRIGGER_COLUMNS: dict[str, tuple[str, str]] = {
    "wire_type": ("u1", ""),
    "tack_time": ("u8", "ns"),
    "phase": ("u1", ""),
    "busy": ("?", ""),
    "ro_count": ("u4", ""),
    "pps_count": ("u4", ""),
    "clock_count": ("u4", ""),
    "source": ("u2", ""),
    "message_type": ("u1", ""),
    "error_flags": ("u1", ""),
    "readout_length": ("u2", ""),
}
_LOG_NUMBERS = {
    "systemType": "i4", "severity": "i4", "time": "i8", "pid": "i4", "line": "i4", "seqid": "i4",
    "cameraPcTime": "i8",
}  # fmt: skip
_LOG_TEXTS = ("sender", "message", "sourceFile", "position", "geoid")
_STAMP_NUMBERS = {
    "telescope": "u4", "event_counter": "u8", "pps_counter": "u8", "clock_counter": "u8", "type": "i4",
    "status": "i4", "pattern": "u8",
}  # fmt: skip
_TIME_NUMBERS = {
    "seconds": "u8", "pico_seconds": "u8", "index": "u4", "tai_hi": "u4", "tai_lo": "u4", "cyc": "u4",
    "tdc_hi": "u4", "tdc_lo": "u4",
}  # fmt: skip
_UNITS = {"time": "ns", "seconds": "s", "pico_seconds": "ps"}


@dataclass(frozen=True, slots=True)
class TypedTable:
    """How objects of a type become a table: its name, and its columns from the bytes of objects."""

    name: str
    columns: Callable[[Sequence[bytes]], Columns]

    def table(self, objects: Sequence[bytes], attributes: Mapping[str, Any]) -> Table:
        """Return `objects` as a table.

        Raises
        ------
        FormatError
            (A `ValueError`) when one is of another type.
        """
        return Table(self.name, self.columns(objects), attributes)

    def info(self, rows: int, values: Mapping[str, int]) -> TableInfo:
        """Return the description of a table of so many `rows`, and `values` of ragged columns."""
        infos = {}
        for name, column in self.columns([]).items():
            flat = values.get(name, 0) if column.ragged else None
            infos[name] = ColumnInfo(column.values.dtype, column.values.shape[1:], flat)
        return TableInfo(self.name, rows, infos)


def _numbers(items: Sequence[Any], names: Mapping[str, str], prefix: str = "") -> Columns:
    columns = {}
    for name, kind in names.items():
        values = np.array([getattr(item, name) for item in items], kind)
        columns[prefix + name] = Column(values, unit=_UNITS.get(name, ""))
    return columns


def _ragged(pieces: Sequence[bytes], **attributes: Any) -> Column:
    size = np.array([len(piece) for piece in pieces], np.int64)
    values = np.frombuffer(b"".join(pieces), np.uint8)
    return Column(values, np.cumsum(size) - size, size, attributes=attributes)


def _patterns(head: PacketHead, data: bytes) -> bytes:
    return head.patterns(data).tobytes()


def _triggers(objects: Sequence[bytes]) -> Columns:
    heads = [read_head(data) for data in objects]
    columns = {
        name: Column(np.array([getattr(head, name) for head in heads], kind), unit=unit)
        for name, (kind, unit) in _TRIGGER_COLUMNS.items()
    }
    unions = np.frombuffer(b"".join(head.union for head in heads), np.uint8)
    columns["union"] = Column(np.unpackbits(unions).reshape(-1, SUPERPIXELS))
    packed = [_patterns(head, data) for head, data in zip(heads, objects, strict=True)]
    columns["patterns"] = _ragged(
        packed, layout="512 superpixels, readout_length bits each, first is highest"
    )
    return columns


def _log(objects: Sequence[bytes]) -> Columns:
    items = [parse("LogData", data) for data in objects]
    columns = _numbers(items, _LOG_NUMBERS)
    for name in _LOG_TEXTS:
        columns[name] = _ragged([getattr(item, name).encode() for item in items], encoding="utf-8")
    return columns


def _timestamps(objects: Sequence[bytes]) -> Columns:
    items = [parse("TriggerMessage", data) for data in objects]
    return {
        **_numbers(items, _STAMP_NUMBERS),
        **_numbers([item.time for item in items], _TIME_NUMBERS, "time_"),
    }


#: By type code.
TYPED_TABLES = {
    TRIGGER: TypedTable("triggers", _triggers),
    LOG: TypedTable("log", _log),
    TIMESTAMP: TypedTable("timestamps", _timestamps),
}
