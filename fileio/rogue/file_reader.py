"""`FileReader`: the records of Rogue files one by one, or in columns."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FileError, FormatError
from sapwood.fileio.formats import CHUNK_BYTES, PathLike
from sapwood.fileio.mapped import MappedFile
from sapwood.fileio.rogue.config import Configuration, parse_record
from sapwood.fileio.rogue.decode import walk_file
from sapwood.fileio.rogue.superframe import BatchHeader, split_superframe
from sapwood.streams import FrameBatch

__all__ = ["BatchHeader", "FileReader", "FileReaderException", "RogueHeader"]

_RECORDS_BYTES = 1 << 20  # of file whose headers are held as Python numbers
_LOG = logging.getLogger("sapwood.fileio.FileReader")


class FileReaderException(FileError):  # noqa: N818  # the name Rogue's users catch
    """A file, a configuration path or a batched record cannot be read."""


@dataclass(slots=True)
class RogueHeader:
    """Header of a record: payload bytes, flags, error and channel."""

    size: int
    flags: int
    error: int
    channel: int


class FileReader:
    """Reads files in the order given; parts of a chain are not looked for.

    Parameters
    ----------
    files
        A path, or several.
    configChan
        Channel of the configuration records: they are merged into `configDict` and not yielded.
        None: they are yielded like data.
    log
        Where damage is told; default the logger ``sapwood.fileio.FileReader``.
    batched
        The records are batcher super-frames: `records` yields their sub-frames.

    Attributes
    ----------
    currCount, totCount
        Data records yielded of this file, and of all.
    configDict
        The configuration as far as the file is read: at a data record, that of everything before.

    Raises
    ------
    FileReaderException
        When a file cannot be read.
    """

    def __init__(
        self,
        files: PathLike | Iterable[PathLike],
        configChan: int | None = None,
        log: logging.Logger | None = None,
        batched: bool = False,
    ) -> None:
        several = [files] if isinstance(files, (str, os.PathLike)) else list(files)
        self._files = [os.fspath(file) for file in several]
        self._config_channel = configChan
        self._log = log or _LOG
        self._batched = batched
        for file in self._files:
            with self._mapped(file):
                continue
        self._restart()

    def _restart(self) -> None:
        self._configuration = Configuration()
        self.currCount = 0
        self.totCount = 0

    @property
    def configDict(self) -> dict[str, Any]:
        """The nested mappings of the configuration merged so far."""
        return self._configuration.values

    def configValue(self, path: str) -> Any:
        """Return the configuration value under the dotted `path`.

        Raises
        ------
        FileReaderException
            When there is none (yet).
        """
        here: Any = self.configDict
        for name in path.split("."):
            if not isinstance(here, dict) or name not in here:
                raise FileReaderException(f"Failed to find path {path}", path=path)
            here = here[name]
        return here

    # Columns

    def batches(self, nbytes: int = CHUNK_BYTES) -> Iterator[FrameBatch]:
        """Yield the data records as batches over the mapped files, about `nbytes` of file each.

        `configDict` is that of everything up to the end of the batch. Super-frames are not split.
        """
        self._restart()
        for batch in self._file_batches(nbytes):
            rows = batch.channel == self._config_channel
            for row in np.flatnonzero(rows):
                self._merge(batch, int(row))
            data = batch[~rows] if rows.any() else batch
            if len(data):
                self._count(len(data))
                yield data

    def read(self) -> FrameBatch:
        """Return all data records as one batch: mapped when they are in one file, else copied together."""
        batches = list(self.batches(max(map(os.path.getsize, self._files), default=1)))
        return batches[0] if len(batches) == 1 else FrameBatch.concat(batches)

    def _file_batches(self, nbytes: int) -> Iterator[FrameBatch]:
        for path in self._files:
            self.currCount = 0
            self._current = path
            with self._mapped(path) as file:
                for chunk in walk_file(file, nbytes):
                    yield chunk.batch
                    if chunk.tear is not None:
                        self._log.warning(
                            "File underrun reading %s at offset %d: %s",
                            path,
                            chunk.tear.offset,
                            chunk.tear.reason,
                        )

    def _mapped(self, path: str) -> MappedFile:
        try:
            return MappedFile(path)
        except FileError as error:
            raise FileReaderException(f"Failed to read file {path}", file=path, seen=error.seen) from error

    def _count(self, records: int) -> None:
        self.currCount += records
        self.totCount += records

    def _merge(self, batch: FrameBatch, row: int) -> None:
        try:
            self._configuration.merge(parse_record(batch.frame_bytes(row).tobytes()))
        except FormatError as error:
            self._log.warning("%s: %s", self._current, error)

    # One by one

    def records(self) -> Iterator[Any]:
        """Yield the data records from the start.

        Yields
        ------
        tuple
            `RogueHeader` and payload, i1[size], which is the caller's own. Batched: `RogueHeader`,
            `BatchHeader` and payload of each sub-frame.

        Raises
        ------
        FileReaderException
            When a batched record cannot be split.
        """
        self._restart()
        for batch in self._file_batches(_RECORDS_BYTES):
            for header, payload in self._single(batch):
                if not self._batched:
                    self._count(1)
                    yield header, payload.copy()
                else:
                    yield from self._subframes(header, payload)

    def _single(self, batch: FrameBatch) -> Iterator[tuple[RogueHeader, NDArray[np.int8]]]:
        payload = batch.payload.view(np.int8)
        names = ("start", "size", "flags", "error", "channel")
        columns = [getattr(batch, name).tolist() for name in names]
        for row, (start, size, flags, error, channel) in enumerate(zip(*columns, strict=True)):
            if channel == self._config_channel:
                self._merge(batch, row)
            else:
                yield RogueHeader(size, flags, error, channel), payload[start : start + size]

    def _subframes(
        self, header: RogueHeader, payload: NDArray[np.int8]
    ) -> Iterator[tuple[RogueHeader, BatchHeader, NDArray[np.int8]]]:
        try:
            parts = split_superframe(payload.view(np.uint8).data)
        except FormatError as error:
            raise FileReaderException(
                f"{error.text} in {self._current}", file=self._current, seen=error.seen
            ) from error
        self._count(1)
        for sub, begin in parts:
            yield header, sub, payload[begin : begin + sub.size].copy()

    def __enter__(self) -> FileReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to release: files are mapped only while they are iterated."""
