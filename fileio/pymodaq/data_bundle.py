"""DataBundle: all that one call of a saver needs, in one object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sapwood.fileio.pymodaq.enums import DataDistribution

__all__ = ["DataBundle"]


@dataclass
class DataBundle:
    """Arguments of ``add_data`` of any saver of `DataToExport`; see ``add_data_bundle`` there.

    Parameters
    ----------
    dte
        The data.
    node
        Where they go.
    settings
        Settings of the module as XML.
    indexes
        Position in a scan of fixed shape.
    axis_values
        Values of the axes of a scan that grows.
    distribution
        ``uniform`` or ``spread``.
    save_index
        Number of the save, for those who queue bundles.
    """

    dte: Any
    node: Any = None
    settings: str | bytes = ""
    indexes: Sequence[int] | None = None
    axis_values: Sequence[Any] | None = None
    distribution: Any = field(default=DataDistribution.uniform)
    save_index: int = 0
