"""The example of recorders in several formats: a run, and its files read back."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from sapwood.fileio import open as open_recording

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "recorders_root.py"


def payloads(path: Path, channel: int | None = None) -> list[bytes]:
    with open_recording(path) as reader:
        batches = [chunk.to_frames() for chunk in reader.chunks("frames")]
    return [bytes(f) for batch in batches for f in batch.frames() if channel in (None, f.channel)]


def test_one_run_in_five_formats(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLE), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = re.findall(r"^(run000001_\w+\.\w+): (\d+) frames recorded", done.stdout, re.MULTILINE)
    counts = {name.partition("_")[2]: int(count) for name, count in told}
    assert set(counts) == {"Rogue.dat", "Hdf5.h5", "Icf.sof", "Apx.apx", "Pymodaq.h5"}
    assert all(count > 10 for count in counts.values())
    files = {name: tmp_path / f"run000001_{name}" for name in counts}

    hdf5 = {number: payloads(files["Hdf5.h5"], number) for number in (0, 1, 2, 255)}
    rogue = {number: payloads(files["Rogue.dat"], number) for number in (0, 1, 2)}
    assert rogue == {number: hdf5[number] for number in (0, 1, 2)}
    assert hdf5[255][0].startswith(b"Top:\n")
    assert sorted(payloads(files["Icf.sof"])) == sorted(one for frames in rogue.values() for one in frames)
    assert payloads(files["Apx.apx"]) == [frame.rstrip(b"\xff") for frame in rogue[0]]
    with open_recording(files["Apx.apx"]) as reader:
        assert reader.info()["header"]["configuration"].startswith("Top:\n")
    with open_recording(files["Pymodaq.h5"]) as reader:
        chunks = list(reader.chunks("RawData/Detector000/Data1D/Ch000"))
    curves = np.concatenate([chunk["EnlData00"].values for chunk in chunks])
    assert curves.dtype == np.int16
    assert [curve.tobytes() for curve in curves] == rogue[2]
