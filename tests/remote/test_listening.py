"""Updates at the client: delivered in order, or counted as lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sapwood.errors import RemoteTimeout, UnknownNode
from sapwood.remote import RemoteClient, RemoteServer

B = "Top.Bench."
PATIENCE_S = 20.0


class Collector:
    """A listener that can be waited for."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any]] = []
        self._changed = threading.Condition()

    def __call__(self, path: str, update: Any) -> None:
        with self._changed:
            self.seen.append((path, update))
            self._changed.notify_all()

    def wait(self, test: Callable[[list[tuple[str, Any]]], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: test(self.seen), PATIENCE_S), self.seen[-5:]

    def values(self, path: str) -> list[Any]:
        return [update.value for seen, update in self.seen if seen == path]


def test_a_listener_hears_every_change(client: RemoteClient, top: Any) -> None:
    heard = Collector()
    client.Top.Bench.Int.addListener(heard)
    for number in range(50):
        top.Bench.Int.set(number)
        top.waitOnUpdate()
    heard.wait(lambda seen: len(seen) == 50)
    assert heard.values(B + "Int") == list(range(50))
    path, update = heard.seen[-1]
    assert (path, update.valueDisp) == (B + "Int", "49")
    assert update.time > 1e9
    assert (update.severity, update.status) == ("None", "None")


def test_links_arrays_and_objects(client: RemoteClient, top: Any) -> None:
    heard = Collector()
    for name in ("Double", "Array", "Strange"):
        client.addListener(B + name, heard)
    top.Bench.Int.set(21)
    top.Bench.Array.set(np.full((2, 3), 7.0))
    top.Bench.Strange.get()
    heard.wait(lambda seen: {path for path, _ in seen} == {B + "Double", B + "Array", B + "Strange"})
    assert heard.values(B + "Double")[-1] == 42
    assert heard.values(B + "Array")[-1].tolist() == [[7.0] * 3] * 2
    (strange,) = {update.valueDisp for path, update in heard.seen if path == B + "Strange"}
    assert heard.values(B + "Strange")[-1] is None
    assert strange.startswith("<object")


def test_listeners_of_all_variables(client: RemoteClient, top: Any) -> None:
    heard = Collector()
    client.addVarListener(heard)
    top.Bench.Int.set(2)
    top.Bench.Secret.set(3)
    top.Hidden.Int.set(4)
    top.Bench.Text.set("end")
    heard.wait(lambda seen: any(path == B + "Text" for path, _ in seen))
    assert not any("Secret" in path or "Hidden" in path for path, _ in heard.seen)
    client.delVarListener(heard)
    count = len(heard.seen)
    top.Bench.Int.set(3)
    top.waitOnUpdate()
    assert client.waitValue(B + "Int", 3, PATIENCE_S) == 3
    assert len(heard.seen) == count


def test_listeners_are_added_once_and_removed(client: RemoteClient, top: Any) -> None:
    heard, other = Collector(), Collector()
    node = client.Top.Bench.Int
    for listener in (heard, heard, other):
        node.addListener(listener)
    top.Bench.Int.set(2)
    heard.wait(lambda seen: len(seen) == 1)
    node.delListener(heard)
    top.Bench.Int.set(3)
    other.wait(lambda seen: len(seen) == 2)
    assert heard.values(B + "Int") == [2]
    client.addListener("root.Bench.Text", heard)
    top.Bench.Text.set("alias")
    heard.wait(lambda seen: len(seen) == 2)
    with pytest.raises(UnknownNode):
        client.addListener(B + "Nope", heard)


def test_a_failing_listener_is_logged_and_the_others_go_on(
    client: RemoteClient, top: Any, caplog: pytest.LogCaptureFixture
) -> None:
    heard = Collector()

    def fail(path: str, update: Any) -> None:
        raise RuntimeError("listener broken")

    client.addListener(B + "Int", fail)
    client.addListener(B + "Int", heard)
    for number in (2, 3):
        top.Bench.Int.set(number)
    heard.wait(lambda seen: len(seen) == 2)
    assert "listener broken" in caplog.text


def test_a_listener_may_use_the_client(client: RemoteClient, top: Any) -> None:
    heard = Collector()

    def follow(path: str, update: Any) -> None:
        client.addListener(B + "Text", heard)
        client.set(B + "Text", str(update.value))

    client.addListener(B + "Int", follow)
    top.Bench.Int.set(5)
    assert client.waitValue(B + "Text", "5", PATIENCE_S) == "5"
    top.Bench.Text.set("again")
    heard.wait(lambda seen: any(update.value == "again" for _, update in seen))


def test_a_burst_of_updates_is_delivered_or_its_loss_told(client: RemoteClient, top: Any) -> None:
    heard, losses = Collector(), []
    client.addListener(B + "Int", heard)
    client.addLossMonitor(losses.append)
    for number in range(20_000):
        top.Bench.Int.set(number % 1000)
    top.waitOnUpdate()
    top.Bench.Int.set(1000)
    heard.wait(lambda seen: seen[-1][1].value == 1000 if seen else False)
    assert len(heard.seen) + client.lost == 20_001
    assert sum(losses) == client.lost


def test_a_slow_subscriber_is_bounded_and_told(server: RemoteServer, top: Any) -> None:
    gate, started = threading.Event(), threading.Event()
    heard, losses = Collector(), []

    def slow(path: str, update: Any) -> None:
        started.set()
        gate.wait(PATIENCE_S)
        heard(path, update)

    with RemoteClient("127.0.0.1", server.port, waiting=20) as client:
        client.addLossMonitor(losses.append)
        client.addListener(B + "Array", slow)
        piece = np.zeros(1000)
        top.Bench.Array.set(piece)
        assert started.wait(PATIENCE_S)
        for number in range(2000):
            top.Bench.Array.set(piece + number)
        top.waitOnUpdate()
        assert client.get(B + "Int") == 1  # everybody else is served
        peers = [peer for peer in server._loop._peers.values() if peer.session.paths]  # type: ignore[union-attr]
        assert peers[0].session.subscription._waiting <= 21  # type: ignore[union-attr]
        gate.set()
        heard.wait(lambda seen: len(seen) + client.lost == 2001)
        assert client.lost > 0
        assert heard.seen[-1][1].value[0] == 1999
        assert sum(losses) == client.lost


def test_wait_for_a_value(client: RemoteClient, top: Any) -> None:
    timer = threading.Timer(0.05, lambda: top.Bench.Int.set(77))
    timer.start()
    assert client.waitValue(B + "Int", lambda value: value > 70, PATIENCE_S) == 77
    timer.join()
    assert client.waitValue(B + "Int", 77, 0.0) == 77  # it is so already
    with pytest.raises(RemoteTimeout, match=r"Top\.Bench\.Int") as caught:
        client.waitValue(B + "Int", 5, 0.05)
    assert (caught.value.expected, caught.value.seen) == ("5", "77")
    with pytest.raises(ZeroDivisionError):
        client.waitValue(B + "Int", lambda value: 1 / 0, PATIENCE_S)
    with pytest.raises(UnknownNode):
        client.waitValue(B + "Nope", 5, 0.05)


def test_link_monitors(serve: Callable[..., RemoteServer], free_ports: Callable[..., int]) -> None:
    states: list[bool] = []
    changed = threading.Condition()

    def monitor(linked: bool) -> None:
        with changed:
            states.append(linked)
            changed.notify_all()

    def wait(wanted: list[bool]) -> None:
        with changed:
            assert changed.wait_for(lambda: states == wanted, PATIENCE_S), states

    server = serve(port=free_ports())
    with RemoteClient("127.0.0.1", server.port, timeout=PATIENCE_S) as client:
        client.addLinkMonitor(monitor)
        wait([True])
        assert client.linked
        server._stop()
        wait([True, False])
        assert not client.linked
        server._start()
        wait([True, False, True])
        client.remLinkMonitor(monitor)


def test_a_client_that_vanished_is_forgotten(server: RemoteServer, top: Any) -> None:
    client = RemoteClient("127.0.0.1", server.port)
    client.addListener(B + "Int", print)
    watchers = server._service._watchers  # type: ignore[union-attr]
    assert watchers._sessions
    client.close()
    gone = threading.Event()
    for number in range(1000):
        top.Bench.Int.set(number)
        if not watchers._sessions:
            break
        gone.wait(0.02)
    assert not watchers._sessions
