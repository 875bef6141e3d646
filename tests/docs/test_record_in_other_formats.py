"""What docs/how-to/record-in-other-formats.md shows runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "record-in-other-formats.md"


def test_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {"__name__": "page"}
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(code, space)  # noqa: S102  # the page's own code
    assert capsys.readouterr().out.splitlines() == [
        "run000001_Icf.sof 20 Closed",
        "run000001_Apx.apx 20 Closed",
        "run000001_Hdf5.h5 20 Closed",
        "run000001_Camera.h5 20 Closed",
        "(20, 8, 16)",
        "FrameBatch(20 frames, 5120 bytes)",
        "5 Watermark(frames=5, bytes=50)",
    ]
    assert (tmp_path / "run000001_Hdf5.h5.1").exists()
