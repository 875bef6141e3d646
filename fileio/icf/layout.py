"""Bytes of indexed container files: headers, chunks and trailers of both protocols."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from sapwood.fileio.icf.errors import NotIcf, UnknownId

__all__ = [
    "CHUNK",
    "HEADER_BYTES",
    "MARKER",
    "MAX_BUNCHES",
    "MAX_EXTENSION",
    "MAX_OBJECT",
    "TRAILER",
    "FileHeader",
    "pack_header",
    "parse_header",
]

HEADER_BYTES = 24
MARKER = b"SOF\0"
MAX_EXTENSION = 0xFFFF
MAX_OBJECT = 0xFFFF_FFFF
MAX_BUNCHES = 1 << 16  # they are numbered by 16 bits

CHUNK = struct.Struct("<2I")  # protocol 0, before each object: bytes, CRC-32
TRAILER = struct.Struct("<3Q2IH")  # protocol 1, behind each bunch: see `Bunch`

_V0 = struct.Struct("<Q4I")
_V1 = struct.Struct("<4s4sIQ2H")
_PROBE = struct.Struct("<QI")


@dataclass(frozen=True, slots=True)
class FileHeader:
    """What the first bytes of a file say.

    Parameters
    ----------
    version
        The protocol, 0 or 1.
    custom
        Protocol 0: the free first 8 bytes; of protocol 1 the same bytes, marker and extension.
    marker_ext
        Protocol 1: up to 4 bytes that name a use of the format.
    created
        Protocol 1: Unix seconds.
    compressor
        Protocol 1: its id.
    extension
        Protocol 1: free bytes, 65,535 at most.
    """

    version: int
    custom: int = 0
    marker_ext: bytes = b""
    created: int = 0
    compressor: int = 0
    extension: bytes = b""

    @property
    def nbytes(self) -> int:
        """Bytes before the first object or bunch."""
        return HEADER_BYTES + len(self.extension)

    @property
    def marker_text(self) -> str:
        """`marker_ext` as text, without its padding."""
        return self.marker_ext.rstrip(b"\0").decode("utf-8", "replace")


def pack_header(header: FileHeader) -> bytes:
    """Return the bytes of `header`."""
    if header.version == 0:
        return _V0.pack(header.custom, 0, 0, 0, 0)
    fixed = _V1.pack(MARKER, header.marker_ext, 1, header.created, header.compressor, len(header.extension))
    return fixed + header.extension


def parse_header(head: bytes, file: str, size: int) -> FileHeader:
    """Return the header of `file`.

    Parameters
    ----------
    head
        The first bytes of the file, as many as a header can have or the file holds.
    size
        Bytes of the file.

    Raises
    ------
    NotIcf
        (A `TypeError` and `ValueError`) for another file, or one that ends within its header.
    UnknownId
        (A `KeyError`) for a protocol that is not known.
    """
    if len(head) < _PROBE.size:
        raise NotIcf(
            f"{file} is no indexed container file: it is too short",
            file=file, offset=0, expected=f"{HEADER_BYTES} bytes or more", seen=f"{size} bytes",
        )  # fmt: skip
    custom, version = _PROBE.unpack_from(head)
    marked = head.startswith(MARKER[:3])
    if version > 1:
        kind = UnknownId if marked else _Foreign
        raise kind(
            f"{file} is no indexed container file of a known protocol",
            file=file, offset=8, expected="protocol 0 or 1", seen=version,
        )  # fmt: skip
    if version == 1 and not marked:
        raise NotIcf(
            f"{file} is no indexed container file: its marker is missing",
            file=file, offset=0, expected=MARKER, seen=head[:4],
        )  # fmt: skip
    if len(head) < HEADER_BYTES:
        raise _cut(file, HEADER_BYTES, size)
    if version == 0:
        return FileHeader(0, custom)
    _, marker_ext, _, created, compressor, length = _V1.unpack_from(head)
    if len(head) < HEADER_BYTES + length:
        raise _cut(file, HEADER_BYTES + length, size)
    extension = head[HEADER_BYTES : HEADER_BYTES + length]
    return FileHeader(1, custom, marker_ext, created, compressor, extension)


class _Foreign(NotIcf, UnknownId):
    """No marker and an unknown protocol: some other file."""


def _cut(file: str, expected: int, size: int) -> NotIcf:
    return NotIcf(
        f"{file} ends within its header",
        file=file, offset=size, expected=f"{expected} bytes", seen=f"{size} bytes",
    )  # fmt: skip
