"""Declared columns: the tables made from them, and rows chosen from blocks of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FormatError
from sapwood.fileio.lh5 import (
    Array,
    ArrayOfEqualSizedArrays,
    RaggedBlock,
    Table,
    VectorOfVectors,
    WaveformTable,
)
from sapwood.fileio.lh5.vectors import gather

__all__ = ["distinct", "flat_rows", "make_table", "select_columns", "select_rows"]

_EQUAL = "array_of_equalsized_arrays<1,1>{real}"
_VECTORS = "array<1>{array<1>{real}}"
_NEEDED = {  # of a column besides its dtype, by datatype
    None: (),
    "waveform": ("wf_len", "dt", "dt_units", "t0_units"),
    _EQUAL: ("length",),
    _VECTORS: (),
}
_ROOM_BYTES = 64 << 20  # that a column reserves at most
_FEW = 1 << 16


def make_table(declared: Mapping[str, Mapping[str, Any]], size: int, *, rows: int = 0) -> Table:
    """Return a table of `rows` rows of zeros, with the columns declared and room for `size` rows.

    There is room for fewer rows where they are long: it grows when they come.

    Raises
    ------
    FormatError
        For a type that does not exist, or an entry that is missing.
    """
    table = Table({name: _column(name, dict(facts), rows) for name, facts in declared.items()}, size=rows)
    table.reserve_capacity(min(size, _ROOM_BYTES // max(map(_row_bytes, declared.values()), default=1)))
    return table


def _row_bytes(facts: Mapping[str, Any]) -> int:
    length = int(facts.get("wf_len") or facts.get("length") or 1)
    return max(1, int(np.dtype(facts["dtype"]).itemsize) * length)


def _column(name: str, facts: dict[str, Any], rows: int) -> Any:
    kind = facts.pop("datatype", None)
    if kind not in _NEEDED:
        raise FormatError(
            f"Column {name} has an unknown datatype",
            expected=f"waveform, {_EQUAL} or {_VECTORS}",
            seen=kind,
        )
    if missing := [one for one in ("dtype", *_NEEDED[kind]) if one not in facts]:
        raise FormatError(f"Column {name} is declared without {', '.join(missing)}", seen=facts)
    try:
        dtype = np.dtype(facts.pop("dtype"))
    except TypeError as error:
        raise FormatError(f"Column {name} has an unknown dtype", seen=error) from error
    if kind is None:
        return Array(shape=(rows,), dtype=dtype, attrs=facts)
    if kind == "waveform":
        return _waveform(dtype, facts, rows)
    if kind == _EQUAL:
        return ArrayOfEqualSizedArrays(shape=(rows, facts.pop("length")), dtype=dtype, attrs=facts)
    facts.pop("length_guess", None)
    return VectorOfVectors(shape_guess=(rows, 0), dtype=dtype, attrs=facts)


def _waveform(dtype: np.dtype[Any], facts: dict[str, Any], rows: int) -> WaveformTable:
    """Return waveforms; `dt` is set even before rows are put."""
    dt = facts.pop("dt")
    times = np.float64 if isinstance(dt, np.float64) else np.float32
    settings = {name: facts.pop(name) for name in ("compression", "hdf5_settings") if name in facts}
    table = WaveformTable(
        size=rows,
        t0=np.zeros(rows, np.float32),
        t0_units=facts.pop("t0_units"),
        dt=np.full(rows, dt, times),
        dt_units=facts.pop("dt_units"),
        wf_len=facts.pop("wf_len"),
        dtype=dtype,
        attrs=facts,
    )
    for setting, by_column in settings.items():
        for column, value in by_column.items():
            table[column].attrs[setting] = value
    return table


def distinct(values: NDArray[Any]) -> NDArray[Any]:
    """Return the different values, sorted; quickly for small natural numbers."""
    if values.dtype.kind in "iu" and len(values) and values.min() >= 0 and values.max() < _FEW:
        return np.flatnonzero(np.bincount(values.astype(np.intp, copy=False)))
    ordered = np.sort(values)
    found: NDArray[Any] = ordered[np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]]
    return found


def select_rows(block: Mapping[str, Any], rows: NDArray[np.intp]) -> dict[str, Any]:
    """Return the rows `rows` of a block as `sapwood.fileio.lh5.Table.put` takes it."""
    chosen: dict[str, Any] = {}
    for name, values in block.items():
        if isinstance(values, Mapping):
            chosen[name] = select_rows(values, rows)
        elif isinstance(values, RaggedBlock):
            chosen[name] = _select_ragged(values, rows)
        else:
            chosen[name] = np.asarray(values)[rows]
    return chosen


def _select_ragged(block: RaggedBlock, rows: NDArray[np.intp]) -> RaggedBlock:
    lengths = np.asarray(block.lengths, np.int64)
    start = np.cumsum(lengths) - lengths
    return RaggedBlock(block.values[gather(start[rows], lengths[rows])], lengths[rows])


def select_columns(block: Mapping[str, Any], columns: list[int]) -> dict[str, Any]:
    """Return some of the rows of every packet of a grid, see `flat_rows`."""
    first, last = columns[0], columns[-1]
    index = slice(first, last + 1) if last - first + 1 == len(columns) else columns
    return flat_rows(_map_arrays(block, lambda values: values[:, index]))


def flat_rows(block: Mapping[str, Any]) -> dict[str, Any]:
    """Return arrays of shape (packets, rows of each, ...) as rows in order; large ones stay views."""
    return _map_arrays(block, _flat)


def _flat(values: NDArray[Any]) -> NDArray[Any]:
    if values.ndim > 2 and not values.flags.c_contiguous:
        return values  # `Array.put` takes it as it is
    return values.reshape(-1, *values.shape[2:])


def _map_arrays(block: Mapping[str, Any], function: Callable[[NDArray[Any]], Any]) -> dict[str, Any]:
    return {
        name: _map_arrays(values, function) if isinstance(values, Mapping) else function(values)
        for name, values in block.items()
    }
