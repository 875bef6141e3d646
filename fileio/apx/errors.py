"""Errors of AstroPix files: ours, and at the same time those that users of AstroPix software catch."""

from __future__ import annotations

import json
import struct

from sapwood.errors import FormatError

__all__ = ["ApxError", "ApxHeaderError", "ApxKeyError", "ApxTruncated", "ApxTypeError", "DecodingError"]


class ApxError(FormatError, RuntimeError):
    """A file, a record or an argument is not what it should be."""


class ApxTruncated(FormatError, struct.error):
    """The fixed part of a header or a readout is cut."""


class ApxKeyError(FormatError, KeyError):
    """An entry of the header, or the header itself, is missing."""

    __str__ = FormatError.__str__  # a KeyError would show its text in quotes


class ApxTypeError(FormatError, TypeError):
    """The header is something else than a mapping, or holds what JSON cannot."""


class ApxHeaderError(FormatError, json.JSONDecodeError):
    """The text of the header is not JSON."""

    def __init__(self, text: str, *, error: json.JSONDecodeError | None = None, **facts: object) -> None:
        FormatError.__init__(self, text, **facts)  # type: ignore[arg-type]  # facts are passed through
        self.msg = text
        self.doc = "" if error is None else error.doc
        self.pos = 0 if error is None else error.pos
        self.lineno = 1 if error is None else error.lineno
        self.colno = 1 if error is None else error.colno


class DecodingError(FormatError, TypeError, IndexError):
    """Strict decoding met bytes that the peer's decoder fails on."""
