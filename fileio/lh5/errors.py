"""What goes wrong with LH5 files and objects; users of LEGEND's packages catch these names."""

from __future__ import annotations

from sapwood.errors import FileError, FormatError

__all__ = ["CodecError", "LH5DecodeError", "LH5EncodeError", "ObjectNotFoundError", "UnknownDatatypeError"]


class LH5DecodeError(FormatError):
    """An HDF5 object does not follow the rules of LH5, or cannot be read."""


class UnknownDatatypeError(LH5DecodeError, RuntimeError):
    """A ``datatype`` attribute says something that LH5 does not know."""


class ObjectNotFoundError(LH5DecodeError, KeyError):
    """There is no object of this name in the file."""


class CodecError(LH5DecodeError, RuntimeError):
    """Encoded samples do not follow their codec, or samples cannot be encoded."""


class LH5EncodeError(FileError, ValueError, RuntimeError):
    """An object cannot be written, or not in this way."""
