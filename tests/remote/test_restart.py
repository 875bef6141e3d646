"""Servers that are killed and come back; clients that are forgotten."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sapwood.errors import RemoteError, RemoteTimeout
from sapwood.remote import RemoteClient

B = "Top.Bench."
PATIENCE_S = 30.0


class Process:
    """A server in a process of its own, which can be killed and started again on its port."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.start()

    def start(self) -> None:
        script = Path(__file__).with_name("serve_bench.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script), str(self.port)], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        told = self.process.stdout.readline()
        if told != f"{self.port}\n":
            self.kill()
            raise AssertionError(f"the server did not start at {self.port}: {told!r}")

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def process(free_ports: Callable[..., int]) -> Iterator[Process]:
    process = Process(free_ports())
    yield process
    process.kill()


def test_a_client_survives_a_restart(process: Process) -> None:
    with RemoteClient("127.0.0.1", process.port, timeout=PATIENCE_S) as client:
        node = client.Top.Bench.Int
        node.set(5)
        first = client.server["server"]
        process.kill()
        process.start()
        assert node.get() == 1  # the same node, another process
        node.set(6)
        assert node.get() == 6
        assert client.server["server"] != first
        assert client.Top is not None


def test_requests_without_a_server_fail_and_nothing_is_sent_later(process: Process) -> None:
    with RemoteClient("127.0.0.1", process.port, timeout=PATIENCE_S) as client:
        node = client.Top.Bench.Int
        process.kill()
        with pytest.raises(RemoteError):  # the first may have been on its way
            client.set(B + "Int", 100, timeout=0.3)
        for _ in range(3):
            with pytest.raises(RemoteError, match="was not sent"):
                client.set(B + "Int", 200, timeout=0.3)
        assert not client.linked
        process.start()
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                assert node.get(timeout=1.0) == 1
                break
            except RemoteError:
                assert time.monotonic() < deadline
        assert client.linked


def test_a_set_in_flight_is_unknown_and_never_repeated(process: Process) -> None:
    with RemoteClient("127.0.0.1", process.port, timeout=PATIENCE_S) as client:
        client.Top.Bench.nodes  # noqa: B018  # load the tree first
        problems: list[Exception] = []

        def call() -> None:
            try:
                client.call(B + "Hold", timeout=2.0)
            except RemoteError as problem:
                problems.append(problem)

        waiting = threading.Thread(target=call)
        waiting.start()
        while client.get(B + "Entries") == 0:  # until the command runs
            time.sleep(0.005)
        process.kill()
        process.start()
        waiting.join(PATIENCE_S)
        assert isinstance(problems[0], RemoteTimeout)
        assert "outcome is unknown" in str(problems[0])
        assert client.get(B + "Entries", timeout=PATIENCE_S) == 0


def test_subscriptions_come_back(process: Process) -> None:
    changed = threading.Condition()
    seen: list[Any] = []
    links: list[bool] = []

    def note(what: list[Any], value: Any) -> None:
        with changed:
            what.append(value)
            changed.notify_all()

    def wait(test: Any) -> None:
        with changed:
            assert changed.wait_for(test, PATIENCE_S), (seen, links)

    with RemoteClient("127.0.0.1", process.port, timeout=PATIENCE_S) as client:
        client.addLinkMonitor(lambda linked: note(links, linked))
        client.addListener(B + "Int", lambda path, update: note(seen, update.value))
        client.set(B + "Int", 5)
        wait(lambda: seen == [5])
        process.kill()
        wait(lambda: links == [True, False])
        process.start()
        wait(lambda: links == [True, False, True])
        wait(lambda: seen == [5, 1])  # the value of the new server, without asking
        client.set(B + "Int", 6)
        wait(lambda: seen == [5, 1, 6])


def test_a_frozen_server_does_not_execute_what_its_client_gave_up(process: Process) -> None:
    with RemoteClient("127.0.0.1", process.port, timeout=PATIENCE_S) as client:
        client.set(B + "Int", 5)
        os.kill(process.process.pid, signal.SIGSTOP)
        os.waitpid(process.process.pid, os.WUNTRACED)  # until it has stopped
        with pytest.raises(RemoteTimeout, match="unknown"):
            client.set(B + "Int", 9, timeout=0.5)
        os.kill(process.process.pid, signal.SIGCONT)
        for _ in range(20):
            assert client.get(B + "Int") == 5


def test_a_script_that_forgets_its_client_ends(process: Process) -> None:
    script = f"""
    import threading
    from sapwood.remote import RemoteClient
    client = RemoteClient("127.0.0.1", {process.port})
    client.addVarListener(lambda path, update: None)
    client.Top.Bench.Int.set(9)
    threading.Thread(target=client.call, args=("Top.Bench.Hold",), daemon=True).start()
    while client.get("Top.Bench.Entries") == 0:
        pass
    print(client.get("Top.Bench.Int"))
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "9\n", "")


def test_the_client_loads_no_tree(process: Process) -> None:
    script = f"""
    import sys
    from sapwood.remote import RemoteClient
    with RemoteClient("127.0.0.1", {process.port}) as client:
        client.Top.Bench.Int.get()
    print([name for name in ("sapwood.tree", "sapwood.memory", "yaml", "h5py") if name in sys.modules])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    assert done.stdout == "[]\n"
