"""Headers of FITS units, made by astropy."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sapwood.extras import need
from sapwood.fileio.sinks.fitsvalues import ragged_kind
from sapwood.fileio.table import ColumnInfo, TableInfo

__all__ = ["BLOCK", "table_header", "text_hdu"]

BLOCK = 2880


def table_header(info: TableInfo, units: Mapping[str, str], comments: Sequence[str], *, named: bool) -> Any:
    """Return the `astropy.io.fits.Header` of a binary table.

    Parameters
    ----------
    info
        The table.
    units
        Column -> unit.
    comments
        COMMENT cards.
    named
        The table gets its name as EXTNAME.

    Raises
    ------
    ValueError
        For names that are not ASCII.
    """
    fits, table = need("astropy.io.fits", extra="apx"), need("astropy.table", extra="apx")
    kinds = np.dtype([(f"c{n}", *_shown(one)) for n, one in enumerate(info.columns.values(), 1)])
    empty = table.Table(np.empty(0, kinds), meta={"comments": list(comments)} if comments else {})
    header = fits.table_to_hdu(empty).header
    for number, (name, column) in enumerate(info.columns.items(), 1):
        header[f"TTYPE{number}"] = name
        if column.values is not None:
            header[f"TFORM{number}"] = f"1Q{ragged_kind(column)[1]}"
            header.remove(f"TDIM{number}", ignore_missing=True)
        if name in units:
            header.set(f"TUNIT{number}", _ascii(units[name]), after=f"TFORM{number}")
    header["NAXIS2"] = info.rows
    if named:
        header["EXTNAME"] = info.name
    return header


def _shown(column: ColumnInfo) -> tuple[Any, ...]:
    """Return type and shape as astropy is told of them; ragged columns are pairs of count and place."""
    if column.values is not None:
        return (np.int64, (2,))
    signed_byte = column.dtype == np.int8
    return (np.dtype(np.int16) if signed_byte else column.dtype, column.shape)


def _ascii(unit: str) -> str:
    """Return a unit as FITS can tell it."""
    return unit.replace("\u00b5", "u").replace("\u03bc", "u").encode("ascii", "replace").decode()


def text_hdu(name: str, text: str) -> bytes:
    """Return an extension of the bytes of `text`, called `name`: nothing of it is lost."""
    fits = need("astropy.io.fits", extra="apx")
    hdu = fits.ImageHDU(np.frombuffer(text.encode() or b" ", np.uint8), name=name)
    out = io.BytesIO()
    hdu.writeto(out)
    return out.getvalue()[BLOCK:]  # without the primary unit that astropy puts before it
