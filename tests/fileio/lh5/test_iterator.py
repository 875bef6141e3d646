"""Tables read piece by piece over the borders of files and groups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sapwood.fileio import lh5

SIZES = {
    ("run1.lh5", "a/raw"): 7,
    ("run1.lh5", "b/raw"): 0,
    ("run2.lh5", "a/raw"): 5,
    ("run2.lh5", "b/raw"): 9,
}
ROWS = 21


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    first = 0
    for (file, group), rows in SIZES.items():
        numbers = np.arange(first, first + rows)
        hits = lh5.VectorOfVectors([[i] * (i % 3) for i in numbers], dtype=np.int32, shape_guess=(0, 0))
        waves = lh5.ArrayOfEqualSizedArrays(
            nda=numbers[:, None].astype(np.uint16) + np.arange(60, dtype=np.uint16),
            attrs={"compression": "ULEB128ZigZagDiff()"},
        )
        lh5.write(lh5.Table({"id": numbers, "hits": hits, "wave": waves}), group, tmp_path / file)
        first += rows
    return tmp_path


def iterate(folder: Path, **keywords: Any) -> lh5.LH5Iterator:
    return lh5.LH5Iterator("run*.lh5", ["a/raw", "b/raw"], base_path=folder, **keywords)


@pytest.mark.parametrize("buffer_len", [1, 4, 7, 8, 100, "1*kB", "100*MB"])
@pytest.mark.parametrize("file_cache", [1, 10])
def test_all_rows_come_in_order(folder: Path, buffer_len: Any, file_cache: int) -> None:
    with iterate(folder, buffer_len=buffer_len, file_cache=file_cache) as rows:
        assert len(rows) == ROWS
        for _ in range(2):  # it can be walked again
            tables = list(rows)
            assert [len(table) for table in tables[:-1]] == [rows.buffer_len] * (len(tables) - 1)
            assert [i for table in tables for i in table["id"].nda] == list(range(ROWS))
            assert [list(row) for table in tables for row in table["hits"]] == [
                [i] * (i % 3) for i in range(ROWS)
            ]
            assert [wave[59] for table in tables for wave in table["wave"].nda] == list(range(59, 59 + ROWS))


def test_where_rows_are_from(folder: Path) -> None:
    rows = iterate(folder, buffer_len=10)
    assert rows.current_files == []
    table = rows.read(6, 3)
    assert table["id"].nda.tolist() == [6, 7, 8]
    assert rows.current_i_entry == 6
    assert rows.current_files == ["run1.lh5", "run2.lh5", "run2.lh5"]
    assert rows.current_groups == ["a/raw"] * 3
    assert rows.current_local_entries.tolist() == [6, 0, 1]
    assert len(rows.read(ROWS)) == 0
    assert rows.read(18)["id"].nda.tolist() == [18, 19, 20]


@pytest.mark.parametrize(
    "wanted",
    [
        {"entry_list": [20, 3, 6, 8]},
        {"entry_list": [[3, 6], [], [1], [8]]},
        {"entry_mask": np.isin(np.arange(ROWS), [3, 6, 8, 20])},
    ],
)
def test_some_rows(folder: Path, wanted: dict[str, Any]) -> None:
    rows = iterate(folder, buffer_len=3, field_mask=["id"], **wanted)
    assert [table["id"].nda.tolist() for table in rows] == [[3, 6, 8], [20]]
    assert rows.current_global_entries.tolist() == [20]
    assert rows.current_local_entries.tolist() == [8]
    part = iterate(folder, buffer_len=2, i_start=1, n_entries=2, **wanted)
    assert [table["id"].nda.tolist() for table in part] == [[6, 8]]
    assert sorted(next(iter(rows))) == ["id"]
    assert list(iterate(folder, entry_list=[])) == []


def test_groups_of_each_file(folder: Path) -> None:
    files = [folder / "run1.lh5", folder / "run2.lh5"]
    (one,) = lh5.LH5Iterator(files, ["a/raw", ["b/raw", "a/raw"]])
    assert one["id"].nda.tolist() == [*range(7), *range(12, 21), *range(7, 12)]
    (one,) = lh5.LH5Iterator(files, "a/raw", i_start=4)
    assert one["id"].nda.tolist() == list(range(4, 12))


@pytest.mark.parametrize(
    "wrong",
    [
        {"entry_list": [ROWS]},
        {"entry_list": [-1]},
        {"entry_list": [0.5]},
        {"entry_list": [[1], [2]]},
        {"entry_list": [1], "entry_mask": [True]},
        {"entry_mask": [0, 1]},
        {"buffer_len": 0},
        {"buffer_len": "lots"},
        {"i_start": -1},
        {"file_cache": 0},
    ],
)
def test_what_makes_no_sense(folder: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(lh5.LH5DecodeError):
        iterate(folder, **wrong)


def test_tables_that_are_not_there(folder: Path) -> None:
    for files, groups in [("none*", "a/raw"), ([], "a"), ("run*", []), ("run*", "c"), ("run*", "a")]:
        with pytest.raises(lh5.LH5DecodeError):
            lh5.LH5Iterator(files, groups, base_path=folder)
    with pytest.raises(lh5.LH5DecodeError, match="differ in number"):
        lh5.LH5Iterator("run*", [["a/raw"], ["a/raw"], ["a/raw"]], base_path=folder)
