"""Errors of PyMoDAQ files that are also the classes its users catch."""

from __future__ import annotations

from sapwood.errors import FileError

__all__ = ["MissingFileError", "NoFileError", "NodeError", "SwmrError"]


class NodeError(FileError, ValueError, KeyError):
    """A node of the file is missing, exists already or is of another kind."""


class MissingFileError(FileError, FileNotFoundError):
    """The file, or the folder it should lie in, does not exist."""


class SwmrError(FileError, RuntimeError):
    """The file cannot be used in single-writer multiple-reader mode."""


class NoFileError(NodeError):
    """The saver has no open file."""
