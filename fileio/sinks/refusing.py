"""Refusals: errors that name the file, what it takes and what it was given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sapwood.errors import FileError
from sapwood.fileio.table import Table

__all__ = ["Refusing"]


class Refusing:
    """Something about the file `path` that refuses what does not fit.

    Attributes
    ----------
    path
        The file.
    """

    path: str

    def refusal(self, message: str, expected: object, seen: object, hint: str | None = None) -> FileError:
        """Return the error that says `message` of the file."""
        return FileError(message, file=self.path, expected=expected, seen=seen, hint=hint)

    @contextmanager
    def refusing(self, table: Table, *errors: type[Exception]) -> Iterator[None]:
        """Let `errors` of a library in the block be the refusal of `table`."""
        try:
            yield
        except errors as error:
            raise self.refusal(f"Table {table.name} cannot be written", None, error) from error
