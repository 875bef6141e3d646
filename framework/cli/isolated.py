"""Reading damaged HDF5 files: the library can crash on them, or read for ever; a command must not."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import threading
import time

import click

from sapwood.cli.failure import Unreadable, interruption
from sapwood.cli.signals import Terminated

__all__ = ["go_on_in_child"]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_PATIENCE_S = 3.0  # how long a child that is asked to stop may take


def go_on_in_child(path: str, out: str | None = None) -> None:
    """Run the rest of the command in a child process if `path` is an HDF5 file, or may be one.

    It returns in the child, which does and prints everything. Here the command ends as the child does,
    or as with an unreadable file when the library crashes. Nothing happens where the output is
    captured within this process, or other threads run.

    Parameters
    ----------
    out
        The file that the command writes; what a crash leaves of it is removed.

    Raises
    ------
    Exit, Unreadable, Interrupted
        Always, where a child was begun.
    """
    if not _may_be_hdf5(path) or threading.active_count() > 1 or not _is_real_output():
        return
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        return
    try:
        _, status = os.waitpid(child, 0)
    except (KeyboardInterrupt, Terminated) as stop:
        _end(child, signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)
        raise interruption(stop) from None
    if os.WIFSIGNALED(status):
        _remove_rest(out)
        name = signal.Signals(os.WTERMSIG(status)).name
        raise Unreadable(f"{path}: the HDF5 library crashed over it ({name}): the file is damaged")
    raise click.exceptions.Exit(os.waitstatus_to_exitcode(status))


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


def _end(child: int, number: int) -> None:
    """Wait for a child that a terminal may have told to stop already; tell it, and in the end kill it."""
    for wait_s, then in ((_PATIENCE_S / 6, number), (_PATIENCE_S, signal.SIGKILL)):
        end = time.monotonic() + wait_s
        while time.monotonic() < end:
            if os.waitpid(child, os.WNOHANG)[0]:
                return
            time.sleep(0.01)
        os.kill(child, then)
    os.waitpid(child, 0)


def _remove_rest(out: str | None) -> None:
    if out is not None:
        with contextlib.suppress(OSError):
            os.unlink(f"{out}.part")
