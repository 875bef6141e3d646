"""What the section on the data layer in docs/formats/pymodaq.md shows runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats" / "pymodaq.md"


def test_the_example_prints_what_the_page_says(tmp_path: Path) -> None:
    section = re.split(r"^## ", PAGE.read_text().partition("## The data layer\n")[2], flags=re.MULTILINE)[0]
    code, printed = (re.findall(rf"```{kind}\n(.*?)```", section, re.DOTALL) for kind in ("python", "text"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n\n".join(code)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == printed[0]
