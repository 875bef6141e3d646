"""``sapwood tree | get | set | exec`` against a served tree."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sapwood.cli.remote import Address, AddressType
from sapwood.cli.target import load_root
from sapwood.remote import RemoteServer

TARGETS = Path(__file__).parent / "targets" / "small.py"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = load_root(f"{TARGETS}:Small")
    root.dataDir = tmp_path_factory.mktemp("data")
    served = RemoteServer(root, port=0)
    root.addInterface(served)
    with root:
        yield f"localhost:{served.port}"


@pytest.fixture
def remote(sapwood: Callable[..., Any], server: str) -> Callable[..., Any]:
    """Runs a command with ``--server``."""
    return lambda command, *arguments: sapwood(command, "--server", server, *arguments)


def test_get_prints_the_text_alone(remote: Callable[..., Any]) -> None:
    assert remote("get", "Top.Serial").out == "abc\n"
    assert remote("get", "root.Serial", "--cached").out == "abc\n"


def test_get_of_several(remote: Callable[..., Any]) -> None:
    assert (
        remote("get", "Top.Serial", "Top.Board.Channels").out == "Top.Serial = abc\nTop.Board.Channels = 2\n"
    )
    rows = remote("get", "Top.Serial", "Top.Board.Channels", "--json").json
    assert rows == [
        {"path": "Top.Serial", "value": "abc", "disp": "abc"},
        {"path": "Top.Board.Channels", "value": 2, "disp": "2"},
    ]


def test_set_reaches_the_hardware_and_shows_the_value(remote: Callable[..., Any]) -> None:
    assert remote("set", "Top.Board.ScratchPad", "0x1234").out == "Top.Board.ScratchPad = 0x1234\n"
    assert remote("get", "Top.Board.ScratchPad", "--json").json["value"] == 0x1234
    assert remote("set", "Top.Board.Ch[0].Pattern", "Waveform", "--json").json["disp"] == "Waveform"


@pytest.mark.parametrize("value", ["-5", "-1"])
def test_a_value_may_be_negative(remote: Callable[..., Any], value: str) -> None:
    assert remote("set", "Top.Level", value).out == f"Top.Level = {value}\n"
    assert remote("exec", "Top.Double", value).out == f"{2 * int(value)}\n"


def test_exec(remote: Callable[..., Any]) -> None:
    assert remote("exec", "Top.Double", "21").out == "42\n"
    assert remote("exec", "Top.Double", "21", "--json").json == {"path": "Top.Double", "result": 42}
    assert remote("exec", "Top.Sleep", "0").out == ""


@pytest.mark.parametrize("command", [["get"], ["set", "5"], ["exec"], ["tree"]])
def test_an_unknown_path_names_the_nearest(remote: Callable[..., Any], command: list[str]) -> None:
    ran = remote(command[0], "Top.Boord.Run", *command[1:])
    assert ran.code == 1
    assert "Top.Boord.Run" in ran.error
    assert "Did you mean: Top.Board" in ran.error
    assert ran.out == ""


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["set", "Top.Temp", "200"], "Value range error for Top.Temp"),
        (["set", "Top.Temp", "warm"], "Invalid value warm"),
        (["set", "Top.Serial", "x"], "read-only"),
        (["set", "Top.Board", "1"], "expected a variable"),
        (["set", "Top.Writer.DataFile", "../out.dat"], "leaves the data folder"),
        (["get", "Top.Board"], "a device has no value"),
        (["exec", "Top.Temp"], "expected a command"),
        (["exec", "Top.Explode"], "ZeroDivisionError: division by zero"),
    ],
)
def test_refusals_are_one_line(remote: Callable[..., Any], command: list[str], said: str) -> None:
    ran = remote(*command)
    assert ran.code == 1
    assert said in ran.error


def test_a_command_that_takes_too_long(remote: Callable[..., Any]) -> None:
    before = int(remote("get", "Top.Slept").out)
    ran = remote("exec", "Top.Sleep", "0.4", "--timeout", "0.1")
    assert ran.code == 1
    assert "its outcome is unknown" in ran.error
    deadline = time.monotonic() + 10
    while int(remote("get", "Top.Slept").out) == before:  # the command goes on all the same
        assert time.monotonic() < deadline


def test_tree_for_people(remote: Callable[..., Any]) -> None:
    text = remote("tree").out
    assert "├── Temp = 21.50 degC  RW" in text
    assert "Double(arg)" in text
    assert "│   │   ├── Rate = 1000 Hz  RW" in text
    assert "Shy" not in text
    assert "Writer  StreamWriter  " in text
    assert "DataFile" not in text
    assert "Shy = 5  RW" in remote("tree", "--all").out


def test_tree_of_a_hidden_device_shows_it(remote: Callable[..., Any]) -> None:
    text = remote("tree", "Top.Writer").out
    assert text.startswith("Writer  StreamWriter\n")
    assert "State = Closed  RO" in text


def test_tree_as_json(remote: Callable[..., Any]) -> None:
    top = remote("tree", "--json").json
    nodes = {node["name"]: node for node in top["nodes"]}
    assert top["kind"] == "root"
    assert nodes["Temp"]["value"] == 21.5
    assert nodes["Temp"]["valueDisp"] == "21.50"
    assert nodes["Temp"]["units"] == "degC"
    assert nodes["Shy"]["value"] == 5
    assert remote("tree", "Top.Temp", "--json").json == nodes["Temp"]


def test_a_server_that_is_gone(
    sapwood: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, free_ports: Callable[..., int]
) -> None:
    monkeypatch.setattr("sapwood.cli.remote.CONNECT_S", 0.3)
    port = free_ports()
    root = load_root(f"{TARGETS}:NoWriter")
    root.addInterface(RemoteServer(root, port=port))
    with root:
        assert root.running
    ran = sapwood("get", "--server", f"localhost:{port}", "Top.Temp")
    assert ran.code == 1
    assert f"localhost:{port}" in ran.error
    assert "sapwood run" in ran.error


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("daq:9501", Address("daq", 9501)),
        ("daq", Address("daq", 9500)),
        (":9501", Address("localhost", 9501)),
        ("10.0.0.1:1", Address("10.0.0.1", 1)),
        ("[::1]:9501", Address("[::1]", 9501)),
        ("[::1]", Address("[::1]", 9500)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert AddressType().convert(text, None, None) == address


@pytest.mark.parametrize(
    "text", ["daq:x", "daq:0", "daq:65536", "daq:-1", "::1", "tcp://daq:9500", "a:b:1", "daq:²"]
)
def test_a_bad_address_is_wrong_usage(sapwood: Callable[..., Any], text: str) -> None:
    ran = sapwood("get", "--server", text, "Top.Temp")
    assert ran.code == 2
    assert text in ran.err
    assert "host:port" in ran.err
