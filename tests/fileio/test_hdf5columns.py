"""HDF5 columns are read in chunks of bytes, however uneven the rows are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sapwood import fileio
from sapwood.fileio.table import Table, TableInfo
from sapwood.streams import FrameBatch

pytest.importorskip("h5py")


def test_a_chunk_of_uneven_rows_is_no_larger_than_asked_for(tmp_path: Path) -> None:
    sizes = np.array([10] * 5000 + [100_000] * 30 + [0] * 7 + [2_000_000] + [10] * 100)
    payload = np.arange(int(sizes.sum()), dtype=np.uint64).astype(np.uint8)
    batch = FrameBatch(payload, np.cumsum(sizes) - sizes, sizes)
    path = tmp_path / "uneven.h5"
    sink = fileio.create(path, tables=[TableInfo.of_frames(len(batch), batch.nbytes)])
    sink.write(Table.from_frames(batch))
    sink.close()
    with fileio.open(path) as reader:
        chunks = list(reader.chunks("frames", nbytes=1_000_000))
        got = FrameBatch.concat([chunk.to_frames() for chunk in chunks])
        np.testing.assert_array_equal(got.size, sizes)
        np.testing.assert_array_equal(got.payload, payload)
        held = [(len(chunk), chunk.to_frames().nbytes) for chunk in chunks]
        assert all(rows == 1 or nbytes <= 1_000_000 for rows, nbytes in held)
        assert (1, 2_000_000) in held
        assert len(list(reader.chunks("frames", 5000, 5030, nbytes=1_000_000))) == 3
