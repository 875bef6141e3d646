"""Opening HDF5 files so that nothing that is there can be lost."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sapwood.errors import FileError
from sapwood.fileio import hdf5
from sapwood.fileio.pymodaq.errors import MissingFileError, SwmrError
from sapwood.fileio.pymodaq.superblock import WRITING_SWMR, Superblock, read_superblock

__all__ = ["is_file_swmr_active", "open_for_reading", "open_for_writing", "open_new"]

_SWMR_VERSIONS = ("v110", "v110")  # the oldest format that allows it, which every reader of today knows
_IN_USE = (
    "A program is writing the file, or was killed while it did. "
    "Wait for it, read the file meanwhile, or save a copy by `sapwood file recover`."
)


def _existing(path: Path) -> Superblock:
    if not path.is_file():
        raise MissingFileError(f"There is no file {path}", file=path)
    return read_superblock(path)


def open_for_reading(path: Path) -> Any:
    """Return an `h5py.File` that cannot write; one that a SWMR writer has open is followed.

    Raises
    ------
    MissingFileError, FormatError, FileError
        When there is no such file, it is no HDF5 file, or it cannot be opened.
    """
    block = _existing(path)
    try:
        if block.flags & WRITING_SWMR:
            return hdf5.open_h5(path, "r", swmr=True, libver="latest")
        return hdf5.open_h5(path, "r")
    except FileError as error:
        error.hint = _IN_USE if block.in_use else error.hint
        raise


def open_for_writing(path: Path, swmr: bool) -> Any:
    """Return an `h5py.File` to append to; `swmr`: one that can go to SWMR mode.

    Raises
    ------
    MissingFileError, FormatError, FileError
        When there is no such file, it is no HDF5 file, or it cannot be opened.
    SwmrError
        When the file was not made for SWMR. It is not touched.
    """
    block = _existing(path)
    if swmr and block.version < 3:
        raise SwmrError(
            "The file was not made for SWMR and cannot be changed to it",
            file=path,
            expected="superblock 3",
            seen=block.version,
            hint="Open it without swmr_mode, or begin a new file with it.",
        )
    options = {"libver": _SWMR_VERSIONS} if swmr else {}
    try:
        return hdf5.open_h5(path, "a", **options)
    except FileError as error:
        error.hint = _IN_USE if block.in_use else error.hint
        raise


def open_new(path: Path, swmr: bool) -> Any:
    """Return a new, empty `h5py.File`; a file of that name is replaced unless somebody writes it.

    Raises
    ------
    MissingFileError
        When its folder does not exist.
    SwmrError
        When a program has the existing file open for writing.
    """
    if not path.parent.is_dir():
        raise MissingFileError(f"There is no folder {path.parent}", file=path)
    if path.is_file() and _is_written(path):
        raise SwmrError("A file that is being written is not replaced", file=path, hint=_IN_USE)
    return hdf5.open_h5(path, "w", **({"libver": _SWMR_VERSIONS} if swmr else {}))


def _is_written(path: Path) -> bool:
    try:
        return read_superblock(path).in_use
    except (FileError, OSError):
        return False


def is_file_swmr_active(path: str | os.PathLike[str]) -> bool:
    """Tell whether a writer has the file open in SWMR mode; also True when the file cannot be opened.

    A file whose writer was killed counts as active until it is recovered.
    """
    try:
        if read_superblock(path).in_use:
            return True
        with hdf5.open_h5(path) as file:
            return bool(file.attrs.get("swmr_active", False))
    except OSError:
        return True
