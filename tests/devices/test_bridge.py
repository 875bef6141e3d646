"""The stream bridge as a device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sapwood.devices import StreamBridge
from sapwood.errors import StreamError
from sapwood.streams import Frame, Master
from sapwood.streams.transports import TcpClient
from sapwood.tree import Root

HOST = "127.0.0.1"


def tree(**options: Any) -> Root:
    root = Root(name="Top", pollEn=False)
    root.add(StreamBridge(name="Bridge", addr=HOST, port=0, server=True, **options))
    return root


def test_the_state_of_a_bridge_is_in_the_tree(sink: Any, await_true: Callable[..., Any]) -> None:
    root, source, back = tree(), Master(), Master()
    bridge = root.Bridge
    source >> bridge >> sink
    with root:
        assert bridge.Connected.get() == 0
        assert bridge.Server.get() is True
        for count in range(2):
            far = TcpClient(HOST, bridge.Port.get())
            far >> (there := type(sink)())
            back >> far
            await_true(lambda: bridge.Connected.get() == 1, "connected")
            await_true(bridge.Agreed.get, "agreed")
            assert bridge.Reconnects.get() == count
            source._sendFrame(Frame(b"out"))
            back._sendFrame(Frame(b"in"))
            there.await_frames(1)
            sink.await_frames(count + 1)
            back._removeSlave(far)
            far._stop()
            await_true(lambda: bridge.Connected.get() == 0, "gone")
        counts = {name: bridge.node(name).get() for name in ("FrameCount", "SentCount", "RxFrameCount")}
        assert counts == {"FrameCount": 2, "SentCount": 2, "RxFrameCount": 2}
        bridge.countReset()
        for name in ("FrameCount", "RxFrameCount", "Reconnects", "DropCount", "RxDropCount"):
            assert bridge.node(name).get() == 0
        assert bridge.LastError.get() == ""


def test_drops_of_a_bridge_are_in_the_tree() -> None:
    root, source = tree(policy="drop_new", maxDepth=2), Master()
    source >> root.Bridge
    with root:
        for _ in range(5):
            source._sendFrame(Frame(b"x"))
        assert root.Bridge.DropCount.get() == 3
        assert root.Bridge.Size.get() == 2


def test_a_taken_port_is_an_error() -> None:
    with tree() as root, pytest.raises(StreamError, match="Failed to bind"):
        StreamBridge(name="Other", addr=HOST, port=root.Bridge.Port.get(), server=True)


def test_two_trees_over_a_bridge(sink: Any) -> None:
    near, far, source = tree(), Root(name="Far", pollEn=False), Master()
    far.add(StreamBridge(name="Bridge", addr=HOST, port=near.Bridge.Port.get()))
    source >> near.Bridge
    far.Bridge >> sink
    with near, far:
        source._sendFrame(Frame(b"hello"))
        sink.await_frames(1)
    assert sink.payloads() == [b"hello"]
