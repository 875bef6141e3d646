"""`Filter`: frames of one channel, with counters, in batches as one by one."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapwood.errors import StreamError
from sapwood.streams import Filter, Frame, FrameBatch, Gap, Master, Slave


class Sink(Slave):
    def __init__(self) -> None:
        super().__init__()
        self.frames: list[tuple[bytes, int, int, int]] = []
        self.batches = 0
        self.gaps: list[Gap] = []

    def _acceptFrame(self, frame: Frame) -> None:
        self.frames.append((bytes(frame), frame.channel, frame.flags, frame.error))

    def _acceptBatch(self, batch: FrameBatch) -> None:
        self.batches += 1
        for frame in batch.frames():
            self._acceptFrame(frame)

    def _acceptGap(self, gap: Gap) -> None:
        self.gaps.append(gap)


HEADS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([0, 0, 1, 0x80]), st.integers(0, 5)), max_size=20
)


@given(heads=HEADS, drop=st.booleans())
def test_batches_and_frames_are_filtered_alike(heads: list[tuple[int, int, int]], drop: bool) -> None:
    frames = [
        Frame(bytes([index]) * size, channel=channel, error=error, flags=index)
        for index, (channel, error, size) in enumerate(heads)
    ]
    want = [
        (bytes(frame), 1, frame.flags, frame.error)
        for frame in frames
        if frame.channel == 1 and not (drop and frame.error)
    ]
    counters = []
    for way in ("frames", "batch"):
        master, stage, sink = Master(), Filter(drop, 1), Sink()
        master >> stage >> sink
        if way == "frames":
            for frame in frames:
                master._sendFrame(frame)
        else:
            master._sendBatch(FrameBatch.gather(frames) if frames else FrameBatch.empty())
        assert sink.frames == want
        assert stage.counters.frames == len(want) + stage.counters.dropped_total == len(heads)
        counters.append(stage.counters)
    assert counters[0] == counters[1]


def test_a_batch_of_which_all_pass_is_passed_as_it_is() -> None:
    got: list[FrameBatch] = []

    class Keep(Slave):
        def _acceptBatch(self, batch: FrameBatch) -> None:
            got.append(batch)

    stage, batch = Filter(True, 0), FrameBatch.from_rows(np.zeros((5, 10), np.uint8))
    stage >> Keep()
    stage._acceptBatch(batch)
    assert got[0] is batch
    stage._acceptBatch(batch.replace(channel=1))
    assert len(got) == 1  # nothing is sent for a batch of which none pass


def test_reasons_are_counted_and_errors_logged(caplog: pytest.LogCaptureFixture) -> None:
    stage = Filter(True, 2)
    with caplog.at_level(logging.DEBUG, "sapwood.stream.Filter"):
        stage._acceptFrame(Frame(b"abc", channel=1, error=5))
        stage._acceptFrame(Frame(b"abcd", channel=2, error=5))
    assert stage.counters.dropped == {"channel": 1, "error": 1}
    assert stage.counters.dropped_bytes == {"channel": 3, "error": 4}
    assert caplog.messages == ["Dropped a frame of channel 2 with error 0x5"]


def test_gaps_pass() -> None:
    stage, sink, gap = Filter(False, 2), Sink(), Gap(1, 3, 30, "full")
    stage >> sink
    stage._acceptGap(gap)
    assert sink.gaps == [gap]


@pytest.mark.parametrize("channel", [-1, 256])
def test_channels_that_no_frame_has_are_refused(channel: int) -> None:
    with pytest.raises(StreamError, match=r"No such channel.*0\.\.255"):
        Filter(False, channel)
