"""Rogue's file writer."""

from __future__ import annotations

from sapwood import fileio

__all__ = ["StreamWriter"]


class StreamWriter(fileio.StreamWriter):
    """Records frames to a file as `sapwood.fileio.StreamWriter`; an existing file is replaced."""

    def __init__(self) -> None:
        super().__init__(overwrite=True)
