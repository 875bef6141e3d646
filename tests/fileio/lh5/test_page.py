"""What docs/formats/lh5.md shows runs."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[3] / "docs" / "formats" / "lh5.md"


def test_the_examples_run(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    text = PAGE.read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.py").write_text("\n".join(blocks))
    names = runpy.run_path("page.py")
    assert capsys.readouterr().out == "".join(re.findall(r"```text\n(.*?)```", text, re.DOTALL))
    assert names["table"]["hits"][2].tolist() == [7, 8, 9]
