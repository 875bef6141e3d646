"""`Replay`: recordings of any format with frames, at the pace wanted."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sapwood import fileio
from sapwood.errors import FileError
from sapwood.fileio import Replay, StreamWriter, TableInfo, registry
from sapwood.fileio import replay as module
from sapwood.streams import FrameBatch, Gap, Master, Slave

WAIT_S = 20.0


class Sink(Slave):
    def __init__(self) -> None:
        super().__init__()
        self.batches: list[FrameBatch] = []
        self.when: list[float] = []
        self.gaps: list[Gap] = []
        self.news = threading.Condition()
        self.fail = False

    def _acceptBatch(self, batch: FrameBatch) -> None:
        with self.news:
            self.batches.append(batch)
            self.when.append(time.monotonic())
            self.news.notify_all()
        if self.fail:
            raise OSError("no room")

    def _acceptGap(self, gap: Gap) -> None:
        self.gaps.append(gap)

    def wait(self, frames: int) -> None:
        with self.news:
            assert self.news.wait_for(lambda: self.frames >= frames, WAIT_S)

    @property
    def frames(self) -> int:
        return sum(map(len, self.batches))


def batch(count: int, times: Any = 0) -> FrameBatch:
    rows = np.zeros((count, 20), np.uint8)
    rows[:, :4] = np.arange(count, dtype="<u4").view(np.uint8).reshape(-1, 4)
    return FrameBatch.from_rows(rows, channel=3, flags=np.arange(count) % 7, error=1, time=times)


class TimedReader(fileio.Reader):
    """100 frames, two milliseconds apart; some of them without a time."""

    def tables(self) -> list[TableInfo]:
        return [TableInfo.of_frames(100, 2000)]

    def batches(self, *, nbytes: int = 0) -> Iterator[FrameBatch]:
        times = 10**18 + np.arange(100) * 2_000_000
        times[1::10] = 0
        whole = batch(100, times)
        yield whole[:35]
        yield whole[35:]

    def close(self) -> None:
        return


class TimedFormat(fileio.Format):
    name = "timed"

    def detect(self, head: bytes, path: str) -> int:
        return 2 * head.startswith(b"timed")

    def open(self, path: Any, **options: Any) -> TimedReader:
        return TimedReader()


@pytest.fixture
def timed(tmp_path: Path) -> Iterator[Path]:
    fileio.register(TimedFormat())
    (tmp_path / "some.timed").write_bytes(b"timed")
    yield tmp_path / "some.timed"
    registry._loaded.pop("timed")


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A Rogue file of 5000 frames, which has no times."""
    writer, source = StreamWriter(), Master()
    source >> writer.getChannel(0)
    writer.open(tmp_path / "plain.dat")
    source._sendBatch(batch(5000))
    writer.close()
    return tmp_path / "plain.dat"


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def played(sink: Sink) -> Iterator[Any]:
    made: list[Replay] = []

    def build(*args: Any, **options: Any) -> Replay:
        replay = Replay(*args, **options)
        made.append(replay)
        replay >> sink
        return replay

    yield build
    for replay in made:
        replay.close()


def test_as_fast_as_possible(played: Any, sink: Sink, plain: Path) -> None:
    replay = played("fast", loops=3)
    replay.open(plain)
    replay.closeWait()
    got = FrameBatch.concat(sink.batches)
    assert got.compact().payload.reshape(3, 5000, 20)[:, :, :4].copy().view("<u4")[2, :, 0].tolist() == [
        *range(5000)
    ]
    assert set(got.channel.tolist()) == {3}
    assert got.flags.tolist() == [number % 7 for number in range(5000)] * 3
    assert (replay.getFrameCount(), replay.round, replay.getProgress()) == (15_000, 3, 1.0)
    assert not replay.isOpen()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that jumps to what is waited for: the times that were waited for."""
    waited: list[float] = [0.0]

    class Jump(module._Clock):
        def now(self) -> float:
            return waited[-1]

        def wait_until(self, due: float) -> None:
            if due > waited[-1]:
                waited.append(due)

    monkeypatch.setattr(module, "_Clock", Jump)
    return waited


def test_at_the_recorded_pace(played: Any, sink: Sink, timed: Path, clock: list[float]) -> None:
    replay = played("recorded", loops=2)
    replay.open(timed)
    replay.closeWait()
    assert sink.frames == 200
    round_one = [0.002 * number for number in range(100) if number % 10 != 1]
    assert clock == pytest.approx([*round_one, *(0.198 + due for due in round_one[1:])])
    assert FrameBatch.concat(sink.batches).time[100] == 10**18


@pytest.mark.parametrize(("options", "last"), [(("recorded", 4.0), 0.0495), (("rate", 200.0), 99 / 200)])
def test_at_another_pace(
    played: Any, sink: Sink, timed: Path, clock: list[float], options: Any, last: float
) -> None:
    pace, number = options
    replay = played(pace, **({"speed": number} if pace == "recorded" else {"rate": number}))
    replay.open(timed)
    replay.closeWait()
    assert sink.frames == 100
    assert clock[-1] == pytest.approx(last, abs=0.0011)


def test_the_real_clock_is_kept(played: Any, sink: Sink, timed: Path) -> None:
    replay = played("recorded")
    replay.open(timed)
    replay.closeWait()
    assert sink.when[-1] - sink.when[0] >= 0.19
    assert len(sink.batches) > 10


def test_pause_resume_and_stop(played: Any, sink: Sink, plain: Path) -> None:
    replay = played("rate", rate=1000.0, loops=0)
    replay.open(plain)
    sink.wait(5)
    replay.pause()
    assert replay.isPaused()
    threading.Event().wait(0.2)  # longer than any wait of the thread
    held = sink.frames
    threading.Event().wait(0.05)
    assert sink.frames == held
    assert replay.isOpen()
    replay.resume()
    sink.wait(held + 1)
    replay.pause()
    replay.close()
    assert not replay.isOpen()
    replay.setPace("fast", loops=0)
    replay.open(plain)
    sink.wait(20_000)
    replay._stop()
    assert not replay.isOpen()
    assert replay.round > 1


def test_a_failing_slave_is_counted(played: Any, sink: Sink, plain: Path) -> None:
    sink.fail = True
    replay = played("fast")
    replay.open(plain)
    replay.closeWait()
    assert sink.frames == 5000
    assert replay.counters.errors == len(sink.batches)
    assert replay.lastError == "no room"


def test_damage_is_told(played: Any, sink: Sink, plain: Path) -> None:
    with plain.open("ab") as file:
        file.write(b"\x50\0\0\0\0\0\0\0half")
    replay = played("fast", loops=2)
    replay.open(plain)
    replay.closeWait()
    assert sink.frames == 10_000
    assert [(gap.reason, gap.frames) for gap in sink.gaps] == [("damaged", 1)] * 2


def test_what_cannot_be_played(played: Any, plain: Path, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no times"):
        played("recorded").open(plain)
    with pytest.raises(FileError):
        played("fast").open(tmp_path / "none.dat")
    for wrong in ({"speed": 0}, {"rate": -1.0}, {"loops": -1}, {"pace": "slow"}, {"rate": float("inf")}):
        with pytest.raises(FileError):
            Replay(**wrong)


def test_an_empty_recording_ends(played: Any, tmp_path: Path) -> None:
    writer = StreamWriter()
    writer.open(tmp_path / "empty.dat")
    writer.close()
    replay = played("recorded", loops=0)
    replay.open(tmp_path / "empty.dat", "rogue")
    replay.closeWait()
    assert replay.getProgress() == 1.0
