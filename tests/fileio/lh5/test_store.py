"""Files: written in pieces, read in pieces, always plain HDF5."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood.errors import FileError
from sapwood.fileio import lh5
from sapwood.fileio.lh5 import appender, deflate

ROWS = 50


def table(rows: int = ROWS, first: int = 0) -> lh5.Table:
    numbers = np.arange(first, first + rows)
    samples = (numbers[:, None] * 7 + np.arange(300) % 50).astype(np.uint16)
    return lh5.Table(
        {
            "id": lh5.Array(numbers.astype(np.uint32)),
            "even": lh5.Array(numbers % 2 == 0),
            "text": lh5.Array(np.array([f"row {i}" for i in numbers], np.str_)),
            "hits": lh5.VectorOfVectors([list(range(i % 4)) for i in numbers], dtype=np.uint8),
            "deep": lh5.VectorOfVectors(
                [[list(range(i % 3))] * (i % 3) for i in numbers], dtype=np.int32, shape_guess=(0, 0, 0)
            ),
            "waveform": lh5.WaveformTable(
                t0=np.zeros(rows), dt=np.full(rows, 16.0), dt_units="ns", values=samples
            ),
            "packed": lh5.ArrayOfEqualSizedArrays(
                nda=samples[:, :40], attrs={"compression": "RadwareSigcompress(codec_shift=-32768)"}
            ),
            "sparse": lh5.VectorOfVectors(
                [list(range(i % 4)) for i in numbers],
                dtype=np.uint16,
                attrs={"compression": "ULEB128ZigZagDiff()"},
            ),
        },
        attrs={"note": "a table"},
    )


def check(found: Any, numbers: Any) -> None:
    assert found["id"].nda.tolist() == list(numbers)
    assert found["even"].nda.tolist() == [i % 2 == 0 for i in numbers]
    assert found["text"].nda.tolist() == [f"row {i}" for i in numbers]
    assert [row.tolist() for row in found["hits"]] == [list(range(i % 4)) for i in numbers]
    deep = [[inner.tolist() for inner in row] for row in found["deep"]]
    assert deep == [[list(range(i % 3))] * (i % 3) for i in numbers]
    assert found["waveform/values"].nda[:, 49].tolist() == [i * 7 + 49 for i in numbers]
    assert found["packed"].nda[:, 3].tolist() == [i * 7 + 3 for i in numbers]
    assert [row.tolist() for row in found["sparse"]] == [list(range(i % 4)) for i in numbers]
    assert found["waveform"].dt_units == "ns"


@pytest.mark.parametrize("keep_open", [True, False])
def test_appended_in_pieces(tmp_path: Path, keep_open: bool) -> None:
    path, done = tmp_path / "new" / "run.lh5", 0
    with lh5.LH5Store(keep_open=keep_open) as store:
        for rows in (3, 0, 40, 1, 200, 56):
            store.write(table(rows, done), "ch0/raw", path)
            done += rows
            check(store.read("ch0/raw", path), range(done))
            with h5py.File(path) if not keep_open else store.gimme_file(path) as file:  # readable at once
                assert len(file["ch0/raw/waveform/values"]) == done
    check(lh5.read("ch0/raw", path), range(done))
    assert lh5.read_n_rows("ch0/raw", path) == done
    assert lh5.read("ch0/raw", path).attrs["note"] == "a table"


def test_plain_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "run.lh5"
    with lh5.LH5Store(keep_open=True) as store:
        store.write(table(), "a/b/raw", path)
        store.write(lh5.Scalar(1), "late", path)
        store.write(lh5.Array([1.0], attrs={"units": "V", "hdf5_settings": {"chunks": [7]}}), "a/x", path)
    with h5py.File(path) as file:
        assert file.attrs["datatype"] == "struct{a,late}"
        assert file["a"].attrs["datatype"] == "struct{b,x}"
        assert file["a/x"].chunks == (7,)
        assert dict(file["a/x"].attrs) == {"units": "V", "datatype": "array<1>{real}"}
        raw = file["a/b/raw"]
        values = raw["waveform/values"]
        assert (values.compression, values.compression_opts, values.shuffle) == ("gzip", 4, True)
        assert values.maxshape == (None, 300)
        assert np.array_equal(values[:, 0], np.arange(ROWS) * 7)
        assert raw["even"].dtype == np.uint8
        assert raw["even"].attrs["datatype"] == "array<1>{bool}"
        assert raw["packed/encoded_data/flattened_data"].compression is None
        assert raw["packed/encoded_data/cumulative_length"].dtype == np.uint32
        assert raw["hits/cumulative_length"].dtype == np.int64
        assert raw["hits/cumulative_length"][:5].tolist() == [0, 1, 3, 6, 6]


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=6),
    chunk=st.tuples(st.integers(1, 17), st.integers(1, 9)),
    width=st.integers(1, 9),
    flush=st.sets(st.integers(0, 5)),
    options=st.sampled_from(
        [
            {},
            {"shuffle": False},
            {"compression_opts": 9},
            {"compression": "lzf"},
            {"compression": None},
            {"fletcher32": True},
        ]
    ),
)
def test_chunks_of_any_shape(
    tmp_path_factory: Any,
    sizes: list[int],
    chunk: tuple[int, int],
    width: int,
    flush: set[int],
    options: dict[str, Any],
) -> None:
    path = tmp_path_factory.mktemp("chunks") / "run.lh5"
    chunks = (chunk[0], min(chunk[1], width))
    rng = np.random.default_rng(1)
    parts = [rng.integers(0, 1 << 14, (size, width)).astype(np.int16) for size in sizes]
    with lh5.LH5Store(keep_open=True) as store:
        for i, part in enumerate(parts):
            block = part.copy()
            store.write(lh5.ArrayOfEqualSizedArrays(nda=block), "x", path, chunks=chunks, **options)
            block[...] = -1  # the memory is the caller's again
            if i in flush:
                store.flush()
    whole = np.concatenate(parts)
    with h5py.File(path) as file:
        assert np.array_equal(file["x"][()], whole)
        assert file["x"].chunks == chunks
        start = len(whole) // 3
        assert np.array_equal(lh5.read("x", file, start_row=start, n_rows=5).nda, whole[start : start + 5])


def test_large_rows_are_read_and_written_by_tiles(tmp_path: Path) -> None:
    values = np.arange(3 * 90_000, dtype=np.uint32).reshape(3, 90_000)
    path = tmp_path / "run.lh5"
    for part in (values[:1], values[1:]):
        lh5.write(lh5.ArrayOfEqualSizedArrays(nda=part), "x", path, chunks=(2, 50_000))
    assert np.array_equal(lh5.read("x", path).nda, values)
    assert np.array_equal(lh5.read("x", path, idx=[2]).nda, values[2:])


def test_long_rows_are_cut_by_themselves(tmp_path: Path) -> None:
    values = np.random.default_rng(5).integers(0, 1 << 14, (300, 6000)).astype(np.uint16)
    path = tmp_path / "run.lh5"
    with lh5.LH5Store(keep_open=True) as store:
        for start in (0, 200, 211):
            part = values[start : {0: 200, 200: 211, 211: 300}[start]]
            store.write(lh5.ArrayOfEqualSizedArrays(nda=part), "x", path)
    with h5py.File(path) as file:
        rows, samples = file["x"].chunks
        assert 100 <= rows <= 200  # parts of many rows, not whole rows
        assert samples < 1000
        assert rows * samples * 2 <= 1 << 17
        assert np.array_equal(file["x"][()], values)
    assert np.array_equal(lh5.read("x", path, start_row=150, n_rows=80).nda, values[150:230])
    assert np.array_equal(lh5.read("x", path, idx=[3, 199, 200, 299]).nda, values[[3, 199, 200, 299]])


class Slow:
    """A thread that works only when it is waited for."""

    def __init__(self, work: Any, *arguments: Any) -> None:
        self.result = lambda: work(*arguments)


def test_rows_written_late_are_those_of_the_call(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(appender, "submit", Slow)
    path, blocks = tmp_path / "run.lh5", (np.empty((90, 3000), np.uint16), np.empty((90, 3000), np.uint16))
    expected = np.random.default_rng(6).integers(0, 1 << 16, (20, 90, 3000)).astype(np.uint16)
    with lh5.LH5Store(keep_open=True, late=True) as store:
        for number, values in enumerate(expected):
            block = blocks[number % 2]  # the call before has returned since it was given
            block[...] = values
            store.write(lh5.ArrayOfEqualSizedArrays(nda=block), "x", path)
        store.flush()
        block[...] = 0
    assert np.array_equal(lh5.read("x", path).nda, expected.reshape(-1, 3000))


def test_rows_written_late_are_whole_when_the_next_ones_are_refused(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(appender, "submit", Slow)
    values = np.random.default_rng(7).integers(0, 1 << 16, (90, 3000)).astype(np.uint16)
    given = values.copy()
    with lh5.LH5Store(keep_open=True, late=True) as store:
        store.write(lh5.ArrayOfEqualSizedArrays(nda=given), "x", tmp_path / "run.lh5")
        with pytest.raises(lh5.LH5EncodeError):
            store.write(lh5.Array([1.5]), "x", tmp_path / "run.lh5")
        given[...] = 0
    assert np.array_equal(lh5.read("x", tmp_path / "run.lh5").nda, values)


def test_an_interrupt_while_chunks_are_packed_loses_none(tmp_path: Path, monkeypatch: Any) -> None:
    pending = [KeyboardInterrupt()]

    class Interrupted(Slow):
        def __init__(self, work: Any, *arguments: Any) -> None:
            def result() -> Any:
                if pending:
                    raise pending.pop()
                return work(*arguments)

            self.result = result

    monkeypatch.setattr(appender, "submit", Interrupted)
    values = np.random.default_rng(7).integers(0, 1 << 16, (90, 3000)).astype(np.uint16)
    with lh5.LH5Store(keep_open=True, late=True) as store:
        store.write(lh5.ArrayOfEqualSizedArrays(nda=values), "x", tmp_path / "run.lh5")
        with pytest.raises(KeyboardInterrupt):
            store.flush()
    assert np.array_equal(lh5.read("x", tmp_path / "run.lh5").nda, values)


def test_a_file_that_the_disk_refused_is_not_written_any_more(tmp_path: Path, monkeypatch: Any) -> None:
    def refused(_queue: Any) -> None:
        raise OSError("file write failed: errno = 28, error message = 'No space left on device'")

    values = lh5.ArrayOfEqualSizedArrays(nda=np.zeros((90, 3000), np.uint16))
    store, full, other = lh5.LH5Store(keep_open=True), tmp_path / "full.lh5", tmp_path / "other.lh5"
    store.write(values, "x", full)
    store.flush()
    with monkeypatch.context() as patched:
        patched.setattr(appender.ChunkQueue, "_write_one", refused)
        with pytest.raises(FileError) as told:
            store.write(values, "x", full)
    assert told.value.seen == "No space left on device"
    with pytest.raises(FileError, match="could not be written"):
        store.write(values, "x", full)
    with pytest.raises(FileError, match="could not be written"):
        store.read("x", full)
    store.write(values, "x", other)
    store.close(full)
    store.close()
    assert len(lh5.read("x", other)) == 90


def test_all_files_are_closed_though_one_cannot_be(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(appender, "submit", Slow)
    store, values = lh5.LH5Store(keep_open=True, late=True), np.zeros((90, 3000), np.uint16)
    for name in ("a.lh5", "b.lh5", "c.lh5"):
        store.write(lh5.ArrayOfEqualSizedArrays(nda=values), "x", tmp_path / name)
    file = store.gimme_file(tmp_path / "b.lh5", "a")
    file["x"].id.set_extent((0, 3000))  # the chunks that come late have no place
    files = [store.gimme_file(tmp_path / name, "a") for name in ("a.lh5", "b.lh5", "c.lh5")]
    with pytest.raises(OSError, match="chunk"):
        store.close()
    assert not any(files)
    for name in ("a.lh5", "c.lh5"):
        assert np.array_equal(lh5.read("x", tmp_path / name).nda, values)


def test_a_table_that_changes_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "run.lh5"
    with lh5.LH5Store(keep_open=True) as store:
        for _ in range(3):
            store.write(table(2), "raw", path)
        other = table(2)
        other["more"] = lh5.Array(np.arange(2))
        for wrong in (other, lh5.Table({**table(2), "id": lh5.Array(np.arange(2) - 7)})):
            with pytest.raises(ValueError, match=r"cannot be appended|another type"):
                store.write(wrong, "raw", path)
        store.write(lh5.Array(np.arange(6)), "raw/late", path)  # now the table has a column more
        with pytest.raises(ValueError, match="cannot be appended"):
            store.write(table(2), "raw", path)
        assert store.read_n_rows("raw/id", path) == 6


@pytest.mark.parametrize("isal", [True, False])
def test_files_are_about_as_small_as_those_of_h5py(tmp_path: Path, monkeypatch: Any, isal: bool) -> None:
    if not isal:
        monkeypatch.setattr(deflate, "_isal", lambda: None)
    rng = np.random.default_rng(2)
    drift = np.cumsum(rng.normal(0, 1, (60, 3000)), axis=1)
    noise = rng.normal(0, 6, (60, 3000))
    for kind, values in {
        "waves": (8000 + noise + drift).astype(np.uint16),
        "smooth": (8000 + drift).astype(np.uint16),
        "the same again": np.tile((8000 + noise[:1]).astype(np.uint16), (60, 1)),
        "floats": noise,
        "few values": np.round(noise).astype(np.float32),
        "counter": np.arange(180_000).reshape(60, 3000),
    }.items():
        ours, theirs = tmp_path / f"{kind}.lh5", tmp_path / f"{kind}.h5"
        lh5.write(lh5.ArrayOfEqualSizedArrays(nda=values), "x", ours)
        with h5py.File(theirs, "w") as file:
            file.create_dataset("x", data=values, maxshape=(None, 3000), compression="gzip", shuffle=True)
        with h5py.File(ours) as file:
            assert np.array_equal(file["x"], values)
        if not isal or kind == "waves":
            assert ours.stat().st_size < 1.1 * theirs.stat().st_size, kind


def test_the_same_data_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        with lh5.LH5Store(tmp_path, keep_open=True) as store:
            for first in range(0, 3000, 1000):
                store.write(table(1000, first), "raw", name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_forgotten_store_completes_its_files(tmp_path: Path, collect: Callable[[], int]) -> None:
    store = lh5.LH5Store(keep_open=True)
    store.write(lh5.Array([1, 2, 3]), "x", tmp_path / "run.lh5")
    del store
    collect()
    assert lh5.read("x", tmp_path / "run.lh5").nda.tolist() == [1, 2, 3]


class TestReading:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        lh5.write(table(), "raw", tmp_path / "run.lh5")
        return tmp_path / "run.lh5"

    @pytest.mark.parametrize(
        "idx",
        [[0, 1, 2], [3, 17, 49], [49, 3, 3, 0], [], np.arange(ROWS) % 3 == 1, np.where(np.arange(ROWS) > 45)],
    )
    def test_rows_by_number(self, path: Path, idx: Any) -> None:
        numbers = np.arange(ROWS)[idx[0] if isinstance(idx, tuple) else idx] if len(idx) else []
        check(lh5.read("raw", path, idx=idx), list(numbers))

    def test_ranges(self, path: Path) -> None:
        check(lh5.read("raw", path, start_row=7, n_rows=9), range(7, 16))
        check(lh5.read("raw", path, start_row=45, n_rows=100), range(45, ROWS))
        check(lh5.read("raw", path, start_row=99), range(0))
        check(lh5.read("raw", path, idx=[4, 99]), [4])
        for wrong in ({"start_row": -1}, {"n_rows": -1}, {"idx": [-1]}, {"idx": [[0.5]]}):
            with pytest.raises(lh5.LH5DecodeError):
                lh5.read("raw", path, **wrong)

    def test_several_files_in_a_row(self, path: Path) -> None:
        found = lh5.read("raw", [path, path], start_row=45, n_rows=10)
        assert found["id"].nda.tolist() == [*range(45, 50), *range(5)]
        assert lh5.read("raw", [path, path], idx=[49, 50, 99])["id"].nda.tolist() == [49, 0, 49]
        assert lh5.read("raw", [path, path], idx=[[1], [2, 3]])["id"].nda.tolist() == [1, 2, 3]
        assert [row.tolist() for row in lh5.read("raw/hits", [path, path])][3:6] == [[0, 1, 2], [], [0]]

    def test_some_fields(self, path: Path) -> None:
        assert sorted(lh5.read("raw", path, field_mask=["id", "waveform/t0"])) == ["id", "waveform"]
        assert sorted(lh5.read("raw", path, field_mask={"waveform/t0": True})["waveform"]) == ["t0"]
        left = lh5.read("raw", path, field_mask={"id": False, "waveform/t0": False})
        assert "id" not in left
        assert sorted(left["waveform"]) == ["dt", "values"]
        with pytest.raises(KeyError, match="no field 'nope'"):
            lh5.read("raw", path, field_mask=["nope"])

    def test_encoded_data_as_they_are(self, path: Path) -> None:
        found = lh5.read("raw", path, decompress=False, n_rows=5)
        assert found["packed"].attrs["codec"] == "radware_sigcompress"
        assert len(found["packed"]) == 5
        assert found["sparse"].decoded_size.nda.tolist() == [0, 1, 2, 3, 0]

    def test_into_a_buffer(self, path: Path) -> None:
        with lh5.LH5Store() as store:
            buffer = store.get_buffer("raw", path, size=4)
            assert len(buffer) == 4
            found, rows = store.read_object("raw", path, n_rows=10, obj_buf=buffer)
            assert (found is buffer, rows) == (True, 10)
            check(buffer, range(10))
            check(
                store.read("raw", path, start_row=20, n_rows=2, obj_buf=buffer, obj_buf_start=1), [0, 20, 21]
            )
            only = lh5.Table({"id": np.zeros(0, np.uint32)})
            assert store.read("raw", path, obj_buf=only, n_rows=2)["id"].nda.tolist() == [0, 1]
            with pytest.raises(lh5.LH5DecodeError, match="another kind"):
                store.read("raw", path, obj_buf=lh5.Scalar(1))

    def test_missing_things(self, path: Path) -> None:
        with pytest.raises(lh5.LH5DecodeError, match="no object /nope") as caught:
            lh5.read("nope", path)
        assert isinstance(caught.value, KeyError)
        with pytest.raises(FileError):
            lh5.read("raw", path.with_name("none.lh5"))

    def test_lists_are_those_of_the_groups(self, path: Path) -> None:
        lh5.write(lh5.Scalar(3), "a/more", path)
        with h5py.File(path, "a") as file:
            file.attrs["datatype"] = "struct{raw}"
            file["foreign"] = np.arange(3)  # without datatype: nobody's
        assert sorted(lh5.read("/", path)) == ["a", "raw"]
        lh5.write(lh5.Scalar(4), "b", path)
        with h5py.File(path) as file:
            assert file.attrs["datatype"] == "struct{a,b,raw}"

    def test_names_and_trees(self, path: Path, capsys: Any) -> None:
        assert lh5.ls(path) == ["raw"]
        assert lh5.ls(path, "raw/wave*/") == ["raw/waveform/dt", "raw/waveform/t0", "raw/waveform/values"]
        assert lh5.ls(path, "raw/*d*") == ["raw/deep", "raw/id", "raw/packed"]
        assert "raw/hits/flattened_data" in lh5.ls(path, recursive=True)
        lh5.show(path, attrs=True, detail=True, depth=2)
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "/"
        assert lines[1].startswith("└── raw · table{deep,even,hits,id,")
        assert "    ├── id · array<1>{real}" in lines
        assert any("filters=shuffle, deflate" in line for line in lines)

    def test_sizes(self, path: Path) -> None:
        with lh5.LH5Store(path.parent) as store:
            assert store.read_size_in_bytes("raw/id", path.name) == 4 * ROWS
            assert store.read_n_rows("raw/packed", path.name) == ROWS
            assert store.ls(path.name) == ["raw"]


class TestModes:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        lh5.write(table(), "raw", tmp_path / "run.lh5")
        return tmp_path / "run.lh5"

    def test_write_safe(self, path: Path) -> None:
        with pytest.raises(lh5.LH5EncodeError, match="there already"):
            lh5.write(table(), "raw", path, wo_mode="write_safe")
        lh5.write(table(), "other", path, wo_mode="w")
        check(lh5.read("other", path), range(ROWS))

    def test_overwrite(self, path: Path) -> None:
        lh5.write(table(5, 100), "raw", path, wo_mode="overwrite", write_start=10)
        check(lh5.read("raw", path), [*range(10), *range(100, 105)])
        lh5.write(lh5.Array([1, 2]), "raw", path, wo_mode="o")
        assert lh5.read("raw", path).nda.tolist() == [1, 2]

    def test_overwrite_file(self, path: Path) -> None:
        lh5.write(lh5.Scalar(1), "new", path, wo_mode="of")
        assert lh5.ls(path) == ["new"]

    def test_append_column(self, path: Path) -> None:
        lh5.write(lh5.Table({"more": np.arange(ROWS)}), "raw", path, wo_mode="append_column")
        assert lh5.read("raw", path)["more"].nda[-1] == ROWS - 1
        with h5py.File(path) as file:
            assert ",id,more,packed," in file["raw"].attrs["datatype"]
        for wrong in ({"id": np.arange(ROWS)}, {"short": np.arange(3)}):
            with pytest.raises(lh5.LH5EncodeError):
                lh5.write(lh5.Table(wrong), "raw", path, wo_mode="ac")

    def test_scalars_are_replaced_by_appending(self, path: Path) -> None:
        for value in ("one", "another"):
            lh5.write(lh5.Scalar(value, {"units": "x"}), "note", path)
        assert lh5.read("note", path) == lh5.Scalar("another", {"units": "x"})

    @pytest.mark.parametrize(
        "wrong",
        [
            lh5.Table({"id": np.arange(3)}),
            lh5.Array([1]),
            lh5.Scalar(1),
            lh5.Struct({"raw": lh5.Scalar(1)}),
        ],
    )
    def test_what_does_not_fit_is_refused_whole(self, path: Path, wrong: Any) -> None:
        before = path.read_bytes()
        with pytest.raises(RuntimeError):
            lh5.write(wrong, "raw", path)
        other = table()
        other["waveform"].resize_wf_len(299)
        with pytest.raises(lh5.LH5EncodeError, match="cannot be appended"):
            lh5.write(other, "raw", path)
        other = table()
        other.attrs["note"] = "another"
        with pytest.raises(lh5.LH5EncodeError, match="cannot be appended"):
            lh5.write(other, "raw", path)
        check(lh5.read("raw", path), range(ROWS))
        assert len(path.read_bytes()) == len(before)

    def test_values_that_would_change_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "run.lh5"
        lh5.write(lh5.Array(np.arange(3, dtype=np.int16)), "x", path)
        lh5.write(lh5.Array([4.0, 5.0]), "x", path)
        for wrong in ([0.5], [1 << 20]):
            with pytest.raises(lh5.LH5EncodeError, match="another type"):
                lh5.write(lh5.Array(wrong), "x", path)
        assert lh5.read("x", path).nda.tolist() == [0, 1, 2, 4, 5]

    def test_nonsense(self, path: Path) -> None:
        for call in (
            lambda: lh5.write(lh5.Scalar(1), "x", path, wo_mode="zz"),
            lambda: lh5.write(5, "x", path),  # type: ignore[arg-type]
            lambda: lh5.write(lh5.Scalar(1), "raw/id/x", path),
            lambda: lh5.write(lh5.Array([1]), "x", path, compression="nope"),
            lambda: lh5.write(lh5.Array([1], attrs={"list": [1, 2]}), "y", path),
        ):
            with pytest.raises(ValueError):  # noqa: PT011  # the same kind for all of them
                call()


class TestSettings:
    def test_later_ones_win(self, tmp_path: Path, monkeypatch: Any) -> None:
        path = tmp_path / "run.lh5"
        monkeypatch.setitem(lh5.DEFAULT_HDF5_SETTINGS, "shuffle", False)
        columns = {
            "plain": lh5.Array([1]),
            "own": lh5.Array([1], attrs={"compression": "lzf"}),
            "all": lh5.Array(
                [1], attrs={"compression": "lzf", "hdf5_settings": {"compression": None, "shuffle": True}}
            ),
        }
        lh5.write(lh5.Table(columns), "t", path, compression="gzip", compression_opts=1)
        with h5py.File(path) as file:
            found = {name: (file["t"][name].compression, file["t"][name].shuffle) for name in columns}
            assert found == {"plain": ("gzip", False), "own": ("lzf", False), "all": (None, True)}
            assert file["t/plain"].compression_opts == 1

    def test_other_filters(self, tmp_path: Path) -> None:
        import hdf5plugin

        path = tmp_path / "run.lh5"
        for first in (0, ROWS):
            lh5.write(table(first=first), "raw", path, **hdf5plugin.Zstd(3))
        check(lh5.read("raw", path), range(2 * ROWS))


class TestViews:
    def test_rows_and_ranges(self, tmp_path: Path) -> None:
        path = tmp_path / "run.lh5"
        lh5.write(table(), "raw", path)
        lh5.write_view("raw", [3, 8], "some", path)
        lh5.write_view("raw", [40], "some", path)
        lh5.write_view("/raw", [[1, 3], [3, 4]], "ranges", path, link_type="soft")
        check(lh5.read("some", path), [3, 8, 40])
        check(lh5.read("some", path, idx=[2]), [40])
        check(lh5.read("ranges", path), [1, 2, 3])
        with h5py.File(path) as file:
            assert file["some"].attrs["datatype"] == "view{entries}"
            assert file["ranges"].attrs["datatype"] == "view{slices}"

    def test_of_another_file(self, tmp_path: Path) -> None:
        lh5.write(table(), "raw", tmp_path / "run.lh5")
        lh5.write_view("raw", [1], "v", tmp_path / "views.lh5", external_file="run.lh5")
        check(lh5.read("v", tmp_path / "views.lh5"), [1])

    @pytest.mark.parametrize("entries", [[3, 2], [-1], [0.5], [[1, 0]], [[0, 3], [2, 4]]])
    def test_entries_that_do_not_ascend(self, tmp_path: Path, entries: Any) -> None:
        lh5.write(lh5.Array(np.arange(9)), "x", tmp_path / "run.lh5")
        with pytest.raises(lh5.LH5EncodeError, match="ascending"):
            lh5.write_view("x", entries, "v", tmp_path / "run.lh5")
        lh5.write_view("x", [5], "v", tmp_path / "run.lh5")
        with pytest.raises(lh5.LH5EncodeError):
            lh5.write_view("x", [5], "v", tmp_path / "run.lh5")
        with pytest.raises(lh5.LH5EncodeError, match="link"):
            lh5.write_view("none", [5], "w", tmp_path / "run.lh5", link_type="hard")
