"""A series of container files, each up to a size."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sapwood.errors import FormatError
from sapwood.fileio.formats import PathLike
from sapwood.fileio.icf.errors import ClosedFile
from sapwood.fileio.icf.writer import RawObjectWriterBase

if TYPE_CHECKING:
    from typing import Self

__all__ = ["RotatingWriter"]

_MIB = 1 << 20


class RotatingWriter:
    """Writes objects into one file after the other: ``<folder>/<prefix><suffix><extension>``.

    A name that is there already is never used: the next number, or ``_2``, ``_3`` ... behind the date.

    Parameters
    ----------
    folder, prefix, extension
        Of the names.
    suffix
        ``date``: UTC, year to minute; ``order``: three digits from 001.
    limit_mib
        A new file begins when the present one has this size, MiB; None for never.
    check_every
        Objects between two looks at the size.
    writer
        Class of the files, `RawObjectWriterBase` or a typed one.
    clock
        Unix seconds, for the names.
    options
        For the writer.

    Raises
    ------
    FormatError
        (A `ValueError`) for another suffix.
    """

    def __init__(
        self,
        folder: PathLike,
        prefix: str = "",
        suffix: str = "date",
        extension: str = ".sof",
        *,
        limit_mib: float | None = None,
        check_every: int = 100,
        writer: Callable[..., RawObjectWriterBase] = RawObjectWriterBase,
        clock: Callable[[], float] = time.time,
        **options: Any,
    ) -> None:
        if suffix not in ("date", "order"):
            raise FormatError("No such suffix", expected="date or order", seen=suffix)
        self._folder = os.fspath(folder)
        self._prefix = prefix
        self._suffix = suffix
        self._extension = extension
        self._limit = None if limit_mib is None else limit_mib * _MIB
        self._every = check_every
        self._make = writer
        self._clock = clock
        self._options = options
        self._order = count(1)
        self._left = check_every
        self._earlier = 0
        self.files: list[str] = []
        self._writer: RawObjectWriterBase | None = self._next()

    def _names(self) -> Iterator[str]:
        if self._suffix == "order":
            for number in self._order:
                yield f"{number:03d}"
        date = time.strftime("%Y-%m-%d_%H%M", time.gmtime(self._clock()))
        yield date
        for number in count(2):
            yield f"{date}_{number}"

    def _next(self) -> RawObjectWriterBase:
        for suffix in self._names():
            path = os.path.join(self._folder, f"{self._prefix}{suffix}{self._extension}")
            if not os.path.lexists(path):
                break
        writer = self._make(path, **self._options)
        self.files.append(path)
        return writer

    @property
    def data_counter(self) -> int:
        """Objects written to all files."""
        return self._earlier + (0 if self._writer is None else self._writer.data_counter)

    def write(self, data: Any) -> None:
        """Append one object; every `check_every` objects the size of the file is looked at."""
        if self._writer is None:
            raise ClosedFile("The writer is closed", file=self.files[-1])
        self._writer.write(data)
        self._left -= 1
        if self._left <= 0:
            self._left = self._every
            if self._limit is not None and self._writer.filesize >= self._limit:
                self._rotate(self._writer)

    def _rotate(self, full: RawObjectWriterBase) -> None:
        full.close()
        self._earlier += full.data_counter
        self._writer = None
        self._writer = self._next()

    def flush(self) -> None:
        """Write all objects so far to the present file."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Complete the present file; once closed, do nothing."""
        writer, self._writer = self._writer, None
        if writer is not None:
            self._earlier += writer.data_counter
            writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
