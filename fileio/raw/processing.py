"""What is done with rows before they are written: windows, columns computed, converted, dropped."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from sapwood.errors import SapwoodError
from sapwood.extras import need
from sapwood.fileio.lh5 import Array, ArrayOfEqualSizedArrays, Table, WaveformTable
from sapwood.fileio.raw.errors import OutSpecError
from sapwood.fileio.raw.settings import load_dict

__all__ = ["process_table"]

_LOG = logging.getLogger("sapwood.fileio.raw")
_KNOWN = ("window", "dsp_config", "dtype_conv", "drop", "compression", "hdf5_settings")


def process_table(
    table: Any, proc_spec: Mapping[str, Any] | None, db_dict: Mapping[str, Any] | None = None
) -> Any:
    """Return a table with what `proc_spec` asks for; `table` stays as it is.

    Parameters
    ----------
    table
        Rows; anything but a table is returned unchanged.
    proc_spec
        In this order: ``window`` [field, start, stop, new field]: samples start to stop, also of a
        waveform, whose t0 moves along. ``dsp_config``: a dictionary of dspeed or the file of one;
        its outputs become columns. ``dtype_conv`` {field: type}. ``drop`` [field, ...].
        ``compression`` {field: codec}. ``hdf5_settings`` {field: settings}. Fields may be paths.
    db_dict
        For dspeed.

    Raises
    ------
    OutSpecError
        When an entry makes no sense. A field that does not exist is passed over with a warning.
    """
    if not proc_spec or not isinstance(table, Table):
        return table
    unknown = set(proc_spec) - set(_KNOWN)
    if unknown:
        raise OutSpecError(
            f"proc_spec has unknown entries: {', '.join(sorted(unknown))}", expected=", ".join(_KNOWN)
        )
    result = _shallow(table)
    if "window" in proc_spec:
        _window(result, table, proc_spec["window"])
    if "dsp_config" in proc_spec:
        _compute(result, table, proc_spec["dsp_config"], db_dict)
    for field, dtype in (proc_spec.get("dtype_conv") or {}).items():
        _convert(result, field, dtype)
    for field in proc_spec.get("drop") or ():
        if _known(result, field, "drop"):
            del result[field]
    for setting in ("compression", "hdf5_settings"):
        for field, value in (proc_spec.get(setting) or {}).items():
            if _known(result, field, setting):
                result[field].attrs[setting] = value
    return result


def _shallow(table: Table) -> Any:
    """Return the table with the same columns, whose attributes can be changed."""
    return table.rows(0, len(table))


def _known(table: Table, field: str, what: str) -> bool:
    if field in table:
        return True
    _LOG.warning("proc_spec: %s names %r, which is no field of the table", what, field)
    return False


def _window(result: Table, table: Table, window: Any) -> None:
    try:
        field, start, stop, name = window
        samples = slice(None if start is None else int(start), None if stop is None else int(stop))
    except (TypeError, ValueError) as error:
        raise OutSpecError(
            "proc_spec: window is wrong", expected="[field, start, stop, new field]", seen=window
        ) from error
    if not _known(table, field, "window"):
        return
    source = table[field]
    if isinstance(source, WaveformTable) or (
        isinstance(source, Table) and {"t0", "dt", "values"} <= set(source)
    ):
        t0, dt, values = source["t0"], source["dt"], source["values"]
        first = samples.indices(values.shape[1])[0]
        moved = Array((t0.nda + first * dt.nda).astype(t0.dtype), attrs=_facts(t0))
        result[name] = Table(
            {"t0": moved, "dt": Array(dt.nda, attrs=_facts(dt)), "values": _cut(values, samples)},
            len(source),
            _facts(source),
        )
    elif isinstance(source, ArrayOfEqualSizedArrays):
        result[name] = _cut(source, samples)
    else:
        raise OutSpecError(f"proc_spec: {field!r} has no samples to take a window of")


def _cut(values: ArrayOfEqualSizedArrays, samples: slice) -> ArrayOfEqualSizedArrays:
    return ArrayOfEqualSizedArrays(nda=values.nda[:, samples], attrs=_facts(values))


def _facts(obj: Any) -> dict[str, Any]:
    return {name: value for name, value in obj.attrs.items() if name != "datatype"}


def _convert(result: Table, field: str, wanted: Any) -> None:
    if not _known(result, field, "dtype_conv"):
        return
    try:
        dtype = np.dtype(wanted)
    except TypeError as error:
        raise OutSpecError(f"proc_spec: there is no type {wanted!r} for {field!r}") from error
    column = result[field]
    if not isinstance(column, Array):
        raise OutSpecError(f"proc_spec: {field!r} is no array whose type can be converted")
    with np.errstate(invalid="ignore"):
        result[field] = type(column)(nda=column.nda.astype(dtype), attrs=_facts(column))


def _compute(result: Table, table: Table, config: Any, db_dict: Mapping[str, Any] | None) -> None:
    """Add the outputs of a processing chain of dspeed."""
    if isinstance(config, str | os.PathLike):
        config = load_dict(os.path.expandvars(os.fspath(config)))
    dspeed, lgdo = need("dspeed", extra="dsp"), need("lgdo", extra="dsp")
    try:
        outputs = dspeed.build_dsp(
            raw_in=_foreign(table, lgdo), dsp_config=dict(config), database=dict(db_dict or {})
        )
    except SapwoodError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever a chain of processors raises: the rows are kept
        _LOG.warning("proc_spec: the processing of waveforms failed and is left out: %s", error)
        return
    for name, column in outputs.items():
        if name not in result:
            values = column.nda
            new = Array(values) if values.ndim == 1 else ArrayOfEqualSizedArrays(nda=values)
            new.attrs.update({key: value for key, value in column.attrs.items() if key != "datatype"})
            result[name] = new


def _foreign(table: Table, lgdo: Any) -> Any:
    """Return a table of LEGEND's package over the same memory; vectors are left out."""
    columns: dict[str, Any] = {}
    for name, column in table.items():
        if isinstance(column, Table) and {"t0", "dt", "values"} <= set(column):
            columns[name] = lgdo.WaveformTable(
                t0=column["t0"].nda,
                t0_units=column["t0"].attrs.get("units"),
                dt=column["dt"].nda,
                dt_units=column["dt"].attrs.get("units"),
                values=column["values"].nda,
            )
        elif isinstance(column, ArrayOfEqualSizedArrays):
            columns[name] = lgdo.ArrayOfEqualSizedArrays(nda=column.nda, attrs=_facts(column))
        elif isinstance(column, Array):
            columns[name] = lgdo.Array(column.nda, attrs=_facts(column))
    return lgdo.Table(columns, size=len(table))
