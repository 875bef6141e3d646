"""ORCA files of LEGEND's software, every object of what it makes of them."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sapwood.fileio.hdf5 import h5py
from sapwood.fileio.lh5 import read
from sapwood.fileio.raw import build_raw
from sapwood.fileio.raw.orca import skim_orca_file

CASES = [
    "orca-fc-default",
    "orca-fc-keyed",
    "orca-fc-wildcards",
    "orca-fcio-default",
    "orca-fcio-keyed",
    "synth-sis3302",
    "synth-sis3316",
]


@pytest.fixture(scope="module")
def cases(golden_daq: Path) -> dict[str, Any]:
    """The cases by name."""
    listed = json.loads((golden_daq / "MANIFEST.json").read_text())["cases"]
    return {case["id"]: case for case in listed}


def convert(case: Any, golden: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in case["files"]:
        shutil.copy(golden / name, folder)
    monkeypatch.chdir(folder)
    return build_raw(case["in_stream"], out_spec=case["out_spec"], **case["kwargs"])


def digest(data: Any) -> str:
    """Return the hash that the manifest has of a dataset."""
    if isinstance(data, (bytes, str)):
        return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()
    array = np.asarray(data)
    return hashlib.sha256(
        np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"))).tobytes()
    ).hexdigest()


def differences(name: str, expected: Any, skipped: list[str]) -> list[str]:
    """Return what differs in a file."""
    found: list[str] = []
    with h5py().File(name) as file:
        for path, facts in expected.items():
            if path == "/":
                continue
            if path not in file:
                found.append(f"{path} is missing")
                continue
            obj = file[path]
            attrs = {key: np.asarray(value).item() for key, value in obj.attrs.items()}
            if attrs != facts["attrs"]:
                found.append(f"{path}: {attrs} instead of {facts['attrs']}")
            if facts["kind"] == "group":
                continue
            if list(obj.shape) != facts["shape"]:
                found.append(f"{path}: shape {obj.shape}")
            if facts["dtype"] != "vlen-utf8" and obj.dtype != np.dtype(facts["dtype"]):
                found.append(f"{path}: type {obj.dtype}")
            if any(fnmatch.fnmatch(f"{name}:{path}", pattern) for pattern in skipped):
                continue
            if digest(obj[()]) != facts["sha256"]:
                found.append(f"{path}: other values")
        objects: list[str] = []
        file.visit(lambda path: objects.append(f"/{path}"))
        found += [f"{path} is one too many" for path in set(objects) - set(expected)]
    return found


@pytest.mark.parametrize("name", CASES)
def test_every_object(
    cases: Any, golden_daq: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any, name: str
) -> None:
    case = cases[name]
    summary = convert(case, golden_daq, tmp_path, monkeypatch)
    for file, expected in case["expected_outputs"].items():
        assert differences(file, expected, case["skip_values"]) == []
    assert not summary.problems
    for line in case.get("log_lines", []):
        assert line in caplog.text


def test_values_that_the_peer_gets_wrong(
    cases: Any, golden_daq: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = cases["synth-sis3302"]
    convert(case, golden_daq, tmp_path, monkeypatch)
    for path, values in case["correct_values"].items():
        assert read(path, "out.lh5").nda.tolist() == values


def test_fields_that_the_peer_gets_wrong(
    cases: Any, golden_daq: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = cases["synth-sis3316"]
    convert(case, golden_daq, tmp_path, monkeypatch)
    correct = dict(case["correct_values"])
    del correct["timestamp"], correct["packet_id"]
    for key, events in ((32, [0, 2, 4]), (34, [1, 3])):
        table = read(f"ORSIS3316Waveform_{key}", "out.lh5")
        times = [((7 * i + j) << 32) + 100_000 * i + j for i in events for j in range(3)]
        assert table["timestamp"].nda.tolist() == times
        assert table["packet_id"].nda.tolist() == [2 + i for i in events for _ in range(3)]
        for name, value in correct.items():
            assert table[name].nda.tolist() == [value] * len(times), name


def test_skimmed_like_the_peer(golden_daq: Path, tmp_path: Path) -> None:
    name = skim_orca_file(golden_daq / "synth-sis3302.orca", 3, tmp_path / "short.orca")
    assert Path(name).stat().st_size == 2288
    summary = build_raw(name, out_spec=str(tmp_path / "short.lh5"))
    assert (summary.packets, summary.resyncs, summary.problems) == (6, 0, [])
