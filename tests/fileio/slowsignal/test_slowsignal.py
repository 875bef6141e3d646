"""Slow-signal files: golden ones, what is written, the methods of the reader, damage."""

from __future__ import annotations

import bz2
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sapwood.fileio as fileio
from sapwood.errors import FileError, FormatError
from sapwood.fileio.hdf5 import h5py
from sapwood.fileio.icf.readout import SSReadout
from sapwood.fileio.slowsignal import SSDataReader, SSDataWriter
from sapwood.fileio.slowsignal.chunkfilter import ChunkFilter, fletcher32


def readout(number: int) -> SSReadout:
    """Readout `number`; module m, pixel p holds 64 m + p quarters plus a thousand for each number."""
    data = np.arange(2048).reshape(32, 64) * 0.25 + 1000 * number
    return SSReadout(number, 10**12 + number, data, 1_600_000_000 + number, 123_456_789)


def written(path: Path, rows: int, **options: Any) -> Path:
    with SSDataWriter(path, **options) as writer:
        for number in range(1, rows + 1):
            writer.write(readout(number))
    return path


@pytest.fixture(scope="module")
def seven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("slow") / "seven.h5", 7)


@pytest.fixture(scope="session")
def expected(golden_icf: Path) -> dict[str, Any]:
    files = json.loads((golden_icf / "MANIFEST.json").read_text())["files"]
    return {name: entry["expected"] for name, entry in files.items() if name.startswith("ss_")}


def sha256(array: Any) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def test_golden_files(golden_icf: Path, expected: dict[str, Any]) -> None:
    assert len(expected) == 3
    for name, expect in expected.items():
        with SSDataReader(golden_icf / name) as reader:
            found, raw, mapped = [], [], []
            for data in reader.read():
                found.append([reader.iro, reader.time, reader.cpu_t, reader.cpu_t_s, reader.cpu_t_ns])
                raw.append(reader.raw_data)
                mapped.append(data)
            assert len(reader) == expect["n_readouts"]
            assert found == expect["rows_iro_time_cput_cputs_cputns"]
            assert sha256(raw) == expect["sha256_raw_f4_all_rows"]
            assert sha256(mapped) == expect["sha256_mapped_f4_all_rows_default_mapping"]
            assert ("tel_table" in reader.table_names) == expect["has_tel_table"]
            if "tel_rows" in expect:
                names = ["db_t", "db_t_s", "db_t_ns", "ra", "dec"]
                assert [[row[n] for n in names] for row in reader.read_tel_data()] == expect["tel_rows"]
            wanted = expect.get("load_all_data(5,calib=2.0,mapping=ssl2colrow)")
            if wanted:
                loaded = reader.load_all_data(5, calib=2.0, mapping="ssl2colrow")
                assert list(loaded.amps.shape) == wanted["amps_shape"]
                assert loaded.amps[0, :8].tolist() == wanted["amps_first_row_first_8"]
                assert sha256(loaded.amps) == wanted["sha256_amps_f8"]
                assert loaded.tm == 5


def test_the_golden_file_again(golden_icf: Path, expected: dict[str, Any], tmp_path: Path) -> None:
    """Rows written anew are stored as the same bytes, beside the same attributes."""
    path = tmp_path / "again.h5"
    attributes = {"run": 7, "note": "hi", "coef": np.array([0.0, 1, 2])}
    with SSDataReader(golden_icf / "ss_basic.h5") as reader, SSDataWriter(path, attributes) as writer:
        for _ in reader.read():
            writer.write(reader.ssreadout)
        for row in reader.read_tel_data():
            writer.write_tel_data(row["ra"], row["dec"], row["db_t"], row["db_t_s"], row["db_t_ns"])
    with h5py().File(golden_icf / "ss_basic.h5") as theirs, h5py().File(path) as ours:
        for name in ("SlowSignal/readout", "SlowSignal/tel_table"):
            one, two = theirs[name], ours[name]
            assert one.id.read_direct_chunk((0,)) == two.id.read_direct_chunk((0,))
            assert one.chunks == two.chunks
            assert list(one.attrs) == list(two.attrs)
            for key in set(one.attrs) - {"ssdaq_version"}:
                assert np.array_equal(one.attrs[key], two.attrs[key]), key
                assert one.attrs.get_id(key).dtype == two.attrs.get_id(key).dtype, key
        for name in ("/", "SlowSignal"):
            assert dict(theirs[name].attrs) == dict(ours[name].attrs)


@pytest.mark.parametrize(
    ("arguments", "numbers"),
    [
        ((), [1, 2, 3, 4, 5, 6, 7]),
        ((2,), [3]),
        ((0, None, 2), [1]),
        ((None, 3), [1, 2, 3]),
        ((None, None, 2), [1, 3, 5, 7]),
        ((2, 5), [3, 4, 5]),
        ((1, 100), [2, 3, 4, 5, 6, 7]),
        ((-1,), []),
        ((-2,), [6]),
        ((-3, -1), [5, 6]),
        ((5, 2), []),
        ((10,), []),
    ],
)
def test_read(seven: Path, arguments: tuple[Any, ...], numbers: list[int]) -> None:
    with SSDataReader(seven) as reader:
        assert [reader.iro for _ in reader.read(*arguments)] == numbers


def test_rows_across_chunks(tmp_path: Path) -> None:
    with SSDataReader(written(tmp_path / "a.h5", 50)) as reader:
        assert [reader.iro for _ in reader] == list(range(1, 51))
        for start, stop, step in ((3, 47, 7), (14, 16, 1), (29, 50, 15), (0, 50, 49)):
            assert [reader.iro for _ in reader.read(start, stop, step)] == list(range(51))[1:][
                start:stop:step
            ]
        assert reader[44:47][:, 0, 29].shape == (3,)
        assert reader.load_all_data(31).iro.tolist() == list(range(1, 51))


def test_each_row_yielded_is_its_own(seven: Path) -> None:
    with SSDataReader(seven, "raw") as reader:
        rows = list(reader.read())
    assert [row[0, 0] for row in rows] == [1000, 2000, 3000, 4000, 5000, 6000, 7000]
    assert {row.base is None for row in rows} == {True}


def test_rows_picked_from_many_chunks(tmp_path: Path) -> None:
    numbers = np.random.default_rng(4).integers(0, 200, 300)
    with SSDataReader(written(tmp_path / "a.h5", 200), "raw") as reader:
        for _ in range(2):  # decoded, then from the cache
            assert (reader[numbers][:, 0, 0] == 1000 * (numbers + 1)).all()
        assert (reader[::-7][:, 0, 0] == 1000 * np.arange(200, 0, -7)).all()


@pytest.mark.parametrize("buffer", [0, 7, 30])
def test_many_chunks_are_written_as_they_were(tmp_path: Path, buffer: int) -> None:
    rows = 15 * 12 + 4
    path = written(tmp_path / "a.h5", rows, buffer=buffer)
    with SSDataReader(path, "raw") as reader:
        found = reader.table("readout").rows(0, rows)
        assert (found["iro"] == np.arange(1, rows + 1)).all()
        assert (found["data"][:, 0, 0] == 1000 * found["iro"]).all()
    with h5py().File(path) as file:
        node = file["SlowSignal/readout"]
        stored = node.id.read_direct_chunk((15 * 12,))[1]
        last = ChunkFilter().decode(stored, 0, node.dtype, 15)
        assert not last[4:].view(np.uint8).any()


def test_steps_that_make_no_sense(seven: Path) -> None:
    with SSDataReader(seven) as reader:
        with pytest.raises(OverflowError):
            reader.read(None, None, -1)
        with pytest.raises(ValueError, match="zero"):
            reader.read(None, None, 0)


def test_index(seven: Path) -> None:
    with SSDataReader(seven, "raw") as reader:
        assert reader[2][1, 3] == 3000 + 67 / 4
        assert reader.iro == 3
        assert reader[-1][0, 0] == 7000
        assert reader[np.int64(4)][0, 0] == 5000
        assert reader[1:6:2][:, 0, 0].tolist() == [2000, 4000, 6000]
        assert reader[5:2].shape == (0, 32, 64)
        assert reader[[6, 0, -1, 0]][:, 0, 0].tolist() == [7000, 1000, 7000, 1000]
        assert reader[np.array([True, False] * 3 + [True])][:, 0, 0].tolist() == [1000, 3000, 5000, 7000]
        assert reader[[]].shape == (0, 32, 64)
        for wrong in (7, -8, [0, 7]):
            with pytest.raises(IndexError, match="no such row"):
                reader[wrong]


def test_mappings(seven: Path, golden_icf: Path) -> None:
    tables = json.loads((golden_icf / "mappings.json").read_text())
    raw = readout(1).data
    for name in ("ssl2colrow", "ssl2asic_ch", "raw"):
        with SSDataReader(seven, name) as reader:
            assert np.array_equal(reader[0], raw[:, tables[name]])
            assert np.array_equal(reader.ssreadout.data, raw)
            assert np.array_equal(reader.load_all_data(3).amps[0], raw[3, tables[name]])
    with pytest.raises(ValueError, match="no mapping 'mine'"):
        SSDataReader(seven, "mine")


def test_load_all_data(seven: Path) -> None:
    factors = np.linspace(0.5, 2, 64)
    with SSDataReader(seven) as reader:
        loaded = reader.load_all_data(-1, factors, [63, 0])
        assert np.array_equal(loaded.amps[1], (readout(2).data[31] * factors)[[63, 0]])
        assert loaded.amps.dtype == np.float64
        assert loaded.time.tolist() == [10**12 + n for n in range(1, 8)]
        assert loaded.cpu_t[0] == 1_600_000_001.123456789
        with pytest.raises(IndexError):
            reader.load_all_data(32)
        for wrong in ({"tm": slice(0, 2)}, {"tm": 0, "calib": [1, 2]}, {"tm": 0, "mapping": "mine"}):
            with pytest.raises(ValueError, match=r"One module|another shape|no mapping"):
                reader.load_all_data(**wrong)  # type: ignore[arg-type]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    data = np.full((32, 64), np.nan)
    data[3] = 0.1
    with SSDataWriter(tmp_path / "a.h5", {"note": "hällo", "n": 3}, buffer=2) as writer:
        writer.write_readout(SSReadout(-1, 5, data, 1, 2))
        writer.write_readout(SimpleNamespace(iro=1, time=2, data=7.5, cpu_t=3.5, cpu_t_s=3, cpu_t_ns=4))  # type: ignore[arg-type]
        writer.write_tel_data(1.5, -2.5, 100.25, 100, 250_000_000)
        with pytest.raises(ValueError, match="another shape"):
            writer.write(SimpleNamespace(data=np.zeros((3, 5))))  # type: ignore[arg-type]
    with SSDataReader(tmp_path / "a.h5", "raw") as reader:
        assert len(reader) == 2
        assert reader[0][3].tolist() == [np.float32(0.1)] * 64
        assert np.isnan(reader[0][4]).all()
        assert reader.iro == 2**64 - 1
        assert (reader[1] == 7.5).all()
        assert reader.read_tel_data().tolist() == [(100.25, 250_000_000, 100, -2.5, 1.5)]
        assert reader.attributes["note"].decode() == "hällo"


def test_a_closed_writer(tmp_path: Path) -> None:
    writer = SSDataWriter(tmp_path / "a.h5", tel_table=False)
    with pytest.raises(FormatError, match="no table of telescope data"):
        writer.write_tel_data(1, 2, 3, 4, 5)
    writer.close_file()
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.write(readout(1))
    with SSDataReader(tmp_path / "a.h5") as reader:
        assert reader.table_names == ["readout"]
        assert len(reader.read_tel_data()) == 0
    with pytest.raises(ValueError, match="closed"):
        len(reader)


def test_attributes_that_would_be_pickled(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="Attribute x cannot be kept"):
        SSDataWriter(tmp_path / "a.h5", {"x": {"a": 1}})
    with pytest.raises(FormatError, match="set by the writer itself"):
        SSDataWriter(tmp_path / "a.h5", {"ss_data_version": 3})


FILTERS = [
    {"complevel": 0, "complib": "zlib", "shuffle": True, "fletcher32": False},
    {"complevel": 0, "complib": "zlib", "shuffle": False, "fletcher32": True},
    {"complevel": 4, "complib": "zlib", "shuffle": True, "fletcher32": True},
    {"complevel": 1, "complib": "bzip2", "shuffle": False, "fletcher32": False},
]


@pytest.mark.parametrize("filters", FILTERS)
def test_filters(tmp_path: Path, filters: dict[str, Any]) -> None:
    path = written(tmp_path / "a.h5", 20, filters=SimpleNamespace(**filters))
    with SSDataReader(path, "raw") as reader:
        assert reader[17][0, 0] == 18000
    with h5py().File(path) as file:  # HDF5's own filters agree
        assert file["SlowSignal/readout"]["data"][:, 0, 0].tolist() == [1000 * n for n in range(1, 21)]
        assert file["SlowSignal/readout"].fletcher32 == filters["fletcher32"]


def test_filters_that_do_not_exist_here(tmp_path: Path) -> None:
    for library in ("lzo", "blosc"):
        filters = SimpleNamespace(complevel=5, complib=library, shuffle=True, fletcher32=False)
        with pytest.raises(FormatError, match="No such compressor"):
            SSDataWriter(tmp_path / "a.h5", filters=filters)
    assert not (tmp_path / "a.h5").exists()


def test_tables_stored_by_others(tmp_path: Path) -> None:
    """Rows without chunks, or with other filters, go through HDF5's own pipeline."""
    others = [(name, "<u8") for name in ("time", "cpu_t_s", "cpu_t_ns")]
    types = [("iro", "<u4"), ("cpu_t", "<f8"), ("data", "<f8", (32, 64)), ("more", "u1"), *others]
    rows = np.zeros(3, np.dtype(types))
    rows["iro"], rows["data"] = [1, 2, 3], 0.5
    for name, options in (("plain", {}), ("lzf", {"compression": "lzf", "chunks": (2,)})):
        with h5py().File(tmp_path / name, "w") as file:
            node = file.create_dataset("SlowSignal/readout", data=rows, **options)
            node.attrs["ss_data_version"] = 0
        with SSDataReader(tmp_path / name) as reader:
            assert [reader.iro for _ in reader] == [1, 2, 3]
            assert (reader[2] == 0.5).all()


@settings(max_examples=30, deadline=None)
@given(
    data=st.binary(max_size=400), level=st.sampled_from([0, 3]), library=st.sampled_from(["bzip2", "zlib"]),
    shuffle=st.booleans(), check=st.booleans(),
)  # fmt: skip
def test_chunks_there_and_back(data: bytes, level: int, library: str, shuffle: bool, check: bool) -> None:
    dtype = np.dtype("V7")
    rows = np.frombuffer(data[: len(data) // 7 * 7], dtype)
    filters = ChunkFilter(level, library, shuffle, check)
    assert filters.decode(filters.encode(rows), 0, dtype, len(rows)).tobytes() == rows.tobytes()


@pytest.mark.parametrize("size", [0, 1, 79_900, 80_100, 123_480, 159_900, 160_100, 719_900, 1_200_000])
def test_bzip2_is_that_of_the_level(size: int) -> None:
    """Noise, and runs that make a block as much longer than the data as they can."""
    rng = np.random.default_rng(5)
    noise = rng.integers(0, 256, size, np.uint8)
    steps = rng.integers(1, 256, size // 4 + 1)  # no two runs of the same: what recurs takes long to sort
    runs = np.repeat(np.cumsum(steps).astype(np.uint8), 4)[:size]
    for rows in (noise, runs):
        for level in (1, 2, 9):
            stored = ChunkFilter(level, "bzip2", shuffle=False, fletcher32=False).encode(rows)
            assert stored == bz2.compress(rows.tobytes(), level)


def test_checksum_is_that_of_hdf5(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for size in (1, 2, 3, 1000, 100_001, 131_072, 400_003):
        data = rng.integers(0, 256, size, np.uint8)
        with h5py().File(tmp_path / "c.h5", "w") as file:
            node = file.create_dataset("x", data=data, chunks=(size,), fletcher32=True)
            stored = node.id.read_direct_chunk((0,))[1]
        assert int.from_bytes(stored[-4:], "little") == fletcher32(data)


# Files that are no, or damaged, slow-signal files


def test_wrong_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        SSDataReader(tmp_path / "absent.h5")
    (tmp_path / "text").write_text("no HDF5 at all")
    with pytest.raises(FileError, match="Failed to open HDF5 file"):
        SSDataReader(tmp_path / "text")
    with h5py().File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(LookupError, match="no table /SlowSignal/readout"):
        SSDataReader(tmp_path / "other.h5")
    path = written(tmp_path / "version.h5", 1)
    with h5py().File(path, "r+") as file:
        file["SlowSignal/readout"].attrs["ss_data_version"] = 1
    with pytest.raises(KeyError, match="another version"):
        SSDataReader(path)
    with h5py().File(path, "r+") as file:
        del file["SlowSignal/readout"].attrs["ss_data_version"]
    with pytest.raises(RuntimeError, match="no version"):
        SSDataReader(path)
    with h5py().File(path, "w") as file:
        file["SlowSignal/readout"] = np.zeros(3)
    with pytest.raises(FormatError, match="other columns"):
        SSDataReader(path)


def flip(path: Path, table: str, chunk: int, at: int) -> None:
    with h5py().File(path) as file:
        place = file[f"SlowSignal/{table}"].id.get_chunk_info(chunk)
    data = bytearray(path.read_bytes())
    data[place.byte_offset + at % place.size] ^= 0x10
    path.write_bytes(data)


@pytest.mark.parametrize("at", [0, 1, 40, 2000, -1])
def test_a_flipped_byte_is_found(tmp_path: Path, at: int) -> None:
    path = written(tmp_path / "a.h5", 50)
    flip(path, "readout", 1, at)
    with SSDataReader(path) as reader:
        assert [reader.iro for _ in reader.read(0, 15)] == list(range(1, 16))
        with pytest.raises(FormatError, match="Rows 15 to 29 of table /SlowSignal/readout are damaged"):
            reader[20]
        assert reader[30][0, 0] == 31000 + 29 / 4
    report = fileio.find("slowsignal").verify(path)
    assert (report.status, report.good, report.lost) == ("loss", 35, 15)
    report = fileio.find("slowsignal").recover(path, tmp_path / "b.h5")
    assert report.good == 35
    with SSDataReader(tmp_path / "b.h5") as reader:
        assert [reader.iro for _ in reader] == [*range(1, 16), *range(31, 51)]
    assert fileio.find("slowsignal").verify(tmp_path / "b.h5").status == "clean"


def test_files_cut_anywhere(tmp_path: Path) -> None:
    whole = written(tmp_path / "a.h5", 20).read_bytes()
    cut = tmp_path / "cut.h5"
    for size in range(0, len(whole), len(whole) // 60):
        cut.write_bytes(whole[:size])
        try:
            with SSDataReader(cut) as reader:
                rows = [reader.iro for _ in reader]
        except FileError:
            continue
        assert rows == list(range(1, 21))


# In the registry


def test_open_finds_it(seven: Path, tmp_path: Path) -> None:
    with fileio.open(seven) as reader:
        info = reader.info()
        assert info["format"] == "slowsignal"
        assert info["tables"] == {"readout": 7, "tel_table": 0}
        assert len(info["attributes"]["ssl2asic_ch"]) == 64
        chunks = list(reader.chunks("readout", 2, 6, nbytes=1))
        assert [one for chunk in chunks for one in chunk["iro"].values.tolist()] == [3, 4, 5, 6]
        assert chunks[0]["data"].unit == "mV"
        with pytest.raises(FormatError, match="no table 'frames'"):
            list(reader.chunks("frames"))
    fileio.convert(seven, tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["readout/data"].shape == (7, 32, 64)
    fileio.convert(seven, tmp_path / "copy.ss.h5")
    with SSDataReader(tmp_path / "copy.ss.h5", "raw") as copy:
        assert copy[6][0, 0] == 7000


WRITER = """
import sys
import numpy as np
from sapwood.fileio.icf.readout import SSReadout
from sapwood.fileio.slowsignal import SSDataWriter
writer = SSDataWriter(sys.argv[1], buffer=10)
number = 0
while True:
    number += 1
    writer.write(SSReadout(number, 0, np.full((32, 64), number * 1.0)))
    if number % 10 == 0:
        print(number, flush=True)
"""


def test_a_killed_writer_leaves_what_was_flushed(tmp_path: Path) -> None:
    path = tmp_path / "live.h5"
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child:
        last = 0
        while last < 60:
            last = int(child.stdout.readline())
        os.kill(child.pid, signal.SIGKILL)
    shutil.copy(path, tmp_path / "copy.h5")
    with SSDataReader(tmp_path / "copy.h5") as reader:
        numbers = [reader.iro for _ in reader]
    assert len(numbers) >= 60
    assert numbers == list(range(1, len(numbers) + 1))
