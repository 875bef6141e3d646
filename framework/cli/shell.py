"""``sapwood shell``: Python with a tree, in this process or served elsewhere, at hand."""

from __future__ import annotations

import code
import contextlib
import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from sapwood.cli.remote import Address, connect, server_options
from sapwood.cli.run import config_option, data_dir_option, load_config

__all__ = ["shell"]

_LOCAL = ("config", "data_dir")
_REMOTE = ("server", "token", "timeout")


@click.command(short_help="Python with a tree at hand.")
@click.argument("target", metavar="[TARGET]", required=False)
@config_option
@data_dir_option
@server_options(timeout=5)
@click.pass_context
def shell(
    context: click.Context,
    target: str | None,
    config: Path | None,
    data_dir: Path,
    server: Address,
    token: str | None,
    timeout: float,
) -> None:
    r"""Start the root that TARGET (module:Class or file.py:Class) names and open Python with it as `root`.

    Without TARGET, connect to the tree served at --server: `root` is its tree, `client` the connection.
    IPython is used where it is installed. A script on standard input is run instead:

    \b
        echo 'print(root.LocalTime.get())' | sapwood shell lab.py:Lab
    """
    _refuse_mixed(context, _REMOTE if target is not None else _LOCAL, target)
    if target is None:
        with connect(server, token, timeout) as client:
            _run(
                {"client": client, "root": client.root}, f"client: {client.address}, root: {client.root.name}"
            )
    else:
        _run_local(target, config, data_dir)


def _refuse_mixed(context: click.Context, options: Sequence[str], target: str | None) -> None:
    """Refuse options that have no meaning with, or without, a TARGET."""
    for name in options:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            when = "with" if target is not None else "without"
            raise click.UsageError(f"--{name.replace('_', '-')} has no meaning {when} TARGET")


def _run_local(target: str, config: Path | None, data_dir: Path) -> None:
    """Open Python with the root that `target` names, running."""
    from sapwood.cli.target import load_root

    root = load_root(target)
    root.dataDir = data_dir.resolve()
    with root:
        load_config(root, config)
        _run({"root": root}, f"root: {root.name}, data in {root.dataDir}")


def _run(names: Mapping[str, Any], what: str) -> None:
    """Open a console with `names`, or run the script that comes on standard input."""
    if not sys.stdin.isatty():
        _run_script(sys.stdin.read(), names)
        return
    try:
        ipython: Any = importlib.import_module("IPython")
    except ImportError:
        _console(names, f"{what}   (Tab completes, Ctrl-D ends)")
    else:
        click.echo(what)
        ipython.start_ipython(argv=["--ext=rich"], user_ns=dict(names))


class _Script(code.InteractiveInterpreter):
    """Runs a whole script; an exception is shown as by Python itself and remembered."""

    failed = False

    def showtraceback(self) -> None:
        """Show the exception being handled."""
        self.failed = True
        super().showtraceback()


def _run_script(text: str, names: Mapping[str, Any]) -> None:
    """Run a script; one that fails ends the command with exit code 1."""
    script = _Script({"__name__": "__main__", **names})
    try:
        compiled = compile(text, "<stdin>", "exec")
    except (SyntaxError, ValueError):
        script.showtraceback()
    else:
        script.runcode(compiled)
    if script.failed:
        raise click.exceptions.Exit(1)


def _console(names: Mapping[str, Any], banner: str) -> None:
    """Read and run lines until Ctrl-D; nodes that are typed in show themselves as tables."""
    from rich import pretty

    from sapwood.cli.output import console

    local = {"__name__": "__console__", **names}
    with contextlib.suppress(ImportError):  # some Pythons come without
        import readline
        import rlcompleter

        readline.set_completer(rlcompleter.Completer(local).complete)
        readline.parse_and_bind("tab: complete")
    hook = sys.displayhook
    pretty.install(console())
    try:
        code.interact(banner, local=local, exitmsg="")
    finally:
        sys.displayhook = hook
