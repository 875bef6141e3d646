"""The modules of Rogue resolve to Sapwood, and what is missing says so."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from sapwood.compat.finder import FINDER, install, offer
from sapwood.compat.missing import ADVICE
from sapwood.compat.names import MODULES, homes

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_name_of_the_table_resolves(module: str) -> None:
    proxy = importlib.import_module(module)
    assert proxy.__name__ == module
    assert set(proxy.__all__) <= set(homes(module)) & set(dir(proxy))
    for name, (home, attribute) in homes(module).items():
        assert getattr(proxy, name) is getattr(importlib.import_module(home), attribute)


def test_classes_are_those_of_sapwood() -> None:
    import pyrogue
    import pyrogue as pr
    import pyrogue.utilities.fileio
    import rogue
    import rogue.interfaces.memory as rim
    import rogue.interfaces.stream as ris

    import sapwood.fileio
    import sapwood.memory
    import sapwood.streams

    assert pyrogue is pr
    assert pr.Device is sapwood.Device
    assert rim.Slave is sapwood.memory.Slave
    assert rogue.interfaces.stream.Slave is ris.Slave is sapwood.streams.Slave
    assert pyrogue.utilities.fileio.FileReader is sapwood.fileio.FileReader
    assert rogue.GeneralError is sapwood.SapwoodError
    assert issubclass(pr.Root, rim.Hub)


def test_submodules_are_reached_through_the_package_alone(python: Run) -> None:
    done = python(
        "-c",
        "import sapwood.compat, rogue; print(rogue.interfaces.memory.Read, rogue.utilities.Prbs.__name__)",
    )
    assert (done.stdout, done.stderr) == ("1 Prbs\n", "")


def test_importing_compat_loads_nothing_of_the_tree(python: Run) -> None:
    done = python("-c", "import sys, sapwood.compat; print([m for m in sys.modules if 'sapwood.tree' in m])")
    assert done.stdout == "[]\n"


def test_star_import_gives_the_public_names() -> None:
    space: dict[str, object] = {}
    exec("from pyrogue import *\nfrom rogue.interfaces.memory import *", space)  # noqa: S102  # that is tested
    assert {"Device", "RemoteVariable", "streamConnect", "startTransaction", "Write", "Emulate"} <= set(space)
    assert space["UInt"] == 2, "the number of the model, as the later star import gives it"
    assert "__version__" not in space


@pytest.mark.parametrize(
    ("statement", "parts"),
    [
        ("import rogue.hardware.axi", ["rogue.hardware", "rogue.interfaces.memory.Slave"]),
        ("import rogue.hardware.MemMap", ["rogue.hardware", "sapwood.memory.MemMap(path"]),
        ("import rogue.protocols.xilinx", ["rogue.protocols", "_doTransaction"]),
        ("from rogue.hardware import axi", ["rogue.hardware", "_sendFrame"]),
        ("import pyrogue.pydm", ["pyrogue.pydm", "sapwood watch"]),
        ("from rogue.interfaces.stream import NoSuchThing", ["rogue.interfaces.stream.NoSuchThing"]),
        ("from pyrogue import MemoryDevice", ["pyrogue.MemoryDevice", "removed", "numValues"]),
        ("from pyrogue import RemoteVarable", ["pyrogue.RemoteVarable", "Did you mean: RemoteVariable"]),
    ],
)
def test_missing_module_is_an_import_error_that_helps(statement: str, parts: list[str]) -> None:
    with pytest.raises(ImportError) as caught:
        exec(statement, {})  # noqa: S102  # the statements above
    assert [part for part in parts if part not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("module", "name", "parts"),
    [
        ("pyrogue", "MemoryDevice", ["pyrogue.MemoryDevice", "numValues"]),
        ("pyrogue", "streamTap", ["pyrogue.streamTap", ">>"]),
        ("rogue", "hardware", ["rogue.hardware", "a subclass of rogue.interfaces.memory.Slave"]),
        ("rogue.interfaces.memory", "Block", ["rogue.interfaces.memory.Block", "C++"]),
        ("rogue.interfaces.memory", "Emulat", ["rogue.interfaces.memory.Emulat", "Did you mean: Emulate"]),
        ("pyrogue", "qqq", ["pyrogue.qqq", "no such name"]),
    ],
)
def test_missing_name_is_an_attribute_error_that_helps(module: str, name: str, parts: list[str]) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(importlib.import_module(module), name)
    assert [part for part in parts if part not in str(caught.value)] == []


def test_special_names_are_missing_as_in_any_module() -> None:
    import pyrogue

    with pytest.raises(AttributeError, match=r"^module 'pyrogue' has no attribute '__wrapped__'$"):
        _ = pyrogue.__wrapped__


def test_offering_twice_keeps_one_finder_that_leaves_others_alone() -> None:
    offer()
    offer()
    assert sys.meta_path.count(FINDER) == 1
    assert FINDER.find_spec("numpy", None) is None


# ---- beside a real Rogue


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """A folder that holds something else under the names of Rogue."""
    folder = tmp_path / "site"
    for package in ("rogue", "pyrogue", "pyrogue/utilities"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").write_text("REAL = True\n")
    return folder


def test_real_rogue_keeps_its_names(python: Run, real: Path) -> None:
    code = "import sapwood.compat, pyrogue.utilities, rogue; print(pyrogue.utilities.REAL, rogue.REAL)"
    assert python("-c", code, path=real).stdout == "True True\n"


def test_real_rogue_is_not_mixed_with_sapwood(python: Run, real: Path) -> None:
    done = python("-c", "import sapwood.compat, pyrogue.utilities.prbs", path=real)
    assert "No module named 'pyrogue.utilities.prbs'" in done.stderr


def test_install_takes_the_names_over(python: Run, real: Path) -> None:
    code = "import sapwood.compat as c; c.install(); import pyrogue.utilities.prbs; print(pyrogue.Device)"
    assert python("-c", code, path=real).stdout == "<class 'sapwood.tree.device.Device'>\n"


def test_install_comes_too_late_after_a_real_import(python: Run, real: Path) -> None:
    done = python("-c", "import rogue, sapwood.compat; sapwood.compat.install()", path=real)
    assert "ImportError: rogue is already imported from" in done.stderr


def test_folder_of_that_name_is_no_rogue(python: Run, tmp_path: Path) -> None:
    for name in ("rogue", "pyrogue"):
        (tmp_path / name).mkdir()
    code = (
        "import sapwood.compat, rogue, pyrogue; print(rogue.GeneralError.__name__, pyrogue.Device.__name__)"
    )
    assert python("-c", code).stdout == "SapwoodError Device\n"


def test_install_after_importing_the_proxies_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    import pyrogue

    monkeypatch.setattr(FINDER, "takes_over", False)
    install()
    assert FINDER.takes_over
    assert importlib.import_module("pyrogue") is pyrogue


# ---- python -m sapwood.compat


SCRIPT = "import sys, pyrogue, beside\nprint(__name__, sys.argv[1:], pyrogue.Device.__module__, beside.X)\n"


def test_script_runs_as_main_with_its_arguments(python: Run, tmp_path: Path) -> None:
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "tool.py").write_text(SCRIPT)
    (folder / "beside.py").write_text("X = 3\n")
    done = python("-m", "sapwood.compat", "scripts/tool.py", "a", "-b")
    assert (done.stdout, done.stderr) == ("__main__ ['a', '-b'] sapwood.tree.device 3\n", "")


def test_folder_with_main_runs(python: Run, tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__main__.py").write_text(SCRIPT)
    (tmp_path / "app" / "beside.py").write_text("X = 4\n")
    assert python("-m", "sapwood.compat", "app", "x").stdout == "__main__ ['x'] sapwood.tree.device 4\n"


def test_module_runs_and_finds_what_is_in_the_folder(python: Run, tmp_path: Path) -> None:
    (tmp_path / "tool.py").write_text(SCRIPT)
    (tmp_path / "beside.py").write_text("X = 5\n")
    done = python("-m", "sapwood.compat", "-m", "tool", "-v")
    assert done.stdout == "__main__ ['-v'] sapwood.tree.device 5\n"


def test_pytest_runs_tests_of_pyrogue_code(python: Run, tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text(
        "import pyrogue\ndef test_x():\n    assert pyrogue.Root(name='r').name == 'r'\n"
    )
    done = python("-m", "sapwood.compat", "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_exit_code_of_the_program_is_kept(python: Run, tmp_path: Path) -> None:
    (tmp_path / "tool.py").write_text("raise SystemExit(7)\n")
    assert python("-m", "sapwood.compat", "tool.py").returncode == 7


@pytest.mark.parametrize("arguments", [[], ["-m"], ["-x"], ["nothing.py"]])
def test_wrong_use_is_told(python: Run, arguments: list[str]) -> None:
    done = python("-m", "sapwood.compat", *arguments)
    assert done.returncode == 2
    assert "sapwood.compat" in done.stderr
    assert "Traceback" not in done.stderr


# ---- the page for people who come from Rogue


PAGE = Path(__file__).resolve().parents[2] / "docs" / "migrating-from-pyrogue.md"


@pytest.mark.parametrize("module", sorted(name for name in MODULES if "._" not in name))
def test_page_lists_every_module_with_its_names(module: str) -> None:
    row = next(line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{module}` |"))
    if module not in ("pyrogue", "rogue.interfaces.memory"):
        missing = [name for name in importlib.import_module(module).__all__ if f"`{name}`" not in row]
        assert missing == []


@pytest.mark.parametrize("name", sorted(ADVICE))
def test_page_lists_every_missing_name_that_has_advice(name: str) -> None:
    text = PAGE.read_text()
    above, _, last = name.rpartition(".")
    assert f"`{name}`" in text or (f"`{last}`" in text and f"`{above}" in text)


def test_names_with_advice_are_missing_indeed() -> None:
    for name in ADVICE:
        above, _, last = name.rpartition(".")
        assert name in MODULES or above not in MODULES or last not in homes(above)


def test_driver_of_the_page_reaches_registers() -> None:
    import pyrogue

    blocks = PAGE.read_text().split("```python\n")[1:]
    code = next(block.partition("```")[0] for block in blocks if "class MyLink" in block)
    space: dict[str, Any] = {}
    exec(code, space)  # noqa: S102  # the page's own example

    class Port:
        words: ClassVar[dict[int, bytes]] = {}

        def write(self, address: int, data: bytearray) -> None:
            self.words[address] = bytes(data)

        def read(self, address: int, size: int) -> bytearray:
            return bytearray(self.words.get(address, bytes(size)))

    root = pyrogue.Root(name="top", pollEn=False)
    root.add(pyrogue.Device(name="D", memBase=space["MyLink"](Port())))
    root.D.add(pyrogue.RemoteVariable(name="R", offset=8))
    with root:
        root.D.R.set(0x01020304)
        assert root.D.R.get() == 0x01020304
    assert Port.words == {8: b"\4\3\2\1"}
