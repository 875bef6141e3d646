"""``sapwood file`` on the files of the peer."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sapwood.fileio as fileio
from sapwood.fileio import registry
from sapwood.fileio.sinks.npz import NpzSink
from sapwood.streams import FrameBatch

KEYS = [
    "format", "file", "tables", "parts", "frames", "payload_bytes", "channels", "error_frames", "config",
    "torn_bytes",
]  # fmt: skip
SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "golden" / "rogue"


def _recordings() -> list[str]:
    if not SHARED.is_dir():
        return []
    files = json.loads((SHARED / "MANIFEST.json").read_text())["files"]
    return [name for name in files if ".dat" in name or name == "raw.bin"]


def _is_raw(name: str) -> bool:
    return name == "raw.bin" or name.startswith("split_raw")


def _reading(name: str) -> list[str]:
    return [*(["--single"] if ".dat." in name else []), *(["--format", "raw"] if _is_raw(name) else [])]


def _intact(entry: dict[str, Any]) -> list[list[Any]] | None:
    """The records that the manifest says are whole: [channel, error, flags, size, digest]."""
    expect = entry["expect"]
    return expect.get("record_list") or expect.get("intact_records")


@pytest.mark.parametrize("name", _recordings())
def test_info_agrees_with_the_manifest(
    sapwood: Callable[..., Any], golden_rogue: Path, rogue_manifest: dict[str, Any], name: str
) -> None:
    expect = rogue_manifest[name]["expect"]
    ran = sapwood("file", "info", golden_rogue / name, "--json", *_reading(name))
    found = ran.json
    assert list(found) == KEYS
    assert len(found["parts"]) == 1
    assert found["torn_bytes"] == expect.get("trailing_bytes", 0)
    assert ran.code == (3 if found["torn_bytes"] else 0)
    if "payload_bytes" in expect:
        assert found["payload_bytes"] == expect["payload_bytes"]
    if "records" in expect:
        assert found["frames"] == expect["records"]
    if "per_channel" in expect:
        channels = {
            n: {"records": c["frames"], "bytes": c["payload_bytes"]} for n, c in found["channels"].items()
        }
        assert channels == expect["per_channel"]
    records = _intact(rogue_manifest[name])
    if records:
        assert found["frames"] == len(records)
        assert found["error_frames"] == sum(record[1] != 0 for record in records)


@pytest.mark.parametrize("name", _recordings())
def test_npz_agrees_with_the_manifest(
    sapwood: Callable[..., Any],
    golden_rogue: Path,
    rogue_manifest: dict[str, Any],
    tmp_path: Path,
    name: str,
) -> None:
    entry = rogue_manifest[name]
    target = tmp_path / "out.npz"
    ran = sapwood("file", "convert", golden_rogue / name, target, *_reading(name))
    assert ran.code == (3 if entry["expect"].get("trailing_bytes") else 0)
    with np.load(target) as arrays:
        assert set(arrays) == {"channel", "flags", "error", "time", "offset", "payload"}
        channel, error, flags = (arrays[key].tolist() for key in ("channel", "error", "flags"))
        offset, payload = arrays["offset"], arrays["payload"]
    assert offset[0] == 0
    assert offset[-1] == len(payload)
    records = _intact(entry)
    if records:
        found = [
            [c, e, f, int(b - a), hashlib.sha256(payload[a:b].tobytes()).hexdigest()]
            for c, e, f, a, b in zip(channel, error, flags, offset[:-1], offset[1:], strict=True)
        ]
        assert found == [record[:5] for record in records]
    if "sha256_all" in entry["expect"]:
        assert hashlib.sha256(payload.tobytes()).hexdigest() == entry["expect"]["sha256_all"]


def test_the_first_part_opens_the_chain(sapwood: Callable[..., Any], golden_rogue: Path) -> None:
    found = sapwood("file", "info", golden_rogue / "split_buf.dat.1", "--json").json
    assert [Path(part["file"]).name for part in found["parts"]] == [f"split_buf.dat.{n}" for n in range(1, 6)]
    assert found["frames"] == 10


def test_configuration_is_merged(
    sapwood: Callable[..., Any], golden_rogue: Path, rogue_manifest: dict[str, Any]
) -> None:
    path = golden_rogue / "config_ch255.dat"
    config = sapwood("file", "info", path, "--json").json["config"]
    wanted = rogue_manifest["config_ch255.dat"]["expect"]["config_values"]
    assert wanted
    for dotted, value in wanted.items():
        node: Any = config
        for name in dotted.split("."):
            node = node.get(name, "MISSING")
        assert node == value, dotted
    assert sapwood("file", "info", path, "--json", "--config-channel", "none").json["config"] is None


def test_data_on_channel_255_is_no_configuration(sapwood: Callable[..., Any], golden_rogue: Path) -> None:
    assert sapwood("file", "info", golden_rogue / "prbs_w256_ch255.dat", "--json").json["config"] is None


def test_info_for_people(sapwood: Callable[..., Any], golden_rogue: Path) -> None:
    text = sapwood("file", "info", golden_rogue / "split_buf.dat").out
    assert "rogue, 5 parts" in text
    assert "3.59 kB" in text
    assert "split_buf.dat.5" in text


def test_a_cut_file_is_told_with_its_offset(sapwood: Callable[..., Any], golden_rogue: Path) -> None:
    ran = sapwood("file", "info", golden_rogue / "cut_payload.dat")
    assert ran.code == 3
    assert "Torn bytes" in ran.out
    assert "cut_payload.dat, offset 300" in ran.error


@pytest.mark.parametrize("command", [["info"], ["dump"], ["convert"]])
def test_unreadable_is_4(sapwood: Callable[..., Any], tmp_path: Path, command: list[str]) -> None:
    noise = tmp_path / "noise.bin"
    noise.write_bytes(bytes(range(1, 200)))
    target = [tmp_path / "out.npz"] if command == ["convert"] else []
    for path, said in ((noise, "format of"), (tmp_path / "absent.dat", "absent.dat")):
        ran = sapwood("file", *command, path, *target)
        assert ran.code == 4
        assert said in ran.error
    assert [path.name for path in tmp_path.iterdir()] == ["noise.bin"]


def test_dump_shows_headers_text_and_hex(sapwood: Callable[..., Any], golden_rogue: Path) -> None:
    text = sapwood("file", "dump", golden_rogue / "config_ch255.dat").out
    assert "#3  channel 1  flags 0x0001  16 bytes\n    first data frame\n" in text
    assert "Top.Writer.IsOpen: True" in text
    text = sapwood("file", "dump", golden_rogue / "meta_ch0_passthrough.dat", "--channel", "2").out
    assert text == f"#2  channel 2  flags 0x0202  error 0x57  3 bytes\n    000000  {'95 6a 26':<48} .j&\n"


def test_dump_limits(sapwood: Callable[..., Any], golden_rogue: Path) -> None:
    path = golden_rogue / "prbs_w32_unbuffered.dat"
    text = sapwood("file", "dump", path, "--limit", "3", "--bytes", "16").out
    assert text.count("#") == 3
    assert text.count("... 1984 more bytes") == 3
    whole = sapwood("file", "dump", path, "--limit", "1", "--bytes", "0").out
    assert len(whole.splitlines()) == 1 + 125
    assert sapwood("file", "dump", path, "--limit", "0").out == ""


def test_dump_as_json_holds_the_payload(
    sapwood: Callable[..., Any], golden_rogue: Path, rogue_manifest: dict[str, Any]
) -> None:
    name = "meta_ch0_passthrough.dat"
    rows = [
        json.loads(line) for line in sapwood("file", "dump", golden_rogue / name, "--json").out.splitlines()
    ]
    found = [
        [
            r["channel"],
            r["error"],
            r["flags"],
            r["size"],
            hashlib.sha256(bytes.fromhex(r["payload"])).hexdigest(),
        ]
        for r in rows
    ]
    assert found == rogue_manifest[name]["expect"]["record_list"]
    assert [r["index"] for r in rows] == list(range(len(rows)))


def test_csv_of_headers(
    sapwood: Callable[..., Any], golden_rogue: Path, rogue_manifest: dict[str, Any], tmp_path: Path
) -> None:
    target = tmp_path / "out.csv"
    assert sapwood("file", "convert", golden_rogue / "prbs_w32_err.dat", target).code == 0
    with target.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    records = rogue_manifest["prbs_w32_err.dat"]["expect"]["record_list"]
    assert [[int(r["channel"]), int(r["error"]), int(r["flags"])] for r in rows] == [
        one[:3] for one in records
    ]


def test_convert_keeps_what_is_there(sapwood: Callable[..., Any], golden_rogue: Path, tmp_path: Path) -> None:
    source, target = golden_rogue / "srpv3.dat", tmp_path / "out.npz"
    target.write_text("mine")
    ran = sapwood("file", "convert", source, target)
    assert ran.code == 1
    assert "exists" in ran.error
    assert target.read_text() == "mine"
    done = sapwood("file", "convert", source, target, "--overwrite", "--json")
    assert done.code == 0
    assert done.json["rows"] == 13
    assert done.json["bytes"] == target.stat().st_size


def test_convert_into_a_folder_that_is_not_there_fails(
    sapwood: Callable[..., Any], golden_rogue: Path, tmp_path: Path
) -> None:
    ran = sapwood("file", "convert", golden_rogue / "srpv3.dat", tmp_path / "no" / "out.npz")
    assert ran.code == 1
    assert "out.npz" in ran.error


def test_an_ending_nobody_knows_is_wrong_usage(
    sapwood: Callable[..., Any], golden_rogue: Path, tmp_path: Path
) -> None:
    ran = sapwood("file", "convert", golden_rogue / "srpv3.dat", tmp_path / "out.xyz")
    assert ran.code == 2
    assert ".npz" in ran.err


def test_options_that_do_not_fit_are_wrong_usage(sapwood: Callable[..., Any], golden_rogue: Path) -> None:
    ran = sapwood("file", "info", golden_rogue / "raw.bin", "--format", "raw", "--config-channel", "3")
    assert ran.code == 2
    assert "--config-channel" in ran.err
    assert sapwood("file", "info", golden_rogue / "raw.bin", "--config-channel", "256").code == 2


def test_a_missing_part_is_damage(sapwood: Callable[..., Any], golden_rogue: Path, tmp_path: Path) -> None:
    for number in (1, 2, 4):
        shutil.copy(golden_rogue / f"split_buf.dat.{number}", tmp_path / f"run.dat.{number}")
    ran = sapwood("file", "info", tmp_path / "run.dat", "--json")
    assert ran.code == 3
    assert "run.dat.3" in ran.error
    assert ran.json["frames"] == 5


class Elsewhere(fileio.Format):
    """A format of somebody else's, with a reader that has what the protocol asks for and no more."""

    name = "elsewhere"
    endings = (".else",)

    def open(self, path: Any, **options: Any) -> fileio.Reader:
        class OneTable(fileio.Reader):
            def info(self) -> dict[str, Any]:
                return {"format": "elsewhere", "rows": 2}

            def tables(self) -> list[fileio.TableInfo]:
                return [fileio.TableInfo("hits", 2, {"x": fileio.ColumnInfo(np.dtype("i4"))})]

            def chunks(self, *_: Any, **__: Any) -> Iterator[fileio.Table]:
                yield fileio.Table("hits", {"x": fileio.Column(np.array([3, 4], "i4"))})

            def close(self) -> None:
                pass

        return OneTable()


def test_a_format_of_somebody_elses(
    sapwood: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._loaded, "elsewhere", Elsewhere())
    (tmp_path / "a.else").write_bytes(b"")
    ran = sapwood("file", "info", tmp_path / "a.else", "--format", "elsewhere", "--json")
    assert (ran.code, ran.json) == (0, {"format": "elsewhere", "rows": 2})
    ran = sapwood("file", "convert", tmp_path / "a.else", tmp_path / "a.npz", "--format", "elsewhere")
    assert ran.code == 0, ran.err
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["x"].tolist() == [3, 4]
    ran = sapwood("file", "convert", tmp_path / "a.else", tmp_path / "a.dat", "--format", "elsewhere")
    assert ran.code == 1
    assert "holds no frames" in ran.error
    assert not list(tmp_path.glob("a.dat*"))


def test_files_without_frames_for_people(
    sapwood: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._loaded, "elsewhere", Elsewhere())
    (tmp_path / "a.else").write_bytes(b"")
    given = (tmp_path / "a.else", "--format", "elsewhere")
    text = sapwood("file", "info", *given).out
    assert "Format  elsewhere" in text
    assert text.split()[-4:] == ["hits", "2", "x", "i4"]
    assert sapwood("file", "dump", *given).out == "hits[0]  x 3\nhits[1]  x 4\n"
    assert sapwood("file", "dump", *given, "--table", "hits", "--limit", "1").out == "hits[0]  x 3\n"
    lines = sapwood("file", "dump", *given, "--json").out.splitlines()
    assert json.loads(lines[1]) == {"table": "hits", "index": 1, "x": 4}
    assert sapwood("file", "dump", *given, "--table", "tracks").code == 2
    assert sapwood("file", "dump", *given, "--channel", "3").code == 4  # it has no frames
    ran = sapwood("file", "verify", *given)
    assert ran.code == 4
    assert "cannot be verified" in ran.error


def test_verify_says_what_is_whole(sapwood: Callable[..., Any], golden_rogue: Path) -> None:
    ran = sapwood("file", "verify", golden_rogue / "srpv3.dat", "--json")
    assert ran.code == 0
    assert (ran.json["status"], ran.json["good"], ran.json["lost"]) == ("clean", 13, 0)
    ran = sapwood("file", "verify", golden_rogue / "cut_payload.dat")
    assert ran.code == 3
    assert "loss" in ran.out
    assert "offset 300" in ran.error


def test_recover_saves_what_is_whole(sapwood: Callable[..., Any], golden_rogue: Path, tmp_path: Path) -> None:
    out = tmp_path / "saved.dat"
    ran = sapwood("file", "recover", golden_rogue / "cut_payload.dat", out)
    assert ran.code == 3
    assert str(out) in ran.out
    assert out.read_bytes() == (golden_rogue / "cut_payload.dat").read_bytes()[:300]
    assert sapwood("file", "verify", out).code == 0
    again = sapwood("file", "recover", golden_rogue / "srpv3.dat", out)
    assert again.code == 1
    assert "exists" in again.error
    noise = tmp_path / "noise.dat"
    noise.write_bytes(bytes(range(1, 200)))
    assert sapwood("file", "recover", noise, tmp_path / "b.dat").code == 4
    assert not (tmp_path / "b.dat").exists()


def container(path: Path) -> Path:
    """Write a container file of 100 objects, one of them damaged."""
    sink = fileio.create(path, protocol=0)
    payload = np.arange(1000, dtype=np.uint8)
    sink.write(fileio.Table.from_frames(FrameBatch(payload, np.arange(100) * 10, np.full(100, 10))))
    sink.close()
    data = bytearray(path.read_bytes())
    data[data.index(bytes(range(40, 50)))] ^= 1
    path.write_bytes(data)
    return path


def test_damaged_objects_are_left_out_of_a_conversion(sapwood: Callable[..., Any], tmp_path: Path) -> None:
    source = container(tmp_path / "a.sof")
    ran = sapwood("file", "convert", source, tmp_path / "a.npz", "--json")
    assert (ran.code, ran.json["rows"]) == (3, 99)
    assert "a.sof, offset" in ran.error
    assert "1 damaged object" in ran.error
    with np.load(tmp_path / "a.npz") as arrays:
        assert len(arrays["offset"]) == 100
    assert sapwood("file", "convert", source, tmp_path / "b.dat").code == 3


def test_a_dump_ends_where_the_damage_is(sapwood: Callable[..., Any], tmp_path: Path) -> None:
    ran = sapwood("file", "dump", container(tmp_path / "a.sof"), "--json")
    assert ran.code == 3
    assert len(ran.out.splitlines()) == 4
    assert "sapwood file recover" in ran.error
    assert sapwood("file", "dump", tmp_path / "a.sof", "--limit", "3").code == 0


def two_tables(path: Path) -> Path:
    info = [
        fileio.TableInfo(name, 2, {"x": fileio.ColumnInfo(np.dtype("i4"))}) for name in ("hits", "tracks")
    ]
    sink = fileio.create(path, tables=info)
    for name in ("hits", "tracks"):
        sink.write(fileio.Table(name, {"x": fileio.Column(np.array([3, 4], "i4"))}))
    sink.close()
    return path


def test_several_tables_for_a_file_of_one(sapwood: Callable[..., Any], tmp_path: Path) -> None:
    source = two_tables(tmp_path / "a.h5")
    for ending in ("csv", "ecsv", "parquet", "arrow", "arrows"):
        ran = sapwood("file", "convert", source, tmp_path / f"b.{ending}")
        assert ran.code == 2
        assert "one of hits, tracks" in ran.err
        assert "--table" in ran.err
    assert not list(tmp_path.glob("b.*"))
    assert sapwood("file", "convert", source, tmp_path / "b.csv", "--table", "tracks").code == 0
    ran = sapwood("file", "convert", source, tmp_path / "c.csv", "--table", "track")
    assert ran.code == 2
    assert "Did you mean: tracks" in ran.err
    assert sapwood("file", "convert", source, tmp_path / "c.npz", "--compression", "rar").code == 2


def test_an_interrupted_conversion_leaves_nothing(
    sapwood: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = two_tables(tmp_path / "a.h5")

    def interrupted(*_: Any) -> None:
        with contextlib.suppress(KeyboardInterrupt):  # as a callback of the garbage collector does
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(NpzSink, "write", interrupted)
    before = signal.getsignal(signal.SIGINT)
    ran = sapwood("file", "convert", source, tmp_path / "b.npz")
    assert ran.code == 130
    assert "b.npz was not written" in ran.error
    assert not list(tmp_path.glob("b.*"))
    assert signal.getsignal(signal.SIGINT) is before


def test_many_nodes_are_a_table_for_people(sapwood: Callable[..., Any], golden_pymodaq: Path) -> None:
    text = sapwood("file", "info", golden_pymodaq / "scan2d_h5py.h5").out
    assert len(text.splitlines()) < 50
    assert "told by --json" in text
    line = next(line for line in text.splitlines() if line.strip().startswith("/RawData/Logger"))
    assert "StringARRAY" in line


def test_a_recording_in_parts_is_one(sapwood: Callable[..., Any], tmp_path: Path) -> None:
    for number, count in ((1, 3), (2, 2)):
        with fileio.RawObjectWriterBase(tmp_path / f"part{number}.sof", compressor=None) as writer:
            for item in range(count):
                writer.write(b"%d" % item)
        os.rename(tmp_path / f"part{number}.sof", tmp_path / f"run.sof.{number}")
    path = tmp_path / "run.sof"
    shown = sapwood("file", "info", path).out
    assert "icf, 2 parts" in shown
    assert [line.split() for line in shown.splitlines() if "run.sof." in line] == [
        ["run.sof.1", "3"],
        ["run.sof.2", "2"],
    ]
    found = sapwood("file", "info", path, "--json").json
    assert (found["tables"], [part["objects"] for part in found["parts"]]) == ({"frames": 5}, [3, 2])
    assert sapwood("file", "info", f"{path}.1", "--single", "--json").json["objects"] == 3
    assert len(sapwood("file", "dump", path, "--json").out.splitlines()) == 5
    assert sapwood("file", "verify", path, "--json").json["good"] == 5
    out = tmp_path / "saved.sof"
    assert sapwood("file", "recover", path, out, "--json").json["recovered"] == f"{out}.1"
    assert sapwood("file", "recover", path, out).code == 1
    assert sapwood("file", "convert", out, tmp_path / "all.npz", "--json").json["rows"] == 5
    os.unlink(f"{path}.1")
    assert sapwood("file", "info", path).code == 4
    assert sapwood("file", "verify", f"{path}.2").code == 0
