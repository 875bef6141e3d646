"""Slow-signal files of ours read by PyTables, and its `Filters` taken by ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sapwood.fileio.icf.readout import SSReadout
from sapwood.fileio.slowsignal import SSDataReader, SSDataWriter

tables = pytest.importorskip("tables", reason="PyTables is of the interop extra")


def written(path: Path, rows: int = 40, filters: object = None) -> Path:
    with SSDataWriter(path, {"run": 3, "note": "hällo", "x": np.arange(3.0)}, filters, buffer=7) as writer:
        for number in range(rows):
            writer.write(SSReadout(number, number, np.full((32, 64), number / 4), 5, 6))
            writer.write_tel_data(number, -number, 1.5, 1, 500_000_000)
    return path


def test_pytables_reads_rows_and_attributes(tmp_path: Path) -> None:
    with tables.open_file(str(written(tmp_path / "a.h5"))) as file:
        assert file.title == "CHEC-S Slow signal monitor data"
        table = file.root.SlowSignal.readout
        assert (table.title, table.nrows, table.chunkshape) == ("Slow signal readout", 40, (15,))
        assert table.colnames == ["cpu_t", "cpu_t_ns", "cpu_t_s", "data", "iro", "time"]
        assert table[:]["data"][:, 3, 5].tolist() == [n / 4 for n in range(40)]
        assert (table.attrs.note, table.attrs.run) == ("hällo", 3)
        assert table.attrs.x.tolist() == [0, 1, 2]
        assert table.attrs.NROWS == 40
        filters = table.filters
        assert (filters.complib, filters.complevel, filters.shuffle, filters.fletcher32) == (
            "bzip2", 9, True, True,
        )  # fmt: skip
        assert file.root.SlowSignal._v_filters.complib == "bzip2"
        telescope = file.root.SlowSignal.tel_table
        assert (telescope.nrows, telescope.chunkshape) == (40, (1638,))
        assert telescope[3]["dec"] == -3


@pytest.mark.parametrize("name", ["zlib", "bzip2"])
def test_filters_of_pytables(tmp_path: Path, name: str) -> None:
    wanted = tables.Filters(complevel=4, complib=name, shuffle=True, fletcher32=False)
    with tables.open_file(str(written(tmp_path / "a.h5", filters=wanted))) as file:
        found = file.root.SlowSignal.readout.filters
        assert (found.complib, found.complevel, found.fletcher32) == (name, 4, False)
        assert file.root.SlowSignal.readout[30]["iro"] == 30


def test_pytables_appends_to_ours(tmp_path: Path) -> None:
    path = written(tmp_path / "a.h5", 20)
    with tables.open_file(str(path), "a") as file:
        table = file.root.SlowSignal.readout
        row = table.row
        row["iro"], row["data"] = 99, np.ones((32, 64))
        row.append()
        table.flush()
    with SSDataReader(path) as reader:
        assert [reader.iro for _ in reader] == [*range(20), 99]
        assert (reader[20] == 1).all()


def test_pandas_table(tmp_path: Path) -> None:
    pytest.importorskip("pandas", reason="pandas is of the interop extra")
    with SSDataReader(written(tmp_path / "a.h5", 3)) as reader:
        table = reader.load_as_pd_table()
    assert table.index.names == ["iro", "pix"]
    assert list(table.columns) == ["time", "cpu_t", "amp"]
    assert len(table) == 3 * 2048
    assert table.loc[(2, 2047), "amp"] == 0.5
