"""The error for streams that are not what they claim to be."""

from __future__ import annotations

from sapwood.errors import FormatError

__all__ = ["BadStreamError"]


class BadStreamError(FormatError, RuntimeError):
    """A header or a configuration makes no sense; also a `RuntimeError`, as programs expect it."""
