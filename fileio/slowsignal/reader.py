"""Slow-signal files read with the methods that SSDAQ's users know."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sapwood.errors import FormatError
from sapwood.extras import need
from sapwood.fileio.hdf5 import open_h5
from sapwood.fileio.hdf5faults import damage_told
from sapwood.fileio.icf.mappings import PIXEL_MAPPINGS
from sapwood.fileio.icf.readout import MODULES, PIXELS, SSReadout
from sapwood.fileio.slowsignal.errors import ClosedFile, MissingFile, NoSuchRow, NotSlowSignal, UnknownVersion
from sapwood.fileio.slowsignal.layout import GROUP, READOUT, TELESCOPE
from sapwood.fileio.slowsignal.tablereader import TableReader

if TYPE_CHECKING:
    from typing import Self

    from sapwood.fileio.formats import PathLike

__all__ = ["SSDataReader", "ssdata"]

_VERSION = 0


class ssdata(NamedTuple):  # noqa: N801  # the name that SSDAQ's users know
    """All readouts of one module: numbers, amplitudes (mV), TACK (ns), computer time (s), module."""

    iro: NDArray[np.uint64]
    amps: NDArray[np.float64]
    time: NDArray[np.uint64]
    cpu_t: NDArray[np.float64]
    tm: int


class SSDataReader:
    """Reads slow-signal data.

    While `read` yields, and after an integer index, the attributes ``iro, time, cpu_t, cpu_t_s,
    cpu_t_ns, raw_data`` and ``data`` hold that row.

    Parameters
    ----------
    filename
        The file.
    mapping
        Order of the pixels of what is returned: ``ssl2asic_ch`` (as the fast signals),
        ``ssl2colrow`` or ``raw``.

    Raises
    ------
    FormatError
        (A `ValueError`) for an unknown mapping, or a file that is not HDF5.
    MissingFile
        (A `FileNotFoundError`) when there is no such file.
    NotSlowSignal
        (A `RuntimeError`) when the file holds something else.
    UnknownVersion
        (A `KeyError`) for data of another version.
    """

    def __init__(self, filename: PathLike, mapping: str = "ssl2asic_ch") -> None:
        self.mapping = _table_of(mapping)
        self.filename = os.fspath(filename)
        if not os.path.exists(filename):
            raise MissingFile(f"There is no file {self.filename}", file=self.filename)
        self._file = open_h5(filename)
        try:
            with damage_told(self.filename):
                self._readouts = self._table(READOUT)
                self._telescope = self._table(TELESCOPE) if TELESCOPE.name in self._file[GROUP] else None
                attributes = self._file[GROUP][READOUT.name].attrs
                self.attributes = {os.fsdecode(name): value for name, value in attributes.items()}
                self._check_version()
        except BaseException:
            self._file.close()
            raise
        self._row: Any = None

    def _table(self, layout: Any) -> TableReader:
        node = self._file.get(f"{GROUP}/{layout.name}")
        if node is None:
            seen = ", ".join(self._file)
            raise NotSlowSignal(
                f"The file has no table /{GROUP}/{layout.name}", file=self.filename, seen=seen
            )
        return TableReader(node, layout, self.filename)

    def _check_version(self) -> None:
        version = self.attributes.get("ss_data_version")
        if version is None:
            raise NotSlowSignal("The data have no version", file=self.filename, expected="ss_data_version")
        if version != _VERSION:
            raise UnknownVersion(
                "The data are of another version", file=self.filename, expected=_VERSION, seen=version
            )

    # Rows

    def __len__(self) -> int:
        self._check_open()
        return len(self._readouts)

    def read(
        self, start: int | None = None, stop: int | None = None, step: int | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """Yield rows, mapped, shape (32, 64), each an array of its own.

        `start` alone means that row only; otherwise the arguments are those of a slice.

        Raises
        ------
        OverflowError
            For a negative step.
        ValueError
            For a step of 0.
        """
        if step is not None and step < 0:
            raise OverflowError(f"The step {step} is negative")
        if start is not None and stop is None:
            stop, step = start + 1, None
        wanted = range(len(self))[slice(start, stop, step)]
        return self._rows(wanted)

    def _rows(self, wanted: range) -> Iterator[NDArray[np.float32]]:
        if not wanted:
            return
        row = wanted.start
        for piece in self._readouts.pieces(wanted.start, wanted.stop):
            self._check_open()
            offset = (wanted.start - row) % wanted.step
            rows = piece[offset :: wanted.step]
            for one, mapped in zip(rows, self._mapped(rows["data"]), strict=True):
                self._row = one
                yield mapped.copy()  # by itself: whoever keeps one row does not keep all of them
            row += len(piece)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return self.read()

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        """Return a row, shape (32, 64), or the rows of a slice, list or array, shape (k, 32, 64).

        Raises
        ------
        NoSuchRow
            (An `IndexError`) when there is none.
        """
        if isinstance(index, slice):
            wanted = range(len(self))[index]
            if wanted.step == 1:
                return self._mapped(self._readouts.rows(wanted.start, wanted.stop)["data"])
            return self._several(wanted)
        if isinstance(index, (list, tuple, np.ndarray)):
            numbers = np.asarray(index)
            if numbers.dtype == bool:
                numbers = np.flatnonzero(numbers)
            return self._several([int(one) for one in numbers])
        self._row = self._readouts.row(self._number(index))
        return self.data

    def _number(self, index: Any) -> int:
        number = int(index.__index__())
        rows = len(self)
        if not -rows <= number < rows:
            raise NoSuchRow("There is no such row", file=self.filename, expected=f"below {rows}", seen=number)
        return number % rows

    def _several(self, numbers: Sequence[int]) -> NDArray[np.float32]:
        wanted = np.array([self._number(one) for one in numbers], np.intp)
        return self._mapped(self._readouts.picked(wanted)["data"])

    def _mapped(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        return np.take(raw, self.mapping, axis=-1)

    # The present row

    def _present(self, name: str) -> Any:
        if self._row is None:
            raise NoSuchRow("No row was read yet", file=self.filename, hint="Iterate over read()")
        return self._row[name]

    @property
    def iro(self) -> int:
        """Number of the readout."""
        return int(self._present("iro"))

    @property
    def time(self) -> int:
        """TACK, ns."""
        return int(self._present("time"))

    @property
    def cpu_t(self) -> float:
        """Computer time, s."""
        return float(self._present("cpu_t"))

    @property
    def cpu_t_s(self) -> int:
        """Computer time, whole seconds."""
        return int(self._present("cpu_t_s"))

    @property
    def cpu_t_ns(self) -> int:
        """Computer time, nanoseconds beside the seconds."""
        return int(self._present("cpu_t_ns"))

    @property
    def raw_data(self) -> NDArray[np.float32]:
        """Amplitudes in mV, shape (32, 64), in the order of the file."""
        return np.array(self._present("data"))

    @property
    def data(self) -> NDArray[np.float32]:
        """Amplitudes in mV, shape (32, 64), mapped."""
        return self._mapped(self._present("data"))

    @property
    def ssreadout(self) -> SSReadout:
        """The row as the object that was written, amplitudes in the order of the file."""
        return SSReadout(self.iro, self.time, self.raw_data.astype(np.float64), self.cpu_t_s, self.cpu_t_ns)

    # Everything

    def load_all_data(
        self, tm: int, calib: ArrayLike | None = None, mapping: str | ArrayLike | None = None
    ) -> ssdata:
        """Return all readouts of one module.

        Parameters
        ----------
        tm
            The module, 0 to 31; negative ones count from the end.
        calib
            Factor, or one for each of the 64 pixels in the order of the file.
        mapping
            Name or index array; that of the reader when left out.

        Raises
        ------
        NoSuchRow
            (An `IndexError`) for a module that does not exist.
        FormatError
            (A `ValueError`) for factors of another shape, or a mapping that does not exist.
        """
        if not hasattr(tm, "__index__"):
            raise FormatError("One module at a time", expected="an integer", seen=tm)
        number = int(tm.__index__())
        if not -MODULES <= number < MODULES:
            raise NoSuchRow("There is no such module", expected=f"below {MODULES}", seen=tm)
        order = self.mapping if mapping is None else _table_of(mapping)
        factor = np.asarray(1.0 if calib is None else calib, np.float64)
        if factor.shape not in ((), (PIXELS,)):
            raise FormatError("The calibration has another shape", expected=(PIXELS,), seen=factor.shape)
        rows = len(self)
        columns = {name: np.empty(rows, READOUT.dtype[name]) for name in ("iro", "time", "cpu_t")}
        amps = np.empty((rows, len(order)), np.float64)
        first = 0
        for piece in self._readouts.pieces(0, rows):
            last = first + len(piece)
            for name, column in columns.items():
                column[first:last] = piece[name]
            amps[first:last] = (piece["data"][:, number].astype(np.float64) * factor)[:, order]
            first = last
        return ssdata(columns["iro"], amps, columns["time"], columns["cpu_t"], tm)

    def load_as_pd_table(self) -> Any:
        """Return a pandas table of one row a pixel: index (iro, pix), columns time, cpu_t, amp."""
        pandas = need("pandas", extra="interop")
        rows = self._readouts.rows(0, len(self))
        pixels = MODULES * PIXELS
        index = pandas.MultiIndex.from_arrays(
            [np.repeat(rows["iro"], pixels), np.tile(np.arange(pixels), len(rows))], names=("iro", "pix")
        )
        columns = {
            "time": np.repeat(rows["time"], pixels),
            "cpu_t": np.repeat(rows["cpu_t"], pixels),
            "amp": self._mapped(rows["data"]).reshape(-1),
        }
        return pandas.DataFrame(columns, index=index)

    def table(self, name: str) -> TableReader:
        """Return table ``readout`` or ``tel_table``."""
        self._check_open()
        found = {READOUT.name: self._readouts, TELESCOPE.name: self._telescope}.get(name)
        if found is None:
            expected = f"{READOUT.name} or {TELESCOPE.name}"
            raise FormatError(f"There is no table {name!r}", file=self.filename, expected=expected)
        return found

    @property
    def table_names(self) -> list[str]:
        """Names of the tables that the file has."""
        return [READOUT.name, *([TELESCOPE.name] if self._telescope is not None else [])]

    def read_tel_data(self) -> NDArray[Any]:
        """Return the telescope data: rows of ``db_t`` (s), ``db_t_s``, ``db_t_ns``, ``dec``, ``ra``."""
        self._check_open()
        if self._telescope is None:
            return np.zeros(0, TELESCOPE.dtype)
        return self._telescope.rows(0, len(self._telescope))

    def _check_open(self) -> None:
        if not self._file:
            raise ClosedFile("The file is closed", file=self.filename)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    close_file = close

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _table_of(mapping: str | ArrayLike) -> NDArray[np.intp]:
    """Return the order of pixels that a name, or an index array, stands for."""
    if not isinstance(mapping, str):
        return np.asarray(mapping, np.intp)
    if mapping not in PIXEL_MAPPINGS:
        raise FormatError(f"There is no mapping {mapping!r}", expected=", ".join(PIXEL_MAPPINGS))
    return np.asarray(PIXEL_MAPPINGS[mapping], np.intp)
