"""The two Rogue formats as the registry knows them."""

from __future__ import annotations

import os
import re
from typing import Any, Literal

from sapwood.errors import FileError
from sapwood.fileio.chain import chain_of
from sapwood.fileio.formats import CLEAN, LOSS, NO, PLAUSIBLE, UNREADABLE, Format, PathLike, Report
from sapwood.fileio.mapped import MappedFile
from sapwood.fileio.partfile import complete_file
from sapwood.fileio.rogue.decode import walk_file
from sapwood.fileio.rogue.reader import AUTO, RawReader, RogueReader
from sapwood.fileio.rogue.sink import RogueSink

__all__ = ["ROGUE", "ROGUE_RAW", "RogueFormat", "RogueRawFormat"]

_LOOK_BYTES = 64 << 10
_LOOK_RECORDS = 256  # so many records in a chain are no accident
_ENDING = re.compile(r"\.dat(\.[0-9]+)?", re.IGNORECASE)


class RogueFormat(Format):
    """Framed files. They have no magic: the length words of their records must lead from one to the next."""

    name = "rogue"
    endings = (".dat",)
    frames_only = True

    def detect(self, head: bytes, path: str) -> int:
        """Return PLAUSIBLE when the records chain from byte 0; a torn tail is allowed.

        An empty file is plausible by its name.
        """
        if not head:
            return PLAUSIBLE if _ENDING.search(os.path.basename(path)) else NO
        return PLAUSIBLE if int.from_bytes(head[:4], "little") >= 4 and _chains(path) else NO

    def open(  # type: ignore[override]  # a format names its own options
        self,
        path: PathLike,
        *,
        single: bool = False,
        config_channel: int | Literal["auto"] | None = AUTO,
    ) -> RogueReader:
        """Open the recording that `path` names; `single`: that file alone, not its chain."""
        return RogueReader(chain_of(path, single=single), config_channel)

    def create(self, path: PathLike, **options: Any) -> RogueSink:
        """Begin a framed file, of tables that hold frames."""
        return RogueSink(path)

    def verify(self, path: PathLike, *, single: bool = False) -> Report:
        """Walk all records; bytes behind the last whole one are the loss."""
        with self.open(path, single=single, config_channel=None) as reader:
            return _report(reader)

    def recover(self, path: PathLike, out: PathLike, *, single: bool = False) -> Report:
        """Write every whole record, of all parts, to the new file `out`, and read it back.

        Nothing is written when there is no whole record.
        """
        with self.open(path, single=single, config_channel=None) as reader:
            report = _report(reader)
            if report.status != UNREADABLE:
                with complete_file(out) as part:
                    _copy(reader, part)
                    _compare(part, report.good)
        return report


class RogueRawFormat(Format):
    """Raw files: payload bytes and nothing else; never found by looking, only by name."""

    name = "rogue-raw"

    def open(self, path: PathLike, *, single: bool = False) -> RawReader:  # type: ignore[override]  # as above
        """Open the recording that `path` names; `single`: that file alone, not its chain."""
        return RawReader(chain_of(path, single=single))

    def verify(self, path: PathLike, *, single: bool = False) -> Report:
        """Open all parts: raw bytes hold nothing that could be wrong."""
        with self.open(path, single=single) as reader:
            return _report(reader)

    def recover(self, path: PathLike, out: PathLike, *, single: bool = False) -> Report:
        """Write the bytes of all parts to the new file `out`."""
        with self.open(path, single=single) as reader:
            report = _report(reader)
            with complete_file(out) as part:
                _copy(reader, part)
        return report


ROGUE = RogueFormat()
ROGUE_RAW = RogueRawFormat()


def _chains(path: str) -> bool:
    found = 0
    with MappedFile(path) as file:
        for chunk in walk_file(file, _LOOK_BYTES):
            found += len(chunk.batch)
            if found >= _LOOK_RECORDS:
                return True
            if chunk.tear is not None:
                at = chunk.tear.offset
                word = int.from_bytes(file.data[at : at + 4].tobytes(), "little")
                return found > 0 and (word == 0 or word >= 4)
    return found > 0


def _report(reader: RogueReader | RawReader) -> Report:
    summary = reader.summary()
    torn = [part for part in summary.parts if part.torn_bytes]
    report = Report(
        good=sum(part.frames for part in summary.parts),
        lost=len(torn),
        torn_bytes=sum(part.torn_bytes for part in torn),
        problems=list(summary.problems),
    )
    if report.problems:
        report.status = LOSS if report.good else UNREADABLE
    else:
        report.status = CLEAN
    return report


def _copy(reader: RogueReader | RawReader, target: str) -> None:
    """Write the whole records (raw: the bytes) as they are."""
    with open(target, "wb") as out:
        for batch in reader.batches():
            out.write(batch.payload.data)


def _compare(path: str, records: int) -> None:
    """Make sure that `path` holds so many records and nothing else."""
    summary = RogueReader([path], None).summary()
    found = sum(part.frames for part in summary.parts)
    if found != records or summary.problems:
        raise FileError(
            "The recovered file does not hold what was written",
            file=path,
            expected=f"{records} records",
            seen=f"{found} records",
            problems=summary.problems,
        )
