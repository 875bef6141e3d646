"""PyRogue code runs unmodified: ``import pyrogue`` and ``import rogue`` give Sapwood.

Importing this module is enough where Rogue is not installed; a real Rogue keeps its names. To
take them over all the same call `install` before anything imports Rogue, or start the program
as ``python -m sapwood.compat script.py``.

The modules ``pyrogue``, ``pyrogue.*``, ``rogue`` and ``rogue.*`` hold no code of their own: each
name leads to where Sapwood has it (`sapwood.compat.names`). A name of Rogue that Sapwood does not
have raises AttributeError or ImportError, with a text that says what to use instead.
"""

from __future__ import annotations

from sapwood.compat.finder import install, offer

__all__ = ["install"]

offer()
