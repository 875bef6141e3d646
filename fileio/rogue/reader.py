"""Open Rogue recordings: framed and raw, single files and chains of parts."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FileError, FormatError
from sapwood.fileio.chain import missing_part
from sapwood.fileio.formats import CHUNK_BYTES, Reader
from sapwood.fileio.mapped import MappedFile
from sapwood.fileio.rogue.config import Configuration, parse_record
from sapwood.fileio.rogue.decode import Chunk, Tear, walk_file
from sapwood.fileio.table import FRAMES, Table, TableInfo
from sapwood.streams import FrameBatch

__all__ = ["AUTO", "DEFAULT_CONFIG_CHANNEL", "Part", "RawReader", "RogueReader", "Summary"]

_LOG = logging.getLogger("sapwood.fileio")

AUTO: Final = "auto"
DEFAULT_CONFIG_CHANNEL = 255  # by custom; taken as such when its first record is a YAML mapping
_CHANNELS = 256


@dataclass
class Part:
    """What one file of a recording holds."""

    file: str
    frames: int = 0
    payload_bytes: int = 0
    tear: Tear | None = None

    @property
    def torn_bytes(self) -> int:
        """Bytes behind the last whole record."""
        return 0 if self.tear is None else self.tear.nbytes

    def info(self) -> dict[str, Any]:
        """Return the part as a mapping that JSON can hold."""
        return {
            "file": self.file,
            "frames": self.frames,
            "payload_bytes": self.payload_bytes,
            "torn_bytes": self.torn_bytes,
        }


@dataclass
class Summary:
    """What a whole recording holds, from one pass over its headers."""

    parts: list[Part] = field(default_factory=list)
    frames: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_CHANNELS, np.int64))
    payload_bytes: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_CHANNELS, np.int64))
    error_frames: int = 0
    config: dict[str, Any] | None = None
    bad_config: int = 0  # records of the configuration channel that are no configuration
    problems: list[str] = field(default_factory=list)

    def count(self, part: Part, batch: FrameBatch) -> None:
        """Add the frames of `batch`, which belong to `part`."""
        channel, size = batch.channel, batch.size
        part.frames += len(batch)
        part.payload_bytes += batch.nbytes
        self.frames += np.bincount(channel, minlength=_CHANNELS)
        self.error_frames += int(np.count_nonzero(batch.error))
        low, high = size & 0xFFFFFF, size >> 24  # sums of float64 stay exact
        for bits, shift in ((low, 0), (high, 24)):
            sums = np.bincount(channel, weights=bits, minlength=_CHANNELS)
            self.payload_bytes += sums.astype(np.int64) << shift


class _ChainReader(Reader):
    """What readers of framed and raw recordings share; see `RogueReader`."""

    format = ""

    def __init__(self, files: Sequence[str]) -> None:
        self.files = list(files)
        self._sizes = []
        for file in self.files:
            with MappedFile(file) as mapped:
                self._sizes.append(mapped.size)
        self._summary: Summary | None = None
        self._open = True

    # What differs

    def _part_chunks(self, file: MappedFile, nbytes: int) -> Iterator[Chunk]:
        raise NotImplementedError

    def _config_of(self, batch: FrameBatch, summary: Summary) -> None:
        """Take the configuration records out of `batch`."""

    # Chunks

    def _chunks(self, nbytes: int) -> Iterator[tuple[int, Chunk]]:
        """Yield the number of the part and the chunk, for all parts in order."""
        for index, (file, size) in enumerate(zip(self.files, self._sizes, strict=True)):
            if not self._open:
                raise FileError("The reader is closed", file=file)
            with MappedFile(file, size) as mapped:
                for chunk in self._part_chunks(mapped, nbytes):
                    yield index, chunk

    def batches(self, *, nbytes: int = CHUNK_BYTES) -> Iterator[FrameBatch]:
        """Yield all frames in order, from about `nbytes` of a file at a time.

        Payloads are views of the mapped file, with the headers between them; a batch stays valid
        when the next is asked for, and after `close`.

        Raises
        ------
        FileError
            When a file is cut while it is read.
        """
        for _, chunk in self._chunks(nbytes):
            if len(chunk.batch):
                yield chunk.batch

    def read(self) -> FrameBatch:
        """Return all frames as one batch: mapped for one file, copied together for several."""
        size = max(self._sizes, default=0)
        batches = list(self.batches(nbytes=size))
        if len(batches) == 1:
            return batches[0]
        return FrameBatch.concat(batches)

    def tables(self) -> list[TableInfo]:
        """Return the description of the one table, ``frames``; counts are exact."""
        parts = self.summary().parts
        frames = sum(part.frames for part in parts)
        return [TableInfo.of_frames(frames, sum(part.payload_bytes for part in parts))]

    def chunks(
        self, table: str = FRAMES, start: int = 0, stop: int | None = None, nbytes: int = CHUNK_BYTES
    ) -> Iterator[Table]:
        """Yield rows `start` to `stop` of the table ``frames``, about `nbytes` of a file at a time.

        The attributes ``file`` and ``base`` of each table tell where its payload lies.

        Raises
        ------
        FileError
            For another name, or when a file is cut while it is read.
        """
        if table != FRAMES:
            raise FileError(f"There is no table {table!r}", file=self.files[0], expected=FRAMES)
        row = 0
        for index, chunk in self._chunks(nbytes):
            first = max(start - row, 0)
            last = len(chunk.batch) if stop is None else min(stop - row, len(chunk.batch))
            row += len(chunk.batch)
            if first < last:
                place = {"file": self.files[index], "base": chunk.begin}
                yield Table.from_frames(chunk.batch[first:last], place)
            if stop is not None and row >= stop:
                return

    # Summaries

    def summary(self) -> Summary:
        """Return what the recording holds; the first call reads all headers."""
        if self._summary is None:
            self._summary = self._scan()
        return self._summary

    def _scan(self) -> Summary:
        summary = Summary([Part(file) for file in self.files])
        for index, chunk in self._chunks(CHUNK_BYTES):
            part = summary.parts[index]
            summary.count(part, chunk.batch)
            self._config_of(chunk.batch, summary)
            part.tear = chunk.tear
            if chunk.tear is not None:
                summary.problems.append(f"{part.file}, offset {chunk.tear.offset}: {chunk.tear.reason}")
        return summary

    def info(self) -> dict[str, Any]:
        """Return a summary that JSON can hold.

        Returns
        -------
        dict
            ``format, file, tables {name: rows}, parts [{file, frames, payload_bytes, torn_bytes}],
            frames, payload_bytes,
            channels {n: {frames, payload_bytes}}, error_frames, config, torn_bytes``. All records
            count as frames, those of the configuration too; ``config`` is the configuration at
            the end of the recording, or None.
        """
        summary = self.summary()
        parts = summary.parts
        return {
            "format": self.format,
            "file": os.path.basename(parts[0].file),
            "tables": {table.name: table.rows for table in self.tables()},
            "parts": [part.info() for part in parts],
            "frames": sum(part.frames for part in parts),
            "payload_bytes": sum(part.payload_bytes for part in parts),
            "channels": {
                str(n): {"frames": int(summary.frames[n]), "payload_bytes": int(summary.payload_bytes[n])}
                for n in np.flatnonzero(summary.frames)
            },
            "error_frames": summary.error_frames,
            "config": summary.config,
            "torn_bytes": sum(part.torn_bytes for part in parts),
        }

    def problems(self) -> list[str]:
        """Return what is damaged or missing, one sentence each with file and offset."""
        return list(self.summary().problems)

    def close(self) -> None:
        """Read no further; batches and tables that were handed out stay valid."""
        self._open = False


class RogueReader(_ChainReader):
    """A framed recording.

    Parameters
    ----------
    files
        The parts, in order. They are read up to the size they have now.
    config_channel
        Channel of the configuration records; None for no configuration; ``auto``: 255 when its
        first record is a YAML mapping.

    Raises
    ------
    FileError
        When a part cannot be opened.
    """

    format = "rogue"

    def __init__(self, files: Sequence[str], config_channel: int | Literal["auto"] | None = AUTO) -> None:
        if config_channel not in (None, AUTO) and config_channel not in range(_CHANNELS):
            raise FormatError(
                "No such configuration channel", expected="0..255, auto or None", seen=config_channel
            )
        super().__init__(files)
        self._config_channel = config_channel
        self._configuration = Configuration()

    def _part_chunks(self, file: MappedFile, nbytes: int) -> Iterator[Chunk]:
        return walk_file(file, nbytes)

    def _scan(self) -> Summary:
        summary = super()._scan()
        missing = missing_part(self.files)
        if missing is not None:
            summary.problems.append(f"{missing}: this part is missing, later ones are there")
        return summary

    def _config_of(self, batch: FrameBatch, summary: Summary) -> None:
        channel = self._config_channel
        if channel is None:
            return
        number = DEFAULT_CONFIG_CHANNEL if channel == AUTO else channel
        for row in np.flatnonzero(batch.channel == number).tolist():
            try:
                record = parse_record(batch.frame_bytes(row).tobytes())
            except FormatError as error:
                if channel == AUTO and summary.config is None:
                    self._config_channel = None  # data, not configuration
                    return
                summary.bad_config += 1
                if summary.bad_config == 1:
                    _LOG.warning("A configuration record cannot be read: %s", error)
                continue
            self._configuration.merge(record)
            summary.config = self._configuration.values


class RawReader(_ChainReader):
    """A raw recording: payload bytes without boundaries; each part counts as one frame."""

    format = "rogue-raw"

    def _part_chunks(self, file: MappedFile, nbytes: int) -> Iterator[Chunk]:
        starts = np.zeros(1 if file.size else 0, np.int64)
        yield Chunk(FrameBatch(file.data, starts, file.size), 0, file.size)
