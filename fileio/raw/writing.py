"""Buffers into LH5 files; files that get their names when all of them are complete."""

from __future__ import annotations

import contextlib
import glob
import logging
import os
import weakref
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self

import numpy as np

from sapwood.errors import FileError, RecordingExists
from sapwood.fileio.lh5 import LH5Store
from sapwood.fileio.partfile import complete_file
from sapwood.fileio.raw.buffer import RawBuffer
from sapwood.fileio.raw.errors import OutputAmbiguous, OutSpecError
from sapwood.fileio.raw.processing import process_table
from sapwood.fileio.raw.streams import split_out_stream

__all__ = ["Outputs", "write_to_lh5_and_clear"]

_LOG = logging.getLogger("sapwood.fileio.raw")
_AT_ONCE_BYTES = 1 << 15  # less is written when `LH5Store.write` returns


def write_to_lh5_and_clear(
    raw_buffers: Iterable[RawBuffer],
    lh5_store: LH5Store | None = None,
    db_dict: Mapping[str, Any] | str | None = None,
    wo_mode: str = "append",
    **kwargs: Any,
) -> None:
    """Write the rows of buffers where their ``out_stream`` says, and empty them.

    Parameters
    ----------
    raw_buffers
        Those without rows or ``out_stream`` are not written.
    lh5_store
        Keeps files open between calls; files are opened and closed here by default.
    db_dict
        Databases for ``proc_spec``, by ``out_name`` or by group.
    wo_mode
        See `LH5Store.write`. A mode in the place of `db_dict`, as in former times, is understood.
    kwargs
        Settings of new datasets, see `LH5Store.write`.
    """
    if isinstance(db_dict, str):
        wo_mode, db_dict = db_dict, None
    with contextlib.ExitStack() as stack:
        store = lh5_store or stack.enter_context(LH5Store(keep_open=True))
        for buffer in raw_buffers:
            if buffer.lgdo is None or buffer.loc == 0:
                continue
            if buffer.out_stream:
                file, group = split_out_stream(buffer.out_stream)
                write_buffer(buffer, store, file, group, db_dict, wo_mode=wo_mode, **kwargs)
            buffer.loc = 0


def write_buffer(
    buffer: RawBuffer,
    store: LH5Store,
    file: str,
    group: str,
    db_dict: Mapping[str, Any] | None,
    tell: Callable[[str], object] = _LOG.warning,
    **keywords: Any,
) -> None:
    """Process the rows of one buffer and write them to `group` of `file`; `tell` what is passed over."""
    rows = buffer.lgdo
    if hasattr(rows, "rows"):
        rows = rows.rows(0, buffer.loc)
    if buffer.proc_spec:
        found = db_dict or {}
        database = found.get(buffer.out_name, found.get(group.strip("/"), found.get(group)))
        rows = process_table(rows, buffer.proc_spec, database, tell)
    store.write(rows, buffer.out_name, file, group=group, **keywords)


class Outputs:
    """Files being written, called ``<name>.part`` until `complete`; removed when anything goes wrong.

    Parameters
    ----------
    overwrite
        Replace files that exist.
    hdf5_settings
        Of new datasets.
    db_dict
        See `write_to_lh5_and_clear`.

    Attributes
    ----------
    rows
        ``file:group/name`` -> rows written.
    left_out
        What a ``proc_spec`` asks for and could not be done, one sentence each.
    """

    def __init__(
        self,
        overwrite: bool = False,
        hdf5_settings: Mapping[str, Any] | None = None,
        db_dict: Mapping[str, Any] | None = None,
    ) -> None:
        self.rows: dict[str, int] = {}
        self.left_out: list[str] = []
        self._overwrite = overwrite
        self._settings = dict(hdf5_settings or {})
        self._database = db_dict
        self._store = LH5Store(keep_open=True, late=True)
        self._others: weakref.WeakKeyDictionary[RawBuffer, Any] = weakref.WeakKeyDictionary()
        self._files = contextlib.ExitStack()
        self._parts: dict[str, str] = {}

    def check(self, out_streams: Iterable[str], inputs: Iterable[Any] = ()) -> None:
        """Make sure that the files may be written.

        Raises
        ------
        OutSpecError
            When one is an input.
        RecordingExists
            When one exists and may not be replaced.
        OutputAmbiguous
            When a name is a pattern for several.
        """
        for file in dict.fromkeys(split_out_stream(one)[0] for one in out_streams if one):
            found = glob.glob(file) if not os.path.lexists(file) else [file]
            if len(found) > 1:
                raise OutputAmbiguous(f"The output {file} stands for several files", seen=found)
            if any(_same(one, stream) for one in found for stream in inputs):
                raise OutSpecError(f"The output {file} is an input")
            if found and not self._overwrite:
                raise RecordingExists(
                    f"file {found[0]} exists. Use option overwrite to proceed.", file=found[0]
                )

    def write(self, buffers: Iterable[RawBuffer], again: bool = True) -> None:
        """Write the rows of buffers and empty them.

        Those that are filled `again` get other memory: what they held is still being compressed.
        """
        for buffer in buffers:
            if buffer.lgdo is None or buffer.loc == 0:
                continue
            if buffer.out_stream:
                file, group = split_out_stream(buffer.out_stream)
                place = self.part_of(file), group, self._database
                write_buffer(buffer, self._store, *place, partial(self._tell, buffer), **self._settings)
                name = f"{file}:{os.path.join(group, buffer.out_name)}"
                self.rows[name] = self.rows.get(name, 0) + buffer.loc
                if again:
                    self._take_turns(buffer)
            buffer.loc = 0

    def _take_turns(self, buffer: RawBuffer) -> None:
        """Give a buffer the memory that it had before the last time: that was written since."""
        held, rows = buffer.lgdo, buffer.loc
        if buffer.nbytes < _AT_ONCE_BYTES or not hasattr(held, "take"):
            return
        other = self._others.get(buffer)
        if other is None:
            other = held.take(np.zeros(0, np.int64))
            other.reserve_capacity(rows + rows // 4)
        if len(held) > rows:  # rows are set one by one, see `DataDecoder.make_lgdo`
            other.resize(len(held))
        buffer.lgdo, self._others[buffer] = other, held

    def _tell(self, buffer: RawBuffer, what: str) -> None:
        """Note, once, what was not done with the rows of a buffer."""
        text = f"{buffer.out_name}: {what}"
        if text not in self.left_out:
            self.left_out.append(text)

    def write_garbage(self, decoder: Any, out_stream: str) -> None:
        """Write the undecodable packets of a decoder to the table ``garbage``."""
        file, group = split_out_stream(out_stream)
        count = len(decoder.garbage.table)
        if count and file:
            decoder.write_out_garbage(self.part_of(file), group, self._store)
            name = f"{file}:{os.path.join(group, 'garbage')}"
            self.rows[name] = self.rows.get(name, 0) + count

    def part_of(self, file: str) -> str:
        """Return the name under which `file` is written until it is complete."""
        if file not in self._parts:
            _make_folder(os.path.dirname(file) or ".")
            part = self._files.enter_context(complete_file(file, overwrite=self._overwrite))
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part)  # left by a run that was killed
            self._parts[file] = part
        return self._parts[file]

    @property
    def files(self) -> list[str]:
        """Names of the files written."""
        return list(self._parts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._store.close()
        except BaseException as fault:
            self._files.__exit__(type(fault), fault, fault.__traceback__)
            raise
        self._files.__exit__(kind, error, trace)


def _same(file: str, stream: Any) -> bool:
    """Tell whether an input is the file `file`."""
    return isinstance(stream, str) and os.path.exists(stream) and os.path.samefile(file, stream)


def _make_folder(name: str) -> None:
    try:
        os.makedirs(name, exist_ok=True)
    except OSError as error:
        raise FileError(f"Failed to make the folder {name}", file=name, seen=error.strerror) from error
