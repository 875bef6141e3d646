"""The event builder in a tree."""

from __future__ import annotations

from typing import Any

from sapwood.devices import EventBuilder
from sapwood.streams import Frame, Master
from sapwood.tree import Root


class Top(Root):
    def __init__(self) -> None:
        super().__init__(name="Top", pollEn=False)
        self.add(
            EventBuilder(
                name="Events", key=(0, "<u2"), channels=[0, 1], timeout=100.0, options={"channel": 5}
            )
        )


def counts(device: Any) -> list[int]:
    return [device.node(name).get() for name in ("Complete", "Incomplete", "Late", "Duplicate", "Unkeyed")]


def test_events_are_counted_flushed_and_run_dry(sink: Any, await_true: Any) -> None:
    source, other = Master(), Master()
    with Top() as top:
        events = top.Events
        source >> events >> sink
        other >> events.getChannel(1)
        for number in (1, 2):
            source._sendFrame(Frame(number.to_bytes(2, "little")))
        other._sendFrame(Frame(b"\1\0"))
        sink.await_frames(1)
        assert events.Size.get() == 1
        events.Flush()
        sink.await_frames(2)
        assert counts(events) == [1, 1, 0, 0, 0]
        assert (events.FrameCount.get(), events.Window.get(), events.Timeout.get()) == (3, 0, 100.0)
        top.CountReset()
        assert counts(events) == [0] * 5
        events.Restart()
        source._sendFrame(Frame(b"\1\0"))
        await_true(lambda: events.Size.get() == 1, "a frame that waits")
        assert counts(events) == [0] * 5
    assert sink.frames() == 3  # the stop passed it on
    assert set(sink.all().channel) == {5}
