"""Load the root that ``module:Class`` or ``file.py:Class`` names."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

from sapwood.errors import SapwoodError, nearest

if TYPE_CHECKING:
    from sapwood.tree import Root

__all__ = ["load_root", "target_argument"]

target_argument = click.argument("target", metavar="TARGET")


def load_root(target: str) -> Root:
    """Return a new root made by what `target` names: a Root class or a factory without arguments.

    Raises
    ------
    click.UsageError
        When `target` is not of the form ``module:Class`` or ``file.py:Class``.
    SapwoodError
        When the module cannot be imported, holds no such name, or the name makes no root.
    """
    place, colon, name = target.rpartition(":")
    if not colon or not place or not name:
        raise click.UsageError(f"TARGET must be module:Class or file.py:Class, not {target!r}")
    module = _import_file(Path(place)) if place.endswith(".py") else _import_module(place)
    factory = _find(module, name, place)
    return _make(factory, target)


def _import_file(path: Path) -> ModuleType:
    """Import the Python file `path`; modules beside it can be imported by it."""
    if not path.is_file():
        raise SapwoodError(f"There is no Python file {path}", hint=_similar_file(path))
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    name = path.stem if path.stem not in sys.modules else f"sapwood_target_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise SapwoodError(f"{path} is no Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise _broken(f"Cannot import {path}", error) from error
    return module


def _similar_file(path: Path) -> str | None:
    names = [found.name for found in path.parent.glob("*.py")] if path.parent.is_dir() else []
    near = nearest(path.name, names)
    return f"Did you mean: {', '.join(str(path.parent / name) for name in near)}?" if near else None


def _import_module(name: str) -> ModuleType:
    """Import module `name`; the current folder counts, as with ``python -m``."""
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            hint = "Give a file as path/to/file.py:Class." if "/" in name else None
            raise SapwoodError(f"There is no module {name!r}", hint=hint) from error
        raise _broken(f"Cannot import {name}", error) from error
    except Exception as error:
        raise _broken(f"Cannot import {name}", error) from error


def _broken(text: str, error: Exception) -> SapwoodError:
    """Return `error` of user code as one that says where it was raised."""
    if isinstance(error, SyntaxError):
        return SapwoodError(f"{text}: {error.msg} at {error.filename}:{error.lineno}")
    frames = traceback.extract_tb(error.__traceback__)
    users = [
        frame for frame in frames if "importlib" not in frame.filename and "sapwood/cli" not in frame.filename
    ]
    where = f" at {users[-1].filename}:{users[-1].lineno}" if users else ""
    return SapwoodError(f"{text}: {type(error).__name__}: {error}{where}")


def _find(module: ModuleType, name: str, place: str) -> Any:
    try:
        return getattr(module, name)
    except AttributeError:
        classes = _root_classes(module)
        near = nearest(name, classes) or classes
        hint = f"It holds: {', '.join(near)}." if near else "It holds no Root class."
        raise SapwoodError(f"There is no {name} in {place}", hint=hint) from None


def _root_classes(module: ModuleType) -> list[str]:
    from sapwood.tree import Root

    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Root) and value.__module__ == module.__name__
    ]


def _make(factory: Any, target: str) -> Root:
    from sapwood.tree import Root

    wanted = "a Root class or a function without arguments that returns a Root"
    if not callable(factory) or (isinstance(factory, type) and not issubclass(factory, Root)):
        kind = f"class {factory.__qualname__}" if isinstance(factory, type) else type(factory).__name__
        raise SapwoodError(f"{target} makes no root", expected=wanted, seen=kind)
    try:
        inspect.signature(factory).bind()
    except TypeError as error:
        raise SapwoodError(f"{target} cannot be called without arguments: {error}", expected=wanted) from None
    try:
        root = factory()
    except Exception as error:
        raise _broken(f"{target} failed", error) from error
    if not isinstance(root, Root):
        raise SapwoodError(f"{target} makes no root", expected=wanted, seen=f"a {type(root).__name__}")
    return root
