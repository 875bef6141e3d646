"""The command ``sapwood``: its groups, and how failures end.

Modules of this package import only click and the errors; what a command needs it imports when it
runs, so that ``sapwood --help`` answers at once.
"""

from __future__ import annotations

import atexit
import gc

import click

from sapwood import __version__
from sapwood.cli.apx import apx
from sapwood.cli.board import board
from sapwood.cli.demo import demo
from sapwood.cli.failure import FailingGroup
from sapwood.cli.file import file
from sapwood.cli.isolated import allow_children
from sapwood.cli.logs import log_to_stderr
from sapwood.cli.raw import raw
from sapwood.cli.record import record
from sapwood.cli.remote import execute, get, set_value, tree
from sapwood.cli.run import run
from sapwood.cli.shell import shell
from sapwood.cli.watch import watch

__all__ = ["cli", "main"]


@click.group(
    cls=FailingGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 damaged or recovered with loss, 4 unreadable, "
    "130 interrupted, 143 terminated.",
)
@click.version_option(__version__, prog_name="sapwood")
@click.option("--debug", is_flag=True, help="Log everything to stderr; show where a failure came from.")
@click.pass_context
def cli(context: click.Context, debug: bool) -> None:
    """Device control and data acquisition: run a tree, record its streams, read the files."""
    context.obj = debug
    log_to_stderr(debug, serving=context.invoked_subcommand in (run.name, board.name))


for command in (demo, run, board, record, tree, get, set_value, execute, watch, shell, file, apx, raw):
    cli.add_command(command)


def main() -> None:
    """Run the command line with the arguments of this process, then exit."""
    allow_children()
    atexit.register(gc.freeze)  # the last thing done: nobody need look for garbage in all that was imported
    cli(prog_name="sapwood")
