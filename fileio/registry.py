"""Which formats there are, and which one a file has."""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sapwood.errors import FileError, FormatError, nearest
from sapwood.fileio.chain import chain_of, missing_part, single_recording
from sapwood.fileio.formats import MAGIC, NO, Format, PathLike, Reader, Report, Sink

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["by_ending", "create", "detect", "find", "formats", "open", "recover", "register", "verify"]

GROUP = "sapwood.formats"
HEAD_BYTES = 4096  # what `Format.detect` is shown of a file

# Known without asking the installed packages: name -> home.
_BUILT_IN = {
    "rogue": "sapwood.fileio.rogue.format:ROGUE",
    "rogue-raw": "sapwood.fileio.rogue.format:ROGUE_RAW",
    "icf": "sapwood.fileio.icf.format:ICF",
    "pymodaq": "sapwood.fileio.pymodaq.format:PYMODAQ",
    "lh5": "sapwood.fileio.lh5.format:LH5",
    "slowsignal": "sapwood.fileio.slowsignal.format:SLOW_SIGNAL",
    "npz": "sapwood.fileio.sinks.npz:NPZ",
    "csv": "sapwood.fileio.sinks.csv:CSV",
    "jsonl": "sapwood.fileio.sinks.jsonlines:JSON_LINES",
    "parquet": "sapwood.fileio.sinks.arrow:PARQUET",
    "arrow": "sapwood.fileio.sinks.arrow:ARROW",
    "arrow-stream": "sapwood.fileio.sinks.arrow:ARROW_STREAM",
    "hdf5": "sapwood.fileio.sinks.hdf5:HDF5",
    "root": "sapwood.fileio.sinks.root:ROOT",
    "mcap": "sapwood.fileio.sinks.mcap:MCAP",
    "apx": "sapwood.fileio.apx.format:APX",
    "apx-log": "sapwood.fileio.apx.format:APX_LOG",
    "astep": "sapwood.fileio.apx.format:ASTEP",
    "fcio": "sapwood.fileio.raw.format:FCIO",
    "orca": "sapwood.fileio.raw.format:ORCA",
    "compass": "sapwood.fileio.raw.format:COMPASS",
    "llama": "sapwood.fileio.raw.format:LLAMA",
    "fits": "sapwood.fileio.sinks.fits:FITS",
    "ecsv": "sapwood.fileio.sinks.ecsv:ECSV",
}
_ALIASES = {"raw": "rogue-raw"}
_ASKED_LAST = "rogue"  # it has no magic

_LOCK = threading.Lock()
_loaded: dict[str, Format] = {}
_broken: dict[str, str] = {}  # formats of others that could not be imported, and why


def register(format: Format) -> None:
    """Add `format` for this process, or replace the one of its name.

    Installed packages are found by themselves, through the entry-point group
    ``sapwood.formats``: name = ``module:object``.
    """
    with _LOCK:
        _loaded[format.name] = format


def _entry_points() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=GROUP) if point.name not in _BUILT_IN}


def _load_built_in(name: str) -> Format:
    if name not in _loaded:
        module, _, attribute = _BUILT_IN[name].partition(":")
        found: Format = getattr(importlib.import_module(module), attribute)
        with _LOCK:
            _loaded.setdefault(name, found)
    return _loaded[name]


def _load_others() -> None:
    for name, point in _entry_points().items():
        if name in _loaded or name in _broken:
            continue
        try:
            found = point.load()
        except Exception as error:  # noqa: BLE001  # somebody else's package must not stop ours
            _broken[name] = f"{name} ({point.value}): {error}"
            continue
        with _LOCK:
            _loaded.setdefault(name, found)


def formats() -> dict[str, Format]:
    """Return every format by its name: the built-in ones, then those of installed packages."""
    for name in _BUILT_IN:
        _load_built_in(name)
    _load_others()
    return dict(_loaded)


def find(name: str) -> Format:
    """Return the format called `name`.

    Raises
    ------
    FormatError
        When there is none; the text lists those that exist.
    """
    key = _ALIASES.get(name.lower(), name.lower())
    if key in _loaded:
        return _loaded[key]
    if key in _BUILT_IN:
        return _load_built_in(key)
    known = formats()
    if key in known:
        return known[key]
    if name in known:
        return known[name]
    near = nearest(name, [*known, *_ALIASES])
    raise FormatError(
        f"There is no format {name!r}",
        expected=", ".join(known),
        hint=f"Did you mean: {', '.join(near)}?" if near else None,
        problems=_broken.values(),
    )


def detect(path: PathLike) -> Format:
    """Return the format of the file, chain or folder `path`.

    A format that finds its magic wins over those that find the file plausible. Rogue files have
    no magic: that format is asked last.

    Raises
    ------
    FileError
        When there is no such file, or it cannot be read.
    FormatError
        When no format or several fit; the text names the candidates.
    """
    return _detect(_first_file(path))


def _first_file(path: PathLike) -> str:
    name = os.fspath(path)
    if os.path.isdir(name):
        return single_recording(name, _is_recording)
    return chain_of(name)[0]


def _is_recording(path: str) -> bool:
    try:
        _detect(path)
    except FileError:
        return False
    return True


def _detect(path: str) -> Format:
    head = _head(path)
    known = formats()
    answers = {
        name: answer
        for name, format in known.items()
        if name != _ASKED_LAST and (answer := format.detect(head, path)) != NO
    }
    best = [name for name, answer in answers.items() if answer == MAGIC] or list(answers)
    if not best and known[_ASKED_LAST].detect(head, path):
        best = [_ASKED_LAST]
    if len(best) == 1:
        return known[best[0]]
    if best:
        raise FormatError(
            f"{path} may be of several formats: {', '.join(best)}", file=path, hint="Name the format."
        )
    raise _unknown(path, head, known)


def _unknown(path: str, head: bytes, known: dict[str, Format]) -> FormatError:
    """Return the error that says what a file of no known format looks like."""
    from sapwood.fileio.hdf5 import SIGNATURE

    expected = [name for name, format in known.items() if type(format).open is not Format.open]
    seen = f"{len(head)} bytes that begin {head[:8].hex(' ')}" if head else "an empty file"
    hint = "Name the format if you know it; raw recordings and A-STEP streams are never recognised."
    if head.startswith(SIGNATURE):
        expected = ["pymodaq", "lh5", "slowsignal", "hdf5"]
        seen = "an HDF5 file of another kind, or one that is damaged"
        hint = "Name the format: `sapwood file recover --format NAME` saves what can be read."
    return FormatError(
        f"The format of {path} is not known",
        file=path,
        expected=f"one of {', '.join(expected)}",
        seen=seen,
        hint=hint,
        problems=_broken.values(),
    )


def _head(path: str) -> bytes:
    from sapwood.fileio.mapped import MappedFile

    with MappedFile(path) as file:
        return file.data[:HEAD_BYTES].tobytes()


def open(path: PathLike, format: str | None = None, **options: Any) -> Reader:
    """Open a recording of any format for reading.

    Parameters
    ----------
    path
        A file, the ``.1`` or the bare name of a chain of parts, or a folder that holds one
        recording.
    format
        Its name, see `formats`; found by looking at the file when left out.
    options
        ``single=True``, for formats whose recordings may have parts: the file `path` alone, not those
        that follow it. Others are those of the format, for example ``config_channel`` for Rogue files.

    Raises
    ------
    FileError
        When there is no such file, or it cannot be read.
    FormatError
        When the format is not known, or the file is not of it.
    """
    kind, name = _chosen(path, format)
    single = kind.in_parts and bool(options.pop("single", False))
    files = [name] if single else _files(kind, name)
    if single or not _is_split(kind, files):
        return kind.open(files[0], **options)
    from sapwood.fileio.chained import ChainedReader

    return ChainedReader(kind, files, **options)


def verify(path: PathLike, format: str | None = None) -> Report:
    """Check the recording `path`, named as for `open`, from end to end without changing it.

    Raises
    ------
    FileError
        When there is no such file, or it cannot be read.
    FormatError
        When the format is not known, cannot be checked, or the file is not of it.
    """
    kind, name = _chosen(path, format)
    files = _files(kind, name)
    if not _is_split(kind, files):
        return kind.verify(files[0])
    from sapwood.fileio.chained import verify_parts

    return verify_parts(kind, files)


def recover(path: PathLike, out: PathLike, format: str | None = None) -> Report:
    """Write everything whole in the recording `path` to the new file `out`; `path` stays as it is.

    A recording in parts becomes one of parts, ``<out>.1``, ``<out>.2``, ...; one of Rogue's formats
    becomes one file.

    Raises
    ------
    RecordingExists
        When `out` is there already.
    FileError, FormatError
        As for `verify`.
    """
    kind, name = _chosen(path, format)
    files = _files(kind, name)
    if not _is_split(kind, files):
        return kind.recover(files[0], out)
    from sapwood.fileio.chained import recover_parts

    return recover_parts(kind, files, out)


def _chosen(path: PathLike, format: str | None) -> tuple[Format, PathLike]:
    """Return the format, named or found, and the path of the recording."""
    if format is not None:
        return find(format), path
    first = _first_file(path)
    return _detect(first), first if os.path.isdir(path) else path


def _files(kind: Format, path: PathLike) -> Sequence[PathLike]:
    """Return the files of the recording, as far as it is not left to its format to find them."""
    if kind.in_parts and (os.path.exists(path) or os.path.exists(f"{os.fspath(path)}.1")):
        return chain_of(path)
    return [path]  # the format tells in its own words when there is no such file


def _is_split(kind: Format, files: Sequence[PathLike]) -> bool:
    return kind.in_parts and (len(files) > 1 or missing_part(files) is not None)


def create(path: PathLike, format: str | None = None, **options: Any) -> Sink:
    """Begin a new file of the format named, or of the one that the ending of `path` stands for.

    Raises
    ------
    FormatError
        When there is no such format, or it cannot be written.
    """
    return (find(format) if format is not None else by_ending(path)).create(path, **options)


def by_ending(path: PathLike) -> Format:
    """Return the format whose files end like `path`; the longest ending counts.

    Raises
    ------
    FormatError
        When there is none; the text lists the endings.
    """
    name = os.path.basename(os.fspath(path)).lower()
    known = formats()
    fitting = [(len(ending), format) for format in known.values() for ending in format.endings
               if name.endswith(ending)]  # fmt: skip
    if fitting:
        return max(fitting, key=lambda one: one[0])[1]
    endings = sorted({ending for format in known.values() for ending in format.endings})
    raise FormatError(f"No format is known by the ending of {name}", file=path, expected=" or ".join(endings))
