"""Conversion into LH5 files: golden outputs, limits, names, errors, packed and damaged inputs."""

from __future__ import annotations

import bz2
import fnmatch
import gzip
import hashlib
import importlib.util
import json
import shutil
import socket
import struct
import threading
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zstandard

from sapwood.errors import FormatError, RecordingExists
from sapwood.fileio import lh5
from sapwood.fileio.lh5 import appender
from sapwood.fileio.raw import (
    LH5Store,
    RawBuffer,
    RawBufferLibrary,
    build_raw,
    get_streamer,
    lh5_buffer_processor,
    open_stream,
    read_raw,
    stream_type_of,
    write_to_lh5_and_clear,
)

_spec = importlib.util.spec_from_file_location("fcio_streams", Path(__file__).parent / "fcio_streams.py")
assert _spec is not None
assert _spec.loader is not None
made = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(made)

CASES = (
    "fcio-default-str", "fcio-keyed", "fcio-single-table-nmax", "fcio-procspec-radware",
    "fcio-hdf5-settings", "synth-sparse",
)  # fmt: skip


def run(count: int = 20, **facts: Any) -> bytes:
    """A stream of three traces and four samples."""
    events = [made.event(made.waves(3, 4, number), number, 1 + number) for number in range(count)]
    return made.stream(made.config(**facts), *events, made.status([made.card(0), made.card(0x2000)]))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a stream ``run.fcio`` in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.fcio").write_bytes(run())
    return tmp_path


def facts_of(node: Any) -> dict[str, Any]:
    return {
        name: value.decode() if isinstance(value, bytes) else getattr(value, "item", lambda v=value: v)()
        for name, value in node.attrs.items()
    }


def digest(node: Any) -> str:
    return hashlib.sha256(np.ascontiguousarray(node[()]).tobytes()).hexdigest()


@pytest.mark.parametrize("name", CASES)
def test_golden_outputs(name: str, golden_daq: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = json.loads((golden_daq / "MANIFEST.json").read_text())
    (case,) = [one for one in manifest["cases"] if one["id"] == name]
    for file in case["files"]:
        shutil.copy(golden_daq / file, place)
    for variable, value in case.get("env", {}).items():
        monkeypatch.setenv(variable, value)
    keywords = dict(case["kwargs"])
    if "n_max" in keywords:  # rows in the peer
        keywords["n_max_rows"] = keywords.pop("n_max")
    build_raw(case["in_stream"], case.get("in_stream_type"), case["out_spec"], **keywords)
    for file, expected in case["expected_outputs"].items():
        with h5py.File(file) as found:
            names: list[str] = ["/"]
            found.visit(lambda path, names=names: names.append(f"/{path}"))
            assert set(names) == set(expected)
            for path, facts in expected.items():
                if path != "/":
                    free = any(fnmatch.fnmatch(f"{file}:{path}", one) for one in case["skip_values"])
                    check(found[path], facts, free)
    if name == "fcio-default-str":
        config = lh5.read("FCConfig", "out.lh5")
        assert len(config) == 1
        right = case["correct_values"]["FCConfig"]
        assert config["tracemap"][0].tolist() == right["tracemap"]
        assert {name: config[name][0] for name in right if name in config and name != "tracemap"} == {
            name: value for name, value in right.items() if name in config and name != "tracemap"
        }
        assert lh5.read("FCStatus/n_link_errors", "out.lh5").nda.tolist() == [0, 0]


def check(node: Any, facts: dict[str, Any], free: bool) -> None:
    assert facts_of(node) == facts["attrs"], node.name
    if facts["kind"] != "dataset":
        return
    assert node.dtype.str == facts["dtype"], node.name
    assert (node.compression, node.shuffle) == (facts.get("compression"), facts.get("shuffle")), node.name
    if not free:
        assert list(node.shape) == facts["shape"], node.name
        assert digest(node) == facts["sha256"], node.name


def rows(file: str, table: str = "FCEvent") -> int:
    return LH5Store().read_n_rows(table, file) or 0


def test_all_that_is_there_is_written_once(place: Path) -> None:
    summary = build_raw("run.fcio")
    assert summary.lossless
    assert summary.rows == {"run.lh5:/FCConfig": 1, "run.lh5:/FCEvent": 60, "run.lh5:/FCStatus": 2}
    assert summary.packets == 22
    assert sorted(lh5.ls("run.lh5")) == ["FCConfig", "FCEvent", "FCStatus"]
    with h5py.File("run.lh5") as file:
        assert facts_of(file)["datatype"] == "struct{FCConfig,FCEvent,FCStatus}"
    event = lh5.read("FCEvent", "run.lh5")
    values = np.concatenate([made.waves(3, 4, number)[:, 2:] for number in range(20)])
    assert (event["waveform"]["values"].nda == values).all()
    assert event["channel"].nda.tolist() == [0, 1, 2] * 20
    with pytest.raises(RecordingExists, match="Use option overwrite"):
        build_raw("run.fcio")
    assert build_raw("run.fcio", overwrite=True).rows == summary.rows


@pytest.mark.parametrize("size", [3, 7, 60, 8192])
def test_sizes_of_buffers_do_not_matter(size: int, place: Path) -> None:
    build_raw("run.fcio", out_spec="a.lh5", buffer_size=size)
    build_raw("run.fcio", out_spec="b.lh5")
    with h5py.File("a.lh5") as one, h5py.File("b.lh5") as two:
        paths: list[str] = []
        two.visititems(lambda path, node: paths.append(path) if isinstance(node, h5py.Dataset) else None)
        for path in paths:
            assert digest(one[path]) == digest(two[path]), path


def test_limits_count_events_or_rows(place: Path) -> None:
    summary = build_raw("run.fcio", out_spec="events.lh5", n_max=7)
    assert summary.rows == {"events.lh5:/FCConfig": 1, "events.lh5:/FCEvent": 21}
    summary = build_raw("run.fcio", out_spec="rows.lh5", n_max_rows=8)
    assert sum(summary.rows.values()) == 8
    (place / "late.fcio").write_bytes(
        made.stream(made.config(), made.status([made.card(0)]), made.event(made.waves(3, 4)))
    )
    assert build_raw("late.fcio", n_max=1).rows["late.lh5:/FCStatus"] == 1


def test_several_inputs_follow_one_another(place: Path) -> None:
    (place / "next.fcio").write_bytes(run(5))
    summary = build_raw(["run.fcio", "next.fcio"], out_spec="all.lh5:raw", n_max=23)
    assert summary.rows["all.lh5:raw/FCEvent"] == 69
    assert rows("all.lh5", "raw/FCConfig") == 2


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, zstandard.compress])
def test_packed_inputs_are_unpacked(pack: Any, place: Path) -> None:
    (place / "packed.fcio.gz").write_bytes(pack(run()))
    assert stream_type_of("packed.fcio.gz") == "FlashCam"
    summary = build_raw("packed.fcio.gz")
    assert list(summary.files) == ["packed.lh5"]
    assert rows("packed.lh5") == 60


def test_packed_inputs_may_be_cut(place: Path) -> None:
    (place / "cut.fcio.gz").write_bytes(gzip.compress(run(5000), 1)[:-5000])
    summary = build_raw("cut.fcio.gz")
    assert 9000 < rows("cut.lh5") < 15000
    assert any("damaged" in one for one in summary.problems)


def test_live_streams(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)  # a reader that never comes shall not leave this thread behind
        address = f"tcp://connect/{server.getsockname()[1]}/127.0.0.1"

        def send() -> None:
            connection, _ = server.accept()
            with connection:
                data = run()
                for at in range(0, len(data), 999):
                    connection.sendall(data[at : at + 999])

        sender = threading.Thread(target=send)
        sender.start()
        summary = build_raw(address, out_spec="live.lh5")
        sender.join()
    assert summary.lossless
    assert rows("live.lh5") == 60


def test_a_sender_that_dies_within_a_record_costs_that_record(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        address = f"tcp://connect/{server.getsockname()[1]}/127.0.0.1"
        received = threading.Event()

        def send() -> None:
            connection, _ = server.accept()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with connection:  # closed by a reset, as by a machine that went down
                connection.sendall(run()[: -len(made.status([made.card(0), made.card(0x2000)])) - 20])
                received.wait(60)

        sender = threading.Thread(target=send)
        sender.start()
        with open_stream(address, chunk_mode="single_packet", out_stream="live.lh5") as (streamer, header):
            write_to_lh5_and_clear(header)
            for number, chunk in enumerate(streamer):
                write_to_lh5_and_clear(chunk)
                if number == 5:
                    received.set()
            problems = streamer.summary().problems
        sender.join()
    assert rows("live.lh5") == 57
    assert "the connection broke" in problems[0]
    assert "the stream ends within a record" in problems[1]


@pytest.mark.parametrize(
    "file", ["run.fcio", "synth-sis3302.orca", "l200-p14-r004-cal-20250606T010224Z.orca"]
)
def test_small_packets_of_live_streams_come_at_once(file: str, place: Path, golden_daq: Path) -> None:
    kind = "FlashCam" if file == "run.fcio" else "ORCA"
    data = (place / file if file == "run.fcio" else golden_daq / file).read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        address = f"tcp://connect/{server.getsockname()[1]}/127.0.0.1?timeout=60"
        done = threading.Event()

        def send() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(data)
                done.wait(60)  # no end of the stream before its last packet has come

        sender = threading.Thread(target=send)
        sender.start()
        with open_stream(address, kind, chunk_mode="single_packet") as (streamer, _):
            while streamer.n_bytes_read < len(data):
                assert streamer.read_chunk()
            assert not streamer.summary().problems
            done.set()
        sender.join()


def test_a_silent_sender_ends_the_stream_in_time(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://connect/{server.getsockname()[1]}/127.0.0.1?timeout=1"
        with pytest.raises(FormatError, match="no FCIO stream"):
            build_raw(address, out_spec="live.lh5")  # connected, but never accepted nor served
    with pytest.raises(OSError, match="This is no address"):
        build_raw("tcp://connect/1/127.0.0.1?wait=1", out_spec="live.lh5")
    assert not list(place.glob("live*"))


def test_a_cut_stream_loses_nothing_before_the_cut(place: Path) -> None:
    data = run()
    (place / "cut.fcio").write_bytes(data[: len(data) - 2500])
    summary = build_raw("cut.fcio")
    assert rows("cut.lh5") == 57 or rows("cut.lh5") == 60
    (problem,) = summary.problems
    assert "cut.fcio: offset" in problem
    assert not summary.lossless


def test_the_next_record_is_found_after_damage(place: Path) -> None:
    data = bytearray(run())
    size = len(made.event(made.waves(3, 4)))
    at = data.index(made.event(made.waves(3, 4, 10), 10, 11))
    data[at : at + 4] = b"\x12\x34\x56\x78"
    (place / "hurt.fcio").write_bytes(data)
    summary = build_raw("hurt.fcio")
    assert rows("hurt.lh5") == 57
    assert summary.resyncs == 1
    assert f"offset {at}" in summary.problems[0]
    assert f"{size} bytes" in summary.problems[0]


def test_undecodable_packets_are_kept(place: Path) -> None:
    bad = made.sparse([0, 9], made.waves(2, 4), 3)
    (place / "bad.fcio").write_bytes(made.stream(made.config(), bad, made.event(made.waves(3, 4))))
    summary = build_raw("bad.fcio")
    assert summary.garbage == {"FCEventDecoder": 1}
    garbage = lh5.read("garbage", "bad.lh5")
    assert garbage["packets"][0].tobytes() == bad
    assert garbage["packet_id"].nda.tolist() == [1]
    assert rows("bad.lh5") == 3


def test_nothing_stays_when_it_fails(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LH5Store, "write", refuse)
    with pytest.raises(OSError, match="No space"):
        build_raw("run.fcio")
    assert [one.name for one in place.iterdir()] == ["run.fcio"]


def test_errors_say_what_is_wrong(place: Path) -> None:
    (place / "odd.dat").write_bytes(b"nothing of the kind")
    (place / "empty.fcio").write_bytes(b"")
    (place / "noconfig.fcio").write_bytes(made.stream(made.event(made.waves(3, 4))))
    with pytest.raises(FileNotFoundError, match=r"file none\.fcio not found"):
        build_raw("none.fcio")
    with pytest.raises(RuntimeError, match=r"unknown file extension dat\. Specify in_stream_type"):
        build_raw("odd.dat")
    with pytest.raises(NotImplementedError, match="MGDO streaming not yet implemented"):
        build_raw("run.fcio", "MGDO")
    with pytest.raises(NotImplementedError, match="unknown input stream type Flashcam"):
        get_streamer("run.fcio", "Flashcam")
    with pytest.raises(TypeError, match="unknown out_spec type int"):
        build_raw("run.fcio", out_spec=3)
    for size in (0, 8.5, "8192"):
        with pytest.raises(ValueError, match=f"bad buffer_size {size}"):
            build_raw("run.fcio", buffer_size=size)  # type: ignore[arg-type]  # what users try
    with pytest.raises(ValueError, match="requires a buffer of at least length 3"):
        build_raw("run.fcio", buffer_size=2)
    for name in ("empty.fcio", "noconfig.fcio"):
        with pytest.raises(FormatError, match=name):
            build_raw(name)
    assert not list(place.glob("*.lh5*"))


def test_descriptions_in_files(place: Path) -> None:
    spec = {"FCEventDecoder": {"ch{key}": {"key_list": ["*"], "out_stream": "{what}.lh5:/daq"}}}
    (place / "spec.json").write_text(json.dumps(spec))
    (place / "spec.yaml").write_text(
        "FCEventDecoder:\n  'ch{key}':\n    key_list: ['*']\n    out_stream: '{what}.lh5:/daq'\n"
    )
    for file in ("spec.json", "spec.yaml"):
        what = file.replace(".", "_")
        build_raw("run.fcio", out_spec=file, what=what)
        assert lh5.ls(f"{what}.lh5", "daq/") == ["daq/ch1052800", "daq/ch1052801", "daq/ch1052802"]


def test_callers_things_stay_as_they_are(place: Path) -> None:
    spec = {"*": {"{name}": {"key_list": ["*"], "out_stream": "o.lh5"}}}
    before = json.dumps(spec)
    library = RawBufferLibrary(config=spec)
    build_raw("run.fcio", out_spec=spec)
    assert json.dumps(spec) == before
    build_raw("run.fcio", out_spec=library, overwrite=True)
    assert list(library) == ["*"]


def test_progress_reaches_the_end(place: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    build_raw("run.fcio", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == ((place / "run.fcio").stat().st_size,) * 2


def test_read_raw_gives_columns(place: Path) -> None:
    tables = list(read_raw("run.fcio", buffer_size=6))
    assert tables[0]["FCConfig"]["nsamples"].nda.tolist() == [4]
    numbers = [one for chunk in tables if "FCEvent" in chunk for one in chunk["FCEvent"]["channel"].nda]
    assert len(numbers) == 60
    for wanted in (["FCStatus"], "FCStatus"):
        assert {name for chunk in read_raw("run.fcio", tables=wanted) for name in chunk} == {"FCStatus"}
    with pytest.raises(ValueError, match="There is no table FCThing"):
        next(read_raw("run.fcio", tables=["FCThing"]))


class Slow:
    """A thread that works only when it is waited for."""

    def __init__(self, work: Any, *arguments: Any) -> None:
        self.result = lambda: work(*arguments)


def test_many_blocks_of_long_traces_are_all_there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appender, "submit", Slow)
    random = np.random.default_rng(3)
    waves = random.integers(0, 1 << 16, (70, 3, 2 + 2000)).astype(np.uint16)
    events = [made.event(one, number, 1 + number) for number, one in enumerate(waves)]
    statuses = [made.status([made.card(0), made.card(0x2000)])] * 3
    parts = [*events[:20], statuses[0], *events[20:41], *statuses[1:], *events[41:]]
    (place / "long.fcio").write_bytes(made.stream(made.config(3, 2000), *parts))
    build_raw("long.fcio", out_spec="o.lh5", buffer_size=24)
    found = lh5.read("FCEvent", "o.lh5")
    assert np.array_equal(found["waveform/values"].nda, waves[..., 2:].reshape(-1, 2000))
    assert found["eventnumber"].nda.tolist() == np.repeat(np.arange(70), 3).tolist()
    assert len(lh5.read("FCStatus", "o.lh5")) == 6


def test_chunks_and_their_writing(place: Path) -> None:
    with open_stream("run.fcio", buffer_size=6, out_stream="c.lh5") as (streamer, header):
        write_to_lh5_and_clear(header)
        for chunk in streamer:
            write_to_lh5_and_clear(chunk, wo_mode="append")
    assert rows("c.lh5") == 60
    buffer = RawBuffer(lh5.Table({"a": np.arange(4)}), out_stream="d.lh5:g", out_name="t")
    buffer.loc = 3
    with LH5Store(keep_open=True) as store:
        write_to_lh5_and_clear([buffer], store, "append")
    assert buffer.loc == 0
    assert lh5.read("g/t/a", "d.lh5").nda.tolist() == [0, 1, 2]


def test_rows_are_processed_before_they_are_written(place: Path) -> None:
    proc = {
        "window": ["waveform", 1, -1, "short"],
        "dtype_conv": {"short/values": "int32", "baseline": "float32"},
        "drop": ["waveform", "packet_id", "nothing"],
        "hdf5_settings": {"channel": {"compression": "lzf"}},
    }
    spec = {"FCEventDecoder": {"geds": {"key_list": ["*"], "out_stream": "p.lh5", "proc_spec": proc}}}
    build_raw("run.fcio", out_spec=spec)
    table = lh5.read("geds", "p.lh5")
    assert "waveform" not in table
    assert "packet_id" not in table
    assert table["short"]["values"].nda.dtype == np.int32
    assert table["short"]["values"].nda[:3].tolist() == made.waves(3, 4, 0)[:, 3:5].tolist()
    assert set(table["short"]["t0"].nda) == {16.0}
    assert table["baseline"].nda.dtype == np.float32
    with h5py.File("p.lh5") as file:
        assert file["geds/channel"].compression == "lzf"
    build_raw("run.fcio", out_spec={"FCEventDecoder": {"geds": {"key_list": ["*"], "out_stream": "raw.lh5"}}})
    assert lh5_buffer_processor("raw.lh5", out_spec=spec) == "raw_proc.lh5"
    again = lh5.read("geds", "raw_proc.lh5")
    assert again["short"]["values"] == table["short"]["values"]
    wrong = {"FCEventDecoder": {"g": {"key_list": ["*"], "out_stream": "w.lh5", "proc_spec": {"windw": 1}}}}
    with pytest.raises(ValueError, match="windw"):
        build_raw("run.fcio", out_spec=wrong)


def processed(outputs: list[str], function: str, arguments: list[Any]) -> dict[str, Any]:
    """A specification that runs one processor and drops the waveforms."""
    units = ["ADC"] * len(outputs) if len(outputs) > 1 else "ADC"
    chain = {"function": function, "module": "dspeed.processors", "args": arguments, "unit": units}
    proc = {
        "dsp_config": {"outputs": outputs, "processors": {", ".join(outputs): chain}},
        "dtype_conv": {f"{outputs[0]}/values": "uint32"},
        "drop": ["waveform"],
    }
    return {"FCEventDecoder": {"geds": {"key_list": ["*"], "out_stream": "p.lh5", "proc_spec": proc}}}


def test_outputs_of_processors_become_columns(place: Path) -> None:
    pytest.importorskip("dspeed", reason="dspeed is not installed")
    short = "short(shape=len(waveform)//2, period=waveform.period*2, offset=waveform.offset)"
    summary = build_raw("run.fcio", out_spec=processed(["short"], "presum", ["waveform", 0, 2, short]))
    assert summary.left_out == []
    table = lh5.read("geds", "p.lh5")
    assert "waveform" not in table
    waves = np.concatenate([made.waves(3, 4, number)[:, 2:] for number in range(20)]).astype(np.uint32)
    assert table["short"]["values"].nda.dtype == np.uint32
    np.testing.assert_array_equal(table["short"]["values"].nda, waves[:, ::2] + waves[:, 1::2])
    assert set(table["short"]["dt"].nda) == {32.0}
    assert table["short"]["dt"].attrs["units"] == "ns"


def test_nothing_is_dropped_when_processors_fail(place: Path) -> None:
    pytest.importorskip("dspeed", reason="dspeed is not installed")
    summary = build_raw("run.fcio", out_spec=processed(["short"], "presum", ["no_such_field", 0, 2, "short"]))
    assert "waveform" in lh5.read("geds", "p.lh5")
    failed, unknown = summary.left_out
    assert failed.startswith("geds: proc_spec: dsp_config adds nothing, and nothing is dropped: ")
    assert unknown == "geds: proc_spec: dtype_conv names 'short/values', which is no field of the table"
    assert set(summary.left_out) <= set(summary.losses())


def test_an_input_is_never_an_output(place: Path) -> None:
    before = (place / "run.fcio").read_bytes()
    (place / "other.fcio").symlink_to("run.fcio")
    for name in ("run.fcio", "other.fcio"):
        with pytest.raises(ValueError, match="is an input"):
            build_raw("run.fcio", out_spec=name, overwrite=True)
    assert (place / "run.fcio").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"n_max": "x"}, ValueError, "bad n_max"),
        ({"n_max_rows": -1}, ValueError, "bad n_max_rows"),
        ({"n_max": float("nan")}, ValueError, "bad n_max"),
        ({"out_spec": "none.yaml"}, FileNotFoundError, "file none.yaml not found"),
        ({"out_spec": "run.fcio/x/out.lh5"}, OSError, "Failed to make the folder"),
        (
            {"out_spec": {"FCEventDecoder": {"e": {
                "key_list": ["*"], "out_stream": "e.lh5", "proc_spec": {"dtype_conv": {"baseline": "foo"}}
            }}}},
            ValueError,
            "no type 'foo'",
        ),
    ],
)  # fmt: skip
def test_wrong_arguments(options: dict[str, Any], kind: type[Exception], text: str, place: Path) -> None:
    with pytest.raises(kind, match=text):
        build_raw("run.fcio", **options)
    assert [one.name for one in place.iterdir()] == ["run.fcio"]


@pytest.mark.parametrize("tail", [b"\xff" * (1 << 22), bytes(1 << 22)])
def test_long_nonsense_is_passed_over_at_once(tail: bytes, place: Path) -> None:
    (place / "run.fcio").write_bytes(run() + tail)
    summary = build_raw("run.fcio")
    assert summary.rows["run.lh5:/FCEvent"] == 60
    assert len(summary.problems) == 1
    assert "nothing follows that makes sense" in summary.problems[0]


def test_the_same_configuration_again_is_no_damage(place: Path) -> None:
    (place / "run.fcio").write_bytes(run() + run())
    summary = build_raw("run.fcio")
    assert summary.rows["run.lh5:/FCEvent"] == 120
    assert summary.problems == []


def test_a_problem_is_logged_once(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    (place / "run.fcio").write_bytes(run()[:-9])
    with caplog.at_level("WARNING"):
        problems = build_raw("run.fcio").problems
    assert [record.getMessage() for record in caplog.records] == problems
    assert len(problems) == 1
