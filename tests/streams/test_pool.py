"""Requested frames: capacity in whole buffers, counts of what is in use."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sapwood.errors import StreamError
from sapwood.streams import Frame, Master, Slave


def test_a_master_asks_the_slave_linked_first() -> None:
    master, first, second = Master(), Slave(), Slave()
    assert master._reqFrame(7).getSize() == 7
    master >> first
    master >> second
    first.setFixedSize(10)
    frame = master._reqFrame(25, True)
    assert (frame.getSize(), frame.getPayload()) == (30, 0)
    assert (first.getAllocCount(), first.getAllocBytes()) == (3, 30)
    assert (second.getAllocCount(), second.getAllocBytes()) == (0, 0)


def test_buffers_are_counted_while_anybody_holds_them(collect: Callable[[], int]) -> None:
    master, slave = Master(), Slave()
    master >> slave
    frame = master._reqFrame(5)
    frame.write(b"\1\2")
    assert bytes(frame) == b"\1\2"
    view = frame.payload
    assert slave.getAllocCount() == 1
    del frame
    collect()
    assert (slave.getAllocCount(), slave.getAllocBytes(), view.tolist()) == (1, 5, [1, 2])
    del view
    collect()
    assert (slave.getAllocCount(), slave.getAllocBytes()) == (0, 0)


def test_settings_are_kept_and_checked() -> None:
    slave = Slave()
    slave.setFixedSize(100)
    slave.setPoolSize(8)
    assert (slave.getFixedSize(), slave.getPoolSize()) == (100, 8)
    assert slave._allocate(0).getSize() == 0
    with pytest.raises(StreamError, match="cannot have this size"):
        slave.setFixedSize(-1)
    master = Master()
    for _ in range(2):  # without a slave, and with one
        with pytest.raises(StreamError, match=r"cannot have this size.*seen -1"):
            master._reqFrame(-1)
        master >> slave


def test_debug_tells_where_the_bytes_are(caplog: pytest.LogCaptureFixture) -> None:
    Frame(b"abc", channel=3)._debug()
    assert "Frame(3 bytes, channel=3" in caplog.text
    assert "3 of 3 bytes" in caplog.text
