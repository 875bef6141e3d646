"""Recording, reading and converting data files.

The public names are imported when first used: ``import sapwood.fileio`` costs hardly more than
NumPy and loads neither the tree nor YAML, ZeroMQ or HDF5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sapwood.extras import lazy_exports

if TYPE_CHECKING:
    from sapwood.fileio.apx.binaryfile import AstroPixBinaryFile, apx_open
    from sapwood.fileio.apx.header import FileHeader
    from sapwood.fileio.apx.log import AstroPixLogFile, log_to_apx
    from sapwood.fileio.apx.process import apx_load, apx_process
    from sapwood.fileio.batchrecorder import BatchRecorder
    from sapwood.fileio.conversion import convert
    from sapwood.fileio.filelayer import FileLayer
    from sapwood.fileio.formats import Format, Reader, Report, Sink
    from sapwood.fileio.icf.reader import RawObjectReaderBase
    from sapwood.fileio.icf.typed import DataReader
    from sapwood.fileio.icf.writer import RawObjectWriterBase
    from sapwood.fileio.pymodaq.saver import H5SaverLowLevel
    from sapwood.fileio.recorder import Recorder
    from sapwood.fileio.recording.channelwriter import ChannelWriter
    from sapwood.fileio.registry import create, detect, find, open, recover, register, verify
    from sapwood.fileio.replay import Replay
    from sapwood.fileio.rogue.file_reader import BatchHeader, FileReader, FileReaderException, RogueHeader
    from sapwood.fileio.rogue.stream_reader import StreamReader
    from sapwood.fileio.rogue.writer import StreamWriter, StreamWriterChannel
    from sapwood.fileio.slowsignal.reader import SSDataReader
    from sapwood.fileio.slowsignal.writer import SSDataWriter
    from sapwood.fileio.table import Column, ColumnInfo, Table, TableInfo

__all__ = [
    "AstroPixBinaryFile",
    "AstroPixLogFile",
    "BatchHeader",
    "BatchRecorder",
    "ChannelWriter",
    "Column",
    "ColumnInfo",
    "DataReader",
    "FileHeader",
    "FileLayer",
    "FileReader",
    "FileReaderException",
    "Format",
    "H5SaverLowLevel",
    "RawObjectReaderBase",
    "RawObjectWriterBase",
    "Reader",
    "Recorder",
    "Replay",
    "Report",
    "RogueHeader",
    "SSDataReader",
    "SSDataWriter",
    "Sink",
    "StreamReader",
    "StreamWriter",
    "StreamWriterChannel",
    "Table",
    "TableInfo",
    "apx_load",
    "apx_open",
    "apx_process",
    "convert",
    "create",
    "detect",
    "find",
    "log_to_apx",
    "open",
    "recover",
    "register",
    "verify",
]

_HOMES = {
    "sapwood.fileio.apx.binaryfile": ("AstroPixBinaryFile", "apx_open"),
    "sapwood.fileio.apx.header": ("FileHeader",),
    "sapwood.fileio.apx.log": ("AstroPixLogFile", "log_to_apx"),
    "sapwood.fileio.apx.process": ("apx_load", "apx_process"),
    "sapwood.fileio.batchrecorder": ("BatchRecorder",),
    "sapwood.fileio.conversion": ("convert",),
    "sapwood.fileio.filelayer": ("FileLayer",),
    "sapwood.fileio.formats": ("Format", "Reader", "Report", "Sink"),
    "sapwood.fileio.icf.reader": ("RawObjectReaderBase",),
    "sapwood.fileio.icf.typed": ("DataReader",),
    "sapwood.fileio.icf.writer": ("RawObjectWriterBase",),
    "sapwood.fileio.pymodaq.saver": ("H5SaverLowLevel",),
    "sapwood.fileio.recorder": ("Recorder",),
    "sapwood.fileio.recording.channelwriter": ("ChannelWriter",),
    "sapwood.fileio.registry": ("create", "detect", "find", "open", "recover", "register", "verify"),
    "sapwood.fileio.replay": ("Replay",),
    "sapwood.fileio.rogue.file_reader": ("BatchHeader", "FileReader", "FileReaderException", "RogueHeader"),
    "sapwood.fileio.rogue.stream_reader": ("StreamReader",),
    "sapwood.fileio.rogue.writer": ("StreamWriter", "StreamWriterChannel"),
    "sapwood.fileio.slowsignal.reader": ("SSDataReader",),
    "sapwood.fileio.slowsignal.writer": ("SSDataWriter",),
    "sapwood.fileio.table": ("Column", "ColumnInfo", "Table", "TableInfo"),
}

__getattr__ = lazy_exports(__name__, {name: home for home, names in _HOMES.items() for name in names})


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
