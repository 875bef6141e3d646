"""Stages between source and recorder, in CPU time: filters, event builder, replay, framing of bytes.

Stated figures: 5 M frames a second in batches, and 2.5 us a frame one by one, through five filters into
a recorder; the others are compared with the plain copy of the same bytes.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from sapwood.fileio import Replay, StreamWriter
from sapwood.streams import EventBuilder, Filter, Frame, FrameBatch, Master, PayloadField, Slave
from sapwood.streams.protocols.framer import Framer
from sapwood.streams.protocols.framing import Delimited, FixedSize, Framing, LengthPrefix, SyncWord

pytestmark = [pytest.mark.benchmark(timer=time.process_time), pytest.mark.timeout(600)]

SIZE = 100
BATCHES, RUN = 20, 10_000


def rows(count: int, first: int = 0) -> np.ndarray:
    table = np.zeros((count, SIZE), np.uint8)
    table[:, :4] = np.arange(first, first + count, dtype="<u4").view(np.uint8).reshape(-1, 4)
    return table


@pytest.fixture
def chain(folder: Path):
    """A source, five filters and an open recorder; on disk the kernel's work for it counts too."""
    source, writer = Master(), StreamWriter()
    last = source
    for _ in range(5):
        last = last >> Filter(True, 3)
    last >> writer.getChannel(0)
    writer.setBufferSize(1 << 20)
    writer.open(folder / "chain.dat")
    yield source
    writer.close()


def test_five_filters_in_batches(race, chain) -> None:
    batch = FrameBatch.from_rows(rows(RUN), channel=3)

    def send() -> None:
        for _ in range(BATCHES):
            chain._sendBatch(batch)

    count = BATCHES * RUN
    race("5 filters -> StreamWriter, 100 B, batches", send, count / 5e6,
         named="5 M frames/s, stated", amount=count / 1e6, unit="M frames/s", floor=1)  # fmt: skip


def test_five_filters_one_by_one(race, chain) -> None:
    frames = [Frame(bytes(SIZE), channel=3) for _ in range(50_000)]

    def send() -> None:
        for frame in frames:
            chain._sendFrame(frame)

    race("the same, one by one", send, len(frames) * 2.5e-6,
         named="2.5 us a frame, stated", amount=len(frames) / 1e6, unit="M frames/s", floor=1)  # fmt: skip


def build(source: Master, builder: EventBuilder, batches: list[FrameBatch]) -> None:
    for batch in batches:
        source._sendBatch(batch)
    assert builder._drain(time.monotonic() + 60)
    builder.reset()


def test_event_builder_in_batches(race) -> None:
    source, builder = Master(), EventBuilder(PayloadField(0), channels=[0, 1, 2])
    source >> builder >> Slave()
    batches = [
        FrameBatch.from_rows(rows(RUN, at * RUN), channel=channel) for at in range(5) for channel in range(3)
    ]

    def copy() -> None:
        for batch in batches:
            batch.payload.copy()

    count = len(batches) * RUN
    race("EventBuilder, 3 channels x 100 B, batches", lambda: build(source, builder, batches), copy,
         named="a copy of the payload", amount=count / 1e6, unit="M frames/s")  # fmt: skip
    builder._stop()


def test_event_builder_one_by_one(race) -> None:
    source, builder = Master(), EventBuilder(PayloadField(0), channels=[0, 1, 2])
    source >> builder >> Slave()
    frames = [Frame(row.tobytes(), channel=channel) for row in rows(10_000) for channel in range(3)]

    def send() -> None:
        for frame in frames:
            source._sendFrame(frame)
        build(source, builder, [])

    race("the same, one by one", send, len(frames) * 2.5e-6,
         named="2.5 us a frame", amount=len(frames) / 1e6, unit="M frames/s")  # fmt: skip
    builder._stop()


def test_replay(race, tmp_path) -> None:
    source, writer = Master(), StreamWriter()
    source >> writer.getChannel(1)
    writer.open(tmp_path / "run.dat")
    for _ in range(BATCHES):
        source._sendBatch(FrameBatch.from_rows(rows(RUN)))
    writer.close()

    def play() -> None:
        replay = Replay("fast")
        replay >> Slave()
        replay.open(tmp_path / "run.dat")
        replay.closeWait()

    count = BATCHES * RUN
    race("Replay of a Rogue file, 100 B, as fast as it can", play, (tmp_path / "run.dat").read_bytes,
         named="reading the file", amount=count / 1e6, unit="M frames/s")  # fmt: skip


SYNC = b"\xaa\x55\xf0\x0f"
RULES: dict[str, tuple[Framing, bytes, bytes]] = {
    "fixed size": (FixedSize(SIZE), b"", b""),
    "length prefix": (LengthPrefix(4), SIZE.to_bytes(4, "little"), b""),
    "sync word": (SyncWord(SYNC), SYNC + SIZE.to_bytes(4, "little"), b""),
    "lines": (Delimited(), b"", b"\n"),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("mixed", [False, True], ids=["equal", "mixed"])
def test_framing(race, rule: str, mixed: bool) -> None:
    framing, head, tail = RULES[rule]
    count = 200_000
    if mixed and rule in ("length prefix", "sync word"):
        mark = head[:-4]
        sizes = np.random.default_rng(1).integers(50, 150, count).tolist()
        wire = b"".join(mark + size.to_bytes(4, "little") + bytes(size) for size in sizes)
    elif mixed:
        pytest.skip("sizes make no difference to this rule")
    else:
        wire = (head + bytes(SIZE) + tail) * count
    chunks = [wire[at : at + (1 << 18)] for at in range(0, len(wire), 1 << 18)]

    def cut() -> None:
        framer = Framer(framing)
        assert sum(len(item) for chunk in chunks for item in framer.feed(chunk)) == count

    def copy() -> None:
        for chunk in chunks:
            bytearray(chunk)

    what = f"framing by {rule}, {'50 to 149' if mixed else '100'} B"
    race(what, cut, copy, named="a copy of the bytes", amount=len(wire) / 1e6, unit="MB/s")
