"""Imports that wait until they are needed: optional packages, and public names of packages."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from types import ModuleType

from sapwood.errors import MissingExtra

__all__ = ["lazy_exports", "need"]


def need(module: str, *, extra: str) -> ModuleType:
    """Import `module`, an optional package that belongs to the extra `extra`.

    Raises
    ------
    MissingExtra
        When it is not installed, or does not load (one built for another NumPy); the text says which,
        and holds the pip line.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        absent = isinstance(error, ModuleNotFoundError) and error.name in _and_parents(module)
        raise MissingExtra(
            f"The package {module!r} " + ("is not installed" if absent else f"does not load: {error}"),
            hint=f"Install it with: pip install {'' if absent else '--upgrade '}'sapwood[{extra}]'",
        ) from error


def _and_parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[: count + 1]) for count in range(len(parts))]


def lazy_exports(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """Return a module ``__getattr__`` (PEP 562) that imports public names when first used.

    Parameters
    ----------
    package
        ``__name__`` of the package that exports the names.
    homes
        Public name -> module that defines it.
    """

    def __getattr__(name: str) -> object:  # noqa: N807  # installed under this name by the caller
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value: object = getattr(importlib.import_module(home), name)
        setattr(sys.modules[package], name, value)
        return value

    return __getattr__
