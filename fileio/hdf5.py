"""HDF5 for the formats built on it: the library when needed, safe closing, a first look at a file."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sapwood.errors import FileError, FormatError
from sapwood.extras import need

if TYPE_CHECKING:
    from sapwood.fileio.formats import PathLike

__all__ = [
    "SIGNATURE",
    "Glance",
    "close_written",
    "damage_told",
    "forsake",
    "glance",
    "h5py",
    "is_forsaken",
    "open_h5",
    "refusal",
    "refusal_told",
    "register_filters",
]

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_FILTERS = (None, "gzip", "lzf", "szip", *range(10))  # of h5py itself; True is 1


def h5py() -> ModuleType:
    """Return the package h5py."""
    found = sys.modules.get("h5py")
    return _import_h5py() if found is None else found


def _import_h5py() -> ModuleType:
    """Import h5py; it asks for the kind of machine, and Python would begin a process to answer.

    `platform` finds out the name of the processor, which h5py does not need, along with it.
    """
    facts = vars(platform.uname())
    known = "processor" in facts
    facts.setdefault("processor", "")
    try:
        return need("h5py", extra="export")
    finally:
        if not known:
            facts.pop("processor", None)


def register_filters(compression: object) -> None:
    """Make the filter `compression` of ``create_dataset`` known to HDF5, if hdf5plugin is there and has it.

    Its import takes time, which is spared with the filters that h5py has.
    """
    if not isinstance(compression, str | int | None) or compression not in _FILTERS:
        _register_all()


def _register_all() -> None:
    with contextlib.suppress(ImportError):
        import hdf5plugin  # noqa: F401  # registers its filters: bzip2, blosc, zstd ...


def open_h5(path: PathLike, mode: str = "r", **options: Any) -> Any:
    """Open an HDF5 file as `h5py.File`; reading never alters it and takes no lock.

    A file whose writer was killed, or is still at work, is read as far as it was flushed. What
    filters of hdf5plugin packed (bzip2, blosc, zstd ...) is read if that is installed.

    Raises
    ------
    FileError
        When it cannot be opened.
    """
    name = os.fspath(path)
    if mode == "r":
        options.setdefault("locking", False)
    if not _new(name, mode):
        _register_all()
    there = os.path.lexists(name)
    try:
        return h5py().File(name, mode, **options)
    except (OSError, RuntimeError) as error:
        if mode == "r" and not options.get("swmr") and _is_marked(name):
            with contextlib.suppress(OSError, ValueError, RuntimeError):
                return h5py().File(name, mode, **options, swmr=True)
        cause = refusal(error) or error
        if not there:
            with contextlib.suppress(OSError):
                os.unlink(name)  # empty: the disk took its name only
        seen = getattr(cause, "strerror", None) or str(cause)
        raise FileError(f"Failed to open HDF5 file: {name}", file=name, seen=seen) from cause


def _is_marked(path: str) -> bool:
    """Tell whether a writer marked the file as open.

    Others are not read as such: the library would try what is damaged in them again and again.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(12)
    except OSError:
        return False
    return len(head) == 12 and head[8] >= 3 and bool(head[11] & 5)  # superblock 3: its consistency flags


def _new(path: str, mode: str) -> bool:
    """Tell whether a file opened like this holds nothing yet."""
    if mode == "a":
        return not os.path.exists(path)
    return mode in ("w", "w-", "x")


_ERRNO = re.compile(r"errno = (\d+)")
_FAULTS = (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, MemoryError)
_forsaken: list[Any] = []  # files that nobody may close


def refusal(error: BaseException) -> OSError | None:
    """Return the error of the system that the library tells of; None when it tells of another."""
    found = _ERRNO.search(str(error))
    if found is None:
        return None
    number = int(found[1])
    cause = OSError(number, os.strerror(number))
    cause.__cause__ = error
    return cause


@contextlib.contextmanager
def refusal_told(path: PathLike, file: Any = None) -> Iterator[None]:
    """Turn what the library raises where the disk refuses into an error that says so in few words.

    Parameters
    ----------
    file
        The `h5py.File`, if it is to be forsaken then.

    Raises
    ------
    FileError
        Caused by the error of the system.
    """
    try:
        yield
    except FileError:
        raise
    except (OSError, RuntimeError, ValueError) as error:  # the library takes any of these
        cause = refusal(error)
        if cause is None:
            raise
        forsake(file)
        raise FileError("The file could not be written", file=path, seen=cause.strerror) from cause


@contextlib.contextmanager
def damage_told(path: PathLike, what: str = "The file is damaged") -> Iterator[None]:
    """Turn what the library raises on a damaged file into an error that names the file.

    Raises
    ------
    FormatError
        That says `what`, and what the library says.
    """
    try:
        yield
    except FileError:
        raise
    except _FAULTS as error:
        hint = "Save what can be read by `sapwood file recover`."
        raise FormatError(what, file=path, seen=str(error).strip("'\""), hint=hint) from error


def is_forsaken(file: Any) -> bool:
    """Tell whether `forsake` was called for this `h5py.File`."""
    return any(file is one for one in _forsaken)


def close_written(file: Any) -> None:
    """Close an `h5py.File` that was written to; one that is closed, or forsaken, is left alone.

    Raises
    ------
    FileError
        When the disk does not take what was left to write. The file is forsaken then.
    """
    if not file or is_forsaken(file):
        return
    try:
        with refusal_told(file.filename):
            file.flush()
    except BaseException:
        forsake(file)
        raise
    file.close()


def forsake(file: Any) -> None:
    """Keep an `h5py.File` and its objects open until the program ends, whatever becomes of them.

    The library crashes, then or later, where it closes something that it could not write.
    """
    if not file or is_forsaken(file):  # None, closed
        return
    _forsaken.append(file)
    library = h5py()
    for each in (file.id, *library.h5f.get_obj_ids(file.id)):
        library.h5i.inc_ref(each)


@dataclass(frozen=True)
class Glance:
    """What the top of an HDF5 file shows.

    Parameters
    ----------
    attributes
        Those of the root group; strings as `str`.
    children
        Name of each member of the root group -> its attributes.
    """

    attributes: dict[str, Any] = field(default_factory=dict)
    children: dict[str, dict[str, Any]] = field(default_factory=dict)


def glance(path: PathLike) -> Glance | None:
    """Return the top of an HDF5 file, for `Format.detect`; None when it cannot be opened."""
    name = os.fspath(path)
    try:
        status = os.stat(name)
    except OSError:
        return None
    return _glance(name, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)
def _glance(path: str, mtime_ns: int, size: int) -> Glance | None:
    """Look once for all formats that ask, as long as the file does not change."""
    try:
        with open_h5(path) as file:
            children = {name: _attributes(file.get(name)) for name in file}
            return Glance(_attributes(file), children)
    except (OSError, RuntimeError, KeyError):
        return None


def _attributes(node: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if node is None:  # a link that leads nowhere
        return found
    for name in node.attrs:
        try:
            value = node.attrs[name]
        except (OSError, TypeError, ValueError):  # of a type that h5py cannot read
            continue
        found[name] = value.decode(errors="replace") if isinstance(value, bytes) else value
    return found
