"""`StreamReader`: a recording as a stream."""

from __future__ import annotations

import hashlib
import logging
import struct
import threading
from pathlib import Path
from typing import Any

import pytest

from sapwood.errors import FileError
from sapwood.fileio import StreamReader
from sapwood.streams import Frame, FrameBatch, Slave

WAIT_S = 20


def record(channel: int, payload: bytes, flags: int = 0, error: int = 0) -> bytes:
    return struct.pack("<IHBB", len(payload) + 4, flags, error, channel) + payload


class Collector(Slave):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[list[Any]] = []

    def _acceptFrame(self, frame: Frame) -> None:
        digest = hashlib.sha256(frame.buffer).hexdigest()
        self.found.append([frame.channel, frame.error, frame.flags, frame.size, digest])


class Gate(Slave):
    """Holds every frame until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.opened = threading.Event(), threading.Event()
        self.count = 0

    def _acceptFrame(self, frame: Frame) -> None:
        self.count += 1
        self.entered.set()
        assert self.opened.wait(WAIT_S)


class Batches(Slave):
    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def _acceptBatch(self, batch: FrameBatch) -> None:
        self.sizes.append(len(batch))


def play(path: Path, slave: Slave) -> StreamReader:
    reader = StreamReader()
    reader >> slave
    reader.open(path)
    reader.closeWait()
    return reader


def reader_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("sapwood-reader")]


def test_golden_files_as_the_peer_sends_them(golden_rogue: Path, rogue_manifest: dict[str, Any]) -> None:
    for name, entry in rogue_manifest.items():
        wanted = entry["expect"].get("peer_StreamReader", entry["expect"].get("record_list"))
        if wanted is None or ".dat." in name:
            continue
        slave = Collector()
        reader = play(golden_rogue / name, slave)
        assert slave.found == wanted, name
        assert reader.getFrameCount() == len(wanted)
        assert reader.counters.errors == 0


@pytest.mark.parametrize("stem", ["split_buf.dat", "split_unbuf.dat"])
def test_a_chain_begins_with_part_1(golden_rogue: Path, rogue_manifest: dict[str, Any], stem: str) -> None:
    parts = [rogue_manifest[f"{stem}.{n}"]["expect"]["record_list"] for n in range(1, 6)]
    for name, wanted in ((f"{stem}.1", parts), (stem, parts), (f"{stem}.2", parts[1:2])):
        slave = Collector()
        play(golden_rogue / name, slave)
        assert slave.found == [item for part in wanted for item in part], name


def test_states_and_counts(tmp_path: Path) -> None:
    path = tmp_path / "noending"
    path.write_bytes(record(1, b"abc") * 100)
    reader, gate = StreamReader(), Gate()
    reader >> gate
    assert (reader.isOpen(), reader.isActive(), reader.getProgress()) == (False, False, 0.0)
    reader.close()
    reader.closeWait()  # nothing was opened
    assert reader_threads() == []
    reader.open(path)
    assert gate.entered.wait(WAIT_S)
    assert (reader.isOpen(), reader.isActive()) == (True, True)
    assert reader_threads() == ["sapwood-reader-noending"]
    gate.opened.set()
    reader.closeWait()
    assert (reader.isOpen(), reader.isActive(), reader.getProgress()) == (False, False, 1.0)
    assert reader.getFrameCount() == gate.count == 100
    assert reader.counters.bytes == 300
    assert reader_threads() == []
    reader.open(path)
    reader.closeWait()
    assert gate.count == 200
    assert reader.getFrameCount() == 100


def test_close_stops_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(record(1, bytes(10_000)) * 20_000)
    permits = threading.Semaphore(0)

    class Slow(Slave):
        def _acceptFrame(self, frame: Frame) -> None:
            assert permits.acquire(timeout=WAIT_S)
            self._frameCount += 1

    reader, slow = StreamReader(), Slow()
    reader >> slow
    reader.open(path)
    closer = threading.Thread(target=reader.close)
    closer.start()
    while closer.is_alive():
        permits.release()  # one more frame gets through
        closer.join(0.01)
    assert not reader.isOpen()
    assert slow.getFrameCount() < 1000
    assert reader_threads() == []


def test_a_slave_may_close(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(record(1, b"abc") * 100_000)
    reader = StreamReader()

    class Closer(Slave):
        def _acceptFrame(self, frame: Frame) -> None:
            reader.close()

    reader >> Closer()
    reader.open(path)
    reader.closeWait()
    assert not reader.isOpen()
    assert reader.getFrameCount() < 1000
    assert reader.counters.errors == 0


def test_open_while_open_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(record(1, b"abc") * 100_000)
    (tmp_path / "b.dat").write_bytes(record(2, b"abc") * 3)
    reader, slave = StreamReader(), Collector()
    reader >> slave
    reader.open(path)
    reader.open(tmp_path / "b.dat")
    reader.closeWait()
    assert [item[0] for item in slave.found[-3:]] == [2, 2, 2]
    assert sum(item[0] == 2 for item in slave.found) == 3
    assert len(slave.found) < 100_000


def test_frames_travel_in_batches(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(record(1, bytes(92)) * 100_000)
    slave = Batches()
    play(path, slave)
    assert sum(slave.sizes) == 100_000
    assert len(slave.sizes) < 100
    assert max(slave.sizes) <= (1 << 20) // 100 + 1


def test_records_without_payload_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(record(1, b"abc") + record(2, b"") + record(3, b"x") + record(4, b""))
    slave = Collector()
    play(path, slave)
    assert [item[0] for item in slave.found] == [1, 3]


def test_a_bad_length_word_ends_the_data(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(record(1, b"abc") + bytes(50))
    slave = Collector()
    play(path, slave)
    assert len(slave.found) == 1
    assert f"{path}, offset 11: bad length word 0" in caplog.text


def test_a_slave_that_raises_stops_neither_data_nor_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(record(1, b"abc") * 1000)

    class Broken(Slave):
        def _acceptBatch(self, batch: FrameBatch) -> None:
            raise RuntimeError("no room")

    reader, slave = StreamReader(), Collector()
    reader >> slave
    reader >> Broken()
    with caplog.at_level(logging.ERROR):
        reader.open(path)
        reader.closeWait()
    assert len(slave.found) == 1000
    assert reader.counters.errors > 0
    assert reader.lastError == "no room"
    assert len(caplog.records) == 1


def test_missing_files(tmp_path: Path) -> None:
    reader = StreamReader()
    for name in ("nowhere", "nowhere.dat", "nowhere.dat.1"):
        with pytest.raises(FileError, match=f"Failed to open data file: {tmp_path}/{name}"):
            reader.open(tmp_path / name)
        assert not reader.isOpen()
    (tmp_path / "empty").write_bytes(b"")
    reader.open(tmp_path / "empty")
    reader.closeWait()
    assert reader.getProgress() == 1.0


def test_a_slow_slave_gets_fewer_frames_at_once(tmp_path: Path) -> None:
    """So that a close, which waits for the frames on their way, returns soon."""
    path = tmp_path / "a.dat"
    path.write_bytes(record(1, b"x") * 30)

    class Slow(Batches):
        def _acceptBatch(self, batch: FrameBatch) -> None:
            super()._acceptBatch(batch)
            threading.Event().wait(0.11)

    slow = Slow()
    play(path, slow).closeWait()
    assert slow.sizes == [16, 4, *[1] * 10]
