"""Optional packages that are absent, and ones that are there but do not load."""

from __future__ import annotations

from pathlib import Path

import pytest

from sapwood.errors import MissingExtra
from sapwood.extras import need


def test_an_absent_package_is_named_with_its_pip_line() -> None:
    with pytest.raises(MissingExtra, match=r"'no_such_package.part' is not installed.*") as seen:
        need("no_such_package.part", extra="export")
    assert "pip install 'sapwood[export]'" in str(seen.value)


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ("raise ImportError('it needs NumPy 9 or newer')", "it needs NumPy 9 or newer"),
        ("import no_such_dependency", "No module named 'no_such_dependency'"),
    ],
    ids=["refuses", "lacks a package"],
)
def test_a_package_that_does_not_load_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, cause: str
) -> None:
    (tmp_path / "picky_package.py").write_text(body)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingExtra, match=f"'picky_package' does not load: {cause}") as seen:
        need("picky_package", extra="export")
    assert "--upgrade 'sapwood[export]'" in str(seen.value)
    assert isinstance(seen.value.__cause__, ImportError)
