"""LGDOs as buffers that grow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapwood.fileio.lh5 import (
    Array,
    ArrayOfEncodedEqualSizedArrays,
    ArrayOfEqualSizedArrays,
    EncodedBlock,
    Histogram,
    LH5EncodeError,
    RaggedBlock,
    Scalar,
    Struct,
    Table,
    VectorOfEncodedVectors,
    VectorOfVectors,
    WaveformTable,
)

ROWS = st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=12)


def test_an_array_grows_and_keeps_its_memory() -> None:
    array = Array(shape=0, dtype=np.uint16)
    for _ in range(3):
        for start in range(0, 100, 10):
            array.extend(np.arange(start, start + 10))
        assert array.nda.tolist() == list(range(100))
        capacity = array.get_capacity()
        array.clear()
        assert (len(array), array.get_capacity()) == (0, capacity)
    array.append(7)
    array.insert(0, 5)
    array.replace(1, 6)
    array.resize(4, trim=True)
    assert array.nda.tolist() == [5, 6, 0, 0]
    assert array.get_capacity() == 4


def test_what_the_user_gave_is_not_overwritten_by_growing() -> None:
    mine = np.arange(3)
    array = Array(mine)
    assert array.nda.base is mine or array.nda is mine
    array.extend([9])
    array[0] = 5
    assert mine.tolist() == [0, 1, 2]


def test_rows_are_put_anywhere_up_to_the_end() -> None:
    array = Array(shape=4, dtype=np.int32)
    assert array.put(1, [7, 8]) == 3
    assert array.put(3, [9, 10]) == 5
    assert array.nda.tolist() == [0, 7, 8, 9, 10]
    with pytest.raises(LH5EncodeError, match="do not fit"):
        array.put(6, [1])
    with pytest.raises(LH5EncodeError, match="do not fit"):
        array.put(0, np.zeros((1, 2, 3)))
    with pytest.raises(LH5EncodeError, match="do not fit"):
        array.put(0, np.array([[1, 2], [3, 4]]))


def test_records_of_several_rows_each_are_put() -> None:
    pairs = Array(shape=(1, 2), dtype=np.int32)
    assert pairs.put(1, np.arange(8).reshape(2, 2, 2)) == 5  # two rows for each of two records
    assert pairs.nda.tolist() == [[0, 0], [0, 1], [2, 3], [4, 5], [6, 7]]


def test_large_arrays_cost_nothing_until_they_are_filled() -> None:
    array = ArrayOfEqualSizedArrays(shape=(1 << 20, 1 << 12), dtype=np.uint16)  # 8 GiB of addresses
    array.put(0, np.ones((2, 1 << 12)))
    assert array.nda[:3, 0].tolist() == [1, 1, 0]


@given(ROWS, ROWS, st.data())
def test_vectors_are_lists_of_rows(first: list[list[int]], second: list[list[int]], data: Any) -> None:
    vectors = VectorOfVectors(first, dtype=np.uint8)
    vectors.extend(VectorOfVectors(second, dtype=np.uint8))
    rows = first + second
    assert [row.tolist() for row in vectors] == rows
    if rows:
        at = data.draw(st.integers(0, len(rows) - 1))
        new = data.draw(st.lists(st.integers(0, 9), max_size=5))
        vectors.replace(at, new)
        rows[at] = new
        vectors.insert(at, [1])
        rows.insert(at, [1])
        assert [row.tolist() for row in vectors] == rows
        index = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=9))
        taken = vectors.take(np.array(index, np.int64))
        assert [row.tolist() for row in taken] == [rows[i] for i in index]
        stop = data.draw(st.integers(0, len(rows)))
        assert [row.tolist() for row in vectors.rows(at, stop)] == rows[at:stop]
        vectors.put(at, RaggedBlock(np.array([3, 4, 5]), [2, 1]))
        rows[at : at + 2] = [[3, 4], [5]]
        kept = rows[: at + 2] + [[] for _ in rows[at + 2 :]]
        assert [row.tolist() for row in vectors] == kept


def test_nested_vectors() -> None:
    rows = [[[1, 2], [3]], [], [[], [4]]]
    vectors = VectorOfVectors(rows, dtype=np.int16)
    assert vectors.ndim == 3
    assert vectors.form_datatype() == "array<1>{array<1>{array<1>{real}}}"
    vectors.append([[9], []])
    assert [[inner.tolist() for inner in row] for row in vectors] == [*rows, [[9], []]]
    with pytest.raises(LH5EncodeError):
        vectors.put(0, RaggedBlock(np.arange(3), [1, 1]))


def test_vectors_of_equal_size() -> None:
    vectors = VectorOfVectors([[1, 2, 3], [], [4]], dtype=np.uint8)
    assert vectors.to_aoesa().nda.tolist() == [[1, 2, 3], [0, 0, 0], [4, 0, 0]]
    assert vectors.to_aoesa(2, fill_val=-1).nda.tolist() == [[1, 2], [-1, -1], [4, -1]]


def test_a_table_takes_blocks_of_columns() -> None:
    table = Table(
        {
            "e": np.zeros(0),
            "v": VectorOfVectors(dtype=np.uint8),
            "w": WaveformTable(size=0, wf_len=3, dtype=np.uint16, dt_units="ns"),
            "c": VectorOfEncodedVectors(),
            "a": ArrayOfEncodedEqualSizedArrays(decoded_size=4),
        }
    )
    encoded = RaggedBlock(np.array([1, 2, 3], np.uint8), [1, 2])
    block = {
        "e": [1.0, 2.0],
        "v": ([5, 6], [0, 2]),
        "w": {"t0": [0, 0], "dt": [16, 16], "values": np.ones((2, 3))},
        "c": EncodedBlock(encoded, [3, 4]),
        "a": encoded,
    }
    for _ in range(2):
        table.extend(block)
    assert len(table) == 4
    assert [row.tolist() for row in table["v"]] == [[], [5, 6]] * 2
    assert table["w/values"].shape == (4, 3)
    assert table["w"].dt_units == "ns"
    assert [size for _, size in table["c"]] == [3, 4, 3, 4]
    assert table.take(np.array([3, 0]))["e"].nda.tolist() == [2.0, 1.0]
    table.clear()
    assert {name: len(column) for name, column in table.items()} == dict.fromkeys("evwca", 0)
    with pytest.raises(LH5EncodeError, match="other columns"):
        table.extend({"e": [1.0]})
    with pytest.raises(LH5EncodeError, match="differ in length"):
        table.extend({**block, "e": [1.0]})


def test_members_by_path_and_datatypes_that_follow() -> None:
    struct = Struct({"a": Scalar(1)}, attrs={"note": "x"})
    struct["b/c"] = Array([1])
    assert struct.attrs == {"note": "x", "datatype": "struct{a,b}"}
    assert "b/c" in struct
    assert "b/d" not in struct
    assert struct["b"].attrs["datatype"] == "struct{c}"
    struct.pop("a")
    assert struct.attrs["datatype"] == "struct{b}"
    with pytest.raises(LH5EncodeError):
        struct["x,y"] = Scalar(1)
    with pytest.raises(LH5EncodeError):
        struct["x"] = 5
    with pytest.raises(LH5EncodeError, match="does not fit"):
        Array([1], attrs={"datatype": "array<2>{real}"})
    with pytest.raises(LH5EncodeError, match="no rows"):
        Table({"s": Scalar(1)})


def test_tables_join_and_flatten() -> None:
    table = Table({"a": np.arange(2), "t": Table({"b": np.arange(2)})})
    table.join(Table({"a": np.ones(2), "c": np.zeros(2)}), keep_mine=True)
    table.append({"a": 7, "t": {"b": 8}, "c": 9})
    assert table["a"].nda.tolist() == [0, 1, 7]
    assert sorted(table.flatten()) == ["a", "c", "t__b"]
    table.resize(5)
    assert table["t/b"].nda.tolist() == [0, 1, 8, 0, 0]


def test_waveforms() -> None:
    table = WaveformTable(values=np.ones((2, 5), np.uint16), t0=1.5, dt=16, dt_units="ns", values_units="adc")
    assert (len(table), table.wf_len, table.t0.nda.tolist(), table.values_units) == (2, 5, [1.5, 1.5], "adc")
    table.resize_wf_len(7)
    assert table.values.nda[0].tolist() == [1] * 5 + [0] * 2
    ragged = WaveformTable(values=VectorOfVectors([[1], [2, 3]], dtype=np.uint16))
    assert (ragged.wf_len, ragged.form_datatype()) == (2, "table{dt,t0,values}")


def test_histograms() -> None:
    one = Histogram(np.ones((2, 4)), [[0.0, 1, 5], (0.0, 2.0, 0.5)], isdensity=True, closedleft=False)
    assert [axis.edges.tolist() for axis in one.binning] == [[0, 1, 5], [0, 0.5, 1, 1.5, 2]]
    assert not one.binning[0].closedleft
    with pytest.raises(LH5EncodeError, match="do not fit"):
        Histogram(np.ones(3), [(0, 2, 1)])
