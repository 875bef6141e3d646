"""What docs/how-to/write-a-decoder.md shows runs, prints what it says, and passes its own tests."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "write-a-decoder.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.py").write_text("\n\n".join(blocks("python")))
    names = runpy.run_path(str(tmp_path / "page.py"))
    assert capsys.readouterr().out == blocks("text")[0]
    suite = names["TestDemo"]()
    tests = [name for name in dir(suite) if name.startswith("test_")]
    assert len(tests) == 5
    for name in tests:
        getattr(suite, name)()


def test_the_digitiser_takes_less_than_a_hundred_lines() -> None:
    assert len(blocks("python")[0].splitlines()) < 100
