"""``sapwood shell``: scripts on standard input, consoles on a terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sapwood.cli.main import cli
from sapwood.cli.target import load_root
from sapwood.remote import RemoteServer

TARGETS = Path(__file__).parent / "targets" / "small.py"
SMALL = f"{TARGETS}:Small"
WAIT_S = 30.0


def run(script: str, *arguments: object) -> Result:
    return CliRunner().invoke(cli, ["shell", *map(str, arguments)], input=script)


def test_a_script_has_the_running_root() -> None:
    script = (
        "level = root.Level\n"
        "def double():\n"
        "    return 2 * level.get()\n"
        "level.set(21)\n"
        "print(root.running, double(), __name__)\n"
    )
    ran = run(script, SMALL)
    assert ran.exit_code == 0, ran.output
    assert ran.stdout == "True 42 __main__\n"


def test_the_root_is_stopped_afterwards(tmp_path: Path) -> None:
    target = tmp_path / "lab.py"
    target.write_text(
        "import sapwood as sw\n"
        "class Lab(sw.Root):\n"
        "    def _stop(self):\n"
        "        super()._stop()\n"
        "        print('stopped')\n"
    )
    for script, code in (("", 0), ("1 / 0", 1), ("exit(7)", 7), ("raise KeyboardInterrupt", 1), ("a b", 1)):
        ran = run(script, f"{target}:Lab")
        assert (ran.exit_code, ran.stdout) == (code, "stopped\n"), script


def test_what_fails_is_a_traceback_of_the_script() -> None:
    ran = run("print(1)\nroot.Nothing.get()\nprint(2)\n", SMALL)
    assert ran.exit_code == 1
    assert ran.stdout == "1\n"
    assert 'File "<stdin>", line 2' in ran.stderr
    assert "has no attribute Nothing" in ran.stderr
    assert "SyntaxError" in run("x (", SMALL).stderr


def test_configuration_and_data_folder(tmp_path: Path) -> None:
    (tmp_path / "lab.yml").write_text("Top:\n  Level: 9\n")
    script = "print(root.Level.get(), root.dataDir)"
    ran = run(script, SMALL, "--config", tmp_path / "lab.yml", "--data-dir", tmp_path)
    assert ran.stdout == f"9 {tmp_path}\n"


def test_a_served_tree() -> None:
    root = load_root(SMALL)
    server = RemoteServer(root, port=0)
    root.addInterface(server)
    with root:
        where = f"localhost:{server.port}"
        ran = run("root.Level.set(5)\nprint(client.Top.Level.get(), client.address)", "--server", where)
        assert ran.stdout == f"5 {where}\n"
        assert root.Level.get() == 5
    assert root.running is False


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((SMALL, "--server", "localhost:1"), "--server has no meaning with TARGET"),
        ((SMALL, "--token", "x"), "--token has no meaning with TARGET"),
        (("--data-dir", "."), "--data-dir has no meaning without TARGET"),
        (("small",), "TARGET must be module:Class"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], said: str) -> None:
    ran = run("", *arguments)
    assert ran.exit_code == 2
    assert said in ran.stderr


class Terminal:
    """The shell at a terminal of its own; modules in `folder` come before all others."""

    def __init__(self, folder: Path) -> None:
        path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
        self._master, slave = pty.openpty()
        self.child = subprocess.Popen(
            [sys.executable, "-m", "sapwood", "shell", SMALL, "--data-dir", str(folder)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**os.environ, "TERM": "dumb", "INPUTRC": os.devnull, "PYTHONPATH": path},
        )
        os.close(slave)
        self.seen = ""

    def wait_for(self, text: str) -> str:
        """Return what was printed up to `text`, which is then forgotten."""
        end = time.monotonic() + WAIT_S
        while text not in self.seen:
            ready, _, _ = select.select([self._master], [], [], max(0.0, end - time.monotonic()))
            try:
                chunk = os.read(self._master, 65536) if ready else b""
            except OSError:  # the other side has closed
                chunk = b""
            assert chunk, (text, self.seen)
            self.seen += chunk.decode()
        before, _, self.seen = self.seen.partition(text)
        return before

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def close(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait(WAIT_S)
        os.close(self._master)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Opens the shell at a terminal; none outlives its test."""
    opened: list[Terminal] = []

    def begin() -> Terminal:
        opened.append(Terminal(tmp_path))
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


@pytest.fixture
def no_ipython(tmp_path: Path) -> None:
    """Make it as if IPython were not installed."""
    (tmp_path / "IPython.py").write_text("raise ImportError('none')\n")


@pytest.mark.usefixtures("no_ipython")
def test_a_console(terminal: Callable[..., Terminal]) -> None:
    shell = terminal()
    assert "root: Top, data in" in shell.wait_for(">>> ")
    shell.type("root.Level.get() + 41\n")
    assert re.search(r"\b42\b", shell.wait_for(">>> "))
    shell.type("root.Temp\n")
    assert "Top.Temp  LocalVariable" in shell.wait_for(">>> ")
    shell.type("\x04")
    assert shell.child.wait(WAIT_S) == 0


@pytest.mark.usefixtures("no_ipython")
def test_tab_completes(terminal: Callable[..., Terminal]) -> None:
    pytest.importorskip("readline", reason="this Python has no readline")
    shell = terminal()
    shell.wait_for(">>> ")
    shell.type("root.Seri\t.get()\n")
    assert "abc" in shell.wait_for(">>> ")


@pytest.mark.usefixtures("no_ipython")
def test_sigterm_at_a_console_ends_in_good_order(terminal: Callable[..., Terminal]) -> None:
    shell = terminal()
    shell.wait_for(">>> ")
    shell.type("root.addInterface(type('Last', (), {'_stop': lambda self: print('stop' + 'ped')})())\n")
    shell.wait_for(">>> ")
    shell.child.send_signal(signal.SIGTERM)
    shell.wait_for("stopped")
    assert shell.child.wait(WAIT_S) == 128 + signal.SIGTERM


def test_ipython_where_installed(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    (tmp_path / "IPython.py").write_text(
        "def start_ipython(argv, user_ns):\n    print('IPython', argv, user_ns['root'].running)\n"
    )
    shell = terminal()
    shell.wait_for("IPython ['--ext=rich'] True")
    assert shell.child.wait(WAIT_S) == 0


def test_help_shows_a_script(sapwood: Callable[..., Any]) -> None:
    assert "echo 'print(root.LocalTime.get())'" in sapwood("shell", "--help").out
