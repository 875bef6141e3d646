"""The two windows of an RSSI link: what is sent again, what is taken, and what is acknowledged."""

from __future__ import annotations

import math

import pytest

from sapwood.streams.protocols.rssireceive import ReceiveWindow
from sapwood.streams.protocols.rssisend import SendWindow


def sending(count: int, first: int = 250, size: int = 32) -> SendWindow:
    window = SendWindow(size, first)
    for number in range(count):
        window.add(0, b"x", number * 0.001)
    return window


@pytest.mark.parametrize("number", [249, 248, 0, 3, 100, 249 - 32])
def test_numbers_that_are_not_under_way_acknowledge_nothing(number: int) -> None:
    window = sending(6)
    assert window.acknowledge(number, plain=False) is None
    assert len(window) == 6


def test_acknowledges_across_the_wrap() -> None:
    window = sending(10)
    assert window.next == 4
    window.acknowledge(0, plain=True)
    assert len(window) == 3
    window.acknowledge(3, plain=True)
    assert (len(window), window.room) == (0, 32)


def test_a_repeated_acknowledge_names_each_hole_once() -> None:
    window = sending(6, first=0)
    hole = window.acknowledge(255, plain=True)
    assert hole is not None
    assert hole.sequence == 0
    hole.tries += 1
    assert window.acknowledge(255, plain=True) is None
    second = window.acknowledge(2, plain=True)  # stops short of what was under way
    assert second is not None
    assert second.sequence == 3
    assert window.acknowledge(5, plain=True) is None
    window.add(0, b"y", 1.0)
    assert window.acknowledge(5, plain=False) is None


def test_an_acknowledge_that_comes_with_data_says_nothing_about_holes() -> None:
    assert sending(6, first=0).acknowledge(255, plain=False) is None


def test_segments_are_overdue_at_their_deadline() -> None:
    window = SendWindow(4, 0)
    assert window.deadline(0.02) == math.inf
    first, second = window.add(0, b"", 1.0), window.add(0, b"", 1.01)
    assert window.deadline(0.02) == 1.02
    assert window.overdue(1.019, 0.02) == []
    assert window.overdue(1.02, 0.02) == [first]
    first.time = 1.02
    assert window.deadline(0.02) == pytest.approx(1.03)
    assert window.overdue(1.05, 0.02) == [first, second]
    assert window.clear() == [first, second]
    assert window.deadline(0.02) == math.inf


def test_a_window_is_never_larger_than_the_numbers_allow() -> None:
    assert SendWindow(255, 0).room == 127


def test_segments_are_brought_into_order() -> None:
    window = ReceiveWindow(8, 254)
    assert window.take(0, b"0") is None
    assert window.take(1, b"1") is None
    assert (window.received, window.pending, window.urgent) == ([], 0, True)
    assert window.take(1, b"1") == "duplicate"
    assert window.take(255, b"255") is None
    assert window.received == [b"255", b"0", b"1"]
    assert window.is_missing is False
    assert window.acknowledge(frozen=False) == 1
    assert (window.pending, window.urgent) == (0, False)


def test_what_came_early_does_not_change_with_its_buffer() -> None:
    window, buffer = ReceiveWindow(8, 0), bytearray(b"early")
    window.take(2, memoryview(buffer))
    buffer[:] = b"other"
    window.take(1, b"first")
    assert window.received == [b"first", b"early"]


def test_numbers_outside_the_window_are_refused() -> None:
    window = ReceiveWindow(4, 100)
    assert window.take(105, b"") == "window"
    assert window.take(100, b"") == "duplicate"
    assert window.take(97, b"") == "duplicate"
    assert window.take(96, b"") == "window"
    assert window.urgent
    assert window.take(104, b"") is None


def test_a_frozen_acknowledge_stays_and_bounds_what_is_taken() -> None:
    window = ReceiveWindow(4, 100)
    taken = [window.take(number, b"x") for number in range(101, 106)]
    assert taken == [None] * 4 + ["window"]
    assert window.acknowledge(frozen=True) == 100
    assert window.pending == 4
    assert window.take(102, b"x") == "duplicate"
    assert window.acknowledge(frozen=False) == 104
    assert window.take(105, b"x") is None


def test_a_hole_is_missing_until_it_was_told() -> None:
    window = ReceiveWindow(8, 0)
    window.take(1, b"1")
    window.take(3, b"3")
    assert window.is_missing
    window.acknowledge(frozen=False)
    assert not window.is_missing


def test_null_segments_count_but_bring_nothing() -> None:
    window = ReceiveWindow(8, 0)
    window.take(2, b"")
    window.take(1, b"")
    assert (window.received, window.pending) == ([], 2)
