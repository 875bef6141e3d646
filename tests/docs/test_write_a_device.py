"""What docs/how-to/write-a-device.md shows runs, and the three ways give the same nodes."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import sapwood as sw

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "write-a-device.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all files of the page."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "board.yaml").write_text(blocks("yaml")[0])
    (tmp_path / "lab.py").write_text("\n\n".join(blocks("python")))
    return tmp_path


def described(device: Any) -> list[Any]:
    """Return what tells the nodes of a board, but for its own name and place."""
    return [
        (
            {**node.describe(), "path": node.path.partition(device.path)[2]},
            node.address - device.address if isinstance(node, sw.RemoteVariable) else None,
        )
        for node in device.nodeList
    ]


def test_the_three_ways_give_the_same(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = runpy.run_path(str(lab / "lab.py"))
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["0x55 7 ['Scratch', 'Status', 'Level']"] * 3
    with names["Lab"]() as root:
        added = described(root.Added)
        assert len(added) == 16
        assert described(root.Declared) == added
        assert described(root.Table) == added
        assert [key for key, _ in described(root.Crate.First)] == [key for key, _ in added]
        root.Crate.Power.set(20.0)
        assert root.Crate.Share.get() == 50.0
        root.Crate.Share.set(25.0)
        assert root.Crate.First.Gain.get() == 5.0
    assert list(names["table_board"].nodes) == list(names["AddedBoard"]().nodes)
    small = names["SmallBoard"]()
    assert list(small.nodes)[3:] == ["Scratch", "Status", "Level", "Mask[0]", "Mask[1]", "Reset"]
    assert small.Scratch.mode == "RO"


def test_the_error_shown_is_the_error(lab: Path) -> None:
    told = blocks("text")[0]
    text = (lab / "board.yaml").read_text().replace("base:", "bas:")
    (lab / "board.yaml").write_text(text)
    with pytest.raises(sw.ConfigError) as caught:
        sw.load_registers("board.yaml")
    assert str(caught.value) == told.strip()


def test_the_shell_runs(lab: Path) -> None:
    script, command = re.fullmatch(r"echo '(.*)' \| sapwood (.*)\n", blocks("bash")[0]).groups()  # type: ignore[union-attr]
    done = subprocess.run(
        [sys.executable, "-m", "sapwood", *command.split()],
        input=script,
        cwd=lab,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.splitlines()[-1] == "3 3"
