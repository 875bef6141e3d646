"""Processing of raw files that exist already."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from sapwood.fileio.lh5 import LH5Store
from sapwood.fileio.partfile import complete_file
from sapwood.fileio.raw.errors import OutSpecError
from sapwood.fileio.raw.library import RawBufferLibrary
from sapwood.fileio.raw.processing import process_table
from sapwood.fileio.raw.settings import load_dict
from sapwood.fileio.raw.streams import split_out_stream

__all__ = ["lh5_buffer_processor"]

_ROWS = 4096


def lh5_buffer_processor(
    lh5_raw_file_in: str,
    overwrite: bool = False,
    out_spec: Mapping[str, Any] | str | None = None,
    proc_file_name: str | None = None,
    db_dict: Mapping[str, Any] | None = None,
) -> str:
    """Apply each ``proc_spec`` of a description to the tables of a raw file; return the new file's name.

    Parameters
    ----------
    lh5_raw_file_in
        A file that was written with the same names of tables.
    overwrite
        Replace an existing file.
    out_spec
        The description, see `RawBufferLibrary`, or the file of one. Names with ``{key}`` stand for
        all tables of the file that they fit.
    proc_file_name
        Of the new file; ``<input>_proc.lh5`` by default.
    db_dict
        See `write_to_lh5_and_clear`.

    Raises
    ------
    OutSpecError
        When there is no description.
    RecordingExists
        When the new file exists.
    """
    source = os.path.expandvars(lh5_raw_file_in)
    if isinstance(out_spec, str):
        out_spec = load_dict(out_spec)
    if out_spec is None:
        raise OutSpecError("There is no out_spec: nothing to do")
    specs = _specs(out_spec)
    target = proc_file_name or f"{os.path.splitext(source)[0]}_proc.lh5"
    with complete_file(target, overwrite=overwrite) as part, LH5Store(keep_open=True) as store:
        for name in _objects(store, source):
            rows = store.read_n_rows(name, source)
            spec = next((found for pattern, found in specs.items() if _fits(pattern, name)), None)
            database = (db_dict or {}).get(name, (db_dict or {}).get(name.split("/")[0]))
            for start in range(0, max(rows or 0, 1), _ROWS):
                obj = store.read(name, source, start_row=start, n_rows=_ROWS, decompress=True)
                store.write(process_table(obj, spec, database), name, part)
        store.close()
    return target


def _specs(out_spec: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return name of a table, with ``{...}`` for anything -> its ``proc_spec``."""
    library = RawBufferLibrary()
    for name, buffers in out_spec.items():
        plain = {
            buffer: {**facts, "out_stream": _group_only(facts.get("out_stream", ""))}
            for buffer, facts in buffers.items()
        }
        library.set_from_dict({name: plain})
    found: dict[str, Mapping[str, Any]] = {}
    for buffers in library.values():
        for buffer in buffers:
            if buffer.proc_spec:
                group = split_out_stream(buffer.out_stream)[1].strip("/")
                found[f"{group}/{buffer.out_name}".strip("/")] = buffer.proc_spec
    return found


def _group_only(out_stream: str) -> str:
    """Return the group of an ``out_stream``; the name of the file plays no role here."""
    return f"file:{split_out_stream(out_stream)[1]}" if out_stream else ""


def _fits(pattern: str, name: str) -> bool:
    return re.fullmatch(re.sub(r"\\\{.*?\\\}", ".*", re.escape(pattern)), name) is not None


def _objects(store: LH5Store, file: str) -> list[str]:
    """Return the names of all tables and other objects that are no structs of further ones."""
    found: list[str] = []
    waiting = [""]
    while waiting:
        group = waiting.pop(0)
        for name in store.gimme_file(file, "r")[group or "/"]:
            path = f"{group}/{name}".strip("/")
            node = store.gimme_file(file, "r")[path]
            kind = str(node.attrs.get("datatype", ""))
            if kind.startswith("struct{") and hasattr(node, "keys"):
                waiting.append(path)
            else:
                found.append(path)
    return found
