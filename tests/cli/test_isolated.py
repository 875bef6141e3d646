"""Commands on HDF5 files whose reading crashes the library, or never ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

h5py = pytest.importorskip("h5py")

CHILD = """
import os, signal, sys, time
from sapwood.cli import isolated
from sapwood.cli.main import main
from sapwood.fileio import registry


def crash(path, out=None, *more, number=signal.SIGSEGV, **options):
    if out is not None:
        for name in (f"{out}.part", f"{out}.1", f"{out}.2.part"):
            open(name, "w").close()
    os.kill(os.getpid(), number)


def killed(path, *more, **options):
    crash(path, number=signal.SIGKILL)


def wait(path, *more, **options):
    print("waits", os.getpid(), flush=True)
    time.sleep(60)


def hang(path, *more, **options):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
    print("hangs", os.getpid(), flush=True)
    while True:
        time.sleep(1)


isolated.PATIENCE_S = 0.3
how = sys.argv.pop(1)
if how != "well":
    registry.open = registry.verify = registry.recover = globals()[how]
    registry.detect = lambda path: None
main()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    from sapwood import fileio
    from sapwood.fileio.table import Table, TableInfo
    from sapwood.streams import FrameBatch

    path = tmp_path / "run.h5"
    batch = FrameBatch.from_rows(np.arange(6, dtype=np.uint8).reshape(2, 3))
    sink = fileio.create(path, tables=[TableInfo.of_frames(2, 6)])
    sink.write(Table.from_frames(batch))
    sink.close()
    return path


def begin(how: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, how, "file", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(how: str, *arguments: object) -> tuple[int, str, str]:
    child = begin(how, *arguments)
    out, err = child.communicate(timeout=60)
    return child.returncode, out, err


@pytest.mark.parametrize("command", ["info", "dump", "verify", "recover", "convert"])
def test_a_crash_is_an_unreadable_file(command: str, file: Path, tmp_path: Path) -> None:
    out = [tmp_path / "out.h5"] if command in ("recover", "convert") else []
    code, printed, told = run("crash", command, file, *out)
    assert (code, printed) == (4, "")
    assert told == f"sapwood: {file}: the HDF5 library crashed over it (SIGSEGV): the file is damaged\n"
    whole = ["out.h5.1"] if command == "recover" else []
    assert sorted(path.name for path in tmp_path.iterdir()) == [*whole, "run.h5"]


def test_a_child_that_somebody_killed_says_nothing_of_the_file(file: Path) -> None:
    told = f"sapwood: {file}: the process that read it was ended by SIGKILL\n"
    assert run("killed", "info", file) == (1, "", told)


EMBEDDED = """
import sys
from sapwood.cli.main import cli

cli(["file", "info", sys.argv[1]], standalone_mode=False)
print("goes on", flush=True)
"""


def test_a_program_that_calls_a_command_goes_on_once(file: Path) -> None:
    command = [sys.executable, "-c", EMBEDDED, str(file)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.count("goes on") == 1


def test_a_command_that_is_killed_leaves_no_child(file: Path) -> None:
    with begin("hang", "info", file) as command:
        assert command.stdout is not None
        child = int(command.stdout.readline().split()[1])
        assert child != command.pid
        command.kill()
        try:
            command.communicate(timeout=30)  # it waits for the last process that can write to these pipes
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("how", ["wait", "hang"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_takes_long_or_never_ends_can_be_interrupted(
    how: str, number: int, code: int, file: Path
) -> None:
    child = begin(how, "verify", file)
    assert child.stdout is not None
    assert child.stdout.readline().startswith(how)
    os.kill(child.pid, number)
    _, told = child.communicate(timeout=60)
    assert (child.returncode, told.count("\n")) == (code, 1)


def test_commands_print_and_end_as_ever(file: Path, tmp_path: Path) -> None:
    code, printed, told = run("well", "dump", file, "--json")
    assert (code, printed.count("\n"), told) == (0, 2, "")
    assert run("well", "info", file, "--json")[1].count("frames") >= 1
    assert run("well", "recover", file, tmp_path / "copy.h5")[0] == 0
    code, _, told = run("well", "info", tmp_path / "none.h5")
    assert (code, told.count("\n")) == (4, 1)
    data = bytearray(file.read_bytes())
    data[8:200] = bytes(192)
    file.write_bytes(data)
    assert run("well", "verify", file, "--format", "hdf5")[0] == 4
    folder = tmp_path / "folder"
    folder.mkdir()
    os.rename(tmp_path / "copy.h5", folder / "copy.h5")
    assert run("well", "verify", folder)[0] == 0


DAMAGE = """
import os, resource, sys
from collections import Counter
from sapwood import fileio
from sapwood.errors import FileError

path, format = sys.argv[1:]
whole = open(path, "rb").read()
fileio.verify(path, format)  # everything is imported


def check():
    try:
        fileio.verify(path, format)
        with fileio.open(path, format) as reader:
            reader.info()
    except FileError as error:
        if path in str(error):
            return 4
        print(repr(error), file=sys.stderr)
        return 1
    except BaseException as error:
        print(repr(error), file=sys.stderr)
        return 1
    return 0


ended = Counter()
for at in range(9, min(len(whole), 8000), 97):
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(bytes([whole[at] ^ 0x5A]))
    child = os.fork()  # the library may crash, or never end
    if not child:
        resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
        os._exit(check())
    ended[os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])] += 1
    with open(path, "r+b") as file:
        file.write(whole)
print(ended[0] > 10, ended[4] > 10, ended[1])
"""


def test_damage_gives_errors_that_name_the_file(file: Path) -> None:
    """Every 97th byte of what is not data is changed, one at a time."""
    from sapwood.fileio import SSDataWriter
    from sapwood.fileio.icf import SSReadout

    slow = file.parent / "slow.h5"
    with SSDataWriter(slow) as writer:
        writer.write(SSReadout(1))
    for path, format in ((file, "hdf5"), (slow, "slowsignal")):
        command = [sys.executable, "-c", DAMAGE, str(path), format]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert (ran.returncode, ran.stdout) == (0, "True True 0\n"), ran.stderr[-2000:]
