"""The error of streams that are no ORCA streams."""

from __future__ import annotations

from sapwood.errors import FormatError

__all__ = ["OrcaError"]


class OrcaError(FormatError, RuntimeError):
    """The bytes do not begin with an ORCA header; also a RuntimeError, as callers of converters expect."""
