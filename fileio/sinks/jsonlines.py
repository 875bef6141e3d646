"""JSON lines: one object a row, for scripts in any language."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from sapwood.fileio.formats import Format, PathLike
from sapwood.fileio.table import Column, Table

__all__ = ["JSON_LINES", "JsonLinesFormat", "JsonLinesSink", "row_objects"]


class JsonLinesSink:
    """Writes rows as objects: ``table``, then the columns.

    Arrays become lists, bytes of ragged u1 columns text in hex, NaN and infinities null.
    """

    def __init__(self, path: PathLike) -> None:
        self._file = open(path, "w", encoding="utf-8")  # noqa: SIM115  # closed by close and abort

    def write(self, table: Table) -> None:
        """Append the rows of `table`."""
        self._file.writelines(f"{text}\n" for text in row_objects(table, {"table": table.name}))

    def sync(self) -> None:
        """Hand everything written so far to the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Complete the file."""
        self._file.close()

    def abort(self) -> None:
        """Close the file as it is."""
        with contextlib.suppress(OSError):  # what is not yet on the disk need not get there
            self._file.close()


def row_objects(table: Table, first: Mapping[str, Any] | None = None) -> Iterator[str]:
    """Yield the rows of `table` as JSON objects that begin with the members `first`."""
    columns = {name: _listed(column) for name, column in table.columns.items()}
    encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
    for row in zip(*columns.values(), strict=True):
        values = {**(first or {}), **dict(zip(columns, row, strict=True))}
        try:
            yield encode(values)
        except ValueError:  # NaN or infinity
            yield encode({key: _finite(one) for key, one in values.items()})


def _listed(column: Column) -> list[Any]:
    """Return the values of all rows as JSON can hold them."""
    kind = column.values.dtype.kind
    if not column.ragged:
        if kind == "S":
            return [one.decode("utf-8", "backslashreplace") for one in column.values.tolist()]
        if kind == "V":
            return [one.tobytes().hex() for one in column.values]
        listed: list[Any] = column.values.tolist()
        return listed
    if column.values.dtype == "u1" and column.values.ndim == 1:
        return [column[row].tobytes().hex() for row in range(len(column))]
    return [column[row].tolist() for row in range(len(column))]


def _finite(value: Any) -> Any:
    """Return `value` with null for what JSON has no number for."""
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and value - value != 0 else value


class JsonLinesFormat(Format):
    """JSON lines, written only."""

    name = "jsonl"
    endings = (".jsonl", ".ndjson")

    def create(self, path: PathLike, **options: Any) -> JsonLinesSink:
        """Begin a file of JSON lines."""
        return JsonLinesSink(path)


JSON_LINES = JsonLinesFormat()
