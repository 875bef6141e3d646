"""Tables of hits: the peer's files byte for byte, and read back with their headers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from sapwood import fileio
from sapwood.errors import FormatError, MissingExtra
from sapwood.fileio import apx_load, apx_open, apx_process
from sapwood.fileio.apx import ApxReader, AstroPix4Readout, FileHeader, process

TABLES = ("v4_basic", "v4_empty", "v4_edges", "v4_idle_padding", "v4_nested_metadata", "v4_split_hit",
          "peer_v4_20250723_092534_data")  # fmt: skip


def converted(golden: Path, name: str, format_: str, folder: Path, **options) -> Path:
    out = apx_process(golden / f"{name}.apx", format_, None, folder / f"{name}.{format_}", **options)
    assert isinstance(out, Path)
    return out


@pytest.mark.parametrize("name", TABLES)
def test_text_is_the_peers(golden_apx, tmp_path, name) -> None:
    for format_ in ("csv", "ecsv"):
        ours = converted(golden_apx, name, format_, tmp_path, chain=False)
        assert ours.read_bytes() == (golden_apx / f"{name}.{format_}").read_bytes()


@pytest.mark.parametrize("name", TABLES)
def test_binary_is_the_peers(golden_apx, tmp_path, name) -> None:
    from astropy.table import Table

    for format_ in ("fits", "hdf5"):
        ours = converted(golden_apx, name, format_, tmp_path, chain=False)
        theirs = golden_apx / f"{name}.{format_}"
        if format_ == "fits":  # and behind it the header, whole
            assert ours.read_bytes().startswith(theirs.read_bytes())
        a, b = Table.read(ours), Table.read(theirs)
        assert a.dtype == b.dtype
        assert (a.as_array() == b.as_array()).all()
        assert a.meta == b.meta


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("format_", process.FORMATS)
def test_round_trips(golden_apx, tmp_path, name, format_) -> None:
    with apx_open(golden_apx / f"{name}.apx") as file:
        header, table = file.header, file.to_table()
    again, loaded = apx_load(converted(golden_apx, name, format_, tmp_path))
    assert again == header
    assert loaded.colnames == table.colnames
    for column in table.colnames:
        assert loaded[column].tolist() == table[column].tolist(), column
    if format_ not in ("csv", "fits"):
        assert loaded.dtype == table.dtype


def test_the_peers_files_are_loaded(golden_apx) -> None:
    for format_ in ("csv", "ecsv", "fits", "hdf5"):
        header, table = apx_load(str(golden_apx / f"v4_basic.{format_}"))
        assert header["creator"] == "golden"
        assert table["tot_us"][0] == 31.05
    assert apx_load(golden_apx / "v4_basic.csv")[1]["row"].dtype == np.int64


def test_strict_is_the_peer(golden_apx, tmp_path) -> None:
    ours = converted(golden_apx, "v4_split_hit", "csv", tmp_path, strict=True)
    assert ours.read_bytes() == (golden_apx / "v4_split_hit.csv").read_bytes()
    with pytest.raises(TypeError, match="No hit begins"):
        converted(golden_apx, "v4_no_hits", "csv", tmp_path, strict=True)
    assert list(tmp_path.iterdir()) == [ours]
    assert len(apx_load(converted(golden_apx, "v4_no_hits", "csv", tmp_path))[1]) == 1


def test_many_hits_in_a_readout(golden_apx, tmp_path) -> None:
    for name, dtype in (("v4_256_hits", np.uint8), ("v4_300_hits", np.uint16)):
        _, table = apx_load(converted(golden_apx, name, "hdf5", tmp_path))
        assert table["decoding_order"].dtype == dtype
        assert table["decoding_order"].tolist() == list(range(len(table)))


def test_one_type_in_all_chunks(golden_apx, made) -> None:
    hit = bytes.fromhex("e05042030620d701")
    path = made([hit + b"\xbc", hit * 300 + b"\xbc", hit + b"\xbc"])
    with ApxReader(path) as reader:
        types = [one["decoding_order"].dtype for one in reader.hit_arrays(nbytes=20)]
    assert types == [np.uint16] * 3


@pytest.mark.parametrize("format_", process.FORMATS)
def test_files_of_many_chunks(golden_apx, tmp_path, monkeypatch, format_) -> None:
    name = "peer_v3_vinj0_th1030"
    once = converted(golden_apx, name, format_, tmp_path).read_bytes()
    monkeypatch.setattr(process, "_PART", 5000)
    again = converted(golden_apx, name, format_, tmp_path)
    if format_ != "parquet":  # it has a group of rows for each chunk
        assert again.read_bytes() == once
    header, table = apx_load(again)
    assert (header.readout_uid(), len(table)) == (3000, 11501)


def test_text_of_half_hits_is_what_astropy_writes(golden_apx, tmp_path) -> None:
    with apx_open(golden_apx / "v3_fuzz.apx") as file:
        file.to_table().write(tmp_path / "theirs.csv", format="ascii.csv", comment="#")
        lines = (tmp_path / "theirs.csv").read_text().splitlines()
    ours = converted(golden_apx, "v3_fuzz", "csv", tmp_path).read_text().splitlines()
    assert ours[-116:] == lines[-116:]


def test_names_and_columns(golden_apx, tmp_path) -> None:
    source = tmp_path / "run.apx.d" / "x.apx"
    source.parent.mkdir()
    source.write_bytes((golden_apx / "v4_basic.apx").read_bytes())
    assert apx_process(str(source), "csv", ["tot_us", "row"]) == str(source.with_suffix(".csv"))
    assert source.with_suffix(".csv").read_text().splitlines()[1:3] == ["tot_us,row", "31.05,1"]
    apx_process(source, "csv", extra=1)
    with pytest.raises(OSError, match="exists already"):
        apx_process(source, "csv", overwrite=False)
    txt = apx_process(source, "hdf5", output_file_path=str(tmp_path / "x.txt"))
    assert Path(txt).read_bytes()[:4] == b"\x89HDF"
    for call, kind in (
        (lambda: apx_process(tmp_path / "x.dat", "csv"), RuntimeError),
        (lambda: apx_process(source, "xml"), RuntimeError),
        (lambda: apx_process(source, "csv", ["nonsense"]), RuntimeError),
        (lambda: apx_process(source, "csv", ["row", "row"]), ValueError),
        (lambda: apx_process(source, "csv", "row"), RuntimeError),
        (lambda: apx_process(tmp_path / "missing.apx", "csv"), OSError),
        (lambda: apx_load(tmp_path / "missing.csv"), FileNotFoundError),
        (lambda: apx_load(txt), RuntimeError),
    ):
        with pytest.raises(kind):
            call()


def test_tables_of_others_have_no_header(tmp_path) -> None:
    from astropy.table import Table

    for format_ in ("csv", "ecsv", "fits", "hdf5"):
        path = tmp_path / f"x.{format_}"
        if format_ == "hdf5":
            Table({"a": [1]}).write(path, path="HITS", format="hdf5")
        else:
            Table({"a": [1]}).write(path)
        with pytest.raises(KeyError):
            apx_load(path)
    Table({"a": [1]}).write(tmp_path / "y.hdf5", path="other", format="hdf5")
    with pytest.raises(KeyError):
        apx_load(tmp_path / "y.hdf5")


def test_large_headers_and_blanks(made, tmp_path) -> None:
    path = made([bytes.fromhex("e05042030620d701bc")], text=" two  blanks  " * 6000)
    for format_ in process.FORMATS:
        header, table = apx_load(apx_process(path, format_))
        assert header["text"] == " two  blanks  " * 6000
        assert len(table) == 1


def test_astropy_is_asked_for_only_where_it_is_needed(made, monkeypatch) -> None:
    path = made([bytes.fromhex("e05042030620d701bc")])
    for module in ("sapwood.fileio.sinks.ecsv", "sapwood.fileio.sinks.fits"):
        monkeypatch.setattr(f"{module}.need", refuse)
    for format_ in ("csv", "hdf5", "parquet"):
        apx_process(path, format_)
    for format_ in ("ecsv", "fits"):
        with pytest.raises(MissingExtra):
            apx_process(path, format_)
        assert not path.with_suffix(f".{format_}").exists()


def refuse(module: str, *, extra: str):
    raise MissingExtra(f"The package {module!r} is not installed")


def test_conversion_through_the_registry(golden_apx, tmp_path) -> None:
    source = golden_apx / "peer_v4_20250723_092534_data.apx"
    for ending, rows in (
        ("csv", 776),
        ("npz", 776),
        ("fits", 776),
        ("ecsv", 776),
        ("dat", 775),
        ("apx", 775),
    ):
        assert fileio.convert(source, tmp_path / f"x.{ending}") == rows
    assert (tmp_path / "x.apx").read_bytes() == source.read_bytes()
    assert fileio.convert(source, tmp_path / "y.apx", tables=["readouts"]) == 775
    assert (tmp_path / "y.apx").read_bytes() == source.read_bytes()
    with pytest.raises(FormatError):
        fileio.convert(source, tmp_path / "z.apx", tables=["nonsense"])
    with pytest.raises(OSError, match="holds readouts"):
        fileio.convert(source, tmp_path / "z.apx", tables=["hits"])
    assert fileio.open(tmp_path / "x.dat").info()["frames"] == 775
    assert fileio.convert(tmp_path / "x.dat", tmp_path / "z.apx") == 775
    with apx_open(tmp_path / "z.apx") as file:
        assert [one.readout_id for one in file] == list(range(775))
    assert fileio.convert(source, tmp_path / "w.fits", tables=["hits", "readouts", "frames"]) == 776 + 2 * 775


def test_what_a_reader_tells(golden_apx) -> None:
    with fileio.open(golden_apx / "v4_fuzz.apx") as reader_:
        info = json.loads(json.dumps(reader_.info()))
        assert info["format"] == "apx"
        assert info["file"] == "v4_fuzz.apx"
        assert info["tables"] == {"hits": 297, "readouts": 120, "frames": 120}
        assert info["readout_class"] == "AstroPix4Readout"
        assert info["joined_hits"] == 15
        rows = {table.name: table.rows for table in reader_.tables()}
        for name, count in rows.items():
            for nbytes in (100, 1 << 20):
                whole = list(reader_.chunks(name, nbytes=nbytes))
                assert sum(map(len, whole)) == count
            part = list(reader_.chunks(name, 7, 20, nbytes=300))
            assert sum(map(len, part)) == 13
            first = next(reader_.chunks(name))
            column = next(iter(first))
            cut = np.concatenate([one[column].values for one in part])
            assert cut.tolist() == first[column].values[7:20].tolist()
        readouts = next(reader_.chunks("readouts"))
        assert readouts["hits"].values.sum() == 297
        assert readouts["timestamp"].unit == "ns"
        batch = reader_.read()
        assert len(batch) == 120
        assert batch.time[0] == 1700000000000000000
        assert batch.frame_bytes(6).tobytes() == bytes.fromhex("07bcbc")
    with pytest.raises(OSError, match="closed"):
        next(reader_.batches())


def test_a_part_of_a_recording(golden_apx, tmp_path) -> None:
    part = tmp_path / "run.apx.2"
    shutil.copyfile(golden_apx / "v4_basic.apx", part)
    assert str(apx_process(part, "csv")) == str(tmp_path / "run.2.csv")
    assert (tmp_path / "run.2.csv").read_bytes() == (golden_apx / "v4_basic.csv").read_bytes()
    with apx_open(part) as file:
        assert len(list(file)) > 0
    for name, mode in (("run.apx.2", "wb"), ("run.apx.2", "ab"), ("run.apx.02", "rb"), ("run.2", "rb")):
        with pytest.raises(RuntimeError, match="does not end with"):
            apx_open(tmp_path / name, mode, FileHeader(AstroPix4Readout))
