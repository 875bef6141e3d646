"""Text logs as tables: the same as the AstroPix file that they convert to."""

from __future__ import annotations

import os
import tempfile

from sapwood.fileio.apx.header import UID, FileHeader
from sapwood.fileio.apx.log import AstroPixLogFile
from sapwood.fileio.apx.reader import ApxReader
from sapwood.fileio.apx.readout import AbstractAstroPixReadout, AstroPix4Readout
from sapwood.fileio.apx.writer import ApxWriter
from sapwood.fileio.formats import PathLike

__all__ = ["ApxLogReader"]


class ApxLogReader(ApxReader):
    """A text log. It is converted to a temporary file, which is gone when the reader is closed.

    Lines that are no readout, or whose digits are no bytes, are passed over and told by `problems`.

    Parameters
    ----------
    path
        The log.
    readout_class
        Class of its readouts: the log does not tell.
    chain
        Join hits that were split over two readouts.
    """

    format = "apx-log"

    def __init__(
        self,
        path: PathLike,
        *,
        readout_class: type[AbstractAstroPixReadout] = AstroPix4Readout,
        chain: bool = True,
    ) -> None:
        self._bad_lines: list[str] = []
        with tempfile.TemporaryDirectory(prefix="sapwood-") as folder:
            target = os.path.join(folder, "log.apx")
            with AstroPixLogFile(path) as log:
                content = {key: value for key, value in log.header.items() if key != UID}
                with ApxWriter(target, FileHeader(readout_class, content)) as writer:
                    for readout in log.readouts(readout_class, self._bad_lines):
                        writer.write_readout(readout)
            super().__init__(target, chain=chain)
        self.path = os.fspath(path)

    def problems(self) -> list[str]:
        """Return the lines that were passed over."""
        return list(self._bad_lines)

    def problems_seen(self) -> list[str]:
        """Return the lines that were passed over."""
        return list(self._bad_lines)
