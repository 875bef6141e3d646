"""Sapwood: device control and data acquisition in Python.

The public names of the tree, memory and remote packages are found here; they are imported when
first used, so that ``import sapwood.fileio`` loads neither the tree nor ZeroMQ.
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

__all__ = ["__version__"]
_HOMES: dict[str, str] = {}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'sapwood' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
