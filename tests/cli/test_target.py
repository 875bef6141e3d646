"""What TARGET may be, and what is said when it is something else."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from sapwood.cli.target import load_root
from sapwood.errors import SapwoodError
from sapwood.tree import Root

TARGETS = Path(__file__).parent / "targets" / "small.py"


@pytest.mark.parametrize("name", ["Small", "NoWriter"])
def test_a_class_in_a_file(name: str) -> None:
    root = load_root(f"{TARGETS}:{name}")
    assert isinstance(root, Root)
    assert type(root).__name__ == name


def test_a_module_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "g_lab.py").write_text(
        "from sapwood.tree import Root\ndef make():\n    return Root(name='Lab')\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load_root("g_lab:make").name == "Lab"


def test_a_file_imports_what_lies_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    (tmp_path / "g_names.py").write_text("NAME = 'Beside'\n")
    (tmp_path / "g_station.py").write_text(
        "from g_names import NAME\nfrom sapwood.tree import Root\ndef make():\n    return Root(name=NAME)\n"
    )
    assert load_root(f"{tmp_path / 'g_station.py'}:make").name == "Beside"


@pytest.mark.parametrize("target", ["small.py", ":Small", "small.py:", "", "small"])
def test_another_form_is_wrong_usage(target: str) -> None:
    with pytest.raises(click.UsageError, match="TARGET must be module:Class"):
        load_root(target)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Smal", r"There is no Smal in .*small\.py\. It holds: Small"),
        ("NOT_A_ROOT", "makes no root .*seen int"),
        ("nothing", "makes no root .*seen a NoneType"),
        ("FrontEndBoard", "makes no root .*seen class FrontEndBoard"),
        ("Picky", "cannot be called without arguments: missing a required argument: 'name'"),
        ("Broken", r"failed: RuntimeError: the crate is off at .*small\.py:\d+"),
    ],
)
def test_what_was_found_is_named(name: str, said: str) -> None:
    with pytest.raises(SapwoodError, match=said):
        load_root(f"{TARGETS}:{name}")


def test_places_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "station.py").write_text("")
    with pytest.raises(SapwoodError, match=r"no Python file .*Did you mean: .*station\.py"):
        load_root(f"{tmp_path / 'statoin.py'}:Root")
    with pytest.raises(SapwoodError, match="no module 'no_such_module'"):
        load_root("no_such_module:Root")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import no_such_thing\n", "ModuleNotFoundError: No module named 'no_such_thing' at .*:1"),
        ("x = (\n", r"was never closed at .*:1"),
        ("def f():\n    return 1 / 0\n\nf()\n", "ZeroDivisionError: division by zero at .*:2"),
    ],
)
def test_a_file_that_fails_says_where(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "g_failing.py"
    path.write_text(text)
    with pytest.raises(SapwoodError, match=said):
        load_root(f"{path}:Root")


def test_nothing_is_evaluated() -> None:
    with pytest.raises(SapwoodError, match="There is no"):
        load_root(f"{TARGETS}:__import__('os').getcwd()")
