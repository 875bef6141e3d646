"""What is whole in text logs and A-STEP streams, byte by byte as it was."""

from __future__ import annotations

import itertools
import re

from sapwood.fileio.apx.astep import AstepReader
from sapwood.fileio.apx.log import AstroPixLogFile, readout_line
from sapwood.fileio.formats import PathLike

__all__ = ["copy_frames", "copy_lines"]

_COUNTS = 1 << 32  # of readouts
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})*")


def copy_lines(path: PathLike, target: PathLike) -> None:
    """Write the metadata of a log and its lines of whole readouts to `target`."""
    with (
        AstroPixLogFile(path) as log,
        open(path, encoding=log.encoding, newline="") as lines,
        open(target, "w", encoding=log.encoding, newline="") as out,
    ):
        out.writelines(itertools.takewhile(lambda line: not line[0].isdigit(), lines))
        lines.seek(0)
        for line in lines:
            found = readout_line(line)
            if found is not None and found[0] < _COUNTS and _HEX.fullmatch(found[1].replace(" ", "")):
                out.write(line)


def copy_frames(reader: AstepReader, target: PathLike) -> None:
    """Write the frames of hits of a binary stream to `target`."""
    with open(target, "wb") as out:
        for part in reader.hit_frames():
            out.write(part.rows.data)
