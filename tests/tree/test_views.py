"""What nodes of the tree, and of a client, show in a notebook and in a terminal."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from rich.console import Console

import sapwood as sw

EVIL = "<script>alert(1)</script> [red]&"


class Board(sw.Device):
    Scratch = sw.Register(0x0, units=EVIL)
    State = sw.Register(0x4, bits=2, enum={0: "Idle", 1: EVIL})
    Temp = sw.Local(45.5, units="degC", disp="{:.2f}", highWarning=30, highAlarm=40)
    Cool = sw.Local(35.0, highWarning=30, highAlarm=40)
    Long = sw.Local("x" * 300)
    Shy = sw.Local(1, hidden=True)
    Broken = sw.Local(mode="RO")

    @Broken.getter
    def _broken(self) -> int:
        raise RuntimeError("the crate is off")

    @sw.Action()
    def Go(self, arg: int) -> None:
        """Go."""

    @sw.Action()
    def Halt(self) -> None:
        """Halt."""


@pytest.fixture
def top() -> Iterator[Any]:
    root = sw.Root(name="Top", pollEn=False)
    root.add(Board(name="Board", description=EVIL, memBase=sw.Emulate()))
    server = sw.RemoteServer(root, port=0)
    root.addInterface(server)
    with root:
        root.Board.State.set(1)
        root.port = server.port
        yield root


class Cells(HTMLParser):
    """Collects tags and the texts of table cells, row by row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.rows: list[list[str]] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self._inside = tag in ("td", "th")
        if tag == "tr":
            self.rows.append([])
        if self._inside:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.rows[-1][-1] += data


ROWS = [
    ["name", "value", "units", "mode", "alarm"],
    ["enable", "True", "", "RW", ""],
    ["Scratch", "0x0", EVIL, "RW", ""],
    ["State", EVIL, "", "RW", ""],
    ["Temp", "45.50", "degC", "RW", "AlarmMajor"],
    ["Cool", "35.0", "", "RW", "AlarmMinor"],
    ["Long", "x" * 57 + "...", "", "RW", ""],
    ["Broken", "<RuntimeError: the crate is off>", "", "RO", ""],
    ["Go(arg)", "", "", "command", ""],
    ["Halt()", "", "", "command", ""],
]


def drawn(node: Any) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(node)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_html_of_a_device(top: Any) -> None:
    text = top.Board._repr_html_()
    cells = Cells(text)
    assert cells.rows == ROWS
    assert cells.tags <= {"div", "strong", "br", "table", "thead", "tbody", "tr", "th", "td", "small"}
    assert "<script" not in text
    assert "3 hidden" in text
    assert "Top.Board" in text


def test_html_of_the_root_and_of_a_variable(top: Any) -> None:
    rows = Cells(top._repr_html_()).rows
    assert ["Board", "Board", "", "device", ""] in rows
    assert "LoadConfig(arg)" not in [row[0] for row in rows]
    assert Cells(top.Board.Temp._repr_html_()).rows == [ROWS[0], ROWS[4]]
    assert Cells(top.Board.Shy._repr_html_()).rows[1][:2] == ["Shy", "1"]
    assert Cells(top.Board.Go._repr_html_()).rows[1] == ROWS[8]


def test_rich_shows_the_same(top: Any) -> None:
    text = drawn(top.Board)
    for row in ROWS[1:]:
        assert any(all(cell in line for cell in row) for line in text.splitlines()), row
    assert "[red]" in text
    assert "3 hidden" in text


def test_a_client_shows_the_same(top: Any) -> None:
    with sw.RemoteClient(port=top.port) as client:
        board = client.root.Board
        rows = Cells(board._repr_html_()).rows
        failed = rows.pop(7)
        assert failed[0] == "Broken"
        assert "the crate is off" in failed[1]
        assert rows == ROWS[:7] + ROWS[8:]
        assert "AlarmMajor" in drawn(board.Temp)
        assert drawn(board.Go) == drawn(top.Board.Go)
        mine, its = (Cells(root._repr_html_()).rows for root in (top, client.root))
        assert [row for row in its if row[0] != "LocalTime"] == [row for row in mine if row[0] != "LocalTime"]


def test_a_view_reads_no_hardware(start: Any, bus: Any) -> None:
    device = Board(memBase=bus)
    start(device)
    bus.take()
    device._repr_html_()
    assert bus.take() == []


def test_before_the_start_there_are_no_values() -> None:
    assert Cells(Board()._repr_html_()).rows[2] == ["Scratch", "", EVIL, "RW", ""]


def test_large_devices_are_cut() -> None:
    device = sw.Device(name="Big")
    device.addRemoteVariables(300, 4, name="R", offset=0)
    text = device._repr_html_()
    assert len(Cells(text).rows) == 201
    assert "101 more, 2 hidden" in text


def test_names_are_completed(top: Any) -> None:
    assert {"Scratch", "Go", "Temp", "set"} <= {*dir(top.Board), *dir(top.Board.Temp)}
    with sw.RemoteClient(port=top.port) as client:
        assert {"Scratch", "Go"} <= set(dir(client.root.Board))
        assert "Top" in dir(client)


def test_rich_is_not_loaded_for_it() -> None:
    code = (
        "import sys, sapwood as sw; sw.Device()._repr_html_(); sw.RemoteClient;"
        "assert 'rich' not in sys.modules and 'sapwood.views' in sys.modules;"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
