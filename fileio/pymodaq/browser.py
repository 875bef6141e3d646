"""H5BrowserUtil: what a browser of PyMoDAQ files asks for."""

from __future__ import annotations

import os
from typing import Any

from sapwood.fileio.pymodaq.backend import Where
from sapwood.fileio.pymodaq.exporters import export
from sapwood.fileio.pymodaq.saver import H5SaverLowLevel

__all__ = ["H5BrowserUtil"]

_SETTINGS, _SCAN_SETTINGS, _PIXMAP, _PIXMAP_2D = "settings", "scan_settings", "pixmap", "pixmap2D"


class H5BrowserUtil(H5SaverLowLevel):
    """A saver that also answers browsers. Open the file with ``init_file(path, mode='r')``.

    Parameters
    ----------
    backend
        tables or h5py, which is the same.
    """

    def __init__(self, backend: str = "tables") -> None:
        super().__init__(backend=backend)

    def get_h5_attributes(self, node_path: Where) -> tuple[dict[str, Any], list[Any], Any, list[Any]]:
        """Return the attributes of a node, its settings, its settings of a scan or None, and its pixmaps."""
        attributes = self.get_node(node_path).attrs.to_dict()
        settings = [
            value for name, value in attributes.items() if _SETTINGS in name and _SCAN_SETTINGS not in name
        ]
        pixmaps = [value for name, value in attributes.items() if _PIXMAP in name]
        return attributes, settings, attributes.get(_SCAN_SETTINGS), pixmaps

    def get_h5file_scans(self, where: Where = "/") -> list[dict[str, Any]]:
        """Return name, path and picture of every node with a preview, as scan_name, path and data."""
        return [
            {
                "scan_name": f"{_parent_name(node)}_{node.name}",
                "path": node.path,
                "data": node.attrs[_PIXMAP_2D],
            }
            for node in self.walk_nodes(where)
            if _PIXMAP_2D in node.attrs
        ]

    def export_data(
        self,
        node_path: Where = "/",
        filesavename: str | os.PathLike[str] = "datafile.h5",
        filter: str | None = None,
    ) -> None:
        """Write a node to a file of its own: .h5, .txt or .npy.

        Parameters
        ----------
        filter
            Kind of file in the words of a file dialog, checked against the ending.

        Raises
        ------
        ValueError
            When the ending or the kind is not known.
        NodeError
            When the node cannot be written so.
        RecordingExists
            When the file exists.
        """
        export(self.get_node(node_path), filesavename, filter)


def _parent_name(node: Any) -> str:
    parent = node.parent_node
    return "" if parent is None else str(parent.name)
