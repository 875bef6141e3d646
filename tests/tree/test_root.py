"""Starting, stopping, looking up, the log."""

from __future__ import annotations

import gc
import json
import logging
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import sapwood.tree as pr
from sapwood.errors import NodeError, SapwoodError

NODES = [
    "enable",
    "ReadDevice",
    "WriteDevice",
    "RogueVersion",
    "RogueDirectory",
    "SystemLog",
    "SystemLogLast",
    "ForceWrite",
    "InitAfterConfig",
    "Time",
    "LocalTime",
    "PollEn",
    "WriteAll",
    "ReadAll",
    "SaveState",
    "SaveConfig",
    "LoadConfig",
    "RemoteVariableDump",
    "RemoteConfigDump",
    "Initialize",
    "HardReset",
    "CountReset",
    "ClearLog",
    "SetYamlConfig",
    "GetYamlConfig",
    "GetYamlState",
    "LoadConfigProcess",
    "SaveConfigProcess",
]


def test_nodes_of_a_root() -> None:
    root = pr.Root(name="top")
    assert list(root.nodes) == NODES
    assert all(root.node(name).hidden for name in root.commands)
    assert root.SystemLog.groups == ["NoStream", "NoSql", "NoState", "Hidden"]


class Part:
    """Something managed by a device."""

    def __init__(self, log: list[str], name: str) -> None:
        self.log, self.name = log, name

    def _start(self) -> None:
        self.log.append(f"start {self.name}")

    def _quiesce(self, deadline: float) -> None:
        assert deadline > time.monotonic()
        self.log.append(f"quiesce {self.name}")

    def _runDry(self, deadline: float) -> None:
        self.log.append(f"settle {self.name}")

    def _stop(self) -> None:
        self.log.append(f"stop {self.name}")


def test_order_of_start_and_stop() -> None:
    log: list[str] = []
    root, dev, sub = pr.Root(name="top", pollEn=False), pr.Device(name="dev"), pr.Device(name="sub")
    dev.add(sub)
    root.add(dev)
    sub.addProtocol(Part(log, "c"))
    dev.addInterface([Part(log, "b")], object())
    first = Part(log, "a")
    root.manage(first)
    root.addInterface(first)  # known already
    with root:
        assert log == ["start a", "start b", "start c"]
        assert root.running
        assert dev.running
        log.clear()
    assert log == [f"{step} {name}" for step in ("quiesce", "settle", "stop") for name in "abc"]
    assert not root.running
    log.clear()
    root.stop()
    assert log == []


def test_running_again() -> None:
    root = pr.Root(name="top", pollEn=False)
    dev = pr.Device(name="dev")
    dev.add(pr.LocalVariable(name="x", value=1))
    root.add(dev)
    for value in (2, 3):
        with root:
            got: list[int] = []
            dev.x.addListener(lambda path, value, got=got: got.append(value.value))
            dev.x.set(value)
            root.waitOnUpdate()
            assert got == [value]
            with pytest.raises(NodeError, match=r"Root is already started! Can't restart!"):
                root.start()


def test_nothing_is_left_behind() -> None:
    before = set(threading.enumerate())
    handlers = len(logging.getLogger("pyrogue").handlers)
    root = pr.Root(name="top")
    assert set(threading.enumerate()) <= before
    with root:
        names = {thread.name for thread in set(threading.enumerate()) - before}
        assert names == {"sapwood updates of top", "sapwood polling of top"}
        assert all(thread.daemon for thread in threading.enumerate() if thread.name in names)
    assert set(threading.enumerate()) <= before
    assert len(logging.getLogger("pyrogue").handlers) == handlers
    assert gc.isenabled()


def test_a_failed_start_stops_what_was_started() -> None:
    log: list[str] = []

    class Bad:
        def _start(self) -> None:
            raise OSError("port is taken")

    root = pr.Root(name="top")
    root.addInterface(Part(log, "a"), Bad())
    before = set(threading.enumerate())
    with pytest.raises(OSError, match="port is taken"):
        root.start()
    assert "stop a" in log
    assert not root.running
    assert set(threading.enumerate()) <= before


def test_a_failing_stop_stops_the_rest() -> None:
    log: list[str] = []

    class Bad:
        def _stop(self) -> None:
            raise RuntimeError("cannot close")

    root = pr.Root(name="top")
    root.addInterface(Bad(), Part(log, "a"))
    before = set(threading.enumerate())
    with pytest.raises(RuntimeError, match="cannot close"), root:
        pass
    assert "stop a" in log
    assert set(threading.enumerate()) <= before
    with pytest.raises(KeyError), root:  # the error of the body comes first
        raise KeyError


def test_stopping_twice_at_once() -> None:
    log: list[str] = []
    root = pr.Root(name="top")

    class Again(Part):
        def _stop(self) -> None:
            root.stop()  # as a signal handler may do meanwhile
            super()._stop()

    root.addInterface(Again(log, "a"))
    with root:
        pass
    assert log == ["start a", "quiesce a", "settle a", "stop a"]


def test_several_failures_of_stop() -> None:
    class Bad:
        def _stop(self) -> None:
            raise RuntimeError("cannot close")

    root = pr.Root(name="top")
    root.addInterface(Bad(), Bad())
    with pytest.raises(SapwoodError) as caught, root:
        pass
    assert len(caught.value.problems) == 2


def test_get_node(start: Any) -> None:
    device = pr.Device(name="dev[1]")
    device.add(pr.LocalVariable(name="x", value=0))
    root = start(device)
    assert root.getNode("top") is root
    assert root.getNode("root.dev[1].x") is device.x
    assert root.getNode("top.dev[1]") is device
    for path in ("dev[1].x", "top.dev.x", "top.nope", "", "top.dev[1].x.y"):
        assert root.getNode(path) is None


def test_initial_access(start: Any, bus: Any) -> None:
    device = pr.Device(name="dev", memBase=bus)
    device.add(pr.RemoteVariable(name="r", offset=0, value=3))
    device.add(pr.RemoteVariable(name="s", offset=4))
    start(device, initRead=True, initWrite=True)
    assert bus.take() == ["R 0x4 4", "W 0x0 4", "V 0x0 4"]


def test_initial_access_may_fail(start: Any, bus: Any, caplog: pytest.LogCaptureFixture) -> None:
    bus.broken.add(0)
    device = pr.Device(name="dev", memBase=bus)
    device.add(pr.RemoteVariable(name="r", offset=0))
    assert start(device, initRead=True).running
    assert "Initial read failed" in caplog.text


def test_long_timeout_is_warned_about(start: Any, caplog: pytest.LogCaptureFixture) -> None:
    start(timeout=11)
    assert "The timeout of 11 s is long" in caplog.text


def test_hooks(start: Any) -> None:
    log: list[str] = []

    class Hooked(pr.Device):
        def initialize(self) -> None:
            super().initialize()
            log.append("initialize")

        def hardReset(self) -> None:
            super().hardReset()
            log.append("hardReset")

        def countReset(self) -> None:
            super().countReset()
            log.append("countReset")

        def _rootAttached(self, parent: Any, root: Any) -> None:
            super()._rootAttached(parent, root)
            log.append(self.path)

    outer = pr.Device(name="outer")
    outer.add(Hooked(name="h", enabled=False))
    root = start(outer)
    root.Initialize()
    root.HardReset()
    root.CountReset()
    assert log == ["top.outer.h", "initialize", "hardReset", "countReset"]


class TestSystemLog:
    def test_entries(self, start: Any) -> None:
        root = start(maxLog=3)
        for number in range(5):
            logging.getLogger("pyrogue.test").warning("message %d", number)
        try:
            raise ValueError("bad")
        except ValueError:
            logging.getLogger("sapwood.test").exception("it failed")
        entries = json.loads(root.SystemLog.get())
        assert [entry["message"] for entry in entries] == ["message 3", "message 4", "it failed"]
        last = json.loads(root.SystemLogLast.get())
        assert last["name"] == "sapwood.test"
        assert last["exception"] == "ValueError"
        assert last["traceBack"][-1] == "ValueError: bad\n"
        assert (last["levelName"], last["levelNumber"]) == ("ERROR", 40)
        root.ClearLog()
        assert (root.SystemLog.get(), root.SystemLogLast.get()) == ("[]", "")

    def test_only_while_running(self) -> None:
        root = pr.Root(name="top")
        logging.getLogger("pyrogue").warning("before")
        with root:
            logging.getLogger("pyrogue").info("too low")
        logging.getLogger("pyrogue").warning("after")
        assert root._systemLog.text() == "[]"

    def test_is_published(self, start: Any) -> None:
        root = start()
        wait = pr.VariableWaitClass([root.SystemLog, root.SystemLogLast], timeout=20)
        wait.arm()
        logging.getLogger("pyrogue").warning("here")
        assert wait.wait()

    def test_records_of_its_own_are_left_out(self, start: Any) -> None:
        root = start()
        root.SystemLog._log.error("about myself")
        assert root.SystemLog.value() == "[]"

    def test_a_message_that_cannot_be_formatted(self, start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(logging, "raiseExceptions", False)
        root = start()
        logging.getLogger("pyrogue").warning("%d", "no number")
        assert root.SystemLog.value() == "[]"


def test_register_dump(start: Any, bus: Any, tmp_path: Path) -> None:
    device = pr.Device(name="dev", memBase=bus)
    device.add(pr.RemoteVariable(name="a", offset=0, value=17))
    device.add(pr.RemoteVariable(name="b", offset=4, numValues=2, valueBits=8, valueStride=8, value=[1, 2]))
    device.add(pr.RemoteVariable(name="c", offset=8, bitSize=96, value=1))
    device.add(pr.RemoteVariable(name="d", offset=20, base=pr.String))
    device.add(pr.RemoteVariable(name="e", offset=24, mode="RO"))
    root = start(device)
    root.dataDir = tmp_path
    path = root.RemoteConfigDump("dump.txt")
    assert path == str(tmp_path / "dump.txt")
    assert Path(path).read_text().splitlines() == [
        "top.dev.a = 17",
        "top.dev.b = 1 2",
        "top.dev.c = 0x" + "01" + "00" * 11,
        "top.dev.d = UNDEFINED",
    ]
    assert Path(root.RemoteVariableDump()).name.startswith("regdump_")


def test_array_device(start: Any) -> None:
    class Chip(pr.Device):
        def __init__(self, *, gain: int = 0, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.gain = gain

    root = start(
        pr.ArrayDevice(arrayClass=Chip, number=2, stride=0x10, arrayArgs={"gain": 3}),
        pr.ArrayDevice(name="B", arrayClass=Chip, number=2, arrayArgs=[{"name": "X"}, {"gain": 4}]),
        pr.ArrayDevice(name="Chips", arrayClass=Chip, number=2, arrayArgs={"name": "Y"}),
    )
    assert [chip.offset for chip in root.ChipArray.Chip.values()] == [0, 0x10]
    assert root.ChipArray.Chip[1].gain == 3
    assert list(root.B.devices) == ["X", "Chip[1]"]
    assert list(root.Chips.devices) == ["Y[0]", "Y[1]"]


def test_unknown_keyword_of_a_device() -> None:
    with pytest.raises(TypeError, match="colour"):
        pr.Device(name="dev", colour=1)  # type: ignore[call-arg]


def test_describe(top: pr.Root) -> None:
    facts = top.D.e.describe()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["enum"] == [[0, "Zero"], [1, "One"]]
    assert (facts["kind"], facts["path"], facts["class"]) == ("variable", "top.D.e", "RemoteVariable")
    assert "BaseVariable" in facts["bases"]
    assert top.describe()["kind"] == "root"
    device = top.D.describe()
    assert (device["kind"], device["nodes"][:2]) == ("device", ["enable", "ReadDevice"])
    command = top.LoadConfig.describe()
    assert (command["kind"], command["takesArg"], command["fileName"]) == ("command", True, True)
    assert top.D.f.describe()["maximum"] > 3e38
    for node in top.nodeList:
        json.dumps(node.describe())


def test_expose() -> None:
    from sapwood.tree.exposed import isExposed

    class Thing(pr.Device):
        @pr.expose
        def work(self) -> None: ...

        @pr.expose
        @property
        def state(self) -> int:
            return 1

        def other(self) -> None: ...

    class Child(Thing):
        def work(self) -> None: ...

    assert [isExposed(Child, name) for name in ("work", "state", "other", "nothing")] == [
        True,
        True,
        False,
        False,
    ]
