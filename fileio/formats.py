"""What a file format offers: the protocols behind `sapwood.fileio.open` and `convert`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from sapwood.errors import FormatError

if TYPE_CHECKING:
    from typing import Self

    from sapwood.fileio.table import Table, TableInfo
    from sapwood.streams import FrameBatch

__all__ = [
    "CHUNK_BYTES",
    "CLEAN",
    "LOSS",
    "MAGIC",
    "NO",
    "PLAUSIBLE",
    "UNREADABLE",
    "Format",
    "PathLike",
    "Reader",
    "Report",
    "Sink",
    "no_table",
]

PathLike = str | os.PathLike[str]

CHUNK_BYTES = 16 << 20  # bytes of file that a reader looks at together, by default

NO, PLAUSIBLE, MAGIC = 0, 1, 2  # answers of Format.detect
CLEAN, LOSS, UNREADABLE = "clean", "loss", "unreadable"  # Report.status


@dataclass(slots=True)
class Report:
    """What was found in a file, or saved from it.

    Parameters
    ----------
    status
        ``clean``, ``loss`` (part of it is damaged) or ``unreadable`` (nothing could be read).
    good
        Whole records.
    lost
        Records known to be lost, at least.
    torn_bytes
        Bytes that belong to no whole record.
    problems
        One sentence each, with file and offset.
    """

    status: str = CLEAN
    good: int = 0
    lost: int = 0
    torn_bytes: int = 0
    problems: list[str] = field(default_factory=list)


def no_table(name: str, file: PathLike, there: Iterable[str]) -> FormatError:
    """Return the error of a reader that is asked for a table its `file` does not hold."""
    return FormatError(f"There is no table {name!r}", file=file, expected=", ".join(there))


class Reader(Protocol):
    """An open recording of any format."""

    def info(self) -> dict[str, Any]:
        """Return a summary that JSON can hold."""
        ...

    def problems(self) -> Sequence[str]:
        """Return what is damaged or missing, one sentence each with file and offset; none by default."""
        return ()

    def tables(self) -> Sequence[TableInfo]:
        """Return what the recording holds; counts are exact."""
        ...

    def chunks(
        self, table: str, start: int = 0, stop: int | None = None, nbytes: int = CHUNK_BYTES
    ) -> Iterator[Table]:
        """Yield rows `start` to `stop` of `table`, about `nbytes` of the file at a time."""
        ...

    def close(self) -> None:
        """Let go of the files; what was yielded stays valid."""
        ...

    def handover(self) -> dict[str, Any]:
        """Return options for opening the next part of the recording: what this one leaves unfinished."""
        return {}

    def batches(self, *, nbytes: int = CHUNK_BYTES) -> Iterator[FrameBatch]:
        """Yield all frames in order, about `nbytes` of the file at a time.

        Raises
        ------
        FormatError
            When the recording holds something else than frames.
        """
        raise FormatError("The recording does not hold frames", hint="Read its tables by chunks().")

    def read(self) -> FrameBatch:
        """Return all frames as one batch.

        Raises
        ------
        FormatError
            When the recording holds something else than frames.
        """
        raise FormatError("The recording does not hold frames", hint="Read its tables by chunks().")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Sink(Protocol):
    """A file being written from tables."""

    def write(self, table: Table) -> None:
        """Append the rows of `table`."""
        ...

    def sync(self) -> None:
        """Hand everything written so far to the disk."""
        ...

    def close(self) -> None:
        """Complete the file."""
        ...

    def abort(self) -> None:
        """Give up; what lies on disk is not usable."""
        ...


class Format(Protocol):
    """A file format. What a format does not override it cannot do, and says so."""

    name: str
    endings: tuple[str, ...] = ()
    frames_only: bool = False  # its files take the table ``frames`` and nothing else
    one_table: bool = False  # its files hold one table
    in_parts: bool = False  # its recordings may be split, and `sapwood.fileio.open` joins their parts
    lenient: Mapping[str, Any] = MappingProxyType({})  # options of `open` that leave out what is damaged
    compressions: tuple[str, ...] = ()  # values of the option ``compression`` of `create`

    def detect(self, head: bytes, path: str) -> int:
        """Return NO, PLAUSIBLE or MAGIC for a file that begins with `head`."""
        return NO

    def open(self, path: PathLike, **options: Any) -> Reader:
        """Open a recording for reading."""
        raise self._cannot("be read", path)

    def create(self, path: PathLike, **options: Any) -> Sink:
        """Begin a new file; options: ``tables``, the `TableInfo` of what will be written."""
        raise self._cannot("be written by conversion", path)

    def verify(self, path: PathLike) -> Report:
        """Check a recording without changing it."""
        raise self._cannot("be verified", path)

    def recover(self, path: PathLike, out: PathLike) -> Report:
        """Write everything whole in `path` to the new file `out`."""
        raise self._cannot("be recovered", path)

    def _cannot(self, what: str, path: PathLike) -> FormatError:
        return FormatError(f"Files of format {self.name} cannot {what}", file=path)
