"""HDF5 files that are opened and closed where something goes wrong."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from sapwood.errors import FileError
from sapwood.fileio.hdf5 import open_h5
from sapwood.fileio.hdf5faults import close_written, is_forsaken

pytest.importorskip("h5py")


def test_a_file_that_another_process_made_meanwhile_stays(tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "run.h5"
    path.write_bytes(b"of another process")
    monkeypatch.setattr(os.path, "lexists", lambda name: False)  # it comes right after
    for mode in ("x", "w-", "r", "r+"):
        with pytest.raises(FileError, match="Failed to open"):
            open_h5(path, mode)
    assert path.read_bytes() == b"of another process"


def test_an_interrupt_closes_a_file_and_a_refusal_keeps_it_open(tmp_path: Path, monkeypatch: Any) -> None:
    file = open_h5(tmp_path / "a.h5", "w")
    with monkeypatch.context() as patched:
        patched.setattr(type(file), "flush", _raising(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            close_written(file)
    assert not file
    with open_h5(tmp_path / "a.h5", "a") as again:  # it is free
        assert not list(again)
    file = open_h5(tmp_path / "b.h5", "w")
    with monkeypatch.context() as patched:
        patched.setattr(type(file), "flush", _raising(RuntimeError("errno = 28, no space")))
        with pytest.raises(FileError, match="could not be written") as told:
            close_written(file)
    assert isinstance(told.value.__cause__, OSError)
    assert file
    assert is_forsaken(file)
    close_written(file)
    assert file


def _raising(error: BaseException) -> Any:
    def flush(_file: Any) -> None:
        raise error

    return flush
