"""Filters of datasets by the names that PyMoDAQ's backends know."""

from __future__ import annotations

from typing import Any

from sapwood.extras import need

__all__ = ["dataset_options", "library_name"]

_ZLIB = ("zlib", "gzip")
_PLUGINS = {"bzip2": "BZip2", "blosc": "Blosc", "blosc2": "Blosc2", "zstd": "Zstd"}
_LEVELS = range(10)


def library_name(name: str, level: int) -> str:
    """Return the name under which `name` is kept.

    Raises
    ------
    ValueError
        When there is no such library, or no such level.
    """
    if level not in _LEVELS:
        raise ValueError(f"The compression level is 0 to 9, not {level!r}")
    if name in _ZLIB:
        return "gzip"
    if name == "lzf" or name.partition(":")[0] in _PLUGINS:
        return name
    known = ", ".join((*_ZLIB, "lzf", *_PLUGINS))
    raise ValueError(f"The compression library is one of {known} (blosc:lz4 and so on too), not {name!r}")


def dataset_options(name: str, level: int) -> dict[str, Any]:
    """Return the options of ``create_dataset`` for a library and a level; values are always shuffled."""
    if level == 0:
        return {}
    if name == "gzip":
        return {"compression": "gzip", "compression_opts": level, "shuffle": True}
    if name == "lzf":
        return {"compression": "lzf", "shuffle": True}
    family, _, codec = name.partition(":")
    filters = need("hdf5plugin", extra="export")
    make = getattr(filters, _PLUGINS[family])
    if family in ("blosc", "blosc2"):
        cname = {"cname": codec} if codec else {}
        return {"compression": make(clevel=level, shuffle=make.SHUFFLE, **cname)}
    level_of = {"BZip2": "blocksize", "Zstd": "clevel"}[_PLUGINS[family]]
    return {"compression": make(**{level_of: max(1, level)}), "shuffle": True}
