"""Errors of raw streams that callers catch as built-in ones too."""

from __future__ import annotations

from sapwood.errors import FileError, FormatError, RecordingExists, SapwoodError

__all__ = [
    "BadStreamError",
    "InputMissing",
    "OutSpecError",
    "OutSpecFieldError",
    "OutSpecTypeError",
    "OutputAmbiguous",
    "StreamTypeError",
    "UnknownStreamType",
]


class BadStreamError(FormatError, RuntimeError):
    """A header or a configuration makes no sense."""


class OutSpecError(SapwoodError, ValueError):
    """A specification of the output is wrong."""


class OutSpecFieldError(OutSpecError, KeyError):
    """A word in braces has no value, or a key is claimed twice."""


class OutSpecTypeError(OutSpecError, TypeError):
    """A specification of the output is of a type that cannot be one."""


class InputMissing(FileError, FileNotFoundError):
    """There is no such input."""


class StreamTypeError(FileError, RuntimeError):
    """The type of a stream cannot be found out."""


class UnknownStreamType(StreamTypeError, NotImplementedError):
    """No stream type has this name, or it cannot be read."""


class OutputAmbiguous(RecordingExists, RuntimeError):
    """The name of an output stands for several files."""
