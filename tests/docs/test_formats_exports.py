"""What docs/formats/exports.md shows runs, and its table of endings is the registry's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sapwood.fileio import registry

PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats" / "exports.md"


def test_the_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), {})  # noqa: S102  # our own page
    assert capsys.readouterr().out == "4.5 [1. 2.]\n"
    made = {path.suffix for path in tmp_path.iterdir()}
    assert made == {".h5", ".npz", ".csv", ".jsonl", ".parquet", ".arrow", ".root", ".mcap", ".fits"}


def test_the_table_of_endings() -> None:
    text = PAGE.read_text()
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `.")]
    told: dict[str, tuple[bool, set[str]]] = {}
    for _, endings, _, tables, compressions, *_ in rows:
        for ending in re.findall(r"`(\.\w+)`", endings):
            told[ending] = ("one" in tables.split(",")[0], set(re.findall(r"`(\w+)`", compressions)))
    sinks = [format for format in registry.formats().values() if ".sinks." in type(format).__module__]
    assert told == {
        ending: (format.one_table, set(format.compressions) - {"none"})
        for format in sinks
        for ending in format.endings
    }
