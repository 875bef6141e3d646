"""Blocks."""
from __future__ import annotations
__all__ = ["Block"]


class Block:
    """Contiguous bytes of a register space."""
