"""AstroPix files: readouts, hits and their tables.

The public names are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sapwood.extras import lazy_exports

if TYPE_CHECKING:
    from sapwood.fileio.apx.astep import AstepReader, astep_to_csv
    from sapwood.fileio.apx.binaryfile import AstroPixBinaryFile, apx_open, sanitize_path
    from sapwood.fileio.apx.header import FileHeader
    from sapwood.fileio.apx.hitmonitor import Histograms, HitMonitor
    from sapwood.fileio.apx.hits import AstroPix3Hit, AstroPix3QuadChipHit, AstroPix4Hit
    from sapwood.fileio.apx.housekeeping import Housekeeping, find_housekeeping
    from sapwood.fileio.apx.log import AstroPixLogFile, log_to_apx
    from sapwood.fileio.apx.matching import astep_match, match_half_hits
    from sapwood.fileio.apx.network import ReadoutSender, ReadoutSource
    from sapwood.fileio.apx.process import apx_load, apx_process
    from sapwood.fileio.apx.reader import ApxReader
    from sapwood.fileio.apx.readout import (
        AstroPix3QuadChipReadout,
        AstroPix3Readout,
        AstroPix4Readout,
        uid_to_readout_class,
    )
    from sapwood.fileio.apx.recording import ReadoutRecorder
    from sapwood.fileio.apx.status import ByteType, Decoding, DecodingStatus
    from sapwood.fileio.apx.writer import ApxWriter

__all__ = [
    "ApxReader",
    "ApxWriter",
    "AstepReader",
    "AstroPix3Hit",
    "AstroPix3QuadChipHit",
    "AstroPix3QuadChipReadout",
    "AstroPix3Readout",
    "AstroPix4Hit",
    "AstroPix4Readout",
    "AstroPixBinaryFile",
    "AstroPixLogFile",
    "ByteType",
    "Decoding",
    "DecodingStatus",
    "FileHeader",
    "Histograms",
    "HitMonitor",
    "Housekeeping",
    "ReadoutRecorder",
    "ReadoutSender",
    "ReadoutSource",
    "apx_load",
    "apx_open",
    "apx_process",
    "astep_match",
    "astep_to_csv",
    "find_housekeeping",
    "log_to_apx",
    "match_half_hits",
    "sanitize_path",
    "uid_to_readout_class",
]

_HOMES = {
    "astep": ("AstepReader", "astep_to_csv"),
    "binaryfile": ("AstroPixBinaryFile", "apx_open", "sanitize_path"),
    "header": ("FileHeader",),
    "hits": ("AstroPix3Hit", "AstroPix3QuadChipHit", "AstroPix4Hit"),
    "housekeeping": ("Housekeeping", "find_housekeeping"),
    "hitmonitor": ("Histograms", "HitMonitor"),
    "log": ("AstroPixLogFile", "log_to_apx"),
    "matching": ("astep_match", "match_half_hits"),
    "network": ("ReadoutSender", "ReadoutSource"),
    "process": ("apx_load", "apx_process"),
    "reader": ("ApxReader",),
    "readout": ("AstroPix3QuadChipReadout", "AstroPix3Readout", "AstroPix4Readout", "uid_to_readout_class"),
    "recording": ("ReadoutRecorder",),
    "status": ("ByteType", "Decoding", "DecodingStatus"),
    "writer": ("ApxWriter",),
}

__getattr__ = lazy_exports(
    __name__, {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
