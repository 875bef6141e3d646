"""Open recordings: counts, configuration, chains and reports, against the peer's own files."""

from __future__ import annotations

import hashlib
import json
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sapwood.fileio as fileio
from sapwood.errors import FileError, FormatError
from sapwood.fileio.registry import find
from sapwood.fileio.rogue.config import Configuration, parse_record
from sapwood.streams import FrameBatch


def record(channel: int, payload: bytes, flags: int = 0, error: int = 0) -> bytes:
    return struct.pack("<IHBB", len(payload) + 4, flags, error, channel) + payload


def listed(batch: FrameBatch) -> list[list[Any]]:
    return [
        [frame.channel, frame.error, frame.flags, frame.size, hashlib.sha256(frame.buffer).hexdigest()]
        for frame in batch.frames()
    ]


def is_raw(entry: dict[str, Any]) -> bool:
    return entry["kind"] == "raw mode" or bool(entry["expect"].get("raw"))


def data_files(manifest: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(name, entry) for name, entry in manifest.items() if not name.endswith(".json")]


def test_info_of_every_golden_file(golden_rogue: Path, rogue_manifest: dict[str, Any]) -> None:
    for name, entry in data_files(rogue_manifest):
        expect = entry["expect"]
        with fileio.open(golden_rogue / name, "raw" if is_raw(entry) else None, single=True) as reader:
            info = reader.info()
        assert info["format"] == ("rogue-raw" if is_raw(entry) else "rogue"), name
        assert len(info["parts"]) == 1, name
        assert info["parts"][0]["file"] == str(golden_rogue / name), name
        intact = expect.get("intact_records")
        frames = 1 if is_raw(entry) else expect.get("records", len(intact) if intact else info["frames"])
        assert info["frames"] == frames, name
        assert info["torn_bytes"] == expect.get("trailing_bytes", 0), name
        size = entry["size"] - info["torn_bytes"] - (0 if is_raw(entry) else 8 * frames)
        assert info["payload_bytes"] == expect.get("payload_bytes", size) == size, name
        if "per_channel" in expect:
            channels = {
                n: {"records": c["frames"], "bytes": c["payload_bytes"]} for n, c in info["channels"].items()
            }
            assert channels == expect["per_channel"], name
        if "record_list" in expect:
            assert info["error_frames"] == sum(item[1] != 0 for item in expect["record_list"]), name
        assert (info["config"] is not None) == (name == "config_ch255.dat"), name
        json.dumps(info)


def test_records_of_every_golden_file(golden_rogue: Path, rogue_manifest: dict[str, Any]) -> None:
    compared = 0
    for name, entry in data_files(rogue_manifest):
        expect = entry["expect"]
        wanted = expect.get("record_list", expect.get("intact_records"))
        if wanted is not None:
            reader = fileio.open(golden_rogue / name, single=True)
            assert listed(reader.read()) == wanted, name
            assert [item for batch in reader.batches(nbytes=100) for item in listed(batch)] == wanted, name
            compared += 1
    assert compared > 25


@pytest.mark.parametrize("stem", ["split_buf.dat", "split_unbuf.dat"])
def test_a_chain_by_its_first_part_or_its_bare_name(
    golden_rogue: Path, rogue_manifest: dict[str, Any], stem: str
) -> None:
    wanted = [
        item for part in range(1, 6) for item in rogue_manifest[f"{stem}.{part}"]["expect"]["record_list"]
    ]
    for name in (f"{stem}.1", stem):
        reader = fileio.open(golden_rogue / name)
        assert listed(reader.read()) == wanted
        assert [part["frames"] for part in reader.info()["parts"]] == [4, 1, 1, 1, 3]
    assert listed(fileio.open(golden_rogue / f"{stem}.2").read()) == wanted[4:5]


def test_a_raw_chain_is_one_frame_a_part(golden_rogue: Path, rogue_manifest: dict[str, Any]) -> None:
    batch = fileio.open(golden_rogue / "split_raw.dat", "rogue-raw").read()
    sums = [rogue_manifest[f"split_raw.dat.{part}"]["expect"]["sha256_all"] for part in (1, 2, 3)]
    assert [item[4] for item in listed(batch)] == sums


def test_a_folder_that_holds_one_chain(tmp_path: Path) -> None:
    for part in (1, 2, 10):
        (tmp_path / f"run.dat.{part}").write_bytes(record(part, b"xyz") * 3)
    (tmp_path / "run.dat.1.idx").write_bytes(b"side-car")
    (tmp_path / ".hidden").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("the beam was off")
    info = fileio.open(tmp_path).info()
    assert list(info["channels"]) == ["1", "2"]
    report = find("rogue").verify(tmp_path / "run.dat")
    assert report.status == "loss"
    assert any("run.dat.3: this part is missing" in problem for problem in report.problems)


def test_a_file_that_was_split_after_it_was_opened(tmp_path: Path) -> None:
    for name, channel in (("f.dat", 1), ("f.dat.2", 2), ("f.dat.3", 3)):
        (tmp_path / name).write_bytes(record(channel, b"xyz"))
    assert fileio.open(tmp_path / "f.dat").read().channel.tolist() == [1, 2, 3]
    assert fileio.open(tmp_path / "f.dat", single=True).read().channel.tolist() == [1]
    (tmp_path / "f.dat.1").write_bytes(record(9, b"another run"))
    assert fileio.open(tmp_path / "f.dat").read().channel.tolist() == [1]
    assert fileio.open(tmp_path / "f.dat.1").read().channel.tolist() == [9, 2, 3]


def test_chunks_are_rows_of_the_table_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(b"".join(record(n % 256, bytes([n % 256]) * (n % 50)) for n in range(1000)))
    with fileio.open(path) as reader:
        (table,) = reader.tables()
        assert (table.name, table.rows, table.columns["payload"].values) == ("frames", 1000, 24500)
        parts = list(reader.chunks("frames", 100, 900, nbytes=1000))
        assert len(parts) > 10
        assert np.concatenate([part["channel"].values for part in parts]).tolist() == [
            n % 256 for n in range(100, 900)
        ]
        last = parts[-1]["payload"]
        place = int(last.start[-1]) + parts[-1].attributes["base"]
        assert bytes(last[-1]) == path.read_bytes()[place : place + 49] == bytes([899 % 256]) * 49
        assert len(list(reader.chunks("frames", 5, 5))) == 0
        with pytest.raises(FileError, match="There is no table 'hits'"):
            next(reader.chunks("hits"))
    with pytest.raises(FileError, match="The reader is closed"):
        next(reader.batches())


def test_read_of_one_file_copies_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(record(1, bytes(1 << 20)) * 32)
    tracemalloc.start()
    batch = fileio.open(path).read()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert batch.nbytes == 32 << 20
    assert peak < 2 << 20


def test_memory_of_batches_is_that_of_a_chunk(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(record(1, bytes(92)) * 500_000)  # 50 MB
    tracemalloc.start()
    count = sum(len(batch) for batch in fileio.open(path).batches(nbytes=1 << 20))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 500_000
    assert peak < 4 << 20


def test_records_of_the_largest_size(tmp_path: Path) -> None:
    path = tmp_path / "sparse.dat"
    with path.open("wb") as file:
        for _ in range(3):
            file.write(b"\xff\xff\xff\xff" + b"\0\0\0\5")
            file.seek((1 << 32) - 5, 1)
        file.truncate()
        file.write(record(6, b"end"))
    info = fileio.open(path).info()
    assert info["channels"] == {
        "5": {"frames": 3, "payload_bytes": 3 * ((1 << 32) - 5)},
        "6": {"frames": 1, "payload_bytes": 3},
    }
    assert info["torn_bytes"] == 0


def test_the_file_may_grow_behind_an_open_reader(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(record(1, b"abc") * 3)
    reader = fileio.open(path)
    with path.open("ab") as file:
        file.write(record(2, b"later"))
    assert len(reader.read()) == 3
    assert reader.info()["frames"] == 3
    assert len(fileio.open(path).read()) == 4


# Configuration


def test_configuration_of_the_golden_file(golden_rogue: Path, rogue_manifest: dict[str, Any]) -> None:
    config = fileio.open(golden_rogue / "config_ch255.dat").info()["config"]
    for path, value in rogue_manifest["config_ch255.dat"]["expect"]["config_values"].items():
        here: Any = config
        for name in path.split("."):
            here = here.get(name, "MISSING") if isinstance(here, dict) else "MISSING"
        assert here == value, path
    reader = fileio.open(golden_rogue / "config_ch255.dat", config_channel=None)
    assert reader.info()["config"] is None


def test_channel_255_is_configuration_only_when_it_begins_as_such(tmp_path: Path) -> None:
    data, config = record(255, b"\x00\xff data"), record(255, b"A: 1\n")
    for name, content, expected in (
        ("data", data + config, None),
        ("config", config + data + record(255, b"B: 2"), {"A": 1, "B": 2}),
        ("other", record(7, b"A: 1"), None),
    ):
        path = tmp_path / f"{name}.dat"
        path.write_bytes(content)
        assert fileio.open(path).info()["config"] == expected, name
    assert fileio.open(tmp_path / "other.dat", config_channel=7).info()["config"] == {"A": 1}
    reader = fileio.open(tmp_path / "config.dat")
    assert reader.info()["torn_bytes"] == 0
    assert reader.summary().bad_config == 1  # told, but no damage
    assert reader.problems() == []
    with pytest.raises(FormatError, match="No such configuration channel"):
        fileio.open(tmp_path / "other.dat", "rogue", config_channel=256)


def test_merging_configuration() -> None:
    config = Configuration()
    for text in (
        "Top: {A: 1, D: {x: 1, y: 2}}",
        "Top.D.x: 5\nTop.New.Deep: 7",
        "Top: {D: {x: 9}}",  # a second dump replaces whole devices
        "Scalar: 1",
        "Scalar: 2",  # the peer fails here
        "Scalar.below: 3",
    ):
        config.merge(parse_record(text.encode()))
    assert config.values == {
        "Top": {"A": 1, "D": {"x": 9}, "New": {"Deep": 7}},
        "Scalar": {"below": 3},
    }


def test_values_that_yaml_cannot_read_as_their_tag_says() -> None:
    text = b"a: !!float '429,984.655'\nb: !!float 'nonsense'\nc: 0xdead\nd: 2026-01-02\n'On': true\n1: 2\n"
    assert parse_record(text) == {
        "a": 429984.655, "b": "nonsense", "c": 0xDEAD, "d": "2026-01-02", "On": True, "1": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        b"a: !!python/object/apply:os.system ['touch owned']",
        b"a: !!python/name:os.system ''",
        b"a: !include /etc/passwd",
    ],
)
def test_tags_are_never_acted_upon(text: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (value,) = parse_record(text).values()
    assert isinstance(value, (str, list))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\xff\xfe", "not YAML"),
        (b"a: [", "not YAML"),
        (b"- 1", "not a mapping"),
        (b"", "not a mapping"),
        (b"[" * 100_000, "nests too deep"),
        (b"- " * 100_000, "nests too deep"),
        (b"a." * 100_000 + b": 1", "not YAML"),
        (b"a." * 100 + b"b: 1", "nests too deep"),
        (b"a: &x [*x]", "refers to itself"),
        (b"? [a]\n: 1", "collection as key"),
        (b"#" * ((16 << 20) + 1), "too large"),
    ],
)
def test_hostile_configuration_is_refused(payload: bytes, reason: str) -> None:
    with pytest.raises(FormatError, match=reason):
        parse_record(payload)


@given(st.one_of(st.binary(max_size=200), st.text(alphabet="ab:-[]{}&*!?#'\" \n.,0x", max_size=200)))
@settings(deadline=None)
def test_any_bytes_are_configuration_or_refused(payload: bytes | str) -> None:
    raw = payload.encode() if isinstance(payload, str) else payload
    try:
        value = parse_record(raw)
    except FormatError:
        return
    json.dumps(value)
    Configuration().merge(value)


# Damage


def test_verify_and_recover_every_cut(tmp_path: Path) -> None:
    parts = [record(1, bytes([n]) * (10 + n)) for n in range(4)]
    whole = b"".join(parts)
    ends = [sum(map(len, parts[:n])) for n in range(5)]
    rogue = find("rogue")
    for cut in range(len(whole) + 1):
        path, out = tmp_path / f"{cut}.dat", tmp_path / f"{cut}.out"
        path.write_bytes(whole[:cut])
        good = sum(end <= cut for end in ends[1:])
        report = rogue.recover(path, out)
        assert (report.good, report.torn_bytes) == (good, cut - ends[good])
        assert report == rogue.verify(path)
        status = "clean" if cut in ends else "loss" if good else "unreadable"
        assert report.status == status
        assert report.lost == (status != "clean")
        assert out.exists() == (status != "unreadable")
        if out.exists():
            assert out.read_bytes() == whole[: ends[good]]
            assert rogue.verify(out).status == "clean"
    assert not list(tmp_path.glob("*.part"))


def test_recover_joins_the_parts_and_keeps_what_exists(tmp_path: Path) -> None:
    (tmp_path / "r.dat.1").write_bytes(record(1, b"one") + record(1, b"torn")[:-1])
    (tmp_path / "r.dat.2").write_bytes(record(2, b"two"))
    report = find("rogue").recover(tmp_path / "r.dat", tmp_path / "out.dat")
    assert (report.status, report.good, report.lost, report.torn_bytes) == ("loss", 2, 1, 11)
    assert "r.dat.1, offset 11: the record needs 12 bytes" in report.problems[0]
    assert (tmp_path / "out.dat").read_bytes() == record(1, b"one") + record(2, b"two")
    with pytest.raises(FileExistsError, match="exists already"):
        find("rogue").recover(tmp_path / "r.dat", tmp_path / "out.dat")
    raw = find("raw").recover(tmp_path / "r.dat", tmp_path / "out.raw")
    assert raw.status == "clean"
    assert (tmp_path / "out.raw").read_bytes() == b"".join(
        (tmp_path / f"r.dat.{part}").read_bytes() for part in (1, 2)
    )


@given(st.binary(max_size=300))
@settings(deadline=None, max_examples=200)
def test_any_bytes_open_or_are_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.dat"
    path.write_bytes(content)
    for format in (None, "rogue", "raw"):
        try:
            reader = fileio.open(path, format)
        except FormatError:  # the only error, and only when the format is to be found
            if format is None:
                continue
            raise
        info = reader.info()
        if info["format"] == "rogue":
            assert info["frames"] * 8 + info["payload_bytes"] + info["torn_bytes"] == len(content)
        else:
            assert info["payload_bytes"] == len(content)
        assert len(reader.read()) == info["frames"]
