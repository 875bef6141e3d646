"""Readers of other processes, killed writers, and files that must not be destroyed."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from sapwood import fileio
from sapwood.errors import FileError
from sapwood.fileio.pymodaq.errors import SwmrError
from sapwood.fileio.pymodaq.opening import is_file_swmr_active
from sapwood.fileio.pymodaq.saver import H5SaverLowLevel
from sapwood.fileio.pymodaq.superblock import read_superblock

READER = """
import sys
from sapwood.fileio.pymodaq.saver import H5SaverLowLevel
reader = H5SaverLowLevel.from_file(sys.argv[1], mode="r")
node = reader.get_node("/RawData/Points")
for line in sys.stdin:
    print(len(node), node.shape, node.attrs["shape"], node[-1], flush=True)
"""

WRITER = """
import sys
import numpy as np
from sapwood.fileio.pymodaq import sharedfile
from sapwood.fileio.pymodaq.saver import H5SaverLowLevel
sharedfile.FLUSH_S = 0.05
saver = H5SaverLowLevel()
saver.init_file(sys.argv[1], new_file=True, swmr_mode="swmr" in sys.argv[2:])
node = saver.add_array("/RawData", "points", "data_enlargeable", enlargeable=True, data_dimension="Data0D")
saver.flush()
if "swmr" in sys.argv[2:] and "early" not in sys.argv[2:]:
    saver.enable_swmr()
print("made", flush=True)
row = 0
while True:
    node.append(np.array([float(row)]))
    if row % 1000 == 0:
        saver.add_log(f"line {row}")
    row += 1
"""


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "live.h5"


@pytest.fixture
def live(path) -> Iterator[H5SaverLowLevel]:
    """A file that is followed."""
    saver = H5SaverLowLevel()
    saver.init_file(path, new_file=True, swmr_mode=True)
    saver.add_array("/RawData", "points", "data_enlargeable", enlargeable=True, data_dimension="Data0D")
    saver.enable_swmr()
    yield saver
    saver.close_file()


def test_a_second_process_sees_rows_after_a_flush(live, path) -> None:
    node = live.get_node("/RawData/Points")
    live.set_swmr_flush_interval(5)
    node.append(np.arange(3.0))
    live.flush()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", READER, str(path)], **pipes) as reader:

        def seen() -> str:
            reader.stdin.write("\n")
            reader.stdin.flush()
            return reader.stdout.readline().strip()

        assert seen() == "3 (3,) (3,) 2.0"
        for row in range(3, 8):
            node.append(np.array([float(row)]))
            live.tick_flush()
        assert seen() == "8 (8,) (8,) 7.0"
        reader.stdin.close()
    assert reader.returncode == 0


def test_swmr_from_begin_to_end(live, path) -> None:
    assert (live.swmr_mode, live.is_swmr_active, live.is_swmr_compatible, live.is_swmr_capable) == (True,) * 4
    live.enable_swmr()
    assert is_file_swmr_active(path)
    assert read_superblock(path).version == 3
    node = live.get_node("/RawData/Points")
    node.append(np.arange(4.0))
    live.add_log("during")
    live.add_scan_group()
    live.finalize_swmr(keep_open=True)
    assert not live.is_swmr_active
    node.append(np.arange(2.0))
    live.close_file()
    assert not is_file_swmr_active(path)
    with h5py.File(path) as file:
        assert not file.attrs["swmr_active"]
        assert file["RawData/Points"].shape == (6,)
        assert b"(6,)" in file["RawData/Points"].attrs["shape"]
        assert file["RawData/Logger"].shape == (1,)
    live.finalize_swmr()
    assert not live.isopen()


def test_closing_finalizes(live, path) -> None:
    live.get_node("/RawData/Points").append(np.arange(4.0))
    live.close_file()
    assert not is_file_swmr_active(path)
    reader = H5SaverLowLevel.from_file(path, mode="r")
    assert decode_shape(reader) == (4,)
    reader.close_file()


def decode_shape(saver: H5SaverLowLevel) -> tuple[int, ...]:
    from sapwood.fileio.pymodaq.codec import decode

    return decode(saver.get_node("/RawData/Points").node.attrs["shape"])


def test_a_copy_of_a_live_file_is_finished(live, path, tmp_path) -> None:
    live.get_node("/RawData/Points").append(np.arange(4.0))
    live.save_file(tmp_path / "copy.h5")
    assert not is_file_swmr_active(tmp_path / "copy.h5")
    copy = H5SaverLowLevel.from_file(tmp_path / "copy.h5")
    assert decode_shape(copy) == (4,)
    copy.close_file()


def test_a_file_that_was_not_made_for_it_is_refused_and_kept(path) -> None:
    saver = H5SaverLowLevel.from_file(path)
    with pytest.raises(RuntimeError, match="not opened with swmr_mode"):
        saver.enable_swmr()
    saver.close_file()
    before = digest(path)
    with pytest.raises(SwmrError, match="not made for SWMR"):
        saver.init_file(path, swmr_mode=True)
    assert digest(path) == before
    reader = H5SaverLowLevel.from_file(path, swmr_mode=True, mode="r")
    reader.close_file()
    assert digest(path) == before


def test_files_that_cannot_be_opened_count_as_active(tmp_path) -> None:
    assert is_file_swmr_active(tmp_path / "none.h5")


class Killed:
    """A writer in another process, until it is killed."""

    def __init__(self, path: Path, *options: str) -> None:
        self.path = path
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), *options], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout.readline() == "made\n"

    def kill_when(self, rows: int) -> None:
        """Kill it as soon as that many rows can be read by others."""
        while self._rows() < rows:
            assert self.process.poll() is None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def _rows(self) -> int:
        try:
            with h5py.File(self.path, locking=False, swmr=read_superblock(self.path).in_use) as file:
                return file["RawData/Points"].shape[0]
        except (OSError, RuntimeError, KeyError):  # in the middle of a flush
            return 0


def test_a_killed_writer_leaves_a_readable_file(path) -> None:
    Killed(path).kill_when(1)
    saver = H5SaverLowLevel.from_file(path, mode="r")
    values = saver.get_node("/RawData/Points").read()
    assert len(values) >= 1
    assert np.array_equal(values, np.arange(float(len(values))))
    assert saver.logger_array.read()[0] == "line 0"
    saver.close_file()
    again = H5SaverLowLevel.from_file(path)
    again.get_node("/RawData/Points").append(np.array([-1.0]))
    assert len(again.get_node("/RawData/Points")) == len(values) + 1
    again.close_file()


def test_a_killed_swmr_writer(path, tmp_path) -> None:
    Killed(path, "swmr").kill_when(1)
    before = digest(path)
    assert fileio.detect(path).name == "pymodaq"
    for mode, new in (("a", False), ("a", True)):
        with pytest.raises(FileError, match="recover"):
            H5SaverLowLevel.from_file(path, mode=mode, new_file=new)
    with fileio.open(path) as reader:
        rows = reader.info()["tables"]["RawData"]
        assert rows >= 1
        values = next(iter(reader.chunks("RawData", nbytes=1 << 30)))["Points"].values
        assert np.array_equal(values, np.arange(float(len(values))))
    assert digest(path) == before
    report = fileio.find("pymodaq").recover(path, tmp_path / "whole.h5")
    assert report.good >= rows
    assert digest(path) == before
    again = H5SaverLowLevel.from_file(tmp_path / "whole.h5")
    assert len(again.get_node("/RawData/Points")) == rows == decode_shape(again)[0]
    again.get_node("/RawData/Points").append(np.array([1.0]))
    again.close_file()


def test_a_writer_killed_before_swmr_began(path, tmp_path) -> None:
    killed = Killed(path, "swmr", "early")
    killed.process.send_signal(signal.SIGKILL)
    killed.process.wait()
    killed.process.stdout.close()
    with pytest.raises(FileError, match="recover"):
        H5SaverLowLevel.from_file(path)
    report = fileio.find("pymodaq").recover(path, tmp_path / "whole.h5")
    assert report.status == "loss"
    H5SaverLowLevel.from_file(tmp_path / "whole.h5").close_file()


def test_a_live_file_is_not_replaced_or_opened_for_writing(path) -> None:
    killed = Killed(path, "swmr")
    try:
        for new in (False, True):
            with pytest.raises(FileError):
                H5SaverLowLevel.from_file(path, new_file=new, swmr_mode=True)
        reader = H5SaverLowLevel.from_file(path, mode="r", swmr_mode=True)
        reader.close_file()
    finally:
        killed.kill_when(1)


def test_a_failed_write_is_told_and_keeps_the_rows(path, monkeypatch) -> None:
    from sapwood.fileio.pymodaq import rows

    saver = H5SaverLowLevel.from_file(path)
    node = saver.add_array(
        "/RawData", "points", "data_enlargeable", enlargeable=True, data_dimension="Data0D", data_shape=(3,)
    )
    node.append(np.zeros(3))

    def refuse(*_: object) -> None:
        raise OSError("no space")

    with monkeypatch.context() as broken:
        broken.setattr(rows.FixedRows, "_put", refuse)
        with pytest.raises(FileError, match="no space"):
            saver.flush()
    assert saver.shared.handle["RawData/Points"].shape == (0, 3)
    saver.flush()
    assert node.read().tolist() == [[0, 0, 0]]
    saver.close_file()
