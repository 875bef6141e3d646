"""Text logs of readouts, as older AstroPix software wrote them, and their conversion."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from sapwood.errors import FormatError
from sapwood.fileio.apx.binaryfile import SUFFIX, sanitize_path
from sapwood.fileio.apx.errors import ApxKeyError
from sapwood.fileio.apx.header import UID, FileHeader
from sapwood.fileio.apx.literals import literal, namespace
from sapwood.fileio.apx.readout import AbstractAstroPixReadout, AstroPix4Readout
from sapwood.fileio.apx.writer import ApxWriter
from sapwood.fileio.formats import PathLike
from sapwood.fileio.partfile import complete_file

if TYPE_CHECKING:
    from typing import Self

__all__ = ["LOG_SUFFIX", "AstroPixLogFile", "LogHeader", "log_to_apx", "looks_like_log", "readout_line"]

_LOG = logging.getLogger("sapwood.fileio")

LOG_SUFFIX = ".log"
OPTIONS = "options"
_LONGEST = 1 << 26  # characters of a line
_COUNTS = 1 << 32  # of readouts
_LINE = re.compile(r"(\d{1,20})\t(?:b(?P<quote>['\"])(.*)(?P=quote)|(.*))")
_KEY = re.compile(r"\s*([^\s:({]+)\s*:\s*(\{.*)")


class LogHeader(dict[str, Any]):
    """The metadata of a log."""

    def options(self) -> dict[str, Any]:
        """Return the command line options.

        Raises
        ------
        ApxKeyError
            When the log holds none.
        """
        if OPTIONS not in self:
            raise ApxKeyError("The log holds no options", expected="a line Namespace(...)")
        found: dict[str, Any] = self[OPTIONS]
        return found


def readout_line(line: str) -> tuple[int, str] | None:
    """Return count and hex digits of a line of data; None when it is no such line."""
    found = _LINE.fullmatch(line.rstrip())
    if found is None:
        return None
    return int(found[1]), (found[3] if found["quote"] else found[4]).strip()


def _metadata(header: LogHeader, line: str) -> None:
    if not line.strip():
        return
    found = _KEY.fullmatch(line.strip())
    if found is None:
        header[OPTIONS] = namespace(line)
    else:
        header[found[1]] = literal(found[2])


class AstroPixLogFile:
    """A log: iterating gives count and hex digits of each readout.

    Metadata are parsed as plain values; nothing of the file is ever run. Empty lines are passed
    over.

    Parameters
    ----------
    path
        The file; its name ends with ``.log``.
    encoding
        Of its text.

    Attributes
    ----------
    header
        `LogHeader`, once the ``with`` block is entered.

    Raises
    ------
    ApxError
        For another ending.
    """

    def __init__(self, path: PathLike, encoding: str = "utf-8") -> None:
        self.path = sanitize_path(path, LOG_SUFFIX)
        self.encoding = encoding
        self.header = LogHeader()
        self._file: TextIO | None = None
        self._line = ""
        self._number = 0

    def __enter__(self) -> Self:
        self.header, self._number = LogHeader(), 0
        self._file = open(self.path, encoding=self.encoding)  # closed by __exit__
        try:
            while self._read() and not self._line[0].isdigit():
                _metadata(self.header, self._line)
        except FormatError as error:
            self._file.close()
            error.file = f"{self.path}, line {self._number}"
            raise
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def _read(self) -> bool:
        """Read the next line; tell whether there was one."""
        if self._file is None:
            raise AttributeError(f"{self.path} is opened by a with block")
        try:
            self._line = self._file.readline(_LONGEST)
        except UnicodeDecodeError as error:
            raise FormatError(
                f"The log is no {self.encoding} text", file=self.path, seen=str(error)
            ) from error
        self._number += 1
        return bool(self._line)

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Yield count and hex digits.

        Raises
        ------
        FormatError
            For a line that is neither data nor empty.
        """
        return self._lines(None)

    def _place(self) -> str:
        return f"{self.path}, line {self._number}"

    def _lines(self, problems: list[str] | None) -> Iterator[tuple[int, str]]:
        while self._line:
            if self._line.strip():
                found = readout_line(self._line)
                if found is not None:
                    yield found
                elif problems is not None:
                    problems.append(f"{self._place()}: no readout")
                else:
                    raise FormatError(
                        "A line of the log is no readout",
                        file=self._place(),
                        expected="count, tab, b'hex'",
                        seen=repr(self._line[:60]),
                    )
            self._read()

    def readouts(
        self,
        readout_class: type[AbstractAstroPixReadout] = AstroPix4Readout,
        problems: list[str] | None = None,
    ) -> Iterator[AbstractAstroPixReadout]:
        """Yield readouts of time 0; lines whose digits are no bytes are passed over with a warning.

        Parameters
        ----------
        problems
            Takes a sentence for each line that is no readout, instead of errors and warnings.
        """
        for readout_id, digits in self._lines(problems):
            try:
                data = bytes.fromhex(digits)
                if readout_id >= _COUNTS:
                    raise ValueError(f"the count {readout_id} does not fit a readout")
            except ValueError as error:
                told = f"{self._place()}: skipped, {error}"
                if problems is None:
                    _LOG.warning("%s", told)
                else:
                    problems.append(told)
                continue
            yield readout_class(data, readout_id, 0)


def log_to_apx(
    input_file_path: PathLike,
    readout_class: type[AbstractAstroPixReadout] = AstroPix4Readout,
    output_file_path: PathLike | None = None,
    *,
    overwrite: bool = True,
    problems: list[str] | None = None,
) -> PathLike:
    """Convert a log to an AstroPix file.

    Parameters
    ----------
    input_file_path
        The log.
    readout_class
        Class of its readouts.
    output_file_path
        When left out the name of the log with the ending ``.apx``.
    overwrite
        Replace an existing file.
    problems
        Takes a sentence for each line that is no readout, instead of errors and warnings.

    Returns
    -------
    str or Path
        The new file.

    Raises
    ------
    FormatError
        When a line is neither metadata nor data; no file is made.
    RecordingExists
        When the file exists and is not to be replaced.
    """
    path = sanitize_path(input_file_path, LOG_SUFFIX)
    output = f"{path.removesuffix(LOG_SUFFIX)}{SUFFIX}" if output_file_path is None else output_file_path
    with AstroPixLogFile(path) as log, complete_file(output, overwrite=overwrite) as part:
        if not log.header:
            _LOG.warning("%s holds no metadata", path)
        content = {key: value for key, value in log.header.items() if key != UID}
        with ApxWriter(part, FileHeader(readout_class, content)) as writer:
            for readout in log.readouts(readout_class, problems):
                writer.write_readout(readout)
    return output


def looks_like_log(head: bytes) -> bool:
    """Tell whether a file that begins with `head` is surely a log.

    It is when its first lines are metadata, and then count, tab and ``b'`` of a readout.
    """
    for line in head.decode("utf-8", "replace").splitlines():
        if re.match(r"\d{1,20}\tb['\"][0-9a-fA-F]", line):
            return True
        if line.strip() and not (_KEY.match(line) or line.lstrip().startswith("Namespace(")):
            return False
    return False
