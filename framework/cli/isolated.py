"""Reading damaged HDF5 files: the library can crash on them, or read for ever; a command must not."""

from __future__ import annotations

import contextlib
import fcntl
import io
import itertools
import os
import signal
import sys
import threading
import time

import click

from sapwood.cli.failure import Failure, Unreadable, interruption
from sapwood.cli.signals import Terminated

__all__ = ["PATIENCE_S", "allow_children", "go_on_in_child"]

PATIENCE_S = 3.0  # how long a child that is asked to stop may take
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL)

_allowed = False


def allow_children() -> None:
    """Let commands begin children: this process does nothing else than its command, and ends with it."""
    global _allowed
    _allowed = True


def go_on_in_child(path: str, out: str | None = None) -> None:
    """Run the rest of the command in a child process if `path` is an HDF5 file, or may be one.

    It returns in the child, which does and prints everything. Here the command ends as the child does,
    or as with an unreadable file when the library crashes. The child ends with this process, also when
    that is killed. Nothing happens in a program that calls the command line, whose rest would be run
    twice; where the output is captured within this process; and where other threads run.

    Parameters
    ----------
    out
        The file that the command writes; what a crash leaves of it is removed.

    Raises
    ------
    Exit, Unreadable, Failure, Interrupted
        Always, where a child was begun.
    """
    alone = _allowed and threading.active_count() == 1 and _is_real_output()
    if not alone or not _may_be_hdf5(path):
        return
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    watched, held = os.pipe()
    child = os.fork()
    if not child:
        os.close(held)
        _end_with(parent, watched)
        return
    os.close(watched)
    try:
        status = _await(child, out)
    finally:
        os.close(held)
    if not os.WIFSIGNALED(status):
        raise click.exceptions.Exit(os.waitstatus_to_exitcode(status))
    _remove_rest(out)
    number = os.WTERMSIG(status)
    name = signal.Signals(number).name
    if number in _CRASHES:
        raise Unreadable(f"{path}: the HDF5 library crashed over it ({name}): the file is damaged")
    raise Failure(f"{path}: the process that read it was ended by {name}")


def _end_with(parent: int, watched: int) -> None:
    """Have the system end this process when the last end of a pipe, which `parent` holds, is closed."""
    fcntl.fcntl(watched, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(watched, fcntl.F_SETFL, fcntl.fcntl(watched, fcntl.F_GETFL) | os.O_ASYNC)
    if os.getppid() != parent:  # it was closed before
        os._exit(1)


def _await(child: int, out: str | None) -> int:
    """Return the status with which a child ends; a signal that comes here ends it, and then the command."""
    try:
        return os.waitpid(child, 0)[1]
    except (KeyboardInterrupt, Terminated) as stop:
        status = _end(child, signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)
        _remove_rest(out)
        if os.WIFEXITED(status):  # it has told of it
            return status
        raise interruption(stop) from None


def _may_be_hdf5(path: str) -> bool:
    """Tell whether a file, the first part of a recording, or something in a folder may be HDF5."""
    if os.path.isdir(path):
        return True
    for name in (path, f"{path}.1"):
        with contextlib.suppress(OSError), open(name, "rb") as file:
            return file.read(len(_SIGNATURE)) == _SIGNATURE
    return False


def _is_real_output() -> bool:
    try:
        return sys.stdout.fileno() >= 0
    except (OSError, ValueError, io.UnsupportedOperation):
        return False


def _end(child: int, number: int) -> int:
    """Wait for a child that a terminal may have told to stop already; tell it, and in the end kill it.

    Returns
    -------
    int
        The status with which it ended.
    """
    for wait_s, then in ((PATIENCE_S / 6, number), (PATIENCE_S, signal.SIGKILL)):
        end = time.monotonic() + wait_s
        while time.monotonic() < end:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return status
            time.sleep(0.01)
        os.kill(child, then)
    return os.waitpid(child, 0)[1]


def _remove_rest(out: str | None) -> None:
    """Remove what a crash left of the file `out`, or of its parts, of which some may be complete."""
    if out is None:
        return
    for number in itertools.count():
        name = f"{out}.{number}" if number else out
        with contextlib.suppress(OSError):
            os.unlink(f"{name}.part")
        if number and not os.path.exists(name):
            return
