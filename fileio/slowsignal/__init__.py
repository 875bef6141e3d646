"""Slow-signal monitor files of SSDAQ: readouts of 32 x 64 pixels and telescope data in HDF5."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sapwood.extras import lazy_exports

if TYPE_CHECKING:
    from sapwood.fileio.slowsignal.reader import SSDataReader, ssdata
    from sapwood.fileio.slowsignal.writer import SSDataWriter

__all__ = ["SSDataReader", "SSDataWriter", "ssdata"]

__getattr__ = lazy_exports(
    __name__,
    {
        "SSDataReader": f"{__name__}.reader",
        "SSDataWriter": f"{__name__}.writer",
        "ssdata": f"{__name__}.reader",
    },
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
