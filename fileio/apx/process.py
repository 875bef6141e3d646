"""Hits of a file as a table of another format, its header kept; and such a table read back."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import chain as chained
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FileError
from sapwood.extras import need
from sapwood.fileio.apx.binaryfile import SUFFIX, sanitize_path
from sapwood.fileio.apx.errors import ApxError, ApxKeyError
from sapwood.fileio.apx.header import FileHeader
from sapwood.fileio.apx.reader import HITS, ApxReader
from sapwood.fileio.formats import PathLike
from sapwood.fileio.partfile import complete_file
from sapwood.fileio.sinks.ecsv import ecsv_head
from sapwood.fileio.sinks.fits import FitsSink
from sapwood.fileio.sinks.fitsheader import text_hdu
from sapwood.fileio.sinks.rowtext import rows_text
from sapwood.fileio.table import Column, ColumnInfo, Table, TableInfo

__all__ = ["FORMATS", "apx_load", "apx_process", "write_hits"]

_LOG = logging.getLogger("sapwood.fileio")
_COMMENTS = "comments"
_HEADER_HDU = "APXHEADER"
_DATASET = "HITS"
_PART = 4 << 20  # bytes of the file decoded together

Arrays = dict[str, NDArray[Any]]


class _Source:
    """The hits to be written, chunk by chunk."""

    def __init__(self, reader: ApxReader, names: Sequence[str] | None) -> None:
        self.layout = reader.readout_class.HIT_CLASS.LAYOUT
        self.names = self.layout.select(names)
        self.text = FileHeader.deserialize(reader.header_text).serialize()
        self.written = 0
        self._reader = reader
        pieces = reader.hit_arrays(self.names, _PART)
        self._first = next(pieces, None)
        self._second = None if self._first is None else next(pieces, None)
        self._rest = pieces

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a row."""
        if self._first is None:
            return self.layout.dtype(self.names)
        return np.dtype([(name, column.dtype.newbyteorder("<")) for name, column in self._first.items()])

    @property
    def rows(self) -> int:
        """Rows in all; a file of several chunks is decoded once to count them."""
        if self._first is None:
            return 0
        return self._reader.summary().hits if self._second is not None else _length(self._first)

    def chunks(self) -> Iterator[Arrays]:
        """Yield columns by name; once."""
        begun = [one for one in (self._first, self._second) if one is not None]
        self._first = self._second = None
        for arrays in chained(begun, self._rest):
            self.written += _length(arrays)
            yield arrays


def _length(arrays: Arrays) -> int:
    return max((len(column) for column in arrays.values()), default=0)


def _packed(arrays: Arrays, dtype: np.dtype[Any]) -> NDArray[Any]:
    rows = np.empty(_length(arrays), dtype)
    for name, column in arrays.items():
        rows[name] = column
    return rows


def _write_csv(source: _Source, path: str) -> None:
    _write_text(source, path, f"#{source.text}\n{','.join(source.names)}\n".encode(), b",")


def _write_ecsv(source: _Source, path: str) -> None:
    _write_text(source, path, ecsv_head(source.dtype, {_COMMENTS: [source.text]}), b" ")


def _write_text(source: _Source, path: str, head: bytes, separator: bytes) -> None:
    with open(path, "wb") as file:
        file.write(head)
        for arrays in source.chunks():
            file.write(rows_text(list(arrays.values()), separator))


def _write_hdf5(source: _Source, path: str) -> None:
    from sapwood.fileio.hdf5 import h5py, open_h5

    dtype, done = source.dtype, 0
    with open_h5(path, "w") as file:
        dataset = file.create_dataset(_DATASET, (source.rows,), dtype)
        text = np.array([source.text], object)
        dataset.attrs.create(_COMMENTS, text, dtype=h5py().string_dtype("utf-8"))
        for arrays in source.chunks():
            rows = _packed(arrays, dtype)
            if len(rows):
                dataset[done : done + len(rows)] = rows
            done += len(rows)


def _write_fits(source: _Source, path: str) -> None:
    dtype = source.dtype
    info = TableInfo(HITS, source.rows, {name: ColumnInfo(dtype[name]) for name in source.names})
    sink = FitsSink(path, [info], comments=[source.text], named=False)
    try:
        for arrays in source.chunks():
            sink.write(Table(HITS, {name: Column(column) for name, column in arrays.items()}))
        sink.add_extension(text_hdu(_HEADER_HDU, source.text))
        sink.close()
    finally:
        sink.abort()


def _write_parquet(source: _Source, path: str) -> None:
    arrow = need("pyarrow", extra="export")
    parquet = need("pyarrow.parquet", extra="export")
    fields = []
    for name in source.names:
        unit = source.layout.by_name[name].unit
        kind = arrow.from_numpy_dtype(source.dtype[name])
        fields.append(arrow.field(name, kind, nullable=False, metadata={"unit": unit} if unit else None))
    schema = arrow.schema(fields, metadata={_COMMENTS: source.text})
    with parquet.ParquetWriter(path, schema) as writer:
        for arrays in source.chunks():
            columns = [arrow.array(np.ascontiguousarray(arrays[name])) for name in source.names]
            writer.write_table(arrow.table(columns, schema=schema))


_WRITERS: dict[str, Callable[[_Source, str], None]] = {
    "csv": _write_csv,
    "ecsv": _write_ecsv,
    "fits": _write_fits,
    "hdf5": _write_hdf5,
    "parquet": _write_parquet,
}
FORMATS = tuple(_WRITERS)


def write_hits(
    reader: ApxReader,
    format_: str,
    output: PathLike,
    col_names: Sequence[str] | None = None,
    *,
    overwrite: bool = True,
) -> int:
    """Write the hits of an open file as `apx_process` does; return how many there are."""
    with complete_file(output, overwrite=overwrite) as part:
        source = _Source(reader, col_names)
        _WRITERS[format_](source, part)
    return source.written


def apx_process(
    input_file_path: PathLike,
    format_: str,
    col_names: Sequence[str] | None = None,
    output_file_path: PathLike | None = None,
    overwrite: bool = True,
    *,
    chain: bool = True,
    strict: bool = False,
    **kwargs: Any,
) -> PathLike:
    """Write the hits of an AstroPix file as a table, the header with it.

    Parameters
    ----------
    input_file_path
        The file; its name ends with ``.apx``, that of a part of a recording with ``.apx.2`` or so.
    format_
        One of ``csv``, ``ecsv``, ``fits``, ``hdf5`` and ``parquet``.
    col_names
        Columns, in the order wanted; all when left out.
    output_file_path
        When left out the name of the file with its ending replaced. `format_` decides what is
        written, whatever the name ends with.
    overwrite
        Replace an existing file.
    chain
        Join hits that were split over two readouts.
    strict
        Find exactly the hits that the peer's conversion finds, and fail where it fails.
    kwargs
        Taken and not used, as the peer does.

    Returns
    -------
    str or Path
        The new file; it appears under its name when it is complete.

    Raises
    ------
    ApxError
        For another ending, an unknown format or column, or a column named twice.
    RecordingExists
        When the new file exists and is not to be replaced.
    FormatError
        When the file is damaged from its header on; a later damage is logged.
    """
    path = sanitize_path(input_file_path, SUFFIX, parts=True)
    if format_ not in _WRITERS:
        raise ApxError("There is no such output format", expected=", ".join(FORMATS), seen=repr(format_))
    if kwargs:
        _LOG.warning("apx_process takes no %s", ", ".join(kwargs))
    stem, _, part = path.rpartition(SUFFIX)
    output = f"{stem}{part}.{format_}" if output_file_path is None else output_file_path
    with ApxReader(path, chain=chain, strict=strict) as reader:
        write_hits(reader, format_, output, col_names, overwrite=overwrite)
        for problem in reader.problems_seen():
            _LOG.warning("%s", problem)
    return output


def apx_load(path: PathLike) -> tuple[FileHeader, Any]:
    """Return header and astropy table of a file that `apx_process` made, here or at the peer.

    Integers of csv files come back as i8 and floats as f8; the other formats keep their types.

    Raises
    ------
    ApxError
        For a name that ends with none of the formats.
    ApxKeyError
        When the table holds no header.
    """
    name = os.fspath(path)
    kind = os.path.splitext(name)[1].lstrip(".").lower()
    if kind not in _WRITERS:
        raise ApxError("The ending of the file is none of a table", file=name, expected=", ".join(FORMATS))
    if not os.path.exists(name):
        raise FileNotFoundError(f"There is no file {name}")
    table = _LOADERS.get(kind, _load)(name, kind)
    comments = table.meta.get(_COMMENTS)
    if not comments:
        raise ApxKeyError("The table holds no header of an AstroPix file", file=name, expected=_COMMENTS)
    text = comments if isinstance(comments, str) else "".join(map(str, comments))
    try:
        return FileHeader.deserialize(text), table
    except FileError as error:
        error.file = name
        raise


def _load(path: str, kind: str) -> Any:
    table = need("astropy.table", extra="apx").Table
    if kind == "csv":
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "OverflowError", Warning)  # times, made numbers again below
            return _exact_times(table.read(path, format="ascii.csv", comment="#"))
    return table.read(path, format="ascii.ecsv")


def _exact_times(table: Any) -> Any:
    """Make numbers again of times beyond i8, which astropy leaves as text."""
    for name in ("timestamp", "wall_timestamp"):
        if name in table.colnames and table[name].dtype.kind in "US":
            table[name] = np.array([int(value) for value in table[name]], np.uint64)
    return table


def _load_hdf5(path: str, kind: str) -> Any:
    from sapwood.fileio.hdf5 import open_h5

    with open_h5(path) as file:
        if _DATASET not in file:
            raise ApxKeyError("The file holds no hits", file=path, expected=_DATASET, seen=", ".join(file))
        dataset = file[_DATASET]
        found = need("astropy.table", extra="apx").Table(dataset[()])
        for key in dataset.attrs:
            value = dataset.attrs[key]
            found.meta[key] = value.tolist() if isinstance(value, np.ndarray) else value
    return found


def _load_fits(path: str, kind: str) -> Any:
    fits = need("astropy.io.fits", extra="apx")
    table = need("astropy.table", extra="apx").Table.read(path, format="fits", hdu=1)
    with fits.open(path) as units:
        if _HEADER_HDU in units:
            table.meta[_COMMENTS] = [units[_HEADER_HDU].data.tobytes().decode()]
    return table


def _load_parquet(path: str, kind: str) -> Any:
    found = need("pyarrow.parquet", extra="export").read_table(path)
    meta = {key.decode(): value.decode() for key, value in (found.schema.metadata or {}).items()}
    columns = {name: found[name].to_numpy() for name in found.column_names}
    return need("astropy.table", extra="apx").Table(columns, meta={_COMMENTS: [meta.get(_COMMENTS, "")]})


_LOADERS: dict[str, Callable[[str, str], Any]] = {
    "fits": _load_fits,
    "hdf5": _load_hdf5,
    "parquet": _load_parquet,
}
