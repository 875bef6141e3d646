"""Nodes: names, groups, children, lookup."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import sapwood.tree as pr
from sapwood.errors import NodeError


def local(name: str, **kwargs: Any) -> pr.LocalVariable:
    return pr.LocalVariable(name=name, value=0, **kwargs)


@pytest.fixture
def dev() -> pr.Device:
    device = pr.Device(name="dev")
    for name in ("u", "a[0]", "a[1]", "a[2]", "a[10]", "m[0][0]", "m[0][1]", "m[1][0]"):
        device.add(local(name))
    return device


def names(found: tuple[list[Any], Any]) -> list[str]:
    assert found[1] is None
    return [node.name for node in found[0]]


@pytest.mark.parametrize(
    ("key", "want"),
    [
        ("a[0]", ["a[0]"]),
        ("a[*]", ["a[0]", "a[1]", "a[2]", "a[10]"]),
        ("a[:]", ["a[0]", "a[1]", "a[2]", "a[10]"]),
        ("a[0:2]", ["a[0]", "a[1]"]),
        ("a[1:]", ["a[1]", "a[2]", "a[10]"]),
        ("a[-1]", ["a[10]"]),
        ("a[-2:]", ["a[10]"]),
        ("a[::2]", ["a[0]", "a[2]", "a[10]"]),
        ("a[11]", []),
        ("a", []),
        ("zz", []),
        ("a[x]", []),
        ("a[__import__('os')]", []),
        ("a[::0]", []),
        ("m[*][0]", ["m[0][0]", "m[1][0]"]),
        ("m[0][*]", ["m[0][0]", "m[0][1]"]),
        ("m[*][*]", ["m[0][0]", "m[0][1]", "m[1][0]"]),
        ("m[0]", []),
    ],
)
def test_node_match(dev: pr.Device, key: str, want: list[str]) -> None:
    assert names(dev.nodeMatch(key)) == want


def test_node_match_of_an_element(dev: pr.Device) -> None:
    assert dev.nodeMatch("u[0]") == ([dev.u], ["0"])
    assert dev.nodeMatch("a[2][1:3]") == ([dev.node("a[2]")], ["1:3"])


def test_array_children_are_nested_dicts(dev: pr.Device) -> None:
    assert list(dev.a) == [0, 1, 2, 10]
    assert dev.m[0][1] is dev.node("m[0][1]")


def test_children_are_attributes(dev: pr.Device) -> None:
    assert dev.u is dev.node("u")
    assert "u" in dir(dev)
    assert dev.u in dev
    assert local("other") not in dev
    assert dev.node("nope") is None
    with pytest.raises(AttributeError, match=r"^<class '.*Device'> - dev has no attribute nope$"):
        _ = dev.nope


def test_a_half_built_node_does_not_recurse() -> None:
    with pytest.raises(AttributeError, match="has no attribute _path"):
        _ = pr.Device.__new__(pr.Device)._path


@pytest.mark.parametrize("name", ["u", "address", "add", "set", "a", "enable"])
def test_name_collisions(name: str) -> None:
    device = pr.Device(name="dev")
    device.add(local("u"))
    device.add(local("a[0]"))
    device.set = None  # any attribute of the parent counts
    with pytest.raises(NodeError, match=r"Error adding node with name .* to dev. Name collision\."):
        device.add(local(name))


def test_an_array_may_not_shadow_a_node() -> None:
    device = pr.Device(name="dev")
    device.add(local("b"))
    with pytest.raises(NodeError, match="Name collision"):
        device.add(local("b[0]"))


def test_add_errors(start: Any) -> None:
    variable = local("x")
    with pytest.raises(NodeError, match=r"Attempting to add node with name y to non device node x\."):
        variable.add(local("y"))
    one, two = pr.Device(name="one"), pr.Device(name="two")
    one.add(variable)
    with pytest.raises(NodeError, match=r"Node is already attached\."):
        two.add(variable)
    start(one)
    with pytest.raises(NodeError, match=r"Tree is already started\."):
        one.add(local("z"))


def test_special_characters_are_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    pr.Device(name="dev").add(local("two words"))
    assert "Node two words with one or more special characters will cause lookup errors." in caplog.text


def test_add_takes_an_iterable() -> None:
    device = pr.Device(name="dev")
    device.add(local(f"n{index}") for index in range(3))
    assert list(device.variables) == ["enable", "n0", "n1", "n2"]


def test_groups_are_copied_and_inherited(start: Any) -> None:
    shared = ["A"]
    device = pr.Device(name="dev", groups="Outer")
    device.add([local("x", groups=shared, hidden=True), local("y", groups=shared)])
    root = start(device)
    assert shared == ["A"]
    assert root.dev.x.groups == ["A", "Hidden", "Outer"]
    assert root.dev.y.groups == ["A", "Outer"]
    assert root.dev.y.inGroup(["B", "Outer"])
    assert not root.dev.y.hidden


def test_group_filters() -> None:
    node = local("x", groups=["A", "B"])
    assert node.filterByGroup(None, None)
    assert node.filterByGroup("A", None)
    assert not node.filterByGroup("C", None)
    assert not node.filterByGroup(["A"], ["B"])
    device = pr.Device(name="dev")
    device.add([node, local("y")])
    assert list(device.variablesByGroup(incGroups="A")) == ["x"]
    assert list(device.variablesByGroup(excGroups=["A", "Enable"])) == ["y"]


def test_hidden_reaches_the_children_and_is_taken_back_alone() -> None:
    device = pr.Device(name="dev")
    device.add(local("x"))
    device.hidden = True
    assert device.x.hidden
    device.hidden = False
    assert device.x.hidden
    device.hideVariables(False, ["x"])
    assert not device.x.hidden


def test_kinds_of_children() -> None:
    device = pr.Device(name="dev")
    device.add([local("x"), pr.Device(name="sub"), pr.LocalCommand(name="c")])
    assert list(device.variables) == ["enable", "x"]
    assert list(device.commands) == ["ReadDevice", "WriteDevice", "c"]
    assert list(device.devices) == ["sub"]
    assert [node.name for node in device.variableList][:4] == ["enable", "ReadDevice", "WriteDevice", "x"]
    assert [node.name for node in device.deviceList] == ["sub"]
    assert device.x.isVariable
    assert device.c.isCommand
    assert not device.c.isVariable
    assert device.sub.isinstance(pr.Device)
    assert list(device.getNodes(pr.LocalVariable)) == ["x"]


def test_paths(start: Any) -> None:
    device = pr.Device(name="dev[0]")
    device.add(local("x[3]"))
    assert device.path == "dev[0]"
    assert device.parent is None
    root = start(device)
    assert root.dev[0].x[3].path == "top.dev[0].x[3]"
    assert root.dev[0].x[3].parent is device
    assert root.parent is root


def test_find(start: Any) -> None:
    device = pr.Device(name="dev")
    device.add([local("abc", units="V"), local("b"), pr.LocalCommand(name="a1")])
    root = start(device)
    assert [node.name for node in device.find(name="a.*")] == ["abc", "a1"]
    assert device.find(units="V") == [device.abc]  # units of the others is None: no match, no error
    assert device.find(name="b", typ=pr.LocalVariable) == [device.b]
    assert device.find(value=0, typ=pr.LocalVariable) == [device.abc, device.b]
    assert root.find(recurse=False, name="abc") == []


def test_call_recursive() -> None:
    calls: list[str] = []

    class Counting(pr.Device):
        def reset(self, by: int) -> None:
            calls.append(f"{self.name}{by}")

    device = Counting(name="a")
    device.add([Counting(name="b"), local("x")])
    device.callRecursive("reset", nodeTypes=[Counting], by=2)
    device.makeRecursive("reset", [Counting])(by=3)
    assert calls == ["a2", "b2", "a3", "b3"]


def test_log_names(start: Any) -> None:
    device = pr.Device(name="dev")
    device.add([local("x"), pr.LocalCommand(name="c")])
    assert device.logName() == "pyrogue.Device.Device.dev"
    root = start(device)
    assert device.x.logName() == "pyrogue.Variable.LocalVariable.top.dev.x"
    assert device.c.logName() == "pyrogue.Command.BaseCommand.top.dev.c"
    assert root.logName() == "pyrogue.Root.Root.top"
    assert pr.Device.classLogName() == "pyrogue.Device.Device"
    assert pr.logName("memory.Hub") == "pyrogue.memory.Hub"
    assert pr.logName("pyrogue.x") == "pyrogue.x"
    device.setLogLevel("ERROR")
    assert logging.getLogger(device.logName()).level == logging.ERROR
    device.setLogLevel(logging.NOTSET)
    with pytest.raises(ValueError, match="Unknown log level 'LOUD'"):
        device.setLogLevel("LOUD")


def test_node_count() -> None:
    before = local("x").nodeCount
    assert local("y").nodeCount == before + 1
