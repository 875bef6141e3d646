"""What docs/how-to/write-a-sink.md shows runs, prints what it says, and refuses what it says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sapwood import fileio
from sapwood.errors import FileError
from sapwood.fileio import Column, Table, registry

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "write-a-sink.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> dict[str, Any]:
    """Names that the page defines; the formats are those of before when the test ends."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_loaded", dict(registry._loaded))
    names: dict[str, Any] = {}
    for block in blocks("python"):
        exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102  # our own page
    return names


def test_the_page_runs(page: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert capsys.readouterr().out == blocks("text")[0]
    assert sorted(path.name for path in Path().iterdir()) == ["hits.gp", "hits.h5"]


def test_a_whole_sink_takes_less_than_sixty_lines() -> None:
    assert len(blocks("python")[0].splitlines()) < 60


def test_what_the_sink_refuses(page: dict[str, Any]) -> None:
    sink = fileio.create("a.gp")
    for column in (
        Column(np.array(["a"])),
        Column(np.ones((1, 2))),
        Column(np.ones(1), np.zeros(1), np.ones(1)),
    ):
        with pytest.raises(FileError, match="Column x cannot be written"):
            sink.write(Table("t", {"x": column}))
    sink.write(Table("t", {"x": Column(np.arange(2))}))
    with pytest.raises(FileError, match="holds one table"):
        sink.write(Table("u", {"x": Column(np.arange(2))}))
    sink.close()
    assert Path("a.gp").read_text() == "# x\n# -\n0\n1\n"


def test_the_entry_point_is_of_the_group_that_is_looked_in() -> None:
    (group,) = tomllib.loads(blocks("toml")[0])["project"]["entry-points"]
    assert group == registry.GROUP


def test_modules_that_the_page_names_are_there() -> None:
    named = set(re.findall(r"`(?:sinks/)?(\w+\.py)`", PAGE.read_text()))
    assert len(named) > 10
    folder = ROOT / "fileio" / "sinks"
    assert named <= {path.name for path in folder.glob("*.py")}
    assert max(len(path.read_text().splitlines()) for path in folder.glob("*.py")) <= 100
