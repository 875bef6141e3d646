"""How commands fail: one line on stderr and an exit code, never a traceback for a user's mistake."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import click

from sapwood.cli.signals import Terminated, terminable
from sapwood.errors import FileError, RecordingExists, SapwoodError

__all__ = [
    "Damaged",
    "FailingGroup",
    "Failure",
    "Unreadable",
    "interruption",
    "one_line",
    "unreadable",
]


class Failure(click.ClickException):
    """End of a command: `message` goes to stderr on one line, the process exits with `exit_code`."""

    exit_code = 1

    def __init__(self, message: object) -> None:
        super().__init__(one_line(message))

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message."""
        click.echo(f"sapwood: {self.message}", err=True, file=file)


class Damaged(Failure):
    """A file is damaged; what is whole in it was used."""

    exit_code = 3


class Unreadable(Failure):
    """A file cannot be read."""

    exit_code = 4


class Interrupted(Failure):
    """Ctrl-C ended the command; the code is the one that shells expect."""

    exit_code = 128 + signal.SIGINT


class Stopped(Interrupted):
    """SIGTERM ended the command."""

    exit_code = 128 + signal.SIGTERM


def interruption(by: BaseException, left: str = "") -> Interrupted:
    """Return how a command ends that a signal ends.

    Parameters
    ----------
    by
        What the signal raised: `KeyboardInterrupt` or `Terminated`.
    left
        What is not there because of it.
    """
    behind = left and f": {left}"
    return (
        Stopped(f"Terminated{behind}") if isinstance(by, Terminated) else Interrupted(f"Interrupted{behind}")
    )


def one_line(text: object) -> str:
    """Return `text` with its lines joined, so that logs of failures stay greppable."""
    parts = [part.strip() for part in str(text).splitlines() if part.strip()]
    return "; ".join(part.rstrip(";") for part in parts)


class FailingGroup(click.Group):
    """A group whose commands may raise `SapwoodError`, `OSError` and what signals raise: a `Failure`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order they were added."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command line; Ctrl-C and SIGTERM end it in good order."""
        try:
            with terminable():
                return super().invoke(ctx)
        except (KeyboardInterrupt, Terminated) as stop:
            raise interruption(stop) from None
        except BrokenPipeError:
            # The reader of our output has gone (`sapwood file dump x | head`): nothing more to say.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(0) from None
        except (SapwoodError, OSError) as error:
            if ctx.obj:
                raise
            raise Failure(error) from error


@contextmanager
def unreadable() -> Iterator[None]:
    """Let errors of reading a file end the command with the exit code for unreadable files."""
    try:
        yield
    except (FileError, OSError) as error:
        context = click.get_current_context()
        if isinstance(error, BrokenPipeError | RecordingExists) or context.find_object(bool):
            raise
        raise Unreadable(error) from error
