"""A conversion as data: what a process, here or elsewhere, needs to do it, and how it went."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sapwood.errors import FileError, FormatError, RecordingExists, SapwoodError
from sapwood.fileio.formats import PathLike
from sapwood.fileio.raw.errors import OutSpecError

if TYPE_CHECKING:
    from sapwood.fileio.raw.library import RawBufferLibrary

__all__ = ["FAILED", "SKIPPED", "BytesRead", "Outcome", "check_outputs", "make_job", "run_job"]

BytesRead = Callable[[str, int, int], None]  # an input, bytes read of it, all its bytes

DONE, DAMAGED, UNREADABLE, FAILED, SKIPPED = "done", "damaged", "unreadable", "failed", "skipped"
_CLOCK_S = 2.0  # by which the clock of a file system may be behind


@dataclass
class Outcome:
    """How a conversion went.

    Parameters
    ----------
    in_stream
        What was converted.
    status
        ``done``; ``damaged``: what is whole was converted; ``unreadable``: nothing could be read;
        ``failed``; ``skipped``: done by an earlier run.
    summary
        Packets, rows, files, losses: fields of `sapwood.fileio.raw.Summary`.
    error
        Why it failed.
    attempts
        How often it was begun.
    seconds
        Of the last attempt.
    """

    in_stream: str
    status: str
    summary: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    attempts: int = 1
    seconds: float = 0.0

    @property
    def converted(self) -> bool:
        """Whether its outputs are there."""
        return self.status in (DONE, DAMAGED, SKIPPED)


def make_job(in_stream: PathLike, *, decoders: Sequence[str] = (), **arguments: Any) -> dict[str, Any]:
    """Return a conversion that JSON can hold.

    Parameters
    ----------
    in_stream
        A file, whose path is made absolute, as is that of every output; or an address.
    decoders
        For recordings, see `sapwood.fileio.raw.recording.declare_decoders`.
    arguments
        Of `sapwood.fileio.raw.build_raw`; others are words of the output's specification. The word
        ``orig_basename`` is the name of the file without its last ending.
    """
    path = os.fspath(in_stream)
    path = path if path.startswith("tcp://") else _absolute(path)
    words = {"orig_basename": os.path.splitext(os.path.basename(path))[0]}
    given = {name: value for name, value in arguments.items() if value is not None}
    for name in ("out_spec", "compass_config_file"):
        if isinstance(given.get(name), (str, os.PathLike)):
            given[name] = _absolute(os.fspath(given[name]))
    return {
        "in_stream": path,
        "folder": os.getcwd(),
        "decoders": list(decoders),
        "arguments": {**words, **given},
    }


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expandvars(os.path.expanduser(path)))


def check_outputs(jobs: Iterable[Mapping[str, Any]]) -> None:
    """Make sure that no two conversions write the same file.

    Raises
    ------
    OutSpecError
        When they do.
    """
    makers: dict[str, str] = {}
    for job in jobs:
        for output in _outputs(job):
            maker = makers.setdefault(output, job["in_stream"])
            if maker != job["in_stream"]:
                raise OutSpecError(
                    f"Both {maker} and {job['in_stream']} would be written to {output}",
                    hint="Use a specification of the output with {orig_basename} in its out_stream.",
                )


def _outputs(job: Mapping[str, Any]) -> set[str]:
    """Return the files that a conversion writes, as far as is known before the stream is opened."""
    from sapwood.fileio.raw.build import default_name
    from sapwood.fileio.raw.settings import SPEC_ENDINGS
    from sapwood.fileio.raw.streams import split_out_stream

    spec = job["arguments"].get("out_spec")
    if spec is None:
        return {default_name(job["in_stream"])}
    if isinstance(spec, str) and not spec.endswith(SPEC_ENDINGS):
        return {split_out_stream(spec)[0]}
    return {split_out_stream(one)[0] for one in _library(job).get_list_of("out_stream") if one}


def _library(job: Mapping[str, Any]) -> RawBufferLibrary:
    """Return the buffers that the specification of the output names, with absolute paths of files."""
    from sapwood.fileio.raw.library import RawBufferLibrary
    from sapwood.fileio.raw.settings import load_dict
    from sapwood.fileio.raw.streams import split_out_stream

    spec = job["arguments"]["out_spec"]
    library = RawBufferLibrary(load_dict(spec) if isinstance(spec, str) else spec, job["arguments"])
    for buffer in (one for buffers in library.values() for one in buffers):
        if buffer.out_stream:
            file, group = split_out_stream(buffer.out_stream)
            buffer.out_stream = f"{os.path.join(job['folder'], file)}:{group}"
    return library


def run_job(job: Mapping[str, Any], progress: BytesRead | None = None, since: float | None = None) -> Outcome:
    """Do a conversion; what goes wrong is told, not raised.

    Parameters
    ----------
    job
        See `make_job`.
    progress
        Told now and then how far it is.
    since
        Unix time. Outputs that were made after it are those of an attempt that was ended before it
        could tell that it was done: they are replaced.
    """
    begun = time.monotonic()
    try:
        try:
            summary = _build(job, progress)
        except RecordingExists as error:
            if since is None or error.file is None or os.path.getmtime(error.file) < since - _CLOCK_S:
                raise
            summary = _build({**job, "arguments": {**job["arguments"], "overwrite": True}}, progress)
    except Exception as error:  # noqa: BLE001  # a decoder of the user may raise anything
        outcome = Outcome(job["in_stream"], _kind(error), error=_text(error))
    else:
        outcome = Outcome(job["in_stream"], DAMAGED if _is_damaged(summary) else DONE, summary)
    outcome.seconds = time.monotonic() - begun
    return outcome


def _build(job: Mapping[str, Any], progress: BytesRead | None) -> dict[str, Any]:
    from sapwood.fileio.raw.build import build_raw
    from sapwood.fileio.raw.recording import declare_decoders
    from sapwood.fileio.raw.settings import SPEC_ENDINGS

    arguments = dict(job["arguments"])
    spec = arguments.get("out_spec")
    if isinstance(spec, Mapping) or (isinstance(spec, str) and spec.endswith(SPEC_ENDINGS)):
        arguments["out_spec"] = _library(job)
    if job["decoders"]:
        arguments["in_stream_type"] = declare_decoders(job["decoders"])
    if progress is not None:
        arguments["progress"] = lambda done, total: progress(job["in_stream"], done, total or 0)
    summary = dataclasses.asdict(build_raw(job["in_stream"], **arguments))
    for name in ("skipped", "unknown"):  # JSON knows names only
        summary[name] = _named(summary[name])
    return summary


def _named(value: Any) -> Any:
    return {str(key): _named(inner) for key, inner in value.items()} if isinstance(value, dict) else value


def _is_damaged(summary: Mapping[str, Any]) -> bool:
    return bool(summary["problems"] or summary["garbage"] or summary["resyncs"])


def _kind(error: Exception) -> str:
    unreadable = isinstance(error, FormatError) or (
        isinstance(error, FileError) and not isinstance(error, RecordingExists)
    )
    return UNREADABLE if unreadable else FAILED


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, SapwoodError) else f"{type(error).__name__}: {error}"
