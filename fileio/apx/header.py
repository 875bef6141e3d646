"""The header of an AstroPix file: the class of its readouts, and whatever else was noted."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sapwood.errors import FormatError
from sapwood.fileio.apx.errors import ApxError, ApxHeaderError, ApxKeyError, ApxTruncated, ApxTypeError
from sapwood.fileio.apx.readout import (
    AbstractAstroPixReadout,
    Source,
    Target,
    read_exactly,
    uid_to_readout_class,
)
from sapwood.fileio.mapped import MappedFile

if TYPE_CHECKING:
    from typing import Self

    from sapwood.fileio.formats import PathLike

__all__ = ["MAGIC", "UID", "FileHeader", "open_mapped", "parse_header", "read_preamble"]

MAGIC = b"%APXDF"
UID = "readout_uid"
_LENGTH = 4  # bytes of the length of the text


class FileHeader:
    """What stands before the readouts.

    Parameters
    ----------
    readout_class
        Class of the readouts that the file holds.
    content
        Metadata: a mapping, or pairs, of what JSON can hold.

    Raises
    ------
    ApxError
        When the content holds ``readout_uid``: that is the class's.
    """

    __hash__ = None  # type: ignore[assignment]  # its content may change

    def __init__(self, readout_class: type[AbstractAstroPixReadout], content: Any = None) -> None:
        self._class = readout_class
        self._content: dict[str, Any] = dict(content or {})
        if UID in self._content:
            raise ApxError(
                f"The content of a header cannot hold {UID}",
                seen=self._content[UID],
                hint="It follows from the class of the readouts.",
            )

    def readout_uid(self) -> int:
        """Return the number of the class of readouts."""
        return self._class.uid()

    def readout_class(self) -> type[AbstractAstroPixReadout]:
        """Return the class of the readouts."""
        return self._class

    @property
    def content(self) -> dict[str, Any]:
        """All entries, ``readout_uid`` first; a copy."""
        return {UID: self.readout_uid(), **self._content}

    def __getitem__(self, key: str) -> Any:
        return self.content[key]

    def __contains__(self, key: object) -> bool:
        return key in self.content

    def __iter__(self) -> Iterator[str]:
        return iter(self.content)

    # Text and bytes

    def serialize(self) -> str:
        """Return the header as JSON.

        Raises
        ------
        ApxTypeError
            When the content holds what JSON cannot.
        """
        try:
            return json.dumps(self.content)
        except (TypeError, ValueError, RecursionError) as error:
            raise ApxTypeError("The header cannot be written as JSON", seen=str(error)) from error

    @classmethod
    def deserialize(cls, text: str) -> Self:
        """Return the header that `text` holds.

        Raises
        ------
        ApxHeaderError
            When it is no JSON.
        ApxTypeError
            When it is no JSON object.
        ApxKeyError
            When ``readout_uid`` is missing.
        ApxError
            When its ``readout_uid`` is not known.
        """
        content = parse_header(text)
        if UID not in content:
            raise ApxKeyError(f"The header holds no {UID}", seen=", ".join(content) or "nothing")
        return cls(uid_to_readout_class(content.pop(UID)), content)

    def to_bytes(self) -> bytes:
        """Return what a file begins with: magic, length and text."""
        return MAGIC + self._block()

    def _block(self) -> bytes:
        text = self.serialize().encode()
        return len(text).to_bytes(_LENGTH, "little") + text

    def write(self, output_file: Target) -> None:
        """Write length and text, not the magic."""
        output_file.write(self._block())

    @classmethod
    def read(cls, input_file: Source) -> Self:
        """Read length and text; raises as `deserialize`, and `ApxTruncated` for a short length."""
        return cls.deserialize(read_text(input_file))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, FileHeader):
            return self.content == other.content
        return NotImplemented

    def __str__(self) -> str:
        return f"Header({', '.join(f'{key}={value}' for key, value in self.content.items())})"

    __repr__ = __str__


def parse_header(text: str) -> dict[str, Any]:
    """Return the entries of a header's text; raises as `FileHeader.deserialize`, but knows every uid."""
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise ApxHeaderError("The header is not JSON", error=error, seen=error.msg) from error
    except (RecursionError, ValueError) as error:
        raise ApxHeaderError("The header cannot be read", seen=str(error)) from error
    if not isinstance(content, dict):
        raise ApxTypeError("The header is no JSON object", seen=type(content).__name__)
    return content


def read_text(source: Source) -> str:
    """Read the length and the text of a header.

    Raises
    ------
    ApxTruncated
        When the length is cut.
    ApxHeaderError
        When the text is cut, or is no text.
    """
    head = read_exactly(source, _LENGTH)
    if len(head) < _LENGTH:
        raise ApxTruncated("The header is cut", expected="4 bytes of length", seen=f"{len(head)} bytes")
    size = int.from_bytes(head, "little")
    text = read_exactly(source, size)
    if len(text) < size:
        raise ApxHeaderError("The header is cut", expected=f"{size} bytes", seen=f"{len(text)} bytes")
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise ApxHeaderError("The header is no UTF-8 text", seen=str(error)) from error


def read_preamble(source: Source, path: str) -> tuple[str, int]:
    """Read magic and header of a file; return the header's text and how many bytes these are.

    Raises
    ------
    ApxError
        When the magic is another one.
    FormatError
        When the header is cut or no text.
    """
    magic = read_exactly(source, len(MAGIC))
    if magic != MAGIC:
        raise ApxError(
            f"{path} is no AstroPix file", file=path, offset=0, expected=MAGIC.decode(), seen=repr(magic)
        )
    try:
        text = read_text(source)
    except FormatError as error:
        error.file, error.offset = path, len(MAGIC)
        raise
    return text, len(MAGIC) + _LENGTH + len(text.encode())


def open_mapped(path: PathLike) -> tuple[MappedFile, str, int]:
    """Map an AstroPix file; return it, the text of its header, and where its readouts begin.

    Raises
    ------
    FileError
        When it cannot be opened; else as `read_preamble`.
    """
    file = MappedFile(path)
    fixed = len(MAGIC) + _LENGTH
    size = int.from_bytes(file.data[len(MAGIC) : fixed].tobytes(), "little")
    text, begin = read_preamble(io.BytesIO(file.data[: fixed + size].tobytes()), file.path)
    return file, text, begin
