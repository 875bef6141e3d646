"""Damaged files: errors with a type, what is left is saved, nothing hangs."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sapwood import fileio
from sapwood.errors import SapwoodError
from sapwood.fileio import lh5
from sapwood.fileio.formats import CLEAN, LOSS, UNREADABLE
from sapwood.fileio.lh5.format import LH5

ROWS = 600


def samples() -> np.ndarray[Any, Any]:
    return np.random.default_rng(3).integers(0, 1 << 12, (ROWS, 100)).astype(np.uint16)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lh5") / "run.lh5"
    table = lh5.Table(
        {
            "id": np.arange(ROWS),
            "hits": lh5.VectorOfVectors([[i] * (i % 3) for i in range(ROWS)], dtype=np.uint16),
            "packed": lh5.ArrayOfEqualSizedArrays(
                nda=samples()[:, :20], attrs={"compression": "RadwareSigcompress()"}
            ),
            "samples": lh5.ArrayOfEqualSizedArrays(
                nda=samples(), attrs={"hdf5_settings": {"chunks": (50, 100)}}
            ),
        }
    )
    lh5.write(table, "a/raw", path)
    lh5.write(lh5.Scalar("x"), "note", path)
    return path


def chunk_of(path: Path, name: str, row: int) -> tuple[int, int, int]:
    """Return offset and bytes of the chunk that holds a row, and how many rows it has."""
    with h5py.File(path) as file:
        dataset = file[name]
        corner = (row // dataset.chunks[0] * dataset.chunks[0], *(0 for _ in dataset.shape[1:]))
        info = dataset.id.get_chunk_info_by_coord(corner)
        return info.byte_offset, info.size, dataset.chunks[0]


def damaged(path: Path, out: Path, at: int, size: int) -> Path:
    data = bytearray(path.read_bytes())
    data[at : at + size] = bytes(byte ^ 0x55 for byte in data[at : at + size])
    out.write_bytes(data)
    return out


def test_a_whole_file(whole: Path, tmp_path: Path) -> None:
    report = LH5.verify(whole)
    assert (report.status, report.good, report.problems) == (CLEAN, ROWS, [])
    assert LH5.recover(whole, tmp_path / "out.lh5").status == CLEAN
    with h5py.File(whole) as one, h5py.File(tmp_path / "out.lh5") as two:
        assert one["a/raw"].attrs["datatype"] == two["a/raw"].attrs["datatype"]
        assert np.array_equal(
            one["a/raw/packed/encoded_data/flattened_data"], two["a/raw/packed/encoded_data/flattened_data"]
        )
    assert lh5.read("/", tmp_path / "out.lh5") == lh5.read("/", whole)


def test_rows_of_a_bad_chunk_are_lost_and_no_others(whole: Path, tmp_path: Path) -> None:
    at, size, rows = chunk_of(whole, "a/raw/samples", 300)
    bad = damaged(whole, tmp_path / "bad.lh5", at, size)
    first = 300 // rows * rows
    lost = min(rows, ROWS - first)
    with pytest.raises(lh5.LH5DecodeError, match="samples cannot be read"):
        lh5.read("a/raw", bad)
    report = LH5.verify(bad)
    assert (report.status, report.good, report.lost) == (LOSS, ROWS - lost, lost)
    assert f"Row {first}: /a/raw/samples" in report.problems[0]
    assert LH5.recover(bad, tmp_path / "out.lh5").good == ROWS - lost
    kept = [*range(first), *range(first + lost, ROWS)]
    found = lh5.read("a/raw", tmp_path / "out.lh5")
    assert found["id"].nda.tolist() == kept
    assert np.array_equal(found["samples"].nda, samples()[kept])
    assert np.array_equal(found["packed"].nda, samples()[kept, :20])


def test_a_cut_file_is_read_as_far_as_it_goes(whole: Path, tmp_path: Path) -> None:
    data = whole.read_bytes()
    (tmp_path / "cut.lh5").write_bytes(data[: len(data) - 3000])
    assert LH5.verify(tmp_path / "cut.lh5").status == UNREADABLE
    report = LH5.recover(tmp_path / "cut.lh5", tmp_path / "out.lh5")
    assert report.status in (LOSS, UNREADABLE)
    assert report.torn_bytes == 3000
    assert "is cut" in report.problems[0]
    if report.good:
        assert len(lh5.read("a/raw", tmp_path / "out.lh5")) == report.good
    assert {file.name for file in tmp_path.iterdir()} <= {"cut.lh5", "out.lh5"}


def test_nothing_is_made_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "bad.lh5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(500))
    assert LH5.recover(tmp_path / "bad.lh5", tmp_path / "out.lh5").status == UNREADABLE
    assert not (tmp_path / "out.lh5").exists()


@pytest.mark.parametrize(("name", "ends", "text"), [("a", [3, 2, 4], "falls"), ("b", [1, 2, 900], "exceeds")])
def test_cumulative_lengths_that_lie(tmp_path: Path, name: str, ends: list[int], text: str) -> None:
    path = tmp_path / "run.lh5"
    lh5.write(lh5.VectorOfVectors([[1], [2], [3, 4]]), name, path)
    with h5py.File(path, "a") as file:
        file[name]["cumulative_length"][:] = ends
    with pytest.raises(lh5.LH5DecodeError):
        lh5.read(name, path)
    report = LH5.verify(path)
    assert report.status in (LOSS, UNREADABLE)
    assert text in report.problems[0]


def test_columns_of_different_length(tmp_path: Path) -> None:
    path = tmp_path / "run.lh5"
    lh5.write(lh5.Table({"a": np.arange(5), "b": np.arange(5)}), "t", path)
    with h5py.File(path, "a") as file:
        file["t/b"].resize(3, axis=0)
    with pytest.raises(lh5.LH5DecodeError, match="columns of equal length"):
        lh5.read("t", path)
    report = LH5.recover(path, tmp_path / "out.lh5")
    assert (report.status, report.good, report.lost) == (LOSS, 3, 2)
    assert lh5.read("t", tmp_path / "out.lh5")["a"].nda.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("raw/id", {"datatype": None}),
        ("raw/id", {"datatype": "array<2>{real}"}),
        ("raw/id", {"datatype": "table{a}"}),
        ("raw/id", {"datatype": "real"}),
        ("raw/id", {"units": [1, 2]}),
        ("raw/hits", {"datatype": "array<1>{real}"}),
        ("raw/hits", {"datatype": "array_of_encoded_equalsized_arrays<1,1>{real}"}),
        ("raw", {"datatype": "view{entries}"}),
        ("raw", {"datatype": "struct{binning,isdensity,weights}"}),
        ("raw/packed", {"codec": "none"}),
        ("raw/packed", {"codec": "uleb128_zigzag_diff"}),
    ],
)
def test_attributes_that_lie(whole: Path, tmp_path: Path, name: str, change: dict[str, Any]) -> None:
    bad = tmp_path / "bad.lh5"
    bad.write_bytes(whole.read_bytes())
    with h5py.File(bad, "a") as file:
        for key, value in change.items():
            if value is None:
                del file["a"][name].attrs[key]
            else:
                file["a"][name].attrs[key] = value
    with pytest.raises(lh5.LH5DecodeError):
        lh5.read(f"a/{name}", bad)
    if name != "raw":
        assert LH5.verify(bad).problems or change == {"datatype": None}


def test_small_files_cannot_ask_for_much_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.lh5"
    with h5py.File(path, "w") as file:
        for name, kind in (("x", "gzip"), ("y", None)):
            file.create_dataset(name, (1 << 40,), np.uint8, chunks=(1 << 16,), compression=kind)
            file[name].attrs["datatype"] = "array<1>{real}"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name in ("x", "y"):
        with pytest.raises(lh5.LH5DecodeError, match="more than it can"):
            lh5.read(name, path)
    assert lh5.read("x", path, n_rows=100).nda.sum() == 0  # chunks that were never written are zero
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


def test_links_in_a_circle(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "loop.lh5", "w") as file:
        group = file.create_group("a")
        group.attrs["datatype"] = "struct{a}"
        group["a"] = h5py.SoftLink("/a")
    with pytest.raises(lh5.LH5DecodeError, match="too deep"):
        lh5.read("a", tmp_path / "loop.lh5")
    with fileio.open(tmp_path / "loop.lh5") as reader:
        assert reader.tables() == ()
        reader.info()
    assert lh5.ls(tmp_path / "loop.lh5", recursive=True)
    assert LH5.verify(tmp_path / "loop.lh5").good == 0


def read_all(path: Path) -> None:
    with contextlib.suppress(SapwoodError):
        lh5.read("/", path)
    with contextlib.suppress(SapwoodError), fileio.open(path, "lh5") as reader:
        reader.info()
        for table in reader.tables():
            for _ in reader.chunks(table.name):
                pass
    LH5.verify(path)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_flipped_bytes(whole: Path, tmp_path: Path, data: Any) -> None:
    found = bytearray(whole.read_bytes())
    metadata = data.draw(st.booleans())
    top = 6000 if metadata else len(found)
    for _ in range(data.draw(st.integers(1, 8))):
        found[data.draw(st.integers(8, top - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "bad.lh5").write_bytes(found)
    read_all(tmp_path / "bad.lh5")


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_cut_files(whole: Path, tmp_path: Path, data: Any) -> None:
    found = whole.read_bytes()
    (tmp_path / "bad.lh5").write_bytes(found[: data.draw(st.integers(0, len(found) - 1))])
    read_all(tmp_path / "bad.lh5")
    (tmp_path / "out.lh5").unlink(missing_ok=True)
    with contextlib.suppress(SapwoodError):
        LH5.recover(tmp_path / "bad.lh5", tmp_path / "out.lh5")
