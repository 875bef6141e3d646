"""What docs/formats/rogue.md shows runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats" / "rogue.md"


def test_the_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), {})  # noqa: S102  # our own page
    assert capsys.readouterr().out == "{'frames': 3} 18\n[2, 2, 2] [5, 12, 1]\n"
    assert (tmp_path / "run.npz").exists()
