"""FITS: one binary table a table, laid out beforehand and filled chunk by chunk.

The counts of all rows are known from the reader, so every table and the heap of its ragged
columns have their final places before its first rows come. Headers are astropy's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sapwood.extras import need
from sapwood.fileio.formats import PathLike
from sapwood.fileio.sinks.counted import Counts
from sapwood.fileio.sinks.facts import column_facts, table_facts
from sapwood.fileio.sinks.fitsheader import table_header, text_hdu
from sapwood.fileio.sinks.fitslayout import Place
from sapwood.fileio.sinks.plainfile import FileSink
from sapwood.fileio.sinks.sinkformat import SinkFormat
from sapwood.fileio.table import Table, TableInfo

__all__ = ["FITS", "FitsSink"]


class FitsSink(FileSink):
    """Writes tables as binary tables (BINTABLE), readable by astropy and other FITS software.

    Columns keep name, type and unit; ragged columns are variable-length arrays. Attributes of
    tables and columns go into an image extension ``ATTRIBUTES`` of JSON.

    Parameters
    ----------
    path
        The file, created or truncated.
    tables
        What will be written; counts must be exact.
    comments
        COMMENT cards of each table.
    named
        Tables get their names as EXTNAME.
    """

    kinds = "biufcSU"

    def __init__(
        self,
        path: PathLike,
        tables: Sequence[TableInfo] = (),
        *,
        comments: Sequence[str] = (),
        named: bool = True,
    ) -> None:
        fits = need("astropy.io.fits", extra="apx")
        super().__init__(path, tables)
        self._counts = Counts(self.path, self.announced)
        self._comments, self._named = comments, named
        self._places: dict[str, Place] = {}
        self._facts: dict[str, dict[str, Any]] = {}
        self._extensions: list[bytes] = []
        self._primary = fits.PrimaryHDU().header.tostring().encode("ascii")
        self._end = len(self._primary)

    def begin(self, table: Table) -> None:
        """Give the table its place, and write its header."""
        info = self._counts.info(table)
        units = {name: column.unit for name, column in table.columns.items() if column.unit and self._named}
        with self.refusing(table, ValueError):
            header = table_header(info, units, self._comments, named=self._named)
            place = self._places[table.name] = Place(info, self._end, header)
        self.put(place.header, self._end)
        self.put(bytes(place.padded - place.end), place.end)
        self._end = place.padded
        columns = column_facts(table)
        self._facts[table.name] = {**table_facts(table), **({"columns": columns} if columns else {})}

    def append(self, table: Table) -> None:
        """Write rows, and the values of ragged columns behind those before."""
        self._counts.add(table)
        with self.refusing(table, UnicodeError):
            for data, place in self._places[table.name].pieces(table):
                self.put(data, place)

    def add_extension(self, hdu: bytes) -> None:
        """Have a whole extension put behind the tables."""
        self._extensions.append(hdu)

    def finish(self) -> None:
        """Write what goes before and behind the tables."""
        self._counts.check_complete()
        if self._named and any(self._facts.values()):
            self.add_extension(text_hdu("ATTRIBUTES", json.dumps(self._facts)))
        for place, data in ((0, self._primary), (self._end, b"".join(self._extensions))):
            self.put(data, place)


FITS = SinkFormat("fits", (".fits",), FitsSink)
