"""Members of nodes, variables and devices, as the specification lists them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import sapwood.tree as pr
from sapwood.errors import VariableError
from sapwood.memory import Emulate

COMMON = [
    "value", "valueDisp", "class", "name", "path", "mode", "typeStr", "enum", "disp", "precision", "units",
    "minimum", "maximum", "nativeType", "ndType", "updateNotify", "hasAlarm", "lowWarning", "highWarning",
    "lowAlarm", "highAlarm", "alarmStatus", "alarmSeverity", "pollInterval",
]  # fmt: skip
REGISTER = [
    "address", "overlapEn", "offset", "bitOffset", "bitSize", "verifyEn", "numValues", "valueBits",
    "valueStride", "retryCount", "varBytes", "bulkEn",
]  # fmt: skip


def local(name: str, value: Any = 0, **kwargs: Any) -> pr.LocalVariable:
    return pr.LocalVariable(name=name, value=value, **kwargs)


class TestGroups:
    def test_adding_reaches_the_children_removing_does_not(self) -> None:
        device = pr.Device(name="dev", groups=["G"])
        device.add(local("x"))
        device.addToGroup("H")
        assert (device.groups, device.x.groups) == (["G", "H"], ["H"])
        device.addToGroup("H")
        assert device.groups == ["G", "H"]
        device.removeFromGroup("H")
        device.removeFromGroup("absent")
        assert (device.groups, device.x.groups) == (["G"], ["H"])

    def test_given_groups_are_copied(self) -> None:
        shared = ["A"]
        one, other = local("one", groups=shared), local("other", groups=shared, hidden=True)
        one.addToGroup("B")
        shared.append("C")
        assert (one.groups, other.groups) == (["A", "B"], ["A", "Hidden"])
        one.groups.append("D")
        assert one.groups == ["A", "B"]

    def test_a_text_is_one_group(self) -> None:
        assert local("x", groups="Whole").inGroup("Whole")
        assert local("x", groups="Whole").inGroup(["other", "Whole"])
        assert not local("x", groups="Whole").inGroup("W")

    def test_filtered_children(self) -> None:
        device = pr.Device(name="dev")
        device.add([local("a", groups="A"), local("b"), pr.Device(name="d", groups="A")])
        device.add(pr.LocalCommand(name="c", groups="A"))
        assert list(device.variablesByGroup("A")) == ["a"]
        assert list(device.variablesByGroup(excGroups=["A", "Enable"])) == ["b"]
        assert list(device.commandsByGroup(incGroups=["A"])) == ["c"]
        assert list(device.devicesByGroup("A")) == ["d"]
        assert list(device.devicesByGroup(excGroups="A")) == []

    def test_inherited_at_the_start(self, start: Any) -> None:
        device = pr.Device(name="dev", groups="G")
        device.add(local("x", groups=["G", "X"]))
        device.add(local("y"))
        start(device)
        assert (device.x.groups, device.y.groups) == (["G", "X"], ["G"])

    def test_hidden_is_a_group(self) -> None:
        x = local("x")
        x.hidden = True
        assert x.groups == ["Hidden"]
        x.hidden = False
        assert (x.hidden, x.groups) == (False, [])


class TestBuilding:
    def test_add_node_and_nodes(self, start: Any, bus: Any) -> None:
        device = pr.Device(name="dev", memBase=bus)
        device.addNode(pr.LocalVariable, name="x", value=3)
        device.addNodes(pr.RemoteVariable, 3, 8, name="r", offset=0x10, bitSize=16)
        device.addRemoteCommands(2, 4, name="c", offset=0x80, function=pr.BaseCommand.touchOne)
        start(device)
        assert device.x.value() == 3
        assert [one.offset for one in device.r.values()] == [0x10, 0x18, 0x20]
        bus.take()
        device.c[1]()
        assert (bus.take(), bus.word(0x84)) == (["W 0x84 4"], 1)

    def test_commands_are_not_variables_and_keep_the_order(self) -> None:
        device = pr.Device(name="dev")
        device.add([local("b"), pr.LocalCommand(name="c"), local("a")])
        assert list(device.nodes)[-3:] == ["b", "c", "a"]
        assert list(device.variables) == ["enable", "b", "a"]
        assert list(device.commands) == ["ReadDevice", "WriteDevice", "c"]
        assert [one.name for one in device.variableList[-3:]] == ["b", "c", "a"]

    def test_leaves_have_no_children(self) -> None:
        x = local("x")
        assert dict(x.nodes) == {}
        assert (x.nodeList, x.variableList, x.deviceList, x.node("y")) == ([], [], [], None)
        with pytest.raises(TypeError):
            x.nodes["y"] = x

    def test_manage(self, start: Any) -> None:
        calls: list[str] = []

        class Link:
            def _start(self) -> None:
                calls.append("start")

            def _stop(self) -> None:
                calls.append("stop")

        link = Link()
        device = pr.Device(name="dev")
        device.manage(link)
        device.addInterface([link])
        device.addProtocol(link)
        start(device).stop()
        assert calls == ["start", "stop"]

    def test_an_address_space_of_its_own(self, start: Any, bus: Any) -> None:
        device = pr.Device(name="dev", memBase=bus, offset=0x1000, hubMin=8, hubMax=64)
        device.add(pr.RemoteVariable(name="x", offset=4, bitSize=32))
        start(device)
        assert (device.address, device.x.address, device.x._block.size) == (0, 0, 8)
        assert device._doSlaveId() != pr.Device(name="other", memBase=bus)._doSlaveId() == bus._doSlaveId()


class TestLogs:
    def test_levels(self) -> None:
        pr.LocalVariable.setClassLogLevel("DEBUG")
        assert logging.getLogger(pr.LocalVariable.classLogName()).level == logging.DEBUG
        pr.LocalVariable.setClassLogLevel(logging.NOTSET)
        x = local("x")
        x.setLogLevel("info")
        assert x._log.level == logging.INFO
        x.setLogLevel(0)
        with pytest.raises(ValueError, match="Unknown log level"):
            x.setLogLevel("loud")

    def test_the_name_follows_the_path(self, start: Any) -> None:
        x = local("x")
        assert x._log.name == "pyrogue.Variable.LocalVariable.x"
        device = pr.Device(name="dev")
        device.add(x)
        start(device)
        assert x._log.name == "pyrogue.Variable.LocalVariable.top.dev.x"


class TestTexts:
    def test_enum_both_ways(self) -> None:
        x = local("x", 1, enum={1: "One", 2: "Two"})
        assert (x.enum, x.revEnum, x.disp) == ({1: "One", 2: "Two"}, {"One": 1, "Two": 2}, "enum")
        assert yaml.safe_load(x.enumYaml) == {1: "One", 2: "Two"}
        x.enum[3] = "Three"
        assert x.enum == {1: "One", 2: "Two"}
        assert (x.parseDisp("Two"), x.genDisp(2)) == (2, "Two")
        assert x.genDisp(7) == "INVALID: 7"
        with pytest.raises(VariableError, match="Invalid value two for variable x with type"):
            x.parseDisp("two")

    def test_disp_as_list_or_dict(self) -> None:
        assert local("x", 1, disp=[1, 2]).enum == {1: "1", 2: "2"}
        assert local("x", 1, disp={1: "A"}).valueDisp() == "A"
        assert local("x", True).enum == {False: "False", True: "True"}

    def test_gen_disp(self) -> None:
        assert local("x", 17, disp="{:#x}").valueDisp() == "0x11"
        assert local("x", 17, disp="").valueDisp() == ""
        assert local("x", 17).genDisp(3, useDisp="{:03d}") == "003"
        long = local("x", np.arange(2000), disp="{:d}")
        assert long.valueDisp() == f"[{', '.join(map(str, range(2000)))}]"

    @pytest.mark.parametrize(
        ("default", "text", "value"),
        [
            (1, "0x10", 16),
            (1, "1_0", 10),
            (0.5, "1e3", 1000.0),
            ("s", "0x10", "0x10"),
            ([1], "[2, 3]", [2, 3]),
        ],
    )
    def test_parse_disp(self, default: Any, text: str, value: Any) -> None:
        assert local("x", default).parseDisp(text) == value

    def test_what_is_no_text_stays(self) -> None:
        assert local("x", 1).parseDisp(None) is None
        assert local("x", 1).parseDisp([1]) == [1]

    def test_parse_arrays(self) -> None:
        x = local("x", np.zeros(2, np.uint8))
        value = x.parseDisp("[1, 0x2]")
        assert (value.tolist(), value.dtype) == ([1, 2], np.uint8)
        with pytest.raises(VariableError, match="Invalid value 3 for variable x"):
            x.parseDisp("3")

    def test_snapshots(self, top: pr.Root, bus: Any) -> None:
        bus.ram[0x100] = 9
        assert (top.D.u.getVariableValue(read=False).value, bus.take()) == (0, [])
        seen = top.D.u.getVariableValue()
        assert (seen.value, seen.valueDisp, seen.disp, seen.enum) == (9, "0x9", "{:#x}", None)
        assert (seen.status, seen.severity, seen.updated) == ("None", "None", False)
        top.D.arr.set([5, 6], write=False)
        assert top.D.arr.getVariableValue(read=False, index=1).value == 6

    def test_print_yaml(self, top: pr.Root, capsys: pytest.CaptureFixture[str]) -> None:
        top.D.printYaml(modes=["RW"])
        printed = yaml.safe_load(capsys.readouterr().out)
        assert list(printed["D"])[:2] == ["enable", "u"]
        top.printYaml()
        assert "D" not in yaml.safe_load(capsys.readouterr().out)["top"]  # recurse=False


class TestRemote:
    def test_addresses(self, top: pr.Root) -> None:
        u, v = top.D.u, top.D.v
        assert (v.address, v.offset, v.bitOffset, v.bitSize) == (0x100, 0x100, [8], [8])
        assert (v.varBytes, v.numValues, v.verifyEn, v.overlapEn, v.bulkEn, v.retryCount) == (
            4, 0, True, False, True, 0
        )  # fmt: skip
        assert u.lock is v.lock

    def test_before_the_start(self) -> None:
        x = pr.RemoteVariable(name="x", offset=[6, 4], bitSize=[4, 4], bitOffset=2)
        assert (x.offset, x.bitSize, x.bitOffset) == (4, [4, 4], [2])
        assert (x.typeStr, x.base.name, x.minimum, x.maximum, x.path) == ("UInt8", "UInt8", 0, 255, "x")
        for access in (x.get, x.value, lambda: x.set(1), lambda: x.varBytes):
            with pytest.raises(VariableError, match="the tree has not been started"):
                access()

    def test_a_list_of_the_highest_first(self, start: Any, bus: Any) -> None:
        device = pr.Device(name="dev", memBase=bus)
        device.add(pr.RemoteVariable(name="x", offset=[4, 0], bitSize=[8, 8]))
        start(device)
        device.x.set(0xABCD)
        assert (bus.word(4), bus.word(0)) == (0xCD, 0xAB)

    def test_limits_are_clipped_to_the_model(self) -> None:
        x = pr.RemoteVariable(name="x", offset=0, bitSize=4, minimum=-3, maximum=100)
        assert (x.minimum, x.maximum) == (0, 15)
        y = pr.RemoteVariable(name="y", offset=0, bitSize=4, minimum=3, maximum=10)
        assert (y.minimum, y.maximum) == (3, 10)

    def test_properties(self, top: pr.Root) -> None:
        found = top.D.u.properties()
        assert set(found) == {*COMMON, *REGISTER}
        assert set(top.D.l.properties()) == set(COMMON)
        assert found["nativeType"] is int

    def test_a_write_only_command_reads_nothing(self, top: pr.Root, bus: Any) -> None:
        top.D.kick.get()
        assert bus.take() == []


class TestFiles:
    @pytest.fixture(autouse=True)
    def _folder(self, top: pr.Root, tmp_path: Path) -> None:
        self.top, self.tmp = top, tmp_path
        top.dataDir = tmp_path

    def test_names_by_the_time(self) -> None:
        name = Path(self.top.saveYaml(None, autoPrefix="mine", autoCompress=True))
        assert name.match("mine_????????_??????.yml.zip")
        name = Path(self.top.saveYaml("", autoPrefix="mine"))
        assert name.match("mine_????????_??????.yml")
        assert self.top.loadYaml(name.name)

    def test_dump(self) -> None:
        self.top.D.arr.set([1, 2, 3, 4])
        self.top.D.u.set(17)
        name = self.top.remoteVariableDump("dump.txt", modes=["RW"], readFirst=True)
        lines = Path(name).read_text().splitlines()
        assert lines[0] == "top.D.u = 17"
        assert "top.D.arr = 1 2 3 4" in lines
        assert "top.D.s = UNDEFINED" in lines
        assert not any("ro =" in line or "kick" in line for line in lines)
        assert Path(self.top.remoteVariableDump()).match("regdump_????????_??????.txt")


def test_batch_listeners_can_be_removed(top: pr.Root) -> None:
    batches: list[dict[str, Any]] = []
    top.addBatchListener(batches.append)
    top.D.l.set(6)
    top.waitOnUpdate()
    top.delBatchListener(batches.append)
    top.D.l.set(7)
    top.waitOnUpdate()
    assert [list(batch) for batch in batches] == [["top.D.l", "top.D.twice"]]


def test_dependencies_are_followed(start: Any) -> None:
    seen: list[Any] = []
    one, other = local("one"), local("other", 5)
    other.addDependency(one)
    other.addDependency(one)
    other.addListener(lambda path, value: seen.append((path, value.value)))
    device = pr.Device(name="dev")
    device.add([one, other])
    root = start(device)
    one.set(1)
    root.waitOnUpdate()
    assert (other.dependencies, seen) == ([one], [("top.dev.other", 5)])


def test_blocks_of_a_group_are_one_batch(start: Any) -> None:
    device = pr.Device(name="dev", memBase=Emulate())
    device.add(pr.RemoteVariable(name=f"r{at}", offset=4 * at, bitSize=8) for at in range(3))
    device.add(pr.RemoteVariable(name="s0", offset=0, bitOffset=8, bitSize=8))
    device.add(pr.RemoteVariable(name="mute", offset=4, bitOffset=8, bitSize=8, updateNotify=False))
    root = start(device)
    batches: list[list[str]] = []
    root.addBatchListener(lambda batch: batches.append([path.rpartition(".")[2] for path in batch]))
    with root.updateGroup():
        device.r2.get()
        root.ReadAll()
    device.s0.get()
    root.waitOnUpdate()
    assert [[name for name in batch if name[0] in "rsm"] for batch in batches] == [
        ["r2", "r0", "s0", "r1"], ["r0", "s0"]
    ]  # fmt: skip


def test_only_a_listener_of_one_variable(start: Any) -> None:
    device = pr.Device(name="dev", memBase=Emulate())
    device.add(pr.RemoteVariable(name=f"r{at}", offset=4 * at) for at in range(3))
    device.add(pr.LinkVariable(name="k", dependencies=[device.r1], linkedGet=lambda: device.r1.value() + 1))
    root = start(device)
    seen: list[Any] = []
    device.k.addListener(lambda path, value: seen.append((path, value.value)))
    device.r2.addListener(lambda path, value: seen.append((path, value.value)))
    device.r1.set(6)
    root.waitOnUpdate()
    assert seen == [("top.dev.k", 7)]
    seen.clear()
    root.ReadAll()
    root.waitOnUpdate()
    assert sorted(seen) == [("top.dev.k", 7), ("top.dev.r2", 0)]
