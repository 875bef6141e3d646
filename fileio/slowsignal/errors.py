"""Errors of slow-signal files; each is also what users of SSDAQ catch in its place."""

from __future__ import annotations

from sapwood.errors import FileError, FormatError

__all__ = ["ClosedFile", "MissingFile", "NoSuchRow", "NotSlowSignal", "TornChunk", "UnknownVersion"]


class NotSlowSignal(FormatError, RuntimeError, LookupError):
    """The file has not the tables or attributes of slow-signal data."""


class UnknownVersion(FormatError, KeyError):
    """The data are of a version that is not known."""

    __str__ = FormatError.__str__  # KeyError would quote the text


class NoSuchRow(FileError, IndexError):
    """The file has no row of this number."""


class TornChunk(FormatError):
    """Stored rows that cannot be decompressed, or whose checksum is wrong."""


class ClosedFile(FileError, ValueError):
    """The reader or writer was closed before."""


class MissingFile(FileError, FileNotFoundError):
    """There is no file of this name."""
