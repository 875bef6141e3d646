"""How the payload of a bunch can be compressed; ids above 0x8000 are Sapwood's, unknown to SSDAQ."""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sapwood.errors import FormatError
from sapwood.extras import need
from sapwood.fileio.icf.errors import UnknownId

__all__ = ["BY_ID", "BY_NAME", "Compressor", "by_id", "by_name"]

_ERRORS = (OSError, ValueError, EOFError, zlib.error)


@dataclass(frozen=True, slots=True)
class Compressor:
    """A compressor: its id in file headers and the functions of one bunch.

    Parameters
    ----------
    id, name
        In the file, and as an argument.
    compress
        Returns the bytes as one compressed stream.
    inflate
        ``inflate(data, nbytes)`` returns at most ``nbytes + 1`` bytes; None stores bytes as they are.
    """

    id: int
    name: str | None
    compress: Callable[[bytes], bytes] | None
    inflate: Callable[[Any, int], bytes] | None

    def expand(self, data: Any, nbytes: int) -> bytes:
        """Return the `nbytes` bytes that `data` holds compressed.

        Raises
        ------
        FormatError
            When it holds more or fewer, or is damaged; it is never expanded far beyond `nbytes`.
        """
        assert self.inflate is not None  # noqa: S101  # stored bytes are not expanded
        try:
            found = self.inflate(data, nbytes)
        except _ERRORS as error:
            raise FormatError(f"The {self.name} data is damaged", seen=str(error)) from error
        if len(found) != nbytes:
            more = "or more" if len(found) > nbytes else ""
            raise FormatError(
                f"The {self.name} data does not hold what the index says",
                expected=f"{nbytes} bytes",
                seen=f"{len(found)} bytes {more}".strip(),
            )
        return found


def _whole(stream: Any, data: Any, nbytes: int) -> bytes:
    found: bytes = stream.decompress(data, nbytes + 1)
    if not stream.eof and len(found) <= nbytes:
        found += stream.decompress(b"", 1)  # the end of the stream may still be unread
    if len(found) <= nbytes and not stream.eof:
        raise ValueError("the stream is cut")
    if stream.unused_data:
        raise ValueError("bytes follow the stream")
    return found


def _inflate_bz2(data: Any, nbytes: int) -> bytes:
    return _whole(bz2.BZ2Decompressor(), data, nbytes)


def _inflate_zlib(data: Any, nbytes: int) -> bytes:
    return _whole(zlib.decompressobj(), data, nbytes)


def _compress_zstd(data: bytes) -> bytes:
    packed: bytes = need("zstandard", extra="raw").ZstdCompressor(level=3).compress(data)
    return packed


def _inflate_zstd(data: Any, nbytes: int) -> bytes:
    zstandard = need("zstandard", extra="raw")
    try:
        with zstandard.ZstdDecompressor().stream_reader(bytes(data), read_across_frames=False) as stream:
            found: bytes = stream.read(nbytes + 1)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
    return found


_ALL = (
    Compressor(0, None, None, None),
    Compressor(1, "bz2", bz2.compress, _inflate_bz2),
    Compressor(0x8001, "zlib", zlib.compress, _inflate_zlib),
    Compressor(0x8002, "zstd", _compress_zstd, _inflate_zstd),
)
BY_ID = {entry.id: entry for entry in _ALL}
BY_NAME = {entry.name: entry for entry in _ALL}


def by_name(name: str | None) -> Compressor:
    """Return the compressor called `name`; None or ``none`` stores payload as it is.

    Raises
    ------
    UnknownId
        (A `KeyError`) when there is none.
    """
    key = None if name in ("none", "") else name
    if key not in BY_NAME:
        known = ", ".join(str(entry) for entry in BY_NAME)
        raise UnknownId(f"There is no compressor {name!r}", expected=known)
    return BY_NAME[key]


def by_id(number: int, file: str) -> Compressor:
    """Return the compressor with the id `number`, found in the header of `file`.

    Raises
    ------
    UnknownId
        (A `KeyError`) when there is none.
    """
    if number not in BY_ID:
        raise UnknownId(
            "The compressor of the file is not known", file=file, offset=20, expected=list(BY_ID), seen=number
        )
    return BY_ID[number]
