"""The example of a scan runs, and its file opens in viewers at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sapwood.fileio.hdf5 import h5py
from sapwood.fileio.pymodaq.loader import DataLoader

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "scan_root.py"
WAIT_S = 60


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The file, and what the script printed."""
    folder = tmp_path_factory.mktemp("scan")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLE), "sample.h5"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder / "sample.h5", done.stdout


def test_the_script_says_what_it_did(scan: tuple[Path, str]) -> None:
    assert scan[1].splitlines() == [
        "sample.h5: 33 of 33 points",
        "Power in mW over Top.Stage.X (mm) x Top.Stage.Y (mm): (11, 3)",
    ]
    with DataLoader(scan[0]) as loader:
        spectra = loader.load_data_from_name_origin("Spectrum", "Top.Spectrometer")
    assert spectra.shape == (11, 3, 256)
    assert spectra.data[0][10, 0].argmax() == 170  # 600 nm


def test_viewers_find_something_to_plot(scan: tuple[Path, str]) -> None:
    with h5py().File(scan[0]) as file:
        entry = file[file.attrs["default"]]
        plot = entry[entry.attrs["default"]]
        signal = plot[plot.attrs["signal"]]
        assert signal.ndim == len(plot.attrs["axes"])


def test_silx_plots_the_scan(scan: tuple[Path, str]) -> None:
    nxdata = pytest.importorskip("silx.io.nxdata", reason="silx, the judge, is not installed")
    silx_io = pytest.importorskip("silx.io", reason="silx, the judge, is not installed")
    with silx_io.open(str(scan[0])) as file:
        plot = nxdata.get_default(file)
        assert plot is not None
        assert plot.is_valid
        assert plot.signal.shape[:2] == (11, 3)


def test_the_root_is_a_target_of_run(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sapwood", "run", f"{EXAMPLE}:ScanRoot", "--port", "0", "--for", "0.1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=True,
    )
    assert done.stdout.startswith("Serving Top at 127.0.0.1:")
    assert done.stderr == ""
