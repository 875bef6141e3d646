"""Columns computed from waveforms by processing chains of dspeed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from sapwood.errors import SapwoodError
from sapwood.extras import need
from sapwood.fileio.lh5 import Array, ArrayOfEqualSizedArrays, Table, VectorOfVectors
from sapwood.fileio.raw.settings import load_dict

__all__ = ["ChainError", "compute"]

_WAVEFORM = {"t0", "dt", "values"}


class ChainError(SapwoodError, ValueError):
    """A processing chain cannot be built, or failed."""


def compute(table: Table, config: Any, db_dict: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the outputs of a processing chain: name -> column.

    Parameters
    ----------
    table
        Its arrays and waveforms are the inputs; vectors are none.
    config
        A dictionary of dspeed, or the file of one.
    db_dict
        Values that the chain asks the database for.

    Raises
    ------
    ChainError
        When dspeed raises anything.
    """
    if isinstance(config, str | os.PathLike):
        config = load_dict(os.path.expandvars(os.fspath(config)))
    dspeed, lgdo = need("dspeed", extra="dsp"), need("lgdo", extra="dsp")
    try:
        outputs = dspeed.build_dsp(
            raw_in=_foreign(table, lgdo), dsp_config=dict(config), database=dict(db_dict or {})
        )
    except Exception as error:  # whatever the processors raise
        raise ChainError(f"The processing of waveforms failed: {error}") from error
    return {name: _own(column) for name, column in outputs.items()}


def _foreign(table: Table, lgdo: Any) -> Any:
    """Return a table of LEGEND's package over the same memory."""
    columns: dict[str, Any] = {}
    for name, column in table.items():
        if isinstance(column, Table) and set(column) >= _WAVEFORM:
            if not isinstance(column["values"], ArrayOfEqualSizedArrays):
                continue
            columns[name] = lgdo.WaveformTable(
                t0=column["t0"].nda,
                t0_units=column["t0"].attrs.get("units"),
                dt=column["dt"].nda,
                dt_units=column["dt"].attrs.get("units"),
                values=column["values"].nda,
            )
        elif isinstance(column, ArrayOfEqualSizedArrays):
            columns[name] = lgdo.ArrayOfEqualSizedArrays(nda=column.nda, attrs=_attributes(column))
        elif isinstance(column, Array):
            columns[name] = lgdo.Array(column.nda, attrs=_attributes(column))
    return lgdo.Table(columns, size=len(table))


def _own(column: Any) -> Any:
    """Return a column of LEGEND's package as one of ours over the same memory."""
    attrs = _attributes(column)
    if isinstance(column, Mapping):
        return Table({name: _own(member) for name, member in column.items()}, len(column), attrs)
    if hasattr(column, "flattened_data"):
        return VectorOfVectors(
            flattened_data=column.flattened_data.nda,
            cumulative_length=column.cumulative_length.nda,
            attrs=attrs,
        )
    if column.nda.ndim > 1:
        return ArrayOfEqualSizedArrays(nda=column.nda, attrs=attrs)
    return Array(column.nda, attrs=attrs)


def _attributes(column: Any) -> dict[str, Any]:
    return {name: value for name, value in column.attrs.items() if name != "datatype"}
