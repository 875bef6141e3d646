"""H5SaverLowLevel (signatures; bodies follow). See section 5 of the specification for all methods.

Beside the peer's names: `count_nodes(where, data_type) -> int` (from a cached index, no walk),
`find_nodes(where, data_type) -> list[Node]`, `flush()`, `refresh()`, `lock` (re-entrant, one per file).
"""

from __future__ import annotations

__all__ = ["H5SaverLowLevel"]


class H5SaverLowLevel:
    """Structure and content of a PyMoDAQ file."""
