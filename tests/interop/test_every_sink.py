"""Every kind of column through every sink: another package reads it as it was, or it is refused."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sapwood.fileio as fileio
from sapwood.errors import FileError
from sapwood.fileio import Column, ColumnInfo, Table, TableInfo

TABLE = "det/hits"
SIZE = np.array([2, 0, 1, 3, 0])
START = np.cumsum(SIZE) - SIZE


def ragged(values: Any, kind: str) -> Column:
    return Column(np.array(values, kind), START, SIZE)


COLUMNS = {
    "bool": Column(np.array([True, False, True, True, False])),
    "i1": Column(np.array([-128, -1, 0, 1, 127], "i1")),
    "u2": Column(np.array([0, 1, 2, 40_000, 65_535], ">u2")),
    "i8": Column(np.array([-(2**63), -1, 0, 2**53 + 1, 2**63 - 1])),
    "u8": Column(np.array([0, 1, 2**53 + 1, 2**63, 2**64 - 1], "u8")),
    "f2": Column(np.array([0, 0.5, -1, 2, 65504], "f2")),
    "f4": Column(np.array([0.5, -1.25, 3e38, 1e-30, 7], "f4").astype("f4")),
    "f8": Column(np.array([0.1, -0.0, math.inf, -math.inf, math.nan])),
    "c16": Column(np.array([0, 1 + 2j, -1j, 3, 4])),
    "time64": Column(np.arange(5).astype("M8[ns]")),
    "text": Column(np.array(["", "a", "chänn", 'q"u,o\n', "日本"])),
    "ascii": Column(np.array(["", "a", "bc", "d e", "%s"])),
    "bytes": Column(np.array([b"", b"a", b"bc", b"d", "ä".encode()])),
    "array": Column(np.arange(20, dtype="u2").reshape(5, 2, 2)),
    "floats": Column(np.array([[0.5, math.nan]] * 5)),
    "flags": Column(np.array([[True, False]] * 5)),
    "ragged u1": ragged([1, 2, 3, 4, 5, 255], "u1"),
    "ragged u2": ragged([1, 2, 3, 4, 5, 65535], "u2"),
    "ragged u8": ragged([1, 2, 3, 4, 5, 2**64 - 1], "u8"),
    "ragged f8": ragged([1, math.nan, 3, math.inf, 5, 0.1], "f8"),
    "ragged bool": ragged([1, 0, 1, 1, 0, 1], "?"),
    "ragged array": ragged(np.arange(12).reshape(6, 2), "i4"),
    "records": Column(np.array([(1, 2)] * 5, [("x", "u1"), ("y", "u2")])),
    "objects": Column(np.array([None] * 5, object)),
}  # fmt: skip
REFUSED = {
    "npz": {"objects"},
    "h5": {"objects", "time64"},
    "csv": {"objects"},
    "ecsv": {name for name in COLUMNS if name not in ("bool", "i1", "u2", "i8", "u8", "f4", "f8")},
    "jsonl": {"objects", "c16"},
    "mcap": {"objects", "c16"},
    "parquet": {"objects", "c16", "records"},
    "arrow": {"objects", "c16", "records"},
    "arrows": {"objects", "c16", "records"},
    "root": {"objects", "f2", "c16", "time64", "records", "ragged array"},
    "fits": {"objects", "f2", "time64", "records", "text", "bytes", "ragged u8", "ragged array"},
}  # fmt: skip


def table(columns: dict[str, Column], first: int = 0, last: int = 5, **attributes: Any) -> Table:
    return Table(TABLE, columns, attributes).part(first, last)


def announced(whole: Table, rows: int | None = None) -> TableInfo:
    count = len(whole) if rows is None else rows
    columns = {
        name: ColumnInfo(
            one.values.dtype, one.values.shape[1:], None if one.size is None else int(one.size[:count].sum())
        )
        for name, one in whole.columns.items()
    }
    return TableInfo(TABLE, count, columns)


def written(path: Path, columns: dict[str, Column], **attributes: Any) -> Path:
    """Write the columns in chunks, some of them without rows."""
    sink = fileio.create(path, tables=[announced(table(columns))])
    try:
        for first, last in ((0, 0), (0, 3), (3, 3), (3, 5)):
            sink.write(table(columns, first, last, **attributes))
        sink.sync()
        sink.close()
    finally:
        sink.abort()
    return path


def plain(value: Any) -> Any:
    """Return a value as Python's numbers, texts and lists."""
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


# Judges: each returns the rows of each column that another package finds


def split(values: Any, bounds: Any) -> list[Any]:
    return [values[begin:end] for begin, end in pairwise(bounds)]


def by_numpy(path: Path) -> dict[str, list[Any]]:
    with np.load(path) as arrays:
        offset = arrays.get("offset")
        names = [name for name in arrays if name != "offset"]
        return {name: list(arrays[name]) if offset is None else split(arrays[name], offset) for name in names}


def by_h5py(path: Path) -> dict[str, list[Any]]:
    h5py = pytest.importorskip("h5py", reason="h5py is of the export extra")
    with h5py.File(path) as file:
        group, found = file[TABLE], {}
        for name in group.attrs["columns"]:
            bounds = group[name].attrs.get("ragged")
            found[name] = list(group[name][()]) if bounds is None else split(group[name][()], group[bounds])
        return found


def by_csv(path: Path) -> dict[str, list[Any]]:
    with path.open(newline="", encoding="utf-8") as file:
        names, *rows = csv.reader(file)
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def by_json(path: Path) -> dict[str, list[Any]]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert {row.pop("table") for row in rows} <= {TABLE}
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}


def by_mcap(path: Path) -> dict[str, list[Any]]:
    reader = pytest.importorskip("mcap.reader", reason="mcap is of the mcap extra")
    with path.open("rb") as file:
        rows = [json.loads(message.data) for _, _, message in reader.make_reader(file).iter_messages()]
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}


def by_parquet(path: Path) -> dict[str, list[Any]]:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is of the export extra")
    found = parquet.read_table(path)
    return rows_of(found)


def rows_of(table: Any) -> dict[str, list[Any]]:
    """The columns of a pyarrow table as lists; times as the numbers they are, which need no pandas."""
    times = [one.name for one in table.schema if str(one.type).startswith("timestamp[ns")]
    return {
        name: (table[name].cast("int64") if name in times else table[name]).to_pylist()
        for name in table.column_names
    }


def by_arrow(path: Path) -> dict[str, list[Any]]:
    ipc = pytest.importorskip("pyarrow.ipc", reason="pyarrow is of the export extra")
    with path.open("rb") as file:
        found = (ipc.open_stream if path.suffix == ".arrows" else ipc.open_file)(file).read_all()
    return rows_of(found)


def by_uproot(path: Path) -> dict[str, list[Any]]:
    uproot = pytest.importorskip("uproot", reason="uproot is of the root extra")
    with uproot.open(path) as file:
        tree = file[TABLE.replace("/", "_")]
        counters = {f"n{branch.name}" for branch in tree.branches}
        return {
            branch.name: branch.array().tolist() for branch in tree.branches if branch.name not in counters
        }


def by_astropy(path: Path) -> dict[str, list[Any]]:
    fits = pytest.importorskip("astropy.io.fits", reason="astropy is of the apx extra")
    with fits.open(path) as units:
        units.verify("exception")
        data = units[1].data
        return {name: [row.tolist() for row in np.asarray(data[name])] if data[name].dtype != object
                else [list(row) for row in data[name]] for name in data.names}  # fmt: skip


def by_ecsv(path: Path) -> dict[str, list[Any]]:
    astropy = pytest.importorskip("astropy.table", reason="astropy is of the apx extra")
    found = astropy.Table.read(path, format="ascii.ecsv")
    return {name: found[name].tolist() for name in found.colnames}


JUDGES: dict[str, Callable[[Path], dict[str, list[Any]]]] = {
    "npz": by_numpy,
    "h5": by_h5py,
    "csv": by_csv,
    "ecsv": by_ecsv,
    "jsonl": by_json,
    "mcap": by_mcap,
    "parquet": by_parquet,
    "arrow": by_arrow,
    "arrows": by_arrow,
    "root": by_uproot,
    "fits": by_astropy,
}


def told(ending: str, name: str, column: Column) -> dict[str, list[Any]]:
    """Return what a judge should find of a column, as far as formats differ."""
    rows = [plain(column[row]) for row in range(len(column))]
    if ending == "csv":
        return as_fields(name, column)
    if ending in ("jsonl", "mcap"):
        if column.values.dtype.kind == "V" or (column.ragged and column.values.dtype == "u1"):
            rows = [column[row].tobytes().hex() for row in range(len(column))]
        elif column.values.dtype.kind == "M":
            rows = np.datetime_as_string(column.values).tolist()
        return {name: json.loads(json.dumps(rows), parse_constant=lambda _: None)}
    if ending in ("parquet", "arrow", "arrows") and column.ragged and column.values.dtype == "u1":
        return {name: [column[row].tobytes() for row in range(len(column))]}
    return {name: rows}


def as_fields(name: str, column: Column) -> dict[str, list[Any]]:
    if column.start is not None and column.size is not None:
        starts = column.start * column.values.itemsize
        return {"start": list(map(str, starts)), "size": list(map(str, column.size))}
    if column.values.ndim == 1:
        return (
            {name: [str(value) for value in column.values.tolist()]}
            if column.values.dtype.kind != "S"
            else ({name: plain(column.values)})
        )
    return {
        f"{name}[{','.join(map(str, index))}]": [str(row[index].item()) for row in column.values]
        for index in np.ndindex(column.values.shape[1:])
    }


def same(found: Any, expected: Any) -> bool:
    """Tell whether values are equal."""
    found, expected = plain(found), plain(expected)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, float) and math.isnan(expected):
        return isinstance(found, float) and math.isnan(found)
    return bool(found == expected)


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("ending", JUDGES)
def test_kinds_of_columns(tmp_path: Path, ending: str, name: str) -> None:
    path = tmp_path / f"a.{ending}"
    if name in REFUSED[ending]:
        with pytest.raises(FileError, match=r"cannot be written|too large"):
            written(path, {"x": COLUMNS[name]})
        return
    found = JUDGES[ending](written(path, {"x": COLUMNS[name]}))
    expected = told(ending, "x", COLUMNS[name])
    assert list(found) == list(expected)
    for key, rows in expected.items():
        assert same(found[key], rows), (found[key], rows)


NAMES = ["a/b", "späin", "with space", "x[0]", "p%s", 'q"u', "日本", "a.b", "class", "N"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ending", JUDGES)
def test_names_of_columns(tmp_path: Path, ending: str, name: str) -> None:
    columns = {name: COLUMNS["i8"], "other": COLUMNS["f4"]}
    path = tmp_path / f"a.{ending}"
    if ending == "fits" and not name.isascii():
        with pytest.raises(FileError, match="cannot be written"):
            written(path, columns)
        return
    found = JUDGES[ending](written(path, columns))
    assert list(found) == [name.replace("/", "_") if ending == "root" else name, "other"]
    numbers = [int(value) for value in next(iter(found.values()))]
    assert numbers == COLUMNS["i8"].values.tolist()


CLASHES = {
    "npz": {"offset": COLUMNS["i8"], "v": COLUMNS["ragged f8"]},
    "h5": {"offset": COLUMNS["i8"], "v": COLUMNS["ragged f8"]},
    "csv": {"start": COLUMNS["i8"], "v": COLUMNS["ragged f8"]},
    "jsonl": {"table": COLUMNS["i8"]},
    "root": {"a/b": COLUMNS["i8"], "a_b": COLUMNS["i8"]},
}


@pytest.mark.parametrize("ending", CLASHES)
def test_names_that_would_become_one(tmp_path: Path, ending: str) -> None:
    with pytest.raises(FileError, match=r"Two |other names"):
        written(tmp_path / f"a.{ending}", CLASHES[ending])


def test_a_column_inside_another(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be written"):
        written(tmp_path / "a.h5", {"a": COLUMNS["i8"], "a/b": COLUMNS["i8"]})


SEVERAL = {"i8": COLUMNS["i8"], "f4": COLUMNS["f4"]}


@pytest.mark.parametrize("ending", JUDGES)
def test_tables_without_rows_keep_their_columns(tmp_path: Path, ending: str) -> None:
    for number, chunks in enumerate(([], [table(SEVERAL, 0, 0)])):
        path = tmp_path / f"{number}.{ending}"
        sink = fileio.create(path, tables=[announced(table(SEVERAL), 0)])
        for chunk in chunks:
            sink.write(chunk)
        sink.close()
        found = JUDGES[ending](path)
        if ending not in ("jsonl", "mcap"):
            assert list(found) == ["i8", "f4"]
        assert all(len(rows) == 0 for rows in found.values())


@pytest.mark.parametrize("ending", JUDGES)
def test_columns_that_change_are_refused(tmp_path: Path, ending: str) -> None:
    sink = fileio.create(tmp_path / f"a.{ending}", tables=[announced(table(SEVERAL))])
    try:
        sink.write(table(SEVERAL, 0, 3))
        with pytest.raises(FileError, match="other columns than before"):
            sink.write(table({**SEVERAL, "f4": COLUMNS["f8"]}, 3, 5))
        with pytest.raises(FileError, match="other columns than before"):
            sink.write(table({"i8": COLUMNS["i8"]}, 3, 5))
    finally:
        sink.abort()


@pytest.mark.parametrize("ending", JUDGES)
def test_options_that_do_not_exist(tmp_path: Path, ending: str) -> None:
    from sapwood.errors import FormatError

    with pytest.raises(FormatError, match="no such option"):
        fileio.create(tmp_path / f"a.{ending}", colour="red")
    with pytest.raises(FormatError, match="no such option"):
        fileio.create(tmp_path / f"a.{ending}", compression="rar")
    assert not list(tmp_path.iterdir())


FACTS = {"run": 7, "start": "früh", "gains": [1.5, 2.5], "setup": {"voltage": 3}}
NOTED = {"x": Column(np.arange(5), unit="µs", attributes={"description": "since begin", "range": [0, 4]})}


def facts_of(path: Path) -> tuple[Any, Any, Any]:
    """Return unit and attributes of the column, and attributes of the table, as another package sees them."""
    ending = path.suffix[1:]
    if ending == "h5":
        h5py = pytest.importorskip("h5py", reason="h5py is of the export extra")
        with h5py.File(path) as file:
            column, group = dict(file[TABLE]["x"].attrs), dict(file[TABLE].attrs)
        column["range"] = column["range"].tolist()
        facts = {key: plain(group[key]) for key in FACTS}
        return column.pop("units"), column, {**facts, "setup": json.loads(facts["setup"])}
    if ending == "fits":
        fits = pytest.importorskip("astropy.io.fits", reason="astropy is of the apx extra")
        with fits.open(path) as units:
            facts = json.loads(units["ATTRIBUTES"].data.tobytes())[TABLE]
            return units[1].header["TUNIT1"], facts.pop("columns")["x"], facts
    if ending == "mcap":
        reader = pytest.importorskip("mcap.reader", reason="mcap is of the mcap extra")
        with path.open("rb") as file:
            (channel,) = reader.make_reader(file).get_summary().channels.values()
        return channel.metadata.pop("x"), None, from_texts(channel.metadata)
    pyarrow = pytest.importorskip("pyarrow.parquet", reason="pyarrow is of the export extra")
    schema = pyarrow.read_schema(path)
    column = {key.decode(): value.decode() for key, value in schema.field("x").metadata.items()}
    unit, table_facts = column.pop("unit"), {k.decode(): v.decode() for k, v in schema.metadata.items()}
    return unit, {**column, "range": json.loads(column["range"])}, from_texts(table_facts)


def from_texts(facts: dict[str, str]) -> dict[str, Any]:
    return {key: facts[key] if key == "start" else json.loads(facts[key]) for key in FACTS}


@pytest.mark.parametrize("ending", ["h5", "fits", "mcap", "parquet"])
def test_units_and_attributes(tmp_path: Path, ending: str) -> None:
    path = written(tmp_path / f"a.{ending}", NOTED, **FACTS, file="source.dat", base=0)
    unit, column, facts = facts_of(path)
    assert unit == ("us" if ending == "fits" else "µs")
    assert column in (None, NOTED["x"].attributes)
    assert facts == FACTS
