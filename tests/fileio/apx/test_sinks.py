"""FITS and ECSV of any table, and rows as text: astropy reads back what was written."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sapwood import fileio
from sapwood.errors import FileError
from sapwood.fileio import Column, ColumnInfo, Table, TableInfo
from sapwood.fileio.sinks.rowtext import rows_text

KINDS = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8", "?")


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 40).flatmap(
        lambda n: st.lists(
            st.sampled_from(KINDS).flatmap(lambda kind: hnp.arrays(kind, n)), min_size=1, max_size=4
        )
    )
)
def test_rows_are_what_str_says(columns) -> None:
    expected = "".join(
        ",".join(str(column[row].item()) for column in columns) + "\n" for row in range(len(columns[0]))
    )
    assert rows_text(columns, b",").decode() == expected


def test_many_rows() -> None:
    count = 50_000
    columns = [
        np.arange(count, dtype="u4") * 7,
        np.arange(count) / 20,
        np.arange(count, dtype="i8") // 100 - 5,
    ]
    lines = rows_text(columns, b" ").decode().splitlines()
    assert len(lines) == count
    for row in (0, 1, 16383, 16384, 49_999):
        assert lines[row] == " ".join(str(column[row].item()) for column in columns)
    assert rows_text([], b",") == rows_text([np.empty(0)], b",") == b""


def tables() -> list[Table]:
    rng = np.random.default_rng(3)
    flat = {kind.replace("?", "bool"): Column(rng.integers(0, 100, 7).astype(kind)) for kind in KINDS}
    flat["extremes"] = Column(np.array([0, 1, 2**63, 2**64 - 1, 5, 6, 7], "u8"), unit="ns")
    flat["signed"] = Column(np.array([-128, -1, 0, 1, 127, 2, 3], "i1"))
    flat["grid"] = Column(rng.integers(0, 9, (7, 2, 3)).astype("u2"))
    flat["text"] = Column(np.array([b"a", b"bc", b"", b"d", b"e", b"f", b"g"], "S2"))
    start, size = np.array([5, 0, 2]), np.array([3, 0, 2])
    values = np.arange(10, dtype="u2") + 60_000
    ragged = {"id": Column(np.arange(3)), "wave": Column(values, start, size),
              "float": Column(np.arange(10.0), start, size)}  # fmt: skip
    return [Table("flat", flat, {"header": "{}", "file": "x"}), Table("ch0/ragged", ragged)]


def described(table: Table) -> TableInfo:
    columns = {
        name: ColumnInfo(
            one.values.dtype, one.values.shape[1:], None if one.size is None else 2 * int(one.size.sum())
        )
        for name, one in table.columns.items()
    }
    return TableInfo(table.name, 2 * len(table), columns)


def test_fits(tmp_path) -> None:
    from astropy.io import fits
    from astropy.table import Table as AstropyTable

    path = tmp_path / "x.fits"
    flat, ragged = tables()
    sink = fileio.create(path, tables=[described(flat), described(ragged)])
    for table in (flat, ragged, flat, ragged):
        sink.write(table)
    sink.sync()
    sink.close()
    with fits.open(path) as units:
        units.verify("exception")
        assert [unit.name.lower() for unit in units] == ["primary", "flat", "ch0/ragged", "attributes"]
        assert json.loads(units[3].data.tobytes())["flat"] == {"header": "{}"}
        for row in range(6):
            for name in ("wave", "float"):
                expected = ragged[name][row % 3]
                assert units[2].data[name][row].tolist() == expected.tolist()
    back = AstropyTable.read(path, hdu=1)
    assert str(back["extremes"].unit) == "ns"
    for name, column in flat.columns.items():
        got = np.asarray(back[name])
        assert got.shape == (14, *column.values.shape[1:])
        expected = np.concatenate([column.values] * 2)
        assert got.tolist() == expected.tolist(), name


def test_fits_keeps_to_what_was_announced(tmp_path) -> None:
    flat, ragged = tables()
    sink = fileio.create(tmp_path / "x.fits", tables=[described(ragged)])
    with pytest.raises(FileError, match="not announced"):
        sink.write(flat)
    sink.write(ragged)
    with pytest.raises(FileError, match="Fewer rows"):
        sink.close()
    sink.write(ragged)
    with pytest.raises(FileError, match="More rows"):
        sink.write(ragged)
    sink.close()
    sink.close()
    sink.abort()


def test_ecsv(tmp_path) -> None:
    from astropy.table import Table as AstropyTable

    path = tmp_path / "x.ecsv"
    flat, ragged = tables()
    columns = {name: one for name, one in flat.columns.items() if name not in ("grid", "text")}
    sink = fileio.create(path)
    table = Table("flat", columns, {"header": "x y", "file": "z"})
    sink.write(table)
    sink.write(table)
    with pytest.raises(FileError, match="holds one table"):
        sink.write(ragged)
    sink.sync()
    sink.close()
    back = AstropyTable.read(path)
    assert back.meta == {"header": "x y"}
    assert str(back["extremes"].unit) == "ns"
    for name, column in columns.items():
        assert back[name].dtype == column.values.dtype
        assert back[name].tolist() == column.values.tolist() * 2
    theirs = io.StringIO()
    AstropyTable(back).write(theirs, format="ascii.ecsv")
    assert theirs.getvalue() == path.read_text()
    for bad in (Table("flat", {"grid": flat["grid"]}), Table("t", {"text": flat["text"]}), ragged):
        other = fileio.create(tmp_path / "y.ecsv")
        with pytest.raises(FileError, match="cannot be written"):
            other.write(bad)
        other.abort()


def test_empty_tables(tmp_path) -> None:
    from astropy.table import Table as AstropyTable

    info = TableInfo("none", 0, {"a": ColumnInfo(np.dtype("u4")), "b": ColumnInfo(np.dtype("f8"))})
    for ending in ("ecsv", "fits"):
        sink = fileio.create(tmp_path / f"x.{ending}", tables=[info])
        sink.sync()
        sink.close()
        back = AstropyTable.read(tmp_path / f"x.{ending}")
        assert (len(back), back.colnames) == (0, ["a", "b"])
