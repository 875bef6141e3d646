"""Data of the peer's own files, loaded as the peer loads them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood.errors import SapwoodError
from sapwood.fileio.hdf5 import h5py
from sapwood.fileio.pymodaq.data_errors import DataShapeError
from sapwood.fileio.pymodaq.data_objects import DataWithAxes
from sapwood.fileio.pymodaq.loader import DataLoader

FILES = [f"{name}_{backend}.h5" for name in ("background", "detectors", "enlargeable", "scan2d")
         for backend in ("h5py", "tables")] + ["swmr_finalized_h5py.h5"]  # fmt: skip


@pytest.fixture(scope="module")
def manifest(golden_pymodaq: Path) -> dict[str, Any]:
    files: dict[str, Any] = json.loads((golden_pymodaq / "MANIFEST.json").read_text())["files"]
    return files


def _digest(array: Any) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def _summary(data: DataWithAxes) -> dict[str, Any]:
    axes = [
        {
            "first": repr(float(axis.data[0])), "last": repr(float(axis.data[-1])), "index": axis.index,
            "label": axis.label, "units": axis.units, "size": axis.size, "spread_order": axis.spread_order,
        }
        for axis in data.axes
    ]  # fmt: skip
    return {
        "axes": axes, "dim": data.dim.name, "distribution": data.distribution.name, "length": data.length,
        "errors": None if data.errors is None else [_digest(error) for error in data.errors],
        "extra": sorted(data.extra_attributes), "labels": data.labels, "name": data.name,
        "nav_indexes": list(data.nav_indexes), "origin": data.origin, "shape": list(data.shape),
        "sha256": [_digest(array) for array in data], "source": data.source.name,
        "timestamp": repr(data.timestamp), "units": data.units,
    }  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_golden_files_load_as_the_manifest_says(
    golden_pymodaq: Path, manifest: dict[str, Any], name: str
) -> None:
    before = (golden_pymodaq / name).read_bytes()
    loaded = 0
    with DataLoader(golden_pymodaq / name) as loader:
        for key, expected in manifest[name]["load_data"].items():
            path, _, everything = key.partition("|")
            if "exception" in expected:  # arrays that the peer cannot load
                continue
            seen = _summary(loader.load_data(path, load_all=bool(everything)))
            if expected["timestamp"] is None:
                expected = {**expected, "timestamp": seen["timestamp"]}
            assert seen == expected, key
            loaded += 1
    assert loaded
    assert (golden_pymodaq / name).read_bytes() == before


@pytest.mark.parametrize("backend", ["h5py", "tables"])
def test_arrays_that_the_peer_cannot_load_are_loaded(golden_pymodaq: Path, backend: str) -> None:
    with DataLoader(golden_pymodaq / f"enlargeable_{backend}.h5") as loader:
        points = loader.load_data("/RawData/Low/Points")
        assert (points.shape, points.nav_indexes, points.units) == ((10,), (0,), "V")
        assert loader.load_data("/RawData/Low/Rows").shape == (3, 3)
        with pytest.raises(DataShapeError):
            loader.load_data("/RawData/Low/Points", load_all=True)


@pytest.mark.parametrize("backend", ["h5py", "tables"])
def test_background_is_subtracted(golden_pymodaq: Path, backend: str) -> None:
    with DataLoader(golden_pymodaq / f"background_{backend}.h5") as loader:
        data = loader.load_data("/RawData/Detector000/Data1D/CH00/Data00", with_bkg=True)
        assert data.data[0].tolist() == list(range(16))
        assert loader.load_data_from_name_origin("spectrum", "Det 00").shape == (16,)
        for wrong in ("/RawData", "/RawData/Logger"):
            with pytest.raises(KeyError):
                loader.load_data(wrong)


@pytest.mark.parametrize("backend", ["h5py", "tables"])
def test_everything_below_a_group_is_loaded(golden_pymodaq: Path, backend: str) -> None:
    with DataLoader(golden_pymodaq / f"detectors_{backend}.h5") as loader:
        everything = loader.load_all()
        assert sorted(everything.get_names()) == ["image", "scalars", "spectrum"]
        assert len(everything.get_data_from_name("spectrum").errors or ()) == 2
        with pytest.raises(NameError, match="spectrum"):
            loader.load_data_from_name_origin("nothing")


@settings(max_examples=40, deadline=None)
@given(cut=st.floats(0, 1), backend=st.sampled_from(["h5py", "tables"]))
def test_files_cut_short_load_or_say_why(
    golden_pymodaq: Path, tmp_path_factory: pytest.TempPathFactory, cut: float, backend: str
) -> None:
    whole = (golden_pymodaq / f"scan2d_{backend}.h5").read_bytes()
    path = tmp_path_factory.mktemp("cut") / "cut.h5"
    path.write_bytes(whole[: int(cut * len(whole))])
    try:
        with DataLoader(path) as loader:
            loader.load_all()
    except SapwoodError:
        pass


def _damaged(path: Path, name: str, **attributes: Any) -> None:
    """Write a file with one array whose attributes are not what they should be."""
    with h5py().File(path, "w") as file:
        raw = file.create_group("RawData")
        raw.attrs["type"] = "scan"
        node = raw.create_dataset(name, (1 << 40,), "f8", chunks=(1024,)) if name == "Huge" else None
        node = raw.create_dataset(name, data=np.zeros((2, 3))) if node is None else node
        for key, value in {"data_type": "data", **attributes}.items():
            node.attrs[key] = value


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("Huge", {}),
        ("Axis00", {"data_type": "axis", "index": "many"}),
        ("Axis00", {"data_type": "axis", "index": -1}),
    ],
)
def test_attributes_and_sizes_that_cannot_be_are_told(
    tmp_path: Path, name: str, attributes: dict[str, Any]
) -> None:
    _damaged(tmp_path / "damaged.h5", name, **attributes)
    with DataLoader(tmp_path / "damaged.h5") as loader, pytest.raises(SapwoodError):
        loader.load_data(f"/RawData/{name}")


@pytest.mark.parametrize(
    "attributes",
    [{"nav_indexes": "(7, -1)"}, {"nav_indexes": "some"}, {"source": "moon"}, {"distribution": 3.5},
     {"timestamp": "now"}, {"label": 7}, {"units": [1, 2]}, {"extra": "__import__('os')"}],
)  # fmt: skip
def test_odd_attributes_do_not_keep_data_from_being_loaded(
    tmp_path: Path, attributes: dict[str, Any]
) -> None:
    _damaged(tmp_path / "odd.h5", "Data00", **attributes)
    with DataLoader(tmp_path / "odd.h5") as loader:
        assert loader.load_data("/RawData/Data00").shape == (2, 3)
