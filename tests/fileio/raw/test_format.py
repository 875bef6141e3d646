"""Raw streams as files of a format: detection, tables, conversion, damage."""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import json
import shutil
import struct
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pytest

import sapwood.fileio as fileio
from sapwood.errors import FileError, FormatError, RecordingExists
from sapwood.fileio import lh5
from sapwood.fileio.formats import NO
from sapwood.fileio.raw import build_raw
from sapwood.fileio.table import Table, TableInfo
from sapwood.streams import FrameBatch

FAMILIES = ["icf", "apx", "pymodaq", "rogue"]
RAW = ("fcio", "orca", "compass", "llama")
FORMAT_OF = {".fcio": "fcio", ".orca": "orca", ".BIN": "compass", ".bin": "llama"}
STREAMS = [
    "L200-comm-20211130-phy-spms.fcio",
    "synth-sparse.fcio",
    "L200-comm-20220519-phy-geds.orca",
    "l200-p14-r004-cal-20250606T010224Z.orca",
    "synth-sis3302.orca",
    "synth-sis3316.orca",
    "compass_test_data.BIN",
    "20241218-150158-pulser.bin",
]


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HERE = Path(__file__).parent
fcio = load("fcio_streams", HERE / "fcio_streams.py")
orca = load("orca_streams", HERE / "orca_streams.py")


def fcio_events(count: int = 40) -> list[bytes]:
    return [fcio.event(fcio.waves(3, 4, number), number, 1 + number) for number in range(count)]


def compass_file(path: Path, events: int = 6, header: bytes = b"\xed\xca") -> Path:
    data = [
        struct.pack("<HHQHHIBI", 0, n % 2, 1000 * n, 10 * n, 5 * n, 0x4000, 1, 8 + n % 2)
        + struct.pack(f"<{8 + n % 2}H", *range(8 + n % 2))
        for n in range(events)
    ]
    path.write_bytes(header + b"".join(data))
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "run.fcio"
    path.write_bytes(fcio.stream(fcio.config(), *fcio_events()))
    return path


def contents(path: Path) -> dict[str, tuple[dict[str, Any], Any, Any]]:
    """Everything in an HDF5 file: attributes, types, values."""
    found: dict[str, tuple[dict[str, Any], Any, Any]] = {}

    def visit(name: str, node: Any) -> None:
        values = node[()] if isinstance(node, h5py.Dataset) else None
        found[name] = (dict(node.attrs), getattr(node, "dtype", None), values)

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def assert_same(first: Path, second: Path) -> None:
    one, two = contents(first), contents(second)
    assert set(one) == set(two)
    for name, (attributes, dtype, values) in one.items():
        assert attributes == two[name][0], name
        assert dtype == two[name][1], name
        if values is not None:
            np.testing.assert_array_equal(values, two[name][2], err_msg=name)


# Detection


@pytest.mark.parametrize("name", STREAMS)
def test_golden_streams_are_recognised(golden_daq: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "nothing-to-go-by"
    shutil.copy(golden_daq / name, path)
    assert fileio.detect(path).name == FORMAT_OF[Path(name).suffix]


@pytest.mark.parametrize("family", FAMILIES)
def test_files_of_others_are_not_claimed(request: pytest.FixtureRequest, family: str) -> None:
    folder: Path = request.getfixturevalue(f"golden_{family}")
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        head = path.read_bytes()[:4096]
        assert [name for name in RAW if fileio.find(name).detect(head, str(path)) != NO] == [], path.name


def test_other_files_beside_streams_are_not_claimed(golden_daq: Path) -> None:
    for path in sorted(golden_daq.iterdir()):
        if path.name not in STREAMS:
            with pytest.raises(FormatError):
                fileio.detect(path)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, "zstd"])
def test_packed_streams_are_recognised_and_read(small: Path, pack: Any) -> None:
    if pack == "zstd":
        import zstandard

        pack = zstandard.compress
    packed = small.with_name("packed")
    packed.write_bytes(pack(small.read_bytes()))
    assert fileio.detect(packed).name == "fcio"
    with fileio.open(packed) as reader:
        assert reader.info()["tables"] == {"FCConfig": 1, "FCEvent": 120}
    out = small.with_name("out.fcio")
    assert fileio.find("fcio").recover(packed, out).status == "clean"
    assert out.read_bytes() == small.read_bytes()


@pytest.mark.parametrize("pack", [b"\x1f\x8b", b"BZh", b"\x28\xb5\x2f\xfd"])
def test_what_only_seems_packed_is_nobodys(tmp_path: Path, pack: bytes) -> None:
    path = tmp_path / "broken"
    path.write_bytes(pack + b"\x08 nothing that could be unpacked")
    assert all(fileio.find(name).detect(path.read_bytes(), str(path)) == NO for name in RAW)


def test_a_compass_header_needs_events_behind_it(tmp_path: Path) -> None:
    path = compass_file(tmp_path / "run")
    assert fileio.detect(path).name == "compass"
    random = np.random.default_rng(1)
    for number in range(64):
        head = bytes([0xE0 + number % 16, 0xCA])
        path.write_bytes(head + random.integers(0, 256, 5000, np.uint8).tobytes())
        assert fileio.find("compass").detect(path.read_bytes()[:4096], str(path)) == NO
    for rest in (b"", b"\x00", bytes(5000), b"text " * 1000):
        path.write_bytes(b"\xe0\xca" + rest)
        assert fileio.find("compass").detect(path.read_bytes()[:4096], str(path)) == NO


def test_files_of_frames_stay_what_they_are(tmp_path: Path) -> None:
    """A frame of 51,936 bytes begins a Rogue file as CoMPASS begins its own."""
    path = tmp_path / "run.dat"
    size = np.full(3, 0xCAE0 - 4)
    frames = FrameBatch(np.zeros(size.sum(), np.uint8), np.cumsum(size) - size, size)
    sink = fileio.create(path, tables=[TableInfo.of_frames(3, int(size.sum()))])
    sink.write(Table.from_frames(frames))
    sink.close()
    assert path.read_bytes()[:2] == b"\xe0\xca"
    assert fileio.detect(path).name == "rogue"


# Tables


@pytest.mark.parametrize("name", STREAMS)
def test_conversion_writes_what_build_raw_writes(golden_daq: Path, tmp_path: Path, name: str) -> None:
    build_raw(str(golden_daq / name), out_spec=str(tmp_path / "built.lh5"))
    fileio.convert(golden_daq / name, tmp_path / "converted.lh5")
    assert_same(tmp_path / "built.lh5", tmp_path / "converted.lh5")


def test_damaged_streams_are_converted_as_build_raw_does(small: Path) -> None:
    broken = fcio.event(fcio.waves(3, 8))
    longer = fcio.stream(fcio.config(samples=8), broken)  # than the rows of the table
    small.write_bytes(fcio.stream(fcio.config(), *fcio_events(5)) + longer)
    build_raw(str(small), out_spec=str(small.with_name("built.lh5")))
    fileio.convert(small, small.with_name("converted.lh5"))
    assert_same(small.with_name("built.lh5"), small.with_name("converted.lh5"))
    report = fileio.find("fcio").verify(small)
    assert report.status == "loss"
    assert report.lost >= 1
    with fileio.open(small) as reader:
        assert reader.info()["tables"]["garbage"] == 1
        (garbage,) = reader.chunks("garbage")
        assert garbage["packets"][0].tobytes() == broken


@pytest.mark.parametrize("name", STREAMS)
def test_golden_tables(golden_daq: Path, tmp_path: Path, name: str) -> None:
    build_raw(str(golden_daq / name), out_spec=str(tmp_path / "built.lh5"))
    with fileio.open(golden_daq / name) as reader:
        info = reader.info()
        assert json.loads(json.dumps(info)) == info
        for table in reader.tables():
            expected = lh5.read(table.name, str(tmp_path / "built.lh5"))
            rows = len(expected) if isinstance(expected, lh5.Table) else 1
            assert table.rows == rows
            assert sum(map(len, reader.chunks(table.name))) == rows
            assert sum(map(len, reader.chunks(table.name, 1, nbytes=50_000))) == rows - 1


def test_a_waveform_has_samples_t0_and_dt(small: Path) -> None:
    with fileio.open(small) as reader:
        info = {one.name: one for one in reader.tables()}["FCEvent"]
        assert info.columns["waveform/values"].shape == (4,)
        (table,) = reader.chunks("FCEvent", 3, 6)
        expected = fcio.waves(3, 4, 1)[:, 2:]
        assert (table["waveform/values"].values == expected).all()
        assert table["waveform/dt"].unit == "ns"
        assert table["channel"].values.tolist() == [0, 1, 2]


def test_what_was_yielded_stays(small: Path) -> None:
    with fileio.open(small) as reader:
        kept = list(reader.chunks("FCEvent", nbytes=500))
        first = kept[0]["waveform/values"].values.copy()
        assert len(kept) > 5
    assert (kept[0]["waveform/values"].values == first).all()
    assert np.concatenate([one["packet_id"].values for one in kept]).tolist() == [
        number for number in range(1, 41) for _ in range(3)
    ]


def test_headers(golden_daq: Path) -> None:
    found = {}
    for name in STREAMS:
        with fileio.open(golden_daq / name) as reader:
            found[name] = reader.info()
    assert found[STREAMS[0]]["header"]["FCConfig"]["nsamples"] == 6000
    assert found[STREAMS[0]]["samples"] == {"FCEvent/waveform": 6000}
    assert found[STREAMS[0]]["channels"] == {"FCEvent": [0, 1, 2, 3, 4, 5]}
    assert found[STREAMS[1]]["header"]["FCConfig"]["streamid"] == 1
    assert found[STREAMS[1]]["losses"][0].endswith("without a decoder: tag 77")
    assert found[STREAMS[3]]["header"]["run_number"] == 36390
    assert "ORNotImplementedDecoder" in found[STREAMS[4]]["losses"][0]
    assert found[STREAMS[6]]["header"]["CompassHeader"]["waveform_samples"] == 1
    assert found[STREAMS[7]]["channels"] == {"LLAMAEvent_0": [0], "LLAMAEvent_4": [4]}


def test_options_go_to_the_stream(golden_daq: Path, tmp_path: Path) -> None:
    path, settings = golden_daq / STREAMS[6], golden_daq / "compass_test_data_settings.xml"
    with fileio.open(path, compass_config_file=settings) as reader:
        (table,) = reader.chunks("CompassEvent")
        assert (table["waveform/dt"].values == 2).all()
        (header,) = reader.chunks("CompassHeader")
        assert header["boards/0/modelName"].values.tolist() == ["DT5730"]
    with pytest.raises(FileError), fileio.open(path, compass_config_file=tmp_path / "none.xml"):
        pass


@pytest.mark.parametrize("ending", ["parquet", "npz", "h5", "csv", "arrow"])
def test_other_formats(small: Path, ending: str) -> None:
    out = small.with_name(f"out.{ending}")
    tables = ["FCEvent"] if ending in ("parquet", "csv", "arrow") else None
    assert fileio.convert(small, out, tables=tables) == 120 + (tables is None)
    if ending == "parquet":
        import pyarrow.parquet

        assert pyarrow.parquet.read_table(out).column("channel").to_pylist() == [0, 1, 2] * 40
    if ending == "h5":
        with fileio.open(out) as reader:
            (table,) = reader.chunks("FCEvent")
            assert (table["waveform/values"].values[:3] == fcio.waves(3, 4, 0)[:, 2:]).all()


def test_the_log_is_told_once(golden_daq: Path, caplog: pytest.LogCaptureFixture) -> None:
    with fileio.open(golden_daq / STREAMS[0]) as reader:
        for table in reader.tables():
            list(reader.chunks(table.name))
    assert len(caplog.records) == 1


# Damage


def test_a_cut_stream(small: Path) -> None:
    whole = small.read_bytes()
    small.write_bytes(whole[:-10])
    report = fileio.find("fcio").verify(small)
    size = len(fcio_events(1)[0])
    assert (report.status, report.good, report.lost, report.torn_bytes) == ("loss", 40, 1, size - 10)
    assert any(f"offset {len(whole) - size}" in text for text in report.problems)
    out = small.with_name("out.fcio")
    assert fileio.find("fcio").recover(small, out) == report
    assert out.read_bytes() == whole[:-size]
    assert fileio.find("fcio").verify(out).status == "clean"
    with pytest.raises(RecordingExists):
        fileio.find("fcio").recover(small, out)


def test_damage_within_an_orca_stream(tmp_path: Path) -> None:
    records = [orca.run_record(number) for number in range(20)]
    head = orca.header(orca.tree([orca.RUN]))
    path, out = tmp_path / "run.orca", tmp_path / "out.orca"
    path.write_bytes(head + b"".join(records[:10]) + b"\xff" * 40 + b"".join(records[10:]))
    report = fileio.find("orca").verify(path)
    assert (report.status, report.torn_bytes) == ("loss", 40)
    assert str(len(head) + 10 * len(records[0])) in " ".join(report.problems)
    fileio.find("orca").recover(path, out)
    assert out.read_bytes() == head + b"".join(records)


@pytest.mark.parametrize("name", ["fcio", "orca", "llama"])
def test_a_damaged_beginning(tmp_path: Path, name: str) -> None:
    begin = {"fcio": fcio.PREAMBLE, "orca": orca.header({})[:40], "llama": b"LArI" + bytes(20)}[name]
    path = tmp_path / "run"
    path.write_bytes(begin)
    assert fileio.detect(path).name == name
    with pytest.raises(FormatError):
        fileio.open(path)
    report = fileio.find(name).verify(path)
    assert (report.status, len(report.problems)) == ("unreadable", 1)
    assert fileio.find(name).recover(path, tmp_path / "out").status == "unreadable"
    assert not (tmp_path / "out").exists()


def test_a_missing_file_and_a_missing_table(small: Path) -> None:
    with pytest.raises(FileError):
        fileio.find("fcio").open(small.with_name("none"))
    with fileio.open(small) as reader, pytest.raises(FormatError, match="FCEvent"):
        list(reader.chunks("FCStatus"))  # it has no rows


@pytest.mark.parametrize("name", STREAMS)
def test_whole_golden_files_are_copied_whole(golden_daq: Path, tmp_path: Path, name: str) -> None:
    format = fileio.find(FORMAT_OF[Path(name).suffix])
    report = format.recover(golden_daq / name, tmp_path / name)
    same = (tmp_path / name).read_bytes() == (golden_daq / name).read_bytes()
    assert same == (report.status == "clean")
