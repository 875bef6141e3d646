"""The Python of README.md runs, block after block, as a newcomer would paste it."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from sapwood import RemoteServer

README = Path(__file__).resolve().parents[2] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)


def test_first_two_bash_blocks_hold_one_command_line_each() -> None:
    run, test = blocks("bash")[:2]
    assert len(run.strip().splitlines()) == len(test.strip().splitlines()) == 1
    assert run.strip().endswith("sapwood demo")
    assert "pytest" in test


def test_python_blocks_run_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    root_text, script, analysis = blocks("python")
    (tmp_path / "acquisition.py").write_text(root_text)
    top = runpy.run_path(str(tmp_path / "acquisition.py"))["AcquisitionRoot"]()
    server = RemoteServer(port=0)
    top.addInterface(server)
    with top:
        assert "port=9500" in script
        (tmp_path / "script.py").write_text(script.replace("port=9500", f"port={server.port}"))
        runpy.run_path(str(tmp_path / "script.py"))
    (tmp_path / "analysis.py").write_text(analysis)
    runpy.run_path(str(tmp_path / "analysis.py"))
    count, *means = capsys.readouterr().out.replace("[", " ").split()
    assert int(count) > 100
    assert len(means) > 3


def test_shell_lines_name_nodes_that_exist(tmp_path: Path) -> None:
    root_text = blocks("python")[0]
    (tmp_path / "acquisition.py").write_text(root_text)
    paths = re.findall(r"sapwood (?:set|exec|watch) (\S+)", blocks("sh")[0])
    assert len(paths) > 4
    with runpy.run_path(str(tmp_path / "acquisition.py"))["AcquisitionRoot"]() as top:
        assert [path for path in paths if top.getNode(path) is None] == []
