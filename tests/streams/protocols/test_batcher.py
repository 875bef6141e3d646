"""Combiners, splitters and inverters as stages; and any bytes as super-frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood.errors import StreamError
from sapwood.fileio.rogue.superframe import split_superframe
from sapwood.streams import Frame, FrameBatch, Gap, Master, Slave
from sapwood.streams.protocols.batcher import (
    CombinerV1,
    CombinerV2,
    InverterV1,
    InverterV2,
    SplitterV1,
    SplitterV2,
)
from sapwood.streams.protocols.batcher_codec import Refused, combine, split, split_batch

KINDS = [(1, code) for code in range(6)] + [(2, 0)]
EACH_KIND = pytest.mark.parametrize(("version", "code"), KINDS)


class Sink(Slave):
    """Keeps what comes: frames as (bytes, channel, flags, error), gaps as such."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[Any] = []

    def _acceptFrame(self, frame: Frame) -> None:
        self.got.append((bytes(frame), frame.channel, frame.flags, frame.error))

    def _acceptGap(self, gap: Gap) -> None:
        self.got.append((gap.channel, gap.frames, gap.bytes, gap.reason))


def combiner(version: int, code: int, **bounds: int) -> Any:
    return CombinerV1(code, **bounds) if version == 1 else CombinerV2(**bounds)


def splitter(version: int) -> Any:
    return SplitterV1() if version == 1 else SplitterV2()


def row(frame: Frame) -> tuple[bytes, int, int, int]:
    return bytes(frame), frame.channel, frame.flags, 0


some_frames = st.lists(
    st.builds(
        lambda data, channel, flags: Frame(data, channel=channel, flags=flags),
        st.one_of(st.binary(max_size=80), st.integers(900, 1500).map(bytes)),
        st.integers(0, 255),
        st.integers(0, 0xFFFF),
    ),
    min_size=1,
    max_size=50,
)


@EACH_KIND
@given(frames=some_frames, in_batches=st.booleans())
@settings(deadline=None, max_examples=25)
def test_combined_and_split_again(version: int, code: int, frames: list[Frame], in_batches: bool) -> None:
    source, stage, apart, sink = Master(), combiner(version, code), splitter(version), Sink()
    source >> stage >> apart >> sink
    if in_batches:
        source._sendFrame(frames[0])
        if frames[1:]:
            source._sendBatch(FrameBatch.gather(frames[1:]))
    else:
        for frame in frames:
            source._sendFrame(frame)
    assert stage.getCount() == len(frames)
    stage.sendBatch()
    assert stage.getCount() == 0
    if apart.counters.dropped_total:  # less than a splitter takes
        assert sum(frame.size for frame in frames) <= 4
        assert sink.got[0][3] == "size"
    else:
        assert sink.got == [row(frame) for frame in frames]


@EACH_KIND
@pytest.mark.parametrize("sizes", [[100] * 40, [100] * 39 + [101], [101] + [100] * 39, [0] * 40, [7] * 33])
def test_many_of_one_size(version: int, code: int, sizes: list[int]) -> None:
    """The quick way for equal sub-frames finds what the steps find."""
    frames = [Frame(bytes([n]) * size, channel=n, flags=n << 8 | 1) for n, size in enumerate(sizes)]
    whole = combine(FrameBatch.gather(frames), version, code, 0)
    found = split(whole, version)
    assert isinstance(found, FrameBatch)
    assert [row(frame) for frame in found.frames()] == [row(frame) for frame in frames]


@EACH_KIND
def test_a_batch_of_superframes(version: int, code: int) -> None:
    """Views of the batch, in order, with the time of their super-frame; gaps where one is refused."""
    bodies = [[b"x" * 20, b"y" * 30], [b"z" * 40], [b"w" * 50]]
    whole = [
        combine(FrameBatch.gather([Frame(body, channel=n) for body in parts]), version, code, n)
        for n, parts in enumerate(bodies)
    ]
    bad = Frame(b"\x0f" * 99)
    wire = FrameBatch.gather([whole[0], whole[1], bad, whole[2]]).replace(time=np.array([10, 11, 12, 13]))
    parts = list(split_batch(wire, version))
    assert [type(part) for part in parts] == [FrameBatch, Refused, FrameBatch]
    assert [part.time.tolist() for part in parts if isinstance(part, FrameBatch)] == [[10, 10, 11], [13]]
    assert all(np.shares_memory(part.payload, wire.payload) for part in parts if isinstance(part, FrameBatch))
    source, stage, sink = Master(), splitter(version), Sink()
    source >> stage >> sink
    source._sendBatch(wire)
    assert [one[0] for one in sink.got] == [b"x" * 20, b"y" * 30, b"z" * 40, None, b"w" * 50]
    assert sink.got[3] == (None, 1, 99, "version")
    assert (stage.counters.frames, stage.counters.dropped) == (4, {"version": 1})


def test_bytes_of_the_specification() -> None:
    stage, sink = CombinerV1(1), Sink()
    stage >> sink
    for _ in range(258):
        stage._acceptFrame(Frame(b"abcde", channel=9, flags=0x0302))
        stage.sendBatch()
    data = bytes.fromhex("6162636465000000") + bytes.fromhex("0500000009020301")
    assert sink.got[0][0] == bytes.fromhex("11000000") + data
    assert sink.got[257][0] == bytes.fromhex("11010000") + data
    stage, sink = CombinerV2(), Sink()
    stage >> sink
    stage._acceptFrame(Frame(b"abc", channel=9, flags=0x0302))
    stage.sendBatch()
    assert sink.got[0][0] == bytes.fromhex("0200") + b"abc" + bytes.fromhex("03000000090203")


@pytest.mark.parametrize("version", [1, 2])
def test_nothing_to_send(version: int) -> None:
    stage, sink = combiner(version, 2), Sink()
    stage >> sink
    stage.sendBatch()
    stage._acceptBatch(FrameBatch.empty())
    stage.sendBatch()
    assert sink.got == []
    stage._acceptFrame(Frame(b"one"))
    stage.sendBatch()
    assert sink.got[0][0][1] == 0  # the first sequence number


def test_what_waits_is_not_changed_by_its_sender() -> None:
    stage, sink = CombinerV2(), Sink()
    stage >> SplitterV2() >> sink
    frame = Frame(b"before")
    stage._acceptFrame(frame)
    frame.write(b"after!")
    frame.channel = 7
    stage.sendBatch()
    assert sink.got == [(b"before", 0, 0, 0)]


def test_a_combiner_is_bounded() -> None:
    stage, sink = CombinerV1(2, maxBytes=100), Sink()
    stage >> sink
    stage._acceptFrame(Frame(bytes(60), channel=4))
    stage._acceptBatch(FrameBatch.gather([Frame(bytes(50), channel=5), Frame(bytes(40), channel=6)]))
    assert sink.got == [(5, 1, 50, "full")]
    assert stage.getCount() == 2
    assert (stage.counters.frames, stage.counters.bytes, stage.counters.dropped) == (3, 150, {"full": 1})
    stage.sendBatch()
    stage._acceptFrame(Frame(bytes(100)))
    assert stage.getCount() == 1


def test_no_such_width() -> None:
    for code in (-1, 6):
        with pytest.raises(StreamError, match=r"width code.*0\.\.5"):
            CombinerV1(code)


TAIL = bytes.fromhex("0800000001000002")
REFUSED = [
    (1, b"", "size"),
    (1, b"\x21" + bytes(14), "size"),
    (1, b"\x01" + bytes(14), "size"),
    (1, b"\x31" + bytes(22), "size"),  # 16 byte words: header and tail take 32
    (1, b"\x22" + bytes(31), "version"),
    (1, b"\x61" + bytes(200), "width"),
    (1, b"\x21" + bytes(7) + TAIL, "tail"),  # 8 bytes of data, no room
    (1, b"\x21" + bytes(7) + bytes(4) + bytes(8) + TAIL, "tail"),  # what is before is too short for a tail
    (1, b"\x21" + bytes(7) + b"\xff\xff\xff\xff" + bytes(4), "tail"),
    (2, b"\x02" + bytes(8), "size"),
    (2, b"\x01" + bytes(20), "version"),
    (2, b"\x02\x00" + bytes(3) + b"\x04\0\0\0\0\0\0", "tail"),
    (2, b"\x02\x00" + bytes(3) + b"\x02\0\0\0\0\0\0", "tail"),
]


@pytest.mark.parametrize(("version", "data", "reason"), REFUSED)
def test_refused(version: int, data: bytes, reason: str) -> None:
    stage, sink = splitter(version), Sink()
    stage >> sink
    stage._acceptFrame(Frame(data))
    stage._acceptBatch(FrameBatch.gather([Frame(data), Frame(data)]))
    assert sink.got == [(None, 1, len(data), reason)] * 3
    assert stage.counters.dropped == {reason: 3}


@pytest.mark.parametrize("stage", [SplitterV1, SplitterV2, InverterV1, InverterV2])
def test_errored_superframes_are_dropped(stage: Any) -> None:
    version = int(stage.__name__[-1])
    whole = combine(FrameBatch.gather([Frame(bytes(30))]), version, 2, 0)
    whole.setError(1)
    unit, sink = stage(), Sink()
    unit >> sink
    unit._acceptFrame(whole)
    unit._acceptBatch(FrameBatch.gather([whole, whole]))
    assert unit.counters.dropped == {"error": 3}
    assert [one[3] for one in sink.got] == ["error"] * 3


@pytest.mark.parametrize("code", [0, 1])
def test_narrow_words_are_not_inverted(code: int) -> None:
    stage, sink = InverterV1(), Sink()
    stage >> sink
    stage._acceptFrame(combine(FrameBatch.gather([Frame(bytes(30))]), 1, code, 0))
    assert stage.counters.dropped == {"width": 1}
    assert [one[3] for one in sink.got] == ["width"]


@given(frames=some_frames, kind=st.sampled_from([kind for kind in KINDS if kind[0] == 2 or kind[1] >= 2]))
@settings(deadline=None, max_examples=60)
def test_inverted_is_what_readers_of_files_want(frames: list[Frame], kind: tuple[int, int]) -> None:
    version, code = kind
    whole = combine(FrameBatch.gather(frames), version, code, 5)
    whole.setChannel(3)
    if whole.size < 16:
        return
    before = bytes(whole)
    stage, sink = (InverterV1() if version == 1 else InverterV2()), Sink()
    stage >> sink
    stage._acceptFrame(whole)
    assert bytes(whole) == before
    [(data, channel, _, _)] = sink.got
    assert channel == 3
    parts = split_superframe(memoryview(data))
    assert [
        (data[at : at + head.size], head.tdest, head.fUser | head.lUser << 8, 0) for head, at in parts
    ] == [row(frame) for frame in frames]


@given(
    st.one_of(
        st.binary(max_size=200),
        st.tuples(st.sampled_from([1, 2, 0x11, 0x21, 0x31, 0x51]), st.binary(max_size=150)).map(
            lambda parts: bytes([parts[0], 0]) + parts[1]
        ),
        st.tuples(st.sampled_from([1, 2, 0x11, 0x21]), st.lists(st.integers(0, 9), max_size=40)).map(
            lambda parts: bytes([parts[0], 0]) + b"".join(bytes([n, 0, 0, 0, 0, 0, 0, 0]) for n in parts[1])
        ),
    ),
    st.sampled_from([1, 2]),
)
@settings(deadline=None, max_examples=300)
def test_any_bytes_are_a_superframe_or_refused(data: bytes, version: int) -> None:
    one = split(Frame(data), version)
    [many] = split_batch(FrameBatch.gather([Frame(data)]), version)
    if isinstance(one, Refused):
        assert many == one
        return
    assert isinstance(many, FrameBatch)
    rows = [row(frame) for frame in one.frames()]
    assert rows == [row(frame) for frame in many.frames()]
    again = combine(one, version, data[0] >> 4, data[1])
    assert again.size == len(data)
    assert one.nbytes < len(data)
    made = split(again, version)
    assert isinstance(made, FrameBatch)
    assert [row(frame) for frame in made.frames()] == rows
