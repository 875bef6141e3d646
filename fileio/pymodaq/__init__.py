"""PyMoDAQ's HDF5 files: saver, data layer, readers.

The names are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sapwood.extras import lazy_exports

if TYPE_CHECKING:
    from sapwood.fileio.pymodaq.attributes import Attributes
    from sapwood.fileio.pymodaq.axes import Axis
    from sapwood.fileio.pymodaq.backend import H5Backend
    from sapwood.fileio.pymodaq.browser import H5BrowserUtil
    from sapwood.fileio.pymodaq.data_axes import AxisSaverLoader
    from sapwood.fileio.pymodaq.data_bundle import DataBundle
    from sapwood.fileio.pymodaq.data_enlargeable import DataEnlargeableSaver
    from sapwood.fileio.pymodaq.data_errors import AxisError, DataDimError, DataShapeError
    from sapwood.fileio.pymodaq.data_export import DataToExport
    from sapwood.fileio.pymodaq.data_export_saving import (
        DataToExportEnlargeableSaver,
        DataToExportExtendedSaver,
        DataToExportSaver,
        DataToExportTimedSaver,
    )
    from sapwood.fileio.pymodaq.data_extended import DataExtendedSaver
    from sapwood.fileio.pymodaq.data_objects import DataCalculated, DataFromPlugins, DataRaw, DataWithAxes
    from sapwood.fileio.pymodaq.data_saving import BkgSaver, DataSaverLoader, ErrorSaverLoader
    from sapwood.fileio.pymodaq.data_settings import settings_from_xml, settings_to_xml
    from sapwood.fileio.pymodaq.enums import (
        BaseEnum,
        DataDim,
        DataDistribution,
        DataSource,
        DataType,
        FileType,
        GroupModuleType,
        GroupType,
        SaveType,
        enum_checker,
    )
    from sapwood.fileio.pymodaq.errors import NodeError, SwmrError
    from sapwood.fileio.pymodaq.loader import DataLoader
    from sapwood.fileio.pymodaq.nodes import CARRAY, EARRAY, GROUP, VLARRAY, Node, StringARRAY
    from sapwood.fileio.pymodaq.opening import is_file_swmr_active
    from sapwood.fileio.pymodaq.saver import H5SaverLowLevel

__all__ = [
    "CARRAY",
    "EARRAY",
    "GROUP",
    "VLARRAY",
    "Attributes",
    "Axis",
    "AxisError",
    "AxisSaverLoader",
    "BaseEnum",
    "BkgSaver",
    "DataBundle",
    "DataCalculated",
    "DataDim",
    "DataDimError",
    "DataDistribution",
    "DataEnlargeableSaver",
    "DataExtendedSaver",
    "DataFromPlugins",
    "DataLoader",
    "DataRaw",
    "DataSaverLoader",
    "DataShapeError",
    "DataSource",
    "DataToExport",
    "DataToExportEnlargeableSaver",
    "DataToExportExtendedSaver",
    "DataToExportSaver",
    "DataToExportTimedSaver",
    "DataType",
    "DataWithAxes",
    "ErrorSaverLoader",
    "FileType",
    "GroupModuleType",
    "GroupType",
    "H5Backend",
    "H5BrowserUtil",
    "H5SaverLowLevel",
    "Node",
    "NodeError",
    "SaveType",
    "StringARRAY",
    "SwmrError",
    "enum_checker",
    "is_file_swmr_active",
    "settings_from_xml",
    "settings_to_xml",
]

_HOMES = {
    "attributes": ("Attributes",),
    "axes": ("Axis",),
    "backend": ("H5Backend",),
    "browser": ("H5BrowserUtil",),
    "data_axes": ("AxisSaverLoader",),
    "data_bundle": ("DataBundle",),
    "data_enlargeable": ("DataEnlargeableSaver",),
    "data_errors": ("AxisError", "DataDimError", "DataShapeError"),
    "data_export": ("DataToExport",),
    "data_export_saving": (
        "DataToExportEnlargeableSaver",
        "DataToExportExtendedSaver",
        "DataToExportSaver",
        "DataToExportTimedSaver",
    ),
    "data_extended": ("DataExtendedSaver",),
    "data_objects": ("DataCalculated", "DataFromPlugins", "DataRaw", "DataWithAxes"),
    "data_saving": ("BkgSaver", "DataSaverLoader", "ErrorSaverLoader"),
    "data_settings": ("settings_from_xml", "settings_to_xml"),
    "enums": (
        "BaseEnum",
        "DataDim",
        "DataDistribution",
        "DataSource",
        "DataType",
        "FileType",
        "GroupModuleType",
        "GroupType",
        "SaveType",
        "enum_checker",
    ),
    "errors": ("NodeError", "SwmrError"),
    "loader": ("DataLoader",),
    "nodes": ("CARRAY", "EARRAY", "GROUP", "VLARRAY", "Node", "StringARRAY"),
    "opening": ("is_file_swmr_active",),
    "saver": ("H5SaverLowLevel",),
}

__getattr__ = lazy_exports(
    __name__, {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}
)
