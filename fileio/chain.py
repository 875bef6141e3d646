"""Which files make up one recording: a single file, or a chain of parts ``f.1``, ``f.2``, ..."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence

from sapwood.errors import FileError, FormatError

__all__ = ["chain_of", "missing_part", "single_recording"]

_PART = re.compile(r"(.+)\.([1-9][0-9]*)", re.DOTALL)
_BESIDE = (".idx", ".part")  # endings of files that accompany a recording


def chain_of(path: str | os.PathLike[str], *, single: bool = False) -> list[str]:
    """Return the files of the recording that `path` names, in order.

    ========================== ==========================================================
    ``f.1``                    ``f.1``, ``f.2``, ... to the first number that is missing
    ``f``, not there itself    the same, when ``f.1`` is there
    ``f``, and no ``f.1``      ``f``, ``f.2``, ...: a file that was split later
    ``f.2`` or later           that part alone
    a folder                   the one recording in it
    ========================== ==========================================================

    Parameters
    ----------
    path
        File, bare name of a chain, or folder.
    single
        Take `path` as one file, whatever lies beside it.

    Raises
    ------
    FileError
        When there is no such file.
    FormatError
        When a folder holds no recording or several.
    """
    name = os.fspath(path)
    if single:
        return [name]
    if os.path.isdir(name):
        name = single_recording(name)
    if name.endswith(".1"):
        return [name, *_following(name[:-2])]
    if not os.path.exists(name):
        if os.path.exists(f"{name}.1"):
            return [f"{name}.1", *_following(name)]
        raise FileError(f"Failed to open data file: {name}", seen="no such file")
    if os.path.exists(f"{name}.1"):
        return [name]
    return [name, *_following(name)]


def _following(base: str) -> list[str]:
    """Return the parts 2, 3, ... of `base` that are there without a gap."""
    parts: list[str] = []
    while os.path.exists(part := f"{base}.{len(parts) + 2}"):
        parts.append(part)
    return parts


def missing_part(files: Sequence[str | os.PathLike[str]]) -> str | None:
    """Return the first part that is missing although later ones are there, or None."""
    end = os.fspath(files[-1])
    match = _PART.fullmatch(end)
    base, last = (match[1], int(match[2])) if match else (end, 1)
    following = f"{base}.{last + 1}"
    if os.path.exists(following) or (len(files) == 1 and last > 1):
        return None  # a part that was asked for alone
    folder = os.path.dirname(base) or "."
    stem = os.path.basename(base)
    numbers = [int(found[2]) for found in _parts_in(folder) if found[1] == stem]
    return following if any(number > last for number in numbers) else None


def _parts_in(folder: str) -> list[re.Match[str]]:
    return [match for name in _names(folder) if (match := _PART.fullmatch(name))]


def _names(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(
                entry.name for entry in entries if entry.is_file() and not entry.name.startswith(".")
            )
    except OSError as error:
        raise FileError(f"Failed to open folder: {folder}", seen=error.strerror) from error


def single_recording(folder: str, accept: Callable[[str], bool] | None = None) -> str:
    """Return the path that opens the one recording in `folder`.

    Parameters
    ----------
    folder
        Its hidden files and those that accompany a recording are passed over.
    accept
        Tells which paths are recordings; asked only when there are several to choose from.

    Raises
    ------
    FormatError
        When there is none, or more than one; the text names them.
    """
    names = [name for name in _names(folder) if not name.endswith(_BESIDE)]
    heads = [os.path.join(folder, name) for name in names if _is_head(name, set(names))]
    if len(heads) > 1 and accept is not None:
        heads = [path for path in heads if accept(path)] or heads
    if len(heads) == 1:
        return heads[0]
    listed = ", ".join(map(os.path.basename, heads[:10])) + (", ..." if len(heads) > 10 else "")
    raise FormatError(
        f"The folder {folder} holds {len(heads)} files that may be recordings",
        expected="one",
        seen=listed or "none",
        hint="Name the file.",
    )


def _is_head(name: str, names: set[str]) -> bool:
    """Tell whether `name` is not a later part of another file of `names`."""
    match = _PART.fullmatch(name)
    return match is None or match[2] == "1" or not {f"{match[1]}.1", match[1]} & names
