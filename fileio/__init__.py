"""Recording, reading and converting data files.

The public names are imported when first used: ``import sapwood.fileio`` costs hardly more than
NumPy and loads neither the tree nor YAML, ZeroMQ or HDF5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sapwood.extras import lazy_exports

if TYPE_CHECKING:
    from sapwood.fileio.conversion import convert
    from sapwood.fileio.filelayer import FileLayer
    from sapwood.fileio.formats import Format, Reader, Report, Sink
    from sapwood.fileio.recorder import Recorder
    from sapwood.fileio.registry import create, detect, find, open, register
    from sapwood.fileio.rogue.file_reader import BatchHeader, FileReader, FileReaderException, RogueHeader
    from sapwood.fileio.rogue.stream_reader import StreamReader
    from sapwood.fileio.rogue.writer import StreamWriter, StreamWriterChannel
    from sapwood.fileio.table import Column, ColumnInfo, Table, TableInfo

__all__ = [
    "BatchHeader",
    "Column",
    "ColumnInfo",
    "FileLayer",
    "FileReader",
    "FileReaderException",
    "Format",
    "Reader",
    "Recorder",
    "Report",
    "RogueHeader",
    "Sink",
    "StreamReader",
    "StreamWriter",
    "StreamWriterChannel",
    "Table",
    "TableInfo",
    "convert",
    "create",
    "detect",
    "find",
    "open",
    "register",
]

_HOMES = {
    "sapwood.fileio.conversion": ("convert",),
    "sapwood.fileio.filelayer": ("FileLayer",),
    "sapwood.fileio.formats": ("Format", "Reader", "Report", "Sink"),
    "sapwood.fileio.recorder": ("Recorder",),
    "sapwood.fileio.registry": ("create", "detect", "find", "open", "register"),
    "sapwood.fileio.rogue.file_reader": ("BatchHeader", "FileReader", "FileReaderException", "RogueHeader"),
    "sapwood.fileio.rogue.stream_reader": ("StreamReader",),
    "sapwood.fileio.rogue.writer": ("StreamWriter", "StreamWriterChannel"),
    "sapwood.fileio.table": ("Column", "ColumnInfo", "Table", "TableInfo"),
}

__getattr__ = lazy_exports(__name__, {name: home for home, names in _HOMES.items() for name in names})


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
