"""Nodes and requests of a client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from sapwood.errors import (
    AccessDenied,
    BusError,
    NodeError,
    RemoteError,
    RemoteTimeout,
    ServerFailure,
    UnknownNode,
    VariableError,
)
from sapwood.remote import RemoteClient, RemoteServer
from sapwood.remote.nodes import VirtualCommand, VirtualDevice, VirtualVariable

B = "Top.Bench."


def test_nodes_read_like_the_tree(client: RemoteClient, top: Any) -> None:
    bench = client.Top.Bench
    assert isinstance(bench, VirtualDevice)
    assert isinstance(bench.Int, VirtualVariable)
    assert isinstance(bench.Add, VirtualCommand)
    assert [*bench.nodes] == [name for name in top.Bench.nodes if name != "Secret"]
    real, virtual = top.Bench.Int, bench.Int
    for name in (
        "name",
        "path",
        "description",
        "mode",
        "units",
        "minimum",
        "maximum",
        "typeStr",
        "disp",
        "groups",
        "hidden",
    ):
        assert getattr(virtual, name) == getattr(real, name), name
    assert bench.Mode.enum == {0: "Off", 1: "On", 2: "Auto"}
    assert (bench.isDevice, virtual.isVariable, bench.Add.isVariable, bench.Add.isCommand) == (
        True,
        True,
        False,
        True,
    )
    assert bench.Add.arg is True
    assert bench.parent is client.root
    assert virtual.root is client.root
    assert repr(virtual) == "<VirtualVariable Top.Bench.Int>"
    assert {"Int", "Ch", "Add"} <= set(dir(bench))
    assert "Top" in dir(client)
    assert client.node("root.Bench.Int") is virtual
    assert bench.node("Nope") is None


def test_array_nodes(client: RemoteClient) -> None:
    bench = client.Top.Bench
    assert [*bench.Ch] == [0, 1, 2]
    assert bench.Ch[2].get() == 2
    assert bench.node("Ch[2]") is bench.Ch[2]
    assert client.get(B + "Ch[1]") == 1


def test_access(client: RemoteClient, top: Any) -> None:
    bench = client.Top.Bench
    bench.Reg.set(0xFFFFFFFF)
    assert bench.Reg.get() == top.Bench.Reg.get() == 0xFFFFFFFF
    assert bench.Reg.getDisp() == top.Bench.Reg.getDisp()
    bench.Wide.set(2**127 + 1)
    assert bench.Wide.get() == 2**127 + 1
    bench.Reg.post(3)
    assert bench.Reg.value() == 3
    bench.Reg.set(8, write=False)
    assert top.Bench.Reg.value() == 8
    bench.Mode.setDisp("Auto")
    assert (bench.Mode.get(), bench.Mode.valueDisp()) == (2, "Auto")
    bench.Flag.set(True)
    assert bench.Flag.get() is True
    assert bench.Double.get() == 2


def test_arrays(client: RemoteClient, top: Any) -> None:
    table = np.arange(8, dtype=np.uint32) * 3
    client.Top.Bench.Table.set(table)
    np.testing.assert_array_equal(client.Top.Bench.Table.get(), table)
    client.Top.Bench.Table.set(5, index=2)
    assert client.Top.Bench.Table.get(index=2) == 5
    client.Top.Bench.Array.set(np.ones((2, 3)))
    found = client.Top.Bench.Array.get()
    assert (found.dtype, found.shape) == (np.float64, (2, 3))
    assert top.Bench.Array.value().sum() == 6


def test_commands(client: RemoteClient, top: Any) -> None:
    bench = client.Top.Bench
    assert bench.Add(41) == 42
    assert bench.Add() == 42
    assert bench.Add.call(1) == 2
    assert bench.Add.callDisp(1) == "2"
    assert bench.Note("hello") is None
    assert top.Bench.calls == ["hello"]
    assert client.call(B + "Echo", {"a": b"\0", "b": (1, None)}) == {"a": b"\0", "b": (1, None)}


def test_by_path_and_in_one_request(client: RemoteClient) -> None:
    client.setMany([(B + "Int", 7), (B + "Text", "seven")])
    assert client.getMany([B + "Int", B + "Text"]) == [7, "seven"]
    assert client.getMany([B + "Int", B + "Mode"], disp=True) == ["7", "Off"]
    client.setMany([(B + "Int", "8"), (B + "Mode", "On")], disp=True)
    assert client.getMany([B + "Int", B + "Mode"], read=False) == [8, 1]
    client.setDisp("root.Bench.Int", "0x20")
    assert client.valueDisp(B + "Int") == "32"


def test_each_cause_has_its_error(client: RemoteClient, top: Any) -> None:
    bench = client.Top.Bench
    with pytest.raises(UnknownNode, match=r"Did you mean: Top\.Bench\.Text") as unknown:
        client.get(B + "Txt")
    assert unknown.value.near == ["Top.Bench.Text"]
    with pytest.raises(UnknownNode, match=r"Did you mean: Top\.Bench\.Text"):
        _ = bench.Txt
    assert not hasattr(bench, "Txt")
    with pytest.raises(AttributeError, match="Top"):
        _ = client.Tip
    with pytest.raises(UnknownNode, match=r"Top\.Bench\.Text"):
        client.node(B + "Txt")
    with pytest.raises(VariableError, match=r"Top\.Bench\.Int"):
        bench.Int.set("x")
    with pytest.raises(VariableError, match="range"):
        bench.Int.set(5000)
    with pytest.raises(AccessDenied, match="read-only"):
        bench.Fixed.set(1)
    with pytest.raises(AccessDenied, match="data folder"):
        bench.File.set("/etc/passwd")
    with pytest.raises(NodeError):
        client.call(B + "Int")
    with pytest.raises(ServerFailure, match="ValueError: broken"):
        bench.Fail()
    top.Bench.problem = BusError("bus", address=4)
    with pytest.raises(BusError, match="bus"):
        bench.Fail()
    with pytest.raises(RemoteError, match="cannot be sent"):
        bench.Int.set(object())
    with pytest.raises(RemoteError, match="cannot be sent"):
        bench.Strange.get()
    assert bench.Int.get() == 1  # the client is as good as new


def test_nodes_cannot_be_assigned_to(client: RemoteClient) -> None:
    with pytest.raises(AttributeError):
        client.Top.Bench.Int = 5
    with pytest.raises(AttributeError):
        client.Top.Bench.Int.value = 5


def test_a_slow_command_keeps_nobody_waiting(client: RemoteClient, server: RemoteServer, top: Any) -> None:
    results: list[Any] = []
    slow = threading.Thread(target=lambda: results.append(client.Top.Bench.Hold()))
    client.Top.Bench.nodes  # noqa: B018  # load the tree first
    slow.start()
    assert top.Bench.entered.acquire(timeout=20)
    with RemoteClient("127.0.0.1", server.port) as other:
        for one in (client, other):
            one.set(B + "Int", 4)
            assert one.get(B + "Int") == 4
            assert one.Top.Bench.Add(1) == 2
            assert one.Top.Bench.Double.get() == 8
    assert results == []
    top.Bench.gate.set()
    slow.join(20)
    assert results == [1]


def test_a_deadline_on_every_call(client: RemoteClient, top: Any) -> None:
    bench = client.Top.Bench
    calls = (
        lambda: bench.Hold(timeout=2.0),
        lambda: bench.Gated.get(timeout=2.0),
        lambda: client.getMany([B + "Gated"], timeout=2.0),
        lambda: bench.Gated.getDisp(timeout=2.0),
    )
    with ThreadPoolExecutor(len(calls)) as threads:  # they take their time together
        for ended in [threads.submit(call) for call in calls]:
            with pytest.raises(RemoteTimeout, match="unknown") as caught:
                ended.result()
            assert caught.value.waited_s == 2.0
    assert bench.Int.get() == 1
    assert client.linked


def test_late_answers_are_not_taken_for_others(client: RemoteClient, top: Any) -> None:
    client.Top.Bench.nodes  # noqa: B018  # load the tree first
    for _ in range(5):
        with pytest.raises(RemoteTimeout):
            client.call(B + "Hold", timeout=0.2)
        top.Bench.gate.set()  # the answer, 1, is sent now
        for number in range(20):
            assert client.call(B + "Echo", number + 100) == number + 100
        top.Bench.gate.clear()
    top.Bench.gate.set()


def test_four_threads_share_a_client(client: RemoteClient) -> None:
    problems: list[BaseException] = []
    start = threading.Barrier(4)

    def work(channel: int) -> None:
        try:
            start.wait(20)
            node = client.Top.Bench.nodes[f"Ch[{channel}]"] if channel < 3 else client.Top.Bench.Reg
            for number in range(300):
                node.set(number)
                assert node.get() == number
                assert client.call(B + "Echo", [channel, number]) == [channel, number]
        except BaseException as problem:  # noqa: BLE001  # told to the test
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(channel,)) for channel in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []


def test_no_server() -> None:
    start = time.monotonic()
    with pytest.raises(RemoteError, match=r"no connection to 127\.0\.0\.1:9, ping was not sent"):
        RemoteClient("127.0.0.1", 9, timeout=0.2)
    assert time.monotonic() - start < 30, "it must not hang"
    with pytest.raises(RemoteError):
        RemoteClient("not a host", 9, timeout=0.2)


def test_a_closed_client_says_so(client: RemoteClient) -> None:
    client.close()
    client.close()
    with pytest.raises(RemoteError, match="closed"):
        client.get(B + "Int")


def test_a_client_that_is_closed_while_it_waits(client: RemoteClient, top: Any) -> None:
    client.Top.Bench.nodes  # noqa: B018  # load the tree first
    results: list[Any] = []
    waiting = threading.Thread(target=lambda: results.append(client.call(B + "Hold")))
    waiting.start()
    assert top.Bench.entered.acquire(timeout=20)
    client.close()
    top.Bench.gate.set()
    waiting.join(20)
    assert results == [1]
    assert not client._channel._idle


def test_a_forgotten_client_ends(server: RemoteServer) -> None:
    def names() -> list[str]:
        return [thread.name for thread in threading.enumerate()]

    client = RemoteClient("127.0.0.1", server.port)
    client.addLinkMonitor(print)
    assert "sapwood-remote-listener" in names()
    del client
    assert "sapwood-remote-listener" not in names()


def test_large_trees_come_in_one_request(
    serve: Callable[..., RemoteServer], client: RemoteClient, server: RemoteServer
) -> None:
    before = server.counters["requests"]
    for node in client.Top.Bench.nodes.values():
        assert node.path
    for device in client.Top.devices.values():
        assert device.name
    assert server.counters["requests"] == before + 1
