"""Run a program that imports PyRogue: ``python -m sapwood.compat [-m MODULE | SCRIPT] ARGS...``."""

from __future__ import annotations

import os
import runpy
import sys

from sapwood.compat import install

__all__ = ["main"]

USAGE = "usage: python -m sapwood.compat [-m MODULE | SCRIPT] ARGS..."


def main(arguments: list[str]) -> None:
    """Run a script (a file, or a folder or zip file with ``__main__.py``) or a module as Python does."""
    as_module = arguments[:1] == ["-m"]
    command = arguments[1:] if as_module else arguments
    if not command or (command[0].startswith("-") and not as_module):
        print(USAGE, file=sys.stderr)  # noqa: T201  # a usage error of a command
        raise SystemExit(2)
    install()
    sys.argv[:] = command
    if as_module:
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
        return
    if not os.path.exists(command[0]):
        print(f"python -m sapwood.compat: no such file: {command[0]}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2)
    if os.path.isfile(command[0]) and not sys.flags.safe_path:
        sys.path[0] = os.path.dirname(os.path.abspath(command[0]))
    runpy.run_path(command[0], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
