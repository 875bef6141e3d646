"""The base of the models: how a value and the bits of a register become one another."""
from __future__ import annotations
__all__ = ["Model"]


class Model:
    """How values and register bits become one another."""
