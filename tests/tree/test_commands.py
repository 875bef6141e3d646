"""Commands and the functions made for them."""

from __future__ import annotations

from typing import Any

import pytest

import sapwood.tree as pr
from sapwood.errors import CommandError
from sapwood.tree import BaseCommand


def test_call(top: pr.Root) -> None:
    note = top.D.note
    assert note(3) == 4
    assert note.call("0x10") == 17
    assert note() == 17  # the last argument is the new default
    assert note.get() == 16
    assert note.callDisp(1) == "2"
    assert top.D.seen == [3, 16, 16, 1]
    assert note.arg
    assert (note.mode, note.typeStr, note.bulkOpEn) == ("WO", "int", False)
    note.set(99)
    assert note.value() == 1


def test_argument_is_published(top: pr.Root) -> None:
    seen: list[Any] = []
    top.D.note.addListener(lambda path, value: seen.append((path, value.value)))
    top.D.note(5)
    top.waitOnUpdate()
    assert seen == [("top.D.note", 5)]


def test_function_gets_what_it_names(start: Any) -> None:
    device = pr.Device(name="dev")
    device.add(pr.Command(name="c", function=lambda root, dev, cmd: (root.name, dev.name, cmd.name)))
    start(device)
    assert device.c() == ("top", "dev", "c")
    assert not device.c.arg
    device.c.replaceFunction(lambda arg: arg * 2)
    assert device.c(4) == 8


def test_decorator(start: Any) -> None:
    device = pr.Device(name="dev")

    @device.command(description="doubles", value=2)
    def double(arg: int) -> int:
        return 2 * arg

    @device.command(name="Other")
    def other() -> str:
        return "done"

    start(device)
    assert (device.double(), device.Other(), double(1)) == (4, "done", 2)
    assert device.double.description == "doubles"


def test_disabled_device_does_nothing(top: pr.Root) -> None:
    top.D.enable.set(False)
    assert top.D.note(3) is None
    assert top.D.seen == []


def test_errors_are_logged_once_and_raised(start: Any, caplog: pytest.LogCaptureFixture) -> None:
    device = pr.Device(name="dev")
    device.add(pr.LocalCommand(name="inner", function=lambda: 1 / 0))
    device.add(pr.LocalCommand(name="outer", function=lambda dev: dev.inner()))
    start(device)
    with pytest.raises(ZeroDivisionError):
        device.outer()
    assert [record.getMessage() for record in caplog.records] == [
        "Command top.dev.inner failed: division by zero"
    ]


@pytest.mark.parametrize(
    ("value", "text"), [(None, None), (1, "int"), ("", "str"), ([1], "List[int]"), ([], "List")]
)
def test_result_type(value: Any, text: str | None) -> None:
    assert pr.LocalCommand(name="c", retValue=value).retTypeStr == text


@pytest.mark.parametrize(
    ("function", "arg", "want"),
    [
        (BaseCommand.nothing, None, []),
        (BaseCommand.setArg, 5, ["W5"]),
        (BaseCommand.toggle, None, ["W1", "W0"]),
        (BaseCommand.createToggle([3, 2, 1]), None, ["W3", "W2", "W1"]),
        (BaseCommand.touch, None, ["W1"]),
        (BaseCommand.touch, 7, ["W7"]),
        (BaseCommand.createTouch(6), None, ["W6"]),
        (BaseCommand.touchZero, None, ["W0"]),
        (BaseCommand.touchOne, None, ["W1"]),
        (BaseCommand.postedTouch, 9, ["P9"]),
        (BaseCommand.createPostedTouch(4), None, ["P4"]),
        (BaseCommand.postedTouchOne, None, ["P1"]),
        (BaseCommand.postedTouchZero, None, ["P0"]),
        (lambda cmd: cmd.post(1), None, ["P1"]),
        (BaseCommand.read, None, []),
    ],
)
def test_register_functions(start: Any, bus: Any, function: Any, arg: Any, want: list[str]) -> None:
    device = pr.Device(name="dev", memBase=bus)
    device.add(pr.RemoteCommand(name="c", offset=0, bitSize=8, function=function))
    start(device)
    written: list[str] = []
    plain = bus._doTransaction

    def watch(transaction: Any) -> None:
        plain(transaction)
        written.append(f"{bus.log[-1][0]}{bus.ram[0]}")

    bus._doTransaction = watch
    device.c(arg)
    assert written == want


def test_set_and_verify(start: Any, bus: Any) -> None:
    device = pr.Device(name="dev", memBase=bus)
    device.add(pr.RemoteVariable(name="r", offset=0, bitOffset=8, bitSize=8))  # makes the word readable
    device.add(pr.RemoteCommand(name="c", offset=0, bitSize=8, function=BaseCommand.setAndVerifyArg))
    start(device)
    device.c(5)
    bus.stuck[0] = 1
    with pytest.raises(CommandError, match=r"Verification failed for top\.dev\.c"):
        device.c(5)


def test_remote_command_is_no_part_of_bulk_operations(top: pr.Root, bus: Any) -> None:
    top.D.kick()
    assert bus.take() == ["W 0x140 4", "W 0x140 4"]
    top.ForceWrite.set(True)
    top.WriteAll()
    top.ReadAll()
    assert not [line for line in bus.take() if "0x140" in line]
