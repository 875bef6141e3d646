"""`EventBuilder`: every frame comes out once, complete where all members came, flagged where not."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood.errors import LinkError, StreamError
from sapwood.streams import EventBuilder, Fifo, Frame, FrameBatch, Gap, Master, PayloadField, Slave, drain
from sapwood.streams.eventbuilder import DUPLICATE, INCOMPLETE, LATE, UNKEYED
from sapwood.streams.payloadfield import Unwrapper
from sapwood.streams.protocols import SplitterV1

WAIT_S = 20.0
LONG_S = 1000.0


class Sink(Slave):
    """Keeps events: flags, and the payloads of their members by channel."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[FrameBatch] = []
        self.gaps: list[Gap] = []
        self.order: list[str] = []
        self.news = threading.Condition()
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def _acceptBatch(self, batch: FrameBatch) -> None:
        self.entered.set()
        assert self.gate.wait(WAIT_S)
        with self.news:
            self.batches.append(batch)
            self.order.append("events")
            self.news.notify_all()

    def _acceptGap(self, gap: Gap) -> None:
        with self.news:
            self.gaps.append(gap)
            self.order.append("gap")
            self.news.notify_all()

    def events(self) -> list[tuple[int, list[tuple[int, bytes]]]]:
        found = []
        for batch in self.batches:
            for frame in batch.frames():
                splitter, keep = SplitterV1(), Members()
                splitter >> keep
                frame.error = 0
                splitter._acceptFrame(frame)
                found.append((frame.flags, keep.members))
        return found

    def wait(self, count: int) -> None:
        with self.news:
            assert self.news.wait_for(lambda: sum(map(len, self.batches)) >= count, WAIT_S)


class Members(Slave):
    def __init__(self) -> None:
        super().__init__()
        self.members: list[tuple[int, bytes]] = []

    def _acceptFrame(self, frame: Frame) -> None:
        self.members.append((frame.channel, bytes(frame)))


def frame(channel: int, key: int, size: int = 12, dtype: str = "<u4", **metadata: int) -> Frame:
    head = np.array([key]).astype(dtype).tobytes()
    return Frame(head + bytes([channel]) * (size - len(head)), channel=channel, **metadata)


def linked(*args: Any, **options: Any) -> tuple[Master, EventBuilder, Sink]:
    master, sink = Master(), Sink()
    options.setdefault("timeout", LONG_S)
    builder = EventBuilder(*args, **options)
    master >> builder >> sink
    return master, builder, sink


def balanced(builder: EventBuilder) -> bool:
    flow = builder.flow()
    return flow.accepted == flow.passed + flow.queued + flow.dropped and flow.queued >= 0


KEY = PayloadField(0, "<u4")


@st.composite
def streams(draw: st.DrawFn) -> tuple[int, list[list[tuple[int, int]]], list[int]]:
    """Window, the frames (channel, key) of each channel in order, and channels in order of arrival."""
    window = draw(st.sampled_from([0, 0, 3]))
    triggers = draw(st.integers(1, 12))
    ways: list[list[tuple[int, int]]] = [[], [], []]
    for trigger in range(triggers):
        for channel in range(3):
            if draw(st.integers(0, 4)):
                jitter = draw(st.integers(0, window)) if window else 0
                ways[channel].append((channel, 100 + trigger * (2 * window + 1) + jitter))
    turns = draw(st.permutations([channel for channel in range(3) for _ in ways[channel]]))
    return window, ways, turns


@settings(max_examples=150, deadline=None)
@given(given_streams=streams(), seed=st.integers(0, 99), ordered=st.booleans())
def test_any_interleaving(given_streams: Any, seed: int, ordered: bool) -> None:
    window, ways, turns = given_streams
    left = [iter(way) for way in ways]
    arrivals = [next(left[channel]) for channel in turns]
    master, builder, sink = linked(KEY, window, channels=range(3), ordered=ordered)
    rng = random.Random(seed)
    at = 0
    while at < len(arrivals):
        run = arrivals[at : at + rng.randint(1, 5)]
        at += len(run)
        if rng.random() < 0.5:
            master._sendBatch(FrameBatch.gather([frame(*one) for one in run]))
        else:
            for one in run:
                master._sendFrame(frame(*one))
    builder._stop()
    pitch = 2 * window + 1
    expected: dict[int, set[int]] = {}
    for channel, key in arrivals:
        expected.setdefault((key - 100) // pitch, set()).add(channel)
    found = {}
    for flags, members in sink.events():
        keys = [int.from_bytes(payload[:4], "little") for _, payload in members]
        (trigger,) = {(key - 100) // pitch for key in keys}
        assert trigger not in found  # one event frame each
        assert all(payload[4:] == bytes([channel]) * 8 for channel, payload in members)
        channels = {channel for channel, _ in members}
        assert len(channels) == len(members)
        assert flags == (0 if channels == {0, 1, 2} else INCOMPLETE)
        found[trigger] = channels
    assert found == expected
    assert list(found) == sorted(found)
    assert builder.complete + builder.incomplete == len(found)
    assert builder.flow() == (len(arrivals), len(arrivals), 0, 0)


@settings(max_examples=60, deadline=None)
@given(
    arrivals=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), max_size=40),
    window=st.sampled_from([0, 1]),
    limit=st.sampled_from([60, 1 << 20]),
)
def test_whatever_comes_every_frame_leaves_once(
    arrivals: list[tuple[int, int]], window: int, limit: int
) -> None:
    master, builder, sink = linked(KEY, window, channels=(0, 1, 2), maxBytes=limit)
    for number, (channel, key) in enumerate(arrivals):
        master._sendFrame(Frame(key.to_bytes(4, "little") + bytes([number] * 3), channel=channel))
        assert balanced(builder)
    builder._stop()
    came = sorted((channel, number) for number, (channel, _) in enumerate(arrivals) if channel != 3)
    assert (
        sorted((channel, payload[4]) for _, members in sink.events() for channel, payload in members) == came
    )
    foreign = len(arrivals) - len(came)
    assert builder.counters.dropped_total == foreign
    assert builder.flow() == (len(arrivals), len(came), 0, foreign)
    flags = [flag for flag, _ in sink.events()]
    assert (builder.late, builder.duplicate) == (flags.count(LATE), flags.count(DUPLICATE))
    assert (builder.complete, builder.incomplete) == (flags.count(0), flags.count(INCOMPLETE))


@pytest.mark.parametrize("dtype", ["<u1", "<u2", ">u2", "<u4", "<i2"])
@pytest.mark.parametrize("single", [False, True])
def test_counters_that_wrap(dtype: str, single: bool) -> None:
    kind = np.dtype(dtype)
    top = int(np.iinfo(kind).max)
    master, builder, sink = linked((1, dtype), channels=[4, 9])
    keys = (np.arange(top - 50, top + 50)).astype(kind)
    frames = [Frame(b"x" + key.tobytes(), channel=channel) for key in keys for channel in (9, 4)]
    for at in range(0, len(frames), 7):
        if single:
            for one in frames[at : at + 7]:
                master._sendFrame(one)
        else:
            master._sendBatch(FrameBatch.gather(frames[at : at + 7]))
    builder._stop()
    events = sink.events()
    assert [members for _, members in events] == [
        [(4, b"x" + key.tobytes()), (9, b"x" + key.tobytes())] for key in keys
    ]
    assert (builder.complete, builder.incomplete, builder.late) == (100, 0, 0)


@given(
    bits=st.sampled_from([8, 16, 32]),
    steps=st.lists(st.integers(-100, 100), min_size=1, max_size=200),
    chunk=st.integers(1, 50),
)
def test_counters_are_continued(bits: int, steps: list[int], chunk: int) -> None:
    true = np.cumsum([2**bits - 10, *steps])
    counts = true % 2**bits
    unwrap = Unwrapper(bits)
    got = np.concatenate([unwrap(counts[at : at + chunk]) for at in range(0, len(counts), chunk)])
    assert (got - got[0]).tolist() == (true - true[0]).tolist()


def test_metadata_of_an_event() -> None:
    master, builder, sink = linked("time", 10, channels=[0, 1], channel=7)
    batch = FrameBatch(
        bytes(40), [0, 10, 20, 30], 10, channel=[0, 1, 0, 1], flags=[1, 0x200, 3, 4],
        error=[0, 0x80, 1, 2], time=[1000, 1005, 2010, 2001],
    )  # fmt: skip
    master._sendBatch(batch)
    builder._stop()
    (events,) = sink.batches
    assert events.time.tolist() == [1000, 2001]
    assert events.error.tolist() == [0x80, 3]
    assert events.channel.tolist() == [7, 7]
    assert events.flags.tolist() == [0, 0]
    splitter, got = SplitterV1(), Sink()
    splitter >> got
    splitter._acceptBatch(events.replace(error=0))
    assert [part.flags.tolist() for part in got.batches] == [[1, 0x200, 3, 4]]


def test_an_event_that_stays_incomplete_leaves_in_time() -> None:
    master, builder, sink = linked(KEY, timeout=0.05, channels=[0, 1])
    master._sendFrame(frame(0, 5))
    sink.wait(1)
    assert sink.events() == [(INCOMPLETE, [(0, bytes(frame(0, 5)))])]
    master._sendFrame(frame(1, 5))  # too late
    sink.wait(2)
    assert sink.events()[1] == (LATE, [(1, bytes(frame(1, 5)))])
    assert (builder.incomplete, builder.late) == (1, 1)
    builder._stop()


def test_an_event_is_overtaken_by_those_that_miss_in_it() -> None:
    master, builder, sink = linked(KEY, channels=[0, 1, 2])
    for channel, key in ((0, 1), (1, 1), (0, 2), (1, 2)):
        master._sendFrame(frame(channel, key))
    master._sendFrame(frame(2, 2))
    sink.wait(2)
    assert [flags for flags, _ in sink.events()] == [INCOMPLETE, 0]
    master._sendFrame(frame(0, 3))
    assert builder._queue.wait_idle(time.monotonic() + WAIT_S)
    assert builder.size() == 1
    master._sendFrame(frame(1, 4))
    master._sendFrame(frame(2, 4))
    sink.wait(3)
    assert builder.incomplete == 2
    builder._stop()
    assert sum(map(len, sink.batches)) == 4


def test_duplicates_and_frames_without_key() -> None:
    master, builder, sink = linked(KEY, channels=[0, 1])
    master._sendBatch(
        FrameBatch.gather([frame(0, 1), frame(0, 1, 20), Frame(b"abc", channel=1), frame(1, 1)])
    )
    builder._stop()
    assert [(flags, len(members)) for flags, members in sink.events()] == [
        (UNKEYED, 1),
        (0, 2),
        (DUPLICATE, 1),
    ]
    assert (builder.complete, builder.duplicate, builder.unkeyed) == (1, 1, 1)


def test_the_bound_on_memory_lets_the_oldest_go() -> None:
    master, builder, sink = linked(KEY, channels=[0, 1], maxBytes=4000)
    for key in range(100):
        master._sendFrame(frame(0, key, 100))
    assert drain_queue(builder)
    assert builder._assembly.nbytes <= 2000
    assert builder.incomplete == 80
    builder._stop()
    assert [members[0][1][0] for _, members in sink.events()] == list(range(100))


def drain_queue(builder: EventBuilder) -> bool:
    return builder._queue.wait_idle(time.monotonic() + WAIT_S)


def test_few_frames_that_wait_do_not_keep_a_large_batch() -> None:
    master, builder, _ = linked(KEY, channels=[0, 1])
    rows = np.zeros((4000, 100), np.uint8)
    rows[:, :4] = np.arange(4000, dtype="<u4").view(np.uint8).reshape(-1, 4)
    master._sendBatch(FrameBatch.from_rows(rows[:3990], channel=1))
    master._sendBatch(FrameBatch.from_rows(rows, channel=0))
    assert drain_queue(builder)
    assert builder.complete == 3990
    (load,) = builder._assembly._loads.values()
    assert (len(load), len(load.payload)) == (10, 1000)
    builder._stop()
    assert builder.incomplete == 10


def test_functions_as_keys() -> None:
    def key(one: Frame) -> int:
        return bytes(one).index(b"k")

    def keys(batch: FrameBatch) -> np.ndarray[Any, Any]:
        return np.array([key(one) for one in batch.frames()])

    for options in ({}, {"keys": keys}):
        master, builder, sink = linked(key, channels=[0, 1], **options)
        frames = [Frame(b"..k", channel=0), Frame(b".k", channel=0), Frame(b"..k+", channel=1)]
        master._sendBatch(FrameBatch.gather(frames))
        builder._stop()
        assert [members for _, members in sink.events()] == [[(0, b".k")], [(0, b"..k"), (1, b"..k+")]]
    master, builder, sink = linked(key, channels=[0, 1])
    master._sendBatch(FrameBatch.gather([Frame(b"none"), Frame(b"k")]))
    builder._stop()
    assert [flags for flags, _ in sink.events()] == [UNKEYED, INCOMPLETE]
    assert (builder.counters.errors, str(builder.lastError)) == (1, "subsection not found")
    master, builder, sink = linked(key, channels=[0], keys=lambda batch: [1, 2, 3])
    master._sendFrame(Frame(b"k"))
    builder._stop()
    assert builder.unkeyed == 1


def test_inputs_count_as_channels() -> None:
    builder, sink, masters = EventBuilder(KEY, channels=[1, 2], timeout=LONG_S), Sink(), [Master(), Master()]
    builder >> sink
    for number, master in enumerate(masters, start=1):
        master >> Fifo() >> builder.getChannel(number)
    masters[0]._sendFrame(frame(0, 3))
    masters[1]._sendBatch(FrameBatch.gather([frame(0, 3), frame(0, 4)]))
    assert all(drain(master, time.monotonic() + 1) for master in masters)
    builder._stop()
    assert [[channel for channel, _ in members] for _, members in sink.events()] == [[1, 2], [2]]
    with pytest.raises(
        LinkError, match="ring of stages that forward: _Input -> EventBuilder -> Fifo -> _Input"
    ):
        builder >> Fifo() >> builder.getChannel(1)


def test_gaps_pass_and_foreign_channels_are_counted() -> None:
    master, builder, sink = linked(KEY, channels=[0])
    gap = Gap(0, 3, 30, "full")
    master._sendFrame(frame(0, 1))
    master._sendGap(gap)
    master._sendFrame(frame(5, 1))
    master._sendFrame(frame(0, 2))
    builder._stop()
    assert sink.gaps[0] == gap
    assert sink.order[:2] == ["events", "gap"]
    assert (sink.gaps[1].reason, sink.gaps[1].frames) == ("channel", 1)
    assert builder.flow() == (3, 2, 0, 1)


def test_a_drain_finds_what_was_worked_on_when_its_patience_was_over() -> None:
    entered, gate = threading.Event(), threading.Event()

    def key(frame: Frame) -> int:
        entered.set()
        assert gate.wait(WAIT_S)
        return 1

    builder, sink, source = EventBuilder(key, timeout=LONG_S, channels=[0, 1]), Sink(), Master()
    builder._timeout = 0.001  # the patience of a drain; events wait on
    source >> builder >> sink
    source._sendFrame(Frame(b"half"))
    assert entered.wait(WAIT_S)
    drained: list[bool] = []
    drainer = threading.Thread(target=lambda: drained.append(builder._drain(time.monotonic() + WAIT_S)))
    drainer.start()
    drainer.join(0.1)  # so that it waits for the thread, which stands in the key
    gate.set()
    drainer.join(WAIT_S)
    assert drained == [True]
    assert sink.events() == [(INCOMPLETE, [(0, b"half")])]
    builder._stop()


def test_a_drain_passes_on_what_misses_members() -> None:
    master, builder, sink = linked(KEY, channels=[0, 1])
    master._sendFrame(frame(0, 1))
    assert drain(master, time.monotonic() + 0.5)
    assert builder.incomplete == 1
    master._sendFrame(frame(0, 2))
    builder.flush()
    sink.wait(2)
    master._sendFrame(frame(0, 3))
    builder.reset()
    for channel in (0, 1):  # numbers begin again
        master._sendFrame(frame(channel, 1))
    sink.wait(4)
    assert (builder.complete, builder.late) == (1, 0)
    builder._stop()


def test_abort_drops_and_a_start_begins_anew() -> None:
    master, builder, sink = linked(KEY, channels=[0, 1])
    for key in range(10):
        master._sendFrame(frame(0, key))
    assert drain_queue(builder)
    builder.abort()
    assert builder.counters.dropped == {"aborted": 10}
    assert builder.flow() == (10, 0, 0, 10)
    master._sendFrame(frame(0, 11))
    assert builder.counters.dropped["stopped"] == 1
    builder._start()
    for channel in (1, 0):
        master._sendFrame(frame(channel, 3))
    builder._stop()
    assert [flags for flags, _ in sink.events()] == [0]
    assert builder.flow() == (13, 2, 0, 11)


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sapwood.streams.fifo._DRAIN_S", 0.05)
    monkeypatch.setattr("sapwood.streams.fifo._JOIN_S", 0.05)


@pytest.mark.usefixtures("stuck")
@pytest.mark.parametrize("how", ["_stop", "abort"])
def test_a_sink_that_does_not_return(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sapwood.streams.eventbuilder._PIECE_BYTES", 1)
    master, builder, sink = linked(KEY, channels=[0, 1])
    sink.gate.clear()
    master._sendBatch(FrameBatch.gather([frame(channel, key) for key in (1, 2) for channel in (0, 1)]))
    assert sink.entered.wait(WAIT_S)
    master._sendFrame(frame(0, 9))
    getattr(builder, how)()
    assert balanced(builder)
    worker = next(
        thread for thread in threading.enumerate() if thread.name == f"EventBuilder-{id(builder):x}"
    )
    sink.gate.set()
    worker.join(WAIT_S)
    assert builder.flow().queued == 0
    assert balanced(builder)
    assert 5 - builder.flow().passed == builder.counters.dropped_total > 0


def test_a_failing_sink_is_counted() -> None:
    class Failing(Slave):
        def _acceptFrame(self, item: Frame) -> None:
            raise OSError("no room")

    master, builder, sink = linked(KEY, channels=[0])
    builder >> Failing()
    for key in range(3):
        master._sendFrame(frame(0, key))
        assert builder._drain(time.monotonic() + WAIT_S)
    builder._stop()
    assert builder.counters.errors == 3
    assert len(sink.events()) == 3


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((KEY, -1), {}),
        ((KEY, 0, 0), {}),
        ((3,), {}),
        ((KEY,), {"channels": []}),
        ((KEY,), {"channels": [256]}),
        ((KEY,), {"widthCode": 6}),
        ((KEY,), {"bits": 65}),
        (((-1, "<u4"),), {}),
        (((0, "<f4"),), {}),
    ],
)
def test_bad_arguments(arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    with pytest.raises(StreamError):
        EventBuilder(*arguments, **{"channels": [0], **options})
