"""Half hits of AstroPix 3 put together: a row and a column that were hit at the same time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.apx.astep import AstepReader
from sapwood.fileio.formats import PathLike
from sapwood.fileio.partfile import complete_file
from sapwood.fileio.sinks.rowtext import rows_text

__all__ = ["astep_match", "match_half_hits"]

_PAYLOAD, _PIXELS = 4, 35
_PAIRED = {"timestamp": "timestamp", "tot": "tot_total", "tot_us": "tot_us", "fpga_ts": "fpga_ts"}

Arrays = dict[str, NDArray[Any]]


def match_half_hits(
    hits: Mapping[str, NDArray[Any]],
    *,
    mints: int = 0,
    maxts: int = 1,
    mintot: int = 6,
    maxtot: int = 15,
    layers: Sequence[int] | None = None,
    chips: Sequence[int] | None = None,
) -> Arrays:
    """Return the pixels that rows and columns agree on.

    The half hits of a chip come in runs: rows, then columns. Each row of a run is compared with
    every column of the run of columns behind it; those fit whose differences, row less column,
    lie within the limits.

    Parameters
    ----------
    hits
        Columns of `astep_hits`, version 3, in the order of the stream.
    mints, maxts
        Limits of the difference of the chips' times.
    mintot, maxtot
        Limits of the difference of the times over threshold, ticks.
    layers, chips
        Those looked at; all when left out.

    Returns
    -------
    dict
        ``layer, chipID, row, col`` and for each of ``timestamp, tot, tot_us, fpga_ts`` the value
        of the row (``row_...``) and of the column (``col_...``), in the order of the rows.
    """
    good = (hits["payload"] == _PAYLOAD) & (hits["location"] < _PIXELS)
    for name, wanted in (("layer", layers), ("chipID", chips)):
        if wanted is not None:
            good &= np.isin(hits[name], list(wanted))
    index = np.flatnonzero(good)
    place = hits["layer"][index].astype(np.int64) << 8 | hits["chipID"][index]
    pairs: list[tuple[int, int]] = []
    for chip in np.unique(place).tolist():
        for rows, columns in _runs(index[place == chip], hits["isCol"]):
            time = _differences(hits["timestamp"], rows, columns)
            tot = _differences(hits["tot_total"], rows, columns)
            fits = (time >= mints) & (time <= maxts) & (tot >= mintot) & (tot <= maxtot)
            row, column = np.nonzero(fits)
            pairs += zip(rows[row].tolist(), columns[column].tolist(), strict=True)
    pairs.sort()
    flat = np.array(pairs, np.int64).reshape(-1, 2)
    return _columns(hits, flat[:, 0], flat[:, 1])


def _runs(index: NDArray[np.int64], is_column: NDArray[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield each run of rows with the run of columns behind it."""
    kind = is_column[index] != 0
    parts = np.split(index, np.flatnonzero(np.diff(kind)) + 1)
    for rows, columns in pairwise(parts):
        if not is_column[rows[0]]:
            yield rows, columns


def _differences(values: NDArray[Any], rows: NDArray[Any], columns: NDArray[Any]) -> NDArray[np.int64]:
    found: NDArray[np.int64] = values[rows].astype(np.int64)[:, None] - values[columns].astype(np.int64)
    return found


def _columns(hits: Mapping[str, NDArray[Any]], row: NDArray[np.int64], column: NDArray[np.int64]) -> Arrays:
    found = {
        "layer": hits["layer"][row],
        "chipID": hits["chipID"][row],
        "row": hits["location"][row],
        "col": hits["location"][column],
    }
    for name, source in _PAIRED.items():
        found[f"row_{name}"] = hits[source][row]
        found[f"col_{name}"] = hits[source][column]
    return found


def astep_match(path: PathLike, output_file_path: PathLike | None = None, **options: Any) -> PathLike:
    """Write the matched hits of a version 3 stream as CSV, ``<name>_matched.csv``; return the new file.

    For `options` see `match_half_hits`. An existing file is replaced.
    """
    base = os.path.splitext(os.fspath(path))[0]
    output = f"{base}_matched.csv" if output_file_path is None else output_file_path
    with AstepReader(path, version=3) as reader:
        matched = match_half_hits(reader.columns(), **options)
    with complete_file(output, overwrite=True) as part, open(part, "wb") as file:
        file.write(",".join(matched).encode() + b"\n")
        file.write(rows_text(list(matched.values()), b","))
    return output
