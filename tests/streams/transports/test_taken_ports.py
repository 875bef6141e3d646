"""Ends whose port is taken, or cannot be: an error of its type, and nothing stays open."""

from __future__ import annotations

import errno
import gc
import os
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from sapwood import memory
from sapwood.devices import FrontEndFirmware, StreamBridge
from sapwood.devices.board.wire import FrontEndWire
from sapwood.errors import BusError, RemoteError, SapwoodError, StreamError
from sapwood.fileio.apx import ReadoutSource
from sapwood.remote import RemoteServer
from sapwood.streams import transports
from sapwood.streams.transports import DatagramSource, FixedSize, TcpSource, udp
from sapwood.tree import Root

HOST = "127.0.0.1"
DESCRIPTORS = Path("/proc/self/fd")


@pytest.fixture(scope="module")
def root() -> Iterator[Root]:
    with Root(name="Top", pollEn=False) as top:
        yield top


def open_ends() -> int:
    """Return how many file descriptors are open; 0 where the system does not tell."""
    return len(os.listdir(DESCRIPTORS)) if DESCRIPTORS.is_dir() else 0


def refused(open_it: Callable[[], Any], error: type[Exception], words: str) -> None:
    """Open something in vain; see that no socket and no thread of it is left, with nobody to close it."""
    gc.freeze()  # what was there before is not looked at
    before, threads = open_ends(), set(threading.enumerate())
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with pytest.raises(error, match=words):
            open_it()
        gc.collect()
    gc.unfreeze()
    assert [str(one.message) for one in told] == []
    assert open_ends() == before
    assert set(threading.enumerate()) <= threads


def bus_server(port: int, host: str = HOST) -> None:
    memory.TcpServer(host, port)._start()


def bridge_device(port: int) -> None:
    StreamBridge(name="B", addr=HOST, port=port, server=True)


OPENERS: dict[str, tuple[Callable[[Root, int], Any], type[SapwoodError]]] = {
    "stream bridge": (lambda root, port: transports.TcpServer(HOST, port), StreamError),
    "bridge device": (lambda root, port: bridge_device(port), StreamError),
    "memory bridge": (lambda root, port: bus_server(port), BusError),
    "remote": (lambda root, port: RemoteServer(root, port=port)._start(), RemoteError),
    "bytes": (lambda root, port: TcpSource(FixedSize(4), HOST, port, server=True), StreamError),
    "udp": (lambda root, port: udp.Server(port, False, host=HOST), StreamError),
    "datagrams": (lambda root, port: DatagramSource(port, host=HOST), StreamError),
    "readouts": (lambda root, port: ReadoutSource(port, host=HOST), StreamError),
    "board": (lambda root, port: FrontEndWire(FrontEndFirmware(1), port)._start(), StreamError),
}
PAIRS = [name for name in OPENERS if "bridge" in name]


@pytest.fixture
def taken(free_ports: Callable[..., int]) -> Iterator[int]:
    """A port that somebody listens at, by TCP and by UDP; the one below is free."""
    port = free_ports(2) + 1
    with (
        socket.create_server((HOST, port)),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        datagrams.bind((HOST, port))
        yield port


@pytest.mark.parametrize("name", OPENERS)
def test_a_taken_port(root: Root, taken: int, name: str) -> None:
    opener, error = OPENERS[name]
    refused(lambda: opener(root, taken), error, str(taken))


@pytest.mark.parametrize("name", PAIRS)
def test_a_taken_upper_port(root: Root, taken: int, name: str) -> None:
    opener, error = OPENERS[name]
    refused(lambda: opener(root, taken - 1), error, str(taken))


@pytest.mark.parametrize(
    ("name", "port"),
    [*((name, port) for name in OPENERS for port in (-1, 70_000)), *((name, 65_535) for name in PAIRS)],
)
def test_no_such_port(root: Root, name: str, port: int) -> None:
    opener, error = OPENERS[name]
    refused(lambda: opener(root, port), error, str(port))


@pytest.mark.parametrize("end", [transports.TcpClient, memory.TcpClient])
def test_no_such_port_of_a_server(end: Any) -> None:
    refused(lambda: end(HOST, 70_000)._start(), SapwoodError, "seen 70000")


def test_other_arguments_that_are_wrong(root: Root) -> None:
    refused(lambda: RemoteServer(root, port=0, tokens={"secret": "king"}), RemoteError, "unknown role")
    refused(lambda: StreamBridge(nam="B", addr=HOST, port=0, server=True), TypeError, "nam")
    refused(lambda: TcpSource(FixedSize(4), HOST, 70_000), StreamError, "seen 70000")
    refused(lambda: udp.Client(HOST, 70_000, False), StreamError, "70000")


@pytest.mark.parametrize("host", [HOST, "*", "localhost"])
@pytest.mark.parametrize("name", ["stream", "memory"])
def test_a_pair_is_looked_for_until_both_are_free(
    monkeypatch: pytest.MonkeyPatch, name: str, host: str
) -> None:
    tried: list[str] = []
    bind = zmq.Socket.bind

    def spoilt(self: Any, address: str) -> Any:
        tried.append(address)
        if not address.endswith(":*") and len(tried) <= 6:
            raise zmq.ZMQError(errno.EADDRINUSE)
        return bind(self, address)

    monkeypatch.setattr(zmq.Socket, "bind", spoilt)
    server: Any = transports.TcpServer(host, 0) if name == "stream" else memory.TcpServer(host, 0)
    server._start()
    server._stop()
    assert len(tried) == 8
    assert tried[-1].endswith(f":{server.port + 1}")


@pytest.mark.parametrize("name", ["stream", "memory"])
def test_no_pair_is_free(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    bind = zmq.Socket.bind

    def spoilt(self: Any, address: str) -> Any:
        if not address.endswith(":*"):
            raise zmq.ZMQError(errno.EADDRINUSE)
        return bind(self, address)

    monkeypatch.setattr(zmq.Socket, "bind", spoilt)
    open_it = (lambda: transports.TcpServer(HOST, 0)) if name == "stream" else (lambda: bus_server(0))
    refused(open_it, SapwoodError, "no two neighbouring ports are free")
