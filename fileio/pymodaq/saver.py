"""H5SaverLowLevel: the structure of PyMoDAQ's files, with the methods its users know."""

from __future__ import annotations

import datetime
import os
import re
import time
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sapwood.fileio.pymodaq.backend import H5Backend, Where
from sapwood.fileio.pymodaq.enums import DataDim, DataType, GroupType, SaveType, capitalize, enum_checker
from sapwood.fileio.pymodaq.errors import NodeError
from sapwood.fileio.pymodaq.index import Entry
from sapwood.fileio.pymodaq.nodes import CARRAY, EARRAY, GROUP, StringARRAY

if TYPE_CHECKING:
    from typing import Self

__all__ = ["H5SaverLowLevel"]

_RAW_TITLE = "Data from PyMoDAQ modules"
_LOGGER = "Logger"
_PLOTTED = (DataType.data, DataType.data_enlargeable, DataType.axis)


class H5SaverLowLevel(H5Backend):
    """A PyMoDAQ file: groups of scans, detectors and channels, their arrays, and a log.

    Parameters
    ----------
    save_type
        What kind of program writes, see `SaveType`.
    backend
        h5py or tables; the files are the same.

    Attributes
    ----------
    fill_value
        What arrays to be filled later hold until then.
    h5_file_path, h5_file_name
        Folder and name of the file.
    file_loaded
        A file that existed was opened.
    """

    def __init__(self, save_type: str | SaveType = "scan", backend: str | None = None) -> None:
        super().__init__(backend)
        self.save_type = enum_checker(SaveType, save_type)
        self.h5_file_path: Path | None = None
        self.h5_file_name: str | None = None
        self.file_loaded = False
        self.fill_value: float = np.nan
        self._raw_path = "/RawData"
        self._logger_path: str | None = None

    @property
    def raw_group(self) -> GROUP | str:
        """The group that holds everything, usually ``/RawData``; its path while no file is open."""
        return GROUP(self._raw_path, self) if self.isopen() else self._raw_path

    @property
    def logger_array(self) -> StringARRAY | None:
        """The log, see `add_log`; None before a file is open, or when one opened for reading has none."""
        return StringARRAY(self._logger_path, self) if self.isopen() and self._logger_path else None

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        save_type: str | SaveType = "scan",
        new_file: bool = False,
        metadata: Mapping[str, Any] | None = None,
        swmr_mode: bool = False,
        mode: str = "a",
    ) -> Self:
        """Return a saver with the file open, see `init_file`."""
        saver = cls(save_type)
        saver.init_file(path, new_file=new_file, metadata=metadata, swmr_mode=swmr_mode, mode=mode)
        return saver

    def init_file(
        self,
        file_name: str | os.PathLike[str],
        raw_group_name: str = "RawData",
        new_file: bool = False,
        metadata: Mapping[str, Any] | None = None,
        swmr_mode: bool = False,
        mode: str = "a",
    ) -> bool:
        """Open a file, or begin a new one; return True when a new one was made.

        Parameters
        ----------
        file_name
            Its ending becomes ``.h5`` unless it has h5 in it.
        raw_group_name
            Group in the root. In an existing file without it the one that holds the data is found.
        new_file
            Begin anew even if the file exists.
        metadata
            Attributes of the raw group of a new file.
        swmr_mode
            Make the file such that other processes can follow it, see `enable_swmr`.
        mode
            a: append; r: read. A file opened for reading is never altered.

        Raises
        ------
        MissingFileError
            When the folder does not exist, or with mode r the file.
        FormatError, FileError, SwmrError
            When it is no HDF5 file, in use, or not made for SWMR. It is not touched.
        """
        path = Path(file_name)
        if "h5" not in path.suffix:
            path = path.with_suffix(".h5")
        return self._init(path.absolute(), raw_group_name, new_file, metadata, swmr_mode, mode)

    def begin_file(self, path: Path, *, metadata: Mapping[str, Any] | None = None) -> None:
        """Begin a new file of exactly that name; one that is there is replaced."""
        self._init(path.absolute(), "RawData", True, metadata, False, "a")

    def _init(
        self,
        path: Path,
        raw_group_name: str,
        new_file: bool,
        metadata: Mapping[str, Any] | None,
        swmr_mode: bool,
        mode: str,
    ) -> bool:
        made = mode != "r" and (new_file or not path.exists())
        self.open_file(path, "w" if made else mode, swmr_mode=swmr_mode)
        self.h5_file_path, self.h5_file_name, self.file_loaded = path.parent, path.name, not made
        with self.shared.lock:
            self._settle_raw_group(raw_group_name, made)
            if made:
                self._introduce(path.name, metadata or {})
                self.flush()
        return made

    def _settle_raw_group(self, name: str, made: bool) -> None:
        self._logger_path = None
        found = None if made else self._existing_raw_group(name)
        if found is None:
            self._raw_path = "/" if self._mode == "r" else self.get_set_group("/", name, _RAW_TITLE).path
        else:
            self._raw_path = found
        if self._mode != "r" or self.is_node_in_group(self._raw_path, _LOGGER):
            self.get_set_logger()

    def _existing_raw_group(self, name: str) -> str | None:
        index = self.shared.index
        groups = [entry for entry in index.sorted_members(index.root) if entry.is_group]
        named = [entry for entry in groups if entry.name == name]
        typed = [entry for entry in groups if entry.attribute("type") in SaveType.names()]
        return next((entry.path for entry in (*named, *typed)), None)

    def _introduce(self, name: str, metadata: Mapping[str, Any]) -> None:
        now = datetime.datetime.now()
        raw = self.get_node(self._raw_path)
        raw.attrs["type"] = self.save_type.name
        facts = {"file": name, "date": now.date().isoformat(), "time": now.time().isoformat()}
        self._set_attributes(self.root(), facts)
        self._set_attributes(raw, metadata)

    def get_set_logger(self, where: Where | None = None) -> StringARRAY:
        """Return the log in `where` (the raw group by default), made now if it is absent."""
        where = self._raw_path if where is None else where
        with self.shared.lock:
            if self.is_node_in_group(where, _LOGGER):
                array = self.get_node(where, _LOGGER)
            else:
                array = self.add_string_array(where, _LOGGER, metadata={"type": "log"})
        if not isinstance(array, StringARRAY):
            raise NodeError(f"{array.path} is no array of texts", file=self.file_path)
        self._logger_path = array.path
        return array

    def add_log(self, msg: str) -> None:
        """Append a line to the log."""
        array = self.logger_array
        if array is None:
            array = self.get_set_logger()
        array.append(msg)

    def add_string_array(
        self, where: Where, name: str, title: str = "", metadata: Mapping[str, Any] | None = None
    ) -> StringARRAY:
        """Make a growing array of texts."""
        array = self.create_vlarray(where, name, "string", title)
        self._set_attributes(array, {"data_type": DataType.strings.name, **(metadata or {})})
        if not isinstance(array, StringARRAY):
            raise TypeError("a string array was not made as such")
        return array

    def add_array(
        self,
        where: Where,
        name: str,
        data_type: str | DataType,
        array_to_save: NDArray[Any] | None = None,
        data_shape: tuple[int, ...] | None = None,
        array_type: DTypeLike | None = None,
        fill_value: float | None = None,
        data_dimension: str | DataDim | None = None,
        scan_shape: tuple[int, ...] = (),
        add_scan_dim: bool = False,
        enlargeable: bool = False,
        title: str = "",
        metadata: Mapping[str, Any] | None = None,
    ) -> CARRAY | EARRAY:
        """Make an array with its attributes; its name gets its first letter raised.

        Parameters
        ----------
        where
            The group.
        data_type, data_dimension
            What it holds, and the dimensions of one record; both are needed.
        array_to_save
            The values. Of an enlargeable array it gives the type alone.
        data_shape, array_type
            Shape and type of one record, when there are no values yet; float64 by default.
        scan_shape, add_scan_dim
            Put these dimensions before those of the record, and fill the array with `fill_value`.
        enlargeable
            Make an array that grows by records.
        metadata
            Further attributes. What a loader needs and is not named gets a plain default.

        Raises
        ------
        ValueError
            For an unknown type or dimension, a name that is taken, or no values.
        """
        kind = enum_checker(DataType, data_type)
        dimension = enum_checker(DataDim, data_dimension)
        name = capitalize(name)
        array: CARRAY | EARRAY
        with self.shared.lock:
            if enlargeable:
                dtype = array_type if array_type is not None else _dtype_of(array_to_save)
                array = self.create_earray(where, name, dtype, data_shape, title)
            elif add_scan_dim and array_to_save is None:
                shape = (*scan_shape, *_record_shape(data_shape))
                fill = self.fill_value if fill_value is None else fill_value
                dtype = np.float64 if array_type is None else array_type
                array = self.create_filled(where, name, shape, dtype, fill, title)
            else:
                array = self.create_carray(where, name, array_to_save, title)
            navigation = len(scan_shape) if add_scan_dim else int(enlargeable)
            facts = {"data_type": kind.name, "data_dimension": dimension.name}
            self._set_attributes(
                array, facts | _defaults(kind, name, title, navigation) | dict(metadata or {})
            )
            if kind in _PLOTTED:
                self.shared.plots.add(self.get_node_path(where))
        return array

    def add_incremental_group(
        self,
        group_type: str | Enum,
        where: Where,
        title: str = "",
        settings_as_xml: str = "",
        metadata: Mapping[str, Any] | None = None,
    ) -> GROUP:
        """Make a group named by its type and the next free number, for example ``Scan003``.

        Raises
        ------
        AttributeError
            When the type is neither a text nor a member of an enumeration.
        """
        if isinstance(group_type, Enum):
            group_type = group_type.name
        if not isinstance(group_type, str):
            raise AttributeError(f"The type of a group is a text or a GroupType, not {group_type!r}")
        kind = group_type.lower()
        base = capitalize(kind)
        with self._writable() as index:
            parent = self._entry(where)
            number = index.next_number(parent, base)
            entry = self._make_group(index, parent, f"{base}{number:03d}", title, {})
            parent.numbers[base] = number + 1
            group = GROUP(entry.path, self)
            stored = "" if kind == GroupType.ch.name else kind
            self._set_attributes(group, {"settings": settings_as_xml, "type": stored, **(metadata or {})})
            return group

    def add_det_group(
        self,
        where: Where,
        title: str = "",
        settings_as_xml: str = "",
        metadata: Mapping[str, Any] | None = None,
    ) -> GROUP:
        """Make the next group of a detector."""
        return self.add_incremental_group(GroupType.detector, where, title, settings_as_xml, metadata)

    def add_act_group(
        self,
        where: Where,
        title: str = "",
        settings_as_xml: str = "",
        metadata: Mapping[str, Any] | None = None,
    ) -> GROUP:
        """Make the next group of an actuator."""
        return self.add_incremental_group(GroupType.actuator, where, title, settings_as_xml, metadata)

    add_move_group = add_act_group

    def add_ch_group(
        self,
        where: Where,
        title: str = "",
        settings_as_xml: str = "",
        metadata: Mapping[str, Any] | None = None,
    ) -> GROUP:
        """Make the next group of a channel."""
        return self.add_incremental_group(GroupType.ch, where, title, settings_as_xml, metadata)

    def add_generic_group(
        self,
        where: Where = "/RawData",
        title: str = "",
        settings_as_xml: str = "",
        metadata: Mapping[str, Any] | None = None,
        group_type: str | Enum = GroupType.scan,
    ) -> GROUP:
        """Make the next group of any type, with an empty description."""
        facts = {"description": "", **(metadata or {})}
        return self.add_incremental_group(group_type, where, title, settings_as_xml, facts)

    def add_scan_group(
        self,
        where: Where = "/RawData",
        title: str = "",
        settings_as_xml: str = "",
        metadata: Mapping[str, Any] | None = None,
    ) -> GROUP:
        """Make the next group of a scan."""
        return self.add_generic_group(where, title, settings_as_xml, metadata, GroupType.scan)

    def add_data_group(
        self,
        where: Where,
        data_dim: str | DataDim,
        title: str = "",
        settings_as_xml: str = "",
        metadata: Mapping[str, Any] | None = None,
        group_name: str | None = None,
    ) -> GROUP:
        """Return the group for data of a dimension, named by it unless `group_name` is given."""
        dimension = enum_checker(DataDim, data_dim)
        facts = {**(metadata or {}), "settings": settings_as_xml}
        return self.add_group(group_name or dimension.name, GroupType.data, where, title, facts)

    def get_groups(self, where: Where, group_type: str | Enum) -> list[GROUP]:
        """Return the member groups of a type (in any case), by name and number."""
        wanted = (group_type.name if isinstance(group_type, Enum) else str(group_type)).lower()
        with self.shared.lock:
            members = self.shared.index.members(self._entry(where))
            found = [entry for entry in members.values() if entry.is_group and _is_of_type(entry, wanted)]
        return [GROUP(entry.path, self) for entry in sorted(found, key=_in_order)]

    def get_last_group(self, where: Where, group_type: str | Enum) -> GROUP | None:
        """Return the last of the member groups of a type; None if there is none."""
        groups = self.get_groups(where, group_type)
        return groups[-1] if groups else None

    def get_node_from_title(self, where: Where, title: str) -> Any:
        """Return the first node at or below `where` with that title; None if there is none."""
        return self.get_node_from_attribute_match(where, "TITLE", title)

    def get_node_from_attribute_match(self, where: Where, attr_name: str, attr_value: Any) -> Any:
        """Return the first node at or below `where` with that value of an attribute, or None."""
        with self.shared.lock:
            for entry in self.shared.index.walk(self._entry(where)):
                if self._value(entry, attr_name) == attr_value:
                    return self._wrap(entry)
        return None

    def _value(self, entry: Entry, name: str) -> Any:
        if name in ("TITLE", "type", "data_type", "CLASS"):
            return entry.attribute(name)
        return self._wrap(entry).attrs.get(name)


def _is_of_type(entry: Entry, wanted: str) -> bool:
    stored = str(entry.attribute("type") or "").lower()
    if stored == wanted:
        return stored != ""
    return wanted == GroupType.ch.name and not stored and re.fullmatch(r"Ch\d+", entry.name) is not None


def _in_order(entry: Entry) -> tuple[str, int]:
    match = re.fullmatch(r"(.*?)(\d*)", entry.name, re.DOTALL)
    base, digits = match.groups() if match else (entry.name, "")
    return base, int(digits or -1)


def _dtype_of(array: NDArray[Any] | None) -> DTypeLike:
    return np.float64 if array is None else np.asarray(array).dtype


def _record_shape(shape: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the dimensions of a record behind those of a scan; single values have none."""
    if shape is None:
        raise TypeError("An array to be filled later needs data_shape")
    return () if tuple(shape) == (1,) else tuple(shape)


def _defaults(kind: DataType, name: str, title: str, navigation: int) -> dict[str, Any]:
    """Return the attributes without which a loader refuses an array."""
    if kind is DataType.axis:
        return {"label": title or name, "units": "", "index": 0, "spread_order": 0}
    return {
        "timestamp": time.time(),
        "label": title or name,
        "source": "raw",
        "distribution": "uniform",
        "origin": "",
        "units": "",
        "nav_indexes": tuple(range(navigation)),
    }
