"""Exported files in the packages that analysts open them with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import sapwood.fileio as fileio
from sapwood.fileio import Column, ColumnInfo, Table, TableInfo

SIZE = np.array([2, 0, 1])


def exported(path: Path) -> Path:
    """Write three hits with scalars, an array, bytes and floats of variable length."""
    start = np.cumsum(SIZE) - SIZE
    table = Table(
        "det/hits",
        {
            "time": Column(np.array([10, 20, 30]), unit="ns"),
            "energy": Column(np.array([0.5, 1.5, 2.5]), unit="keV"),
            "trace": Column(np.arange(6, dtype="u2").reshape(3, 2)),
            "raw": Column(np.array([1, 2, 3], "u1"), start, SIZE),
            "peaks": Column(np.array([1.0, 2.0, 3.0]), start, SIZE),
        },
    )
    infos = {
        name: ColumnInfo(one.values.dtype, one.values.shape[1:], len(one.values) if one.ragged else None)
        for name, one in table.columns.items()
    }
    sink = fileio.create(path, tables=[TableInfo("det/hits", 3, infos)])
    sink.write(table)
    sink.close()
    return path


@pytest.mark.parametrize(("ending", "reader"), [("parquet", "read_parquet"), ("feather", "read_feather")])
def test_pandas_reads_arrow_and_parquet(tmp_path: Path, ending: str, reader: str) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is of the interop extra")
    frame = getattr(pandas, reader)(exported(tmp_path / f"a.{ending}"))
    assert frame["energy"].tolist() == [0.5, 1.5, 2.5]
    assert [list(row) for row in frame["trace"]] == [[0, 1], [2, 3], [4, 5]]
    assert frame["raw"].tolist() == [b"\1\2", b"", b"\3"]
    assert [list(row) for row in frame["peaks"]] == [[1.0, 2.0], [], [3.0]]


def test_pandas_reads_json_lines(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is of the interop extra")
    frame = pandas.read_json(exported(tmp_path / "a.jsonl"), lines=True)
    assert frame["energy"].tolist() == [0.5, 1.5, 2.5]
    assert frame["raw"].tolist() == ["0102", "", "03"]


def test_silx_plots_hdf5_columns(tmp_path: Path) -> None:
    nxdata = pytest.importorskip("silx.io.nxdata", reason="silx is of the interop extra")
    silx_io = pytest.importorskip("silx.io", reason="silx is of the interop extra")
    with silx_io.open(str(exported(tmp_path / "a.h5"))) as file:
        plot = nxdata.get_default(file)
        assert plot is not None
        assert plot.is_valid
        assert plot.signal_name == "energy (keV)"
        assert plot.signal[()].tolist() == [0.5, 1.5, 2.5]
        assert plot.axes_dataset_names == ["time"]
        assert plot.axes[0][()].tolist() == [10, 20, 30]


def test_nexusformat_finds_the_plot(tmp_path: Path) -> None:
    nexus = pytest.importorskip("nexusformat.nexus", reason="nexusformat is of the interop extra")
    with nexus.nxload(str(exported(tmp_path / "a.h5"))) as root:
        data = root.get_default() if hasattr(root, "get_default") else root["det/hits"]
        assert data.nxsignal.nxdata.tolist() == [0.5, 1.5, 2.5]
        assert data.nxaxes[0].nxdata.tolist() == [10, 20, 30]
        assert data.nxsignal.attrs["units"] == "keV"
