"""What is done with rows before they are written: windows, columns computed, converted, dropped."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sapwood.fileio.lh5 import Array, ArrayOfEqualSizedArrays, Table, WaveformTable
from sapwood.fileio.raw.dsp import ChainError, compute
from sapwood.fileio.raw.errors import OutSpecError

__all__ = ["process_table"]

_LOG = logging.getLogger("sapwood.fileio.raw")
_KNOWN = ("window", "dsp_config", "dtype_conv", "drop", "compression", "hdf5_settings")


def process_table(
    table: Any,
    proc_spec: Mapping[str, Any] | None,
    db_dict: Mapping[str, Any] | None = None,
    tell: Callable[[str], object] = _LOG.warning,
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
    tell
        Called with what is passed over: a field that does not exist, a processing that fails.

    Raises
    ------
    OutSpecError
        When an entry makes no sense.
    """
    if not proc_spec or not isinstance(table, Table):
        return table
    unknown = set(proc_spec) - set(_KNOWN)
    if unknown:
        raise OutSpecError(
            f"proc_spec has unknown entries: {', '.join(sorted(unknown))}", expected=", ".join(_KNOWN)
        )
    result = _shallow(table)

    def known(field: str, entry: str) -> bool:
        there = field in result
        if not there:
            tell(f"proc_spec: {entry} names {field!r}, which is no field of the table")
        return there

    if "window" in proc_spec:
        field, samples, name = _parsed_window(proc_spec["window"])
        if known(field, "window"):
            result[name] = _window(field, table[field], samples)
    dropped = proc_spec.get("drop") or ()
    if "dsp_config" in proc_spec:
        try:
            result.update(compute(table, proc_spec["dsp_config"], db_dict))
        except ChainError as error:
            dropped = ()  # what was to be computed of it is missing
            tell(f"proc_spec: dsp_config adds nothing, and nothing is dropped: {error}")
    for field, dtype in (proc_spec.get("dtype_conv") or {}).items():
        if known(field, "dtype_conv"):
            result[field] = _converted(field, result[field], dtype)
    for field in dropped:
        if known(field, "drop"):
            del result[field]
    for setting in ("compression", "hdf5_settings"):
        for field, value in (proc_spec.get(setting) or {}).items():
            if known(field, setting):
                result[field].attrs[setting] = value
    return result


def _shallow(table: Table) -> Any:
    """Return the table with the same columns, whose attributes can be changed."""
    return table.rows(0, len(table))


def _parsed_window(window: Any) -> tuple[str, slice, str]:
    """Return field, samples and new field."""
    try:
        field, start, stop, name = window
        return field, slice(*(None if one is None else int(one) for one in (start, stop))), name
    except (TypeError, ValueError) as error:
        raise OutSpecError(
            "proc_spec: window is wrong", expected="[field, start, stop, new field]", seen=window
        ) from error


def _window(field: str, source: Any, samples: slice) -> Any:
    """Return some samples of arrays or waveforms."""
    if isinstance(source, WaveformTable) or (
        isinstance(source, Table) and {"t0", "dt", "values"} <= set(source)
    ):
        t0, dt, values = source["t0"], source["dt"], source["values"]
        first = samples.indices(values.shape[1])[0]
        moved = Array((t0.nda + first * dt.nda).astype(t0.dtype), attrs=_facts(t0))
        return Table(
            {"t0": moved, "dt": Array(dt.nda, attrs=_facts(dt)), "values": _cut(values, samples)},
            len(source),
            _facts(source),
        )
    if isinstance(source, ArrayOfEqualSizedArrays):
        return _cut(source, samples)
    raise OutSpecError(f"proc_spec: {field!r} has no samples to take a window of")


def _cut(values: ArrayOfEqualSizedArrays, samples: slice) -> ArrayOfEqualSizedArrays:
    return ArrayOfEqualSizedArrays(nda=values.nda[:, samples], attrs=_facts(values))


def _facts(obj: Any) -> dict[str, Any]:
    return {name: value for name, value in obj.attrs.items() if name != "datatype"}


def _converted(field: str, column: Any, wanted: Any) -> Any:
    """Return a column with values of another type."""
    try:
        dtype = np.dtype(wanted)
    except TypeError as error:
        raise OutSpecError(f"proc_spec: there is no type {wanted!r} for {field!r}") from error
    if not isinstance(column, Array):
        raise OutSpecError(f"proc_spec: {field!r} is no array whose type can be converted")
    with np.errstate(invalid="ignore"):
        return type(column)(nda=column.nda.astype(dtype), attrs=_facts(column))
