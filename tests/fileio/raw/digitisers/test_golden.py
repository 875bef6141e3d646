"""Files of CoMPASS and llamaDAQ become what the manifest says."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sapwood.fileio import lh5
from sapwood.fileio.raw import build_raw, stream_type_of

CASES = ["compass-default", "compass-config", "llama-default"]
# The one column more than the other package writes: exact times.
MORE = {"/CompassEvent": ["timestamp_ps"]}


@pytest.fixture
def case(
    request: pytest.FixtureRequest, golden_daq: Path, tmp_path: Path, monkeypatch: Any
) -> dict[str, Any]:
    cases = json.loads((golden_daq / "MANIFEST.json").read_text())["cases"]
    found = next(one for one in cases if one["id"] == request.param)
    for name in found["files"]:
        shutil.copy(golden_daq / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return found


def build(case: dict[str, Any]) -> None:
    build_raw(case["in_stream"], case.get("in_stream_type"), case["out_spec"], **case["kwargs"])


@pytest.mark.parametrize("case", CASES, indirect=True)
def test_all_objects(case: dict[str, Any]) -> None:
    build(case)
    expected = case["expected_outputs"]["out.lh5"]
    with h5py.File("out.lh5") as file:
        seen: dict[str, Any] = {}
        file.visititems(lambda name, node: seen.update({f"/{name}": node}))
        more = {f"{table}/{name}" for table, names in MORE.items() for name in names if table in expected}
        assert set(seen) - more == set(expected) - {"/"}
        for path, entry in expected.items():
            if path != "/":
                check(path, seen[path], entry, case["skip_values"])


def check(path: str, node: Any, entry: dict[str, Any], skipped: list[str]) -> None:
    attributes = dict(entry["attrs"])
    if path in MORE:
        kind, _, fields = attributes["datatype"].rstrip("}").partition("{")
        attributes["datatype"] = f"{kind}{{{','.join(sorted([*fields.split(','), *MORE[path]]))}}}"
    assert dict(node.attrs) == attributes, path
    if entry["kind"] == "group":
        return
    value = node[()]
    assert list(node.shape) == entry["shape"], path
    if isinstance(value, bytes):
        assert entry["dtype"] == "vlen-utf8"
        data = value
    else:
        assert node.dtype.str == entry["dtype"], path
        data = np.ascontiguousarray(value).tobytes()
    if "sha256" in entry and not any(fnmatch.fnmatch(f"out.lh5:{path}", one) for one in skipped):
        assert hashlib.sha256(data).hexdigest() == entry["sha256"], path


@pytest.mark.parametrize("case", CASES[:2], indirect=True)
def test_what_is_corrected_in_compass(case: dict[str, Any]) -> None:
    build(case)
    table = lh5.read("CompassEvent", "out.lh5")
    dt = table["waveform"]["dt"].nda
    assert np.isnan(dt).all() if case["id"] == "compass-default" else (dt == 2).all()
    assert np.isnan(table["energy_calibrated"].nda).all()
    assert (table["timestamp_ps"].nda == table["timestamp"].nda).all()
    assert table["timestamp_ps"].dtype == np.uint64


@pytest.mark.parametrize("case", CASES[2:], indirect=True)
def test_what_is_corrected_in_llama(case: dict[str, Any]) -> None:
    build(case)
    data = np.fromfile(case["in_stream"], "<u4")
    information = data[(16 + 2 * 88) // 4 + 3]
    first = lh5.read("LLAMAEvent_0", "out.lh5")
    assert first["cumsum_1"].nda[0] == information & 0xFFFFFF
    assert first["cumsum_2"].nda[0] == data[(16 + 2 * 88) // 4 + 4]


def test_types_are_found_by_content(golden_daq: Path, tmp_path: Path) -> None:
    for number, (name, kind) in enumerate(
        {"compass_test_data.BIN": "Compass", "20241218-150158-pulser.bin": "LlamaDaq"}.items()
    ):
        copy = tmp_path / f"stream{number}"
        shutil.copy(golden_daq / name, copy)
        assert stream_type_of(copy) == kind
