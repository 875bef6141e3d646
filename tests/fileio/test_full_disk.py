"""HDF5 writers on a disk that fills up: an error that names it, no crash, and the process goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("h5py")

CHILD = """
import gc, resource, sys
from pathlib import Path
import numpy as np
from sapwood import fileio
from sapwood.errors import FileError

name, folder, limit = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
path = folder / "full.h5"
values = np.random.default_rng(1).normal(size=(4000, 125))


def icf(target):
    from sapwood.streams import FrameBatch
    source = Path(sys.argv[4]) / "source.sof"
    with fileio.RawObjectWriterBase(source, compressor=None) as writer:
        writer.write_frames(FrameBatch.from_rows(values.view(np.uint8)))
    return lambda compression: fileio.convert(source, target, compression=compression)


def convert(): icf(path)(None)
def convert_packed(): icf(path)("gzip")
def convert_lh5(): icf(path.with_suffix(".lh5"))(None)


def live():
    from sapwood.fileio.sinks.hdf5growing import LiveHdf5Sink
    from sapwood.fileio.table import Table, TableInfo
    from sapwood.streams import FrameBatch
    sink = LiveHdf5Sink(path, [TableInfo.of_frames(0, 0)])
    for first in range(0, len(values), 100):
        rows = values[first:first + 100].view(np.uint8)
        sink.write(Table.from_frames(FrameBatch.from_rows(rows)))
        sink.sync()
    sink.close()


def slow_signal(buffer=1000):
    from sapwood.fileio.icf import SSReadout
    data = np.resize(values, (16, 32, 64))
    with fileio.SSDataWriter(path, buffer=buffer) as writer:
        for number in range(3000):
            writer.write(SSReadout(number, number, data[number % 16] + number))


def slow_signal_row_by_row(): slow_signal(1)


def pymodaq(use, swmr=False):
    from sapwood.fileio.pymodaq import H5SaverLowLevel
    saver = H5SaverLowLevel("detector")
    saver.init_file(path, new_file=True, swmr_mode=swmr)
    try:
        use(saver, saver.add_det_group(saver.raw_group))
    finally:
        saver.close_file()


def append(saver, group):
    array = saver.add_array(group, "a", "data_enlargeable", data_shape=(125,), array_type=np.float64,
                            data_dimension="Data1D", enlargeable=True)
    if saver.swmr_mode:
        saver.enable_swmr()
        saver.set_swmr_flush_interval(10)
    for row in values:
        array.append(row)
        saver.tick_flush()


def small_arrays(saver, group):
    for number, row in enumerate(values):
        saver.add_array(group, f"a{number}", "data", array_to_save=row, data_dimension="Data1D")


def texts(saver, group):
    array = saver.add_string_array(group, "texts")
    for number in range(3000):
        array.append(f"{number}" * 1000)


def points(saver, group):
    from sapwood.fileio.pymodaq import DataExtendedSaver, DataRaw
    scan = DataExtendedSaver(saver, (60, 60))
    for number in range(3600):
        scan.add_data(group, DataRaw("d", data=[values[number]]), divmod(number, 60))


def timed(saver, group):
    from sapwood.fileio.pymodaq import DataRaw, DataToExport, DataToExportTimedSaver
    scan = DataToExportTimedSaver(saver)
    for row in values:
        scan.add_data(group, DataToExport("e", data=[DataRaw("d", data=[row])]))


def pymodaq_append(): pymodaq(append)
def pymodaq_live(): pymodaq(append, True)
def pymodaq_arrays(): pymodaq(small_arrays)
def pymodaq_texts(): pymodaq(texts)
def pymodaq_points(): pymodaq(points)
def pymodaq_timed(): pymodaq(timed)


def lh5(keep_open=False):
    from sapwood.fileio import lh5
    with lh5.LH5Store(keep_open=keep_open) as store:
        for rows in values.reshape(-1, 1250):
            store.write(lh5.Table({"a": lh5.Array(rows)}), "raw", path)


def lh5_kept_open(): lh5(True)


if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
try:
    globals()[name]()
except FileError as error:
    print(error.seen)
gc.collect()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
path = Path(sys.argv[4]) / "other.h5"  # other files are written as ever
values = values[:, :1]
pymodaq(lambda saver, to: saver.add_array(to, "a", "data", array_to_save=values, data_dimension="Data2D"))
with fileio.open(path) as reader:
    assert sum(map(len, reader.chunks("RawData/Detector000"))) == 4000
print("well")
"""
CASES = [
    "convert", "convert_packed", "convert_lh5", "live", "slow_signal", "slow_signal_row_by_row",
    "pymodaq_append", "pymodaq_live", "pymodaq_arrays", "pymodaq_texts", "pymodaq_points", "pymodaq_timed",
    "lh5", "lh5_kept_open",
]  # fmt: skip


@pytest.fixture(params=["small disk", "size limit"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A folder for 1 MB, and the limit of the size of a file that makes it so, or 0."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if request.param == "size limit":
        yield folder, 1_000_000
        return
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small tmpfs needs root")
    yield folder, 0
    subprocess.run(["umount", str(folder)], check=True)  # noqa: S607  # wherever the system has it


@pytest.mark.parametrize("name", CASES)
def test_the_disk_is_full(name: str, place: tuple[Path, int], tmp_path: Path) -> None:
    folder, limit = place
    command = [sys.executable, "-X", "faulthandler", "-c", CHILD, name, folder, str(limit), tmp_path]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    reason = "File too large" if limit else "No space left on device"
    assert ran.stdout.splitlines() == [reason, "well"]
    if name.startswith("convert"):
        assert os.listdir(folder) == []


def test_a_file_that_cannot_be_begun_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHILD, "pymodaq_append", tmp_path, "10", tmp_path]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (ran.returncode, ran.stdout.splitlines()) == (0, ["File too large", "well"])
    assert os.listdir(tmp_path) == ["other.h5"]
