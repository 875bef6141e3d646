"""Errors of indexed container files; each is also what users of SSDAQ catch in its place."""

from __future__ import annotations

from sapwood.errors import FileError, FormatError

__all__ = [
    "ChecksumError",
    "ClosedFile",
    "DamagedFile",
    "MissingFile",
    "NoSuchObject",
    "NotIcf",
    "TornObject",
    "UnknownId",
    "WrongType",
]


class NotIcf(FormatError, TypeError):
    """The file is no indexed container file."""


class UnknownId(FormatError, KeyError):
    """A protocol or compressor that is not known, in a file or as an argument."""


class DamagedFile(FormatError, RuntimeError):
    """The index of a file, or what it points at, cannot be right."""


class ChecksumError(DamagedFile):
    """An object does not have the checksum, or the size, that was written with it."""


class WrongType(FormatError, IndexError, TypeError):
    """The file says of its objects that they are of no type that can be decoded."""


class NoSuchObject(FileError, IndexError):
    """The file has no object of this number."""


class TornObject(DamagedFile, IndexError):
    """The object of this number was begun, and the file ends before its end."""


class ClosedFile(FileError, ValueError):
    """The reader or writer was closed before."""


class MissingFile(FileError, FileNotFoundError):
    """There is no file of this name."""
