"""AstroPix files, text logs and A-STEP streams as the registry knows them."""

from __future__ import annotations

import os
from typing import Any

from sapwood.errors import FileError, FormatError
from sapwood.fileio.apx.astep import AstepReader
from sapwood.fileio.apx.header import MAGIC as FILE_MAGIC
from sapwood.fileio.apx.header import FileHeader
from sapwood.fileio.apx.log import looks_like_log
from sapwood.fileio.apx.logreader import ApxLogReader
from sapwood.fileio.apx.reader import ApxReader
from sapwood.fileio.apx.readout import HEAD, AbstractAstroPixReadout, AstroPix4Readout
from sapwood.fileio.apx.rescue import copy_frames, copy_lines
from sapwood.fileio.apx.sink import ApxSink
from sapwood.fileio.apx.writer import encode
from sapwood.fileio.formats import CLEAN, LOSS, MAGIC, NO, UNREADABLE, Format, PathLike, Report
from sapwood.fileio.partfile import complete_file
from sapwood.streams import FrameBatch

__all__ = ["APX", "APX_LOG", "ASTEP", "ApxFormat", "ApxLogFormat", "AstepFormat"]


class ApxFormat(Format):
    """AstroPix files."""

    name = "apx"
    endings = (".apx",)
    frames_only = True  # or readouts, when these are asked for
    in_parts = True

    def detect(self, head: bytes, path: str) -> int:
        """Return MAGIC for a file that begins with ``%APXDF``."""
        return MAGIC if head.startswith(FILE_MAGIC) else NO

    def open(  # type: ignore[override]  # a format names its own options
        self,
        path: PathLike,
        *,
        chain: bool = True,
        strict: bool = False,
        strip: str = "all",
        carry: bytes | None = None,
    ) -> ApxReader:
        """Open a file; for the options see `ApxReader`."""
        return ApxReader(path, chain=chain, strict=strict, strip=strip, carry=carry)

    def create(self, path: PathLike, *, header: FileHeader | None = None, **options: Any) -> ApxSink:
        """Begin a file, of tables that hold readouts or frames."""
        return ApxSink(path, header)

    def verify(self, path: PathLike) -> Report:
        """Walk all readouts; bytes that belong to none, and cut readouts, are the loss."""
        try:
            with ApxReader(path) as reader:
                return _report(reader)
        except FileError as error:
            return _unreadable(path, error)

    def recover(self, path: PathLike, out: PathLike) -> Report:
        """Write header and readouts to the new file `out`, and read it back.

        Of readouts that are cut, the data that are there are kept, with their length put right.
        Nothing is written when the header cannot be read.
        """
        try:
            reader = ApxReader(path)
        except FileError as error:
            return _unreadable(path, error)
        with reader:
            report = _report(reader)
            with complete_file(out) as part:
                _copy(reader, part)
                _compare(reader, part)
        return report


def _unreadable(path: PathLike, error: FileError) -> Report:
    if not hasattr(error, "offset") or error.offset is None:
        raise error  # no such file, say: nothing can be told about it
    return Report(UNREADABLE, problems=[str(error)])


def _report(reader: ApxReader) -> Report:
    summary = reader.summary()
    cut = [one for one in summary.breaks if one.cut]
    return Report(
        LOSS if summary.breaks else CLEAN,
        good=summary.readouts - len(cut),
        lost=len(summary.breaks),
        torn_bytes=sum(one.nbytes for one in summary.breaks if not one.cut),
        problems=list(reader.problems()),
    )


def _copy(reader: ApxReader, target: str) -> None:
    """Write the preamble as it is, and every readout; filler at the ends of readouts goes."""
    with open(target, "wb") as out:
        out.write(reader.preamble())
        for records in reader.records():
            batch = FrameBatch(reader.data, records.offset + HEAD.size, records.size)
            out.write(encode(batch, records.readout_id, records.timestamp).data)


def _compare(reader: ApxReader, path: str) -> None:
    with ApxReader(path) as again:
        found, wanted = again.summary(), reader.summary()
        if found.breaks or (found.readouts, found.data_bytes) != (wanted.readouts, wanted.data_bytes):
            raise FileError(
                "The recovered file does not hold what was written",
                file=path,
                expected=f"{wanted.readouts} readouts, {wanted.data_bytes} bytes",
                seen=f"{found.readouts} readouts, {found.data_bytes} bytes",
                problems=again.problems(),
            )


class ApxLogFormat(Format):
    """Text logs of readouts."""

    name = "apx-log"

    def detect(self, head: bytes, path: str) -> int:
        """Return MAGIC when metadata and then readouts in hex are seen."""
        return MAGIC if looks_like_log(head) else NO

    def open(  # type: ignore[override]  # a format names its own options
        self,
        path: PathLike,
        *,
        readout_class: type[AbstractAstroPixReadout] = AstroPix4Readout,
        chain: bool = True,
    ) -> ApxLogReader:
        """Open a log; for the options see `ApxLogReader`."""
        return ApxLogReader(path, readout_class=readout_class, chain=chain)

    def verify(self, path: PathLike) -> Report:
        """Read all lines; those that are no readout are the loss."""
        with self.open(path) as reader:
            problems = list(reader.problems())
            good = reader.summary().readouts
        return Report(LOSS if problems else CLEAN, good=good, lost=len(problems), problems=problems)

    def recover(self, path: PathLike, out: PathLike) -> Report:
        """Write the metadata and all lines of whole readouts, as they are, to the new file `out`."""
        report = self.verify(path)
        with complete_file(out) as part:
            copy_lines(path, part)
        return report


class AstepFormat(Format):
    """A-STEP streams; they have no magic, so they are opened by naming the format."""

    name = "astep"

    def open(self, path: PathLike, *, version: int | None = None, strict: bool = False) -> AstepReader:  # type: ignore[override]  # as above
        """Open a stream; for the options see `AstepReader`."""
        return AstepReader(path, version=version, strict=strict)

    def verify(self, path: PathLike) -> Report:
        """Frame the whole stream; frames of another length and bytes between are the loss."""
        with self.open(path) as reader:
            problems, frames = list(reader.problems()), reader.frames
            return Report(
                LOSS if problems else CLEAN,
                good=frames.count,
                lost=frames.lengths.total(),
                torn_bytes=frames.skipped,
                problems=problems,
            )

    def recover(self, path: PathLike, out: PathLike) -> Report:
        """Write the frames of hits, as they are, to the new file `out`.

        Nothing is written when there is none.

        Raises
        ------
        FormatError
            For a text log of a stream: it can be converted.
        """
        if os.fspath(path).endswith(".log"):
            raise FormatError("A text log of a stream cannot be recovered", file=path, hint="Convert it.")
        report = self.verify(path)
        if not report.good:
            return Report(UNREADABLE, 0, report.lost, report.torn_bytes, report.problems)
        with self.open(path) as reader, complete_file(out) as part:
            copy_frames(reader, part)
        return report


APX = ApxFormat()
APX_LOG = ApxLogFormat()
ASTEP = AstepFormat()
