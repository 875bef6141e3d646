"""``sapwood apx``: tables, logs, streams, playing, and readouts on a network."""

from __future__ import annotations

import csv
import json
import signal
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sapwood.fileio import apx_load, apx_open
from sapwood.fileio.apx import (
    ApxReader,
    AstroPix3QuadChipReadout,
    AstroPix3Readout,
    AstroPix4Readout,
    FileHeader,
)

V4 = "peer_v4_20250723_092534_data.apx"
HIT, OTHER = bytes.fromhex("e05042030620d701"), bytes.fromhex("e05041130620d701")
HALF = bytes(int(f"{byte:08b}"[::-1], 2) for byte in bytes.fromhex("3c91420bca"))
QUAD = bytes.fromhex("0a023c91420bca02010000")
GROUP, HOST = "239.1.1.1", "127.0.0.1"

Run = Callable[..., Any]


def record(data: bytes, readout_id: int, timestamp: int = 1_753_255_536_000_000_000) -> bytes:
    return b"\xfe\xdc\xba" + struct.pack("<IQI", readout_id, timestamp, len(data)) + data


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A file of three readouts; the second hit of the second one ends in the third."""
    path = tmp_path / "run.apx"
    with apx_open(path, "wb", FileHeader(AstroPix4Readout, {"run": 7})) as file:
        for count, board in enumerate((HIT + b"\xbc", OTHER + HIT[:3], HIT[3:] + b"\xbc")):
            AstroPix4Readout(board, count, 1_753_255_536_000_000_000 + count).write(file)
    return path


def cut(path: Path) -> Path:
    """Damage a file: its last readout is cut."""
    path.write_bytes(path.read_bytes()[:-2])
    return path


# Tables


@pytest.mark.parametrize("format_", ["csv", "ecsv", "fits", "hdf5", "parquet"])
def test_process(sapwood: Run, made: Path, format_: str) -> None:
    ran = sapwood("apx", "process", made, "--format", format_)
    target = made.with_suffix(f".{format_}")
    assert ran.code == 0
    assert ran.out.startswith(f"Wrote {target}: 3 hits, ")
    header, table = apx_load(target)
    assert (header["run"], table["column"].tolist()) == (7, [9, 10, 9])


@pytest.mark.parametrize(
    "names",
    [["row", "tot_us"], ["row,tot_us"], ["row", "--columns", "tot_us"], ["row", "tot_us", "--overwrite"]],
)
def test_process_columns(sapwood: Run, made: Path, names: list[str]) -> None:
    assert sapwood("apx", "process", made, "--format", "csv", "--columns", *names).code == 0
    assert made.with_suffix(".csv").read_text().splitlines()[1:3] == ["row,tot_us", "1,31.05"]


def test_process_files_behind_the_columns(sapwood: Run, made: Path) -> None:
    assert sapwood("apx", "process", "--format", "csv", "--columns", "row", made).code == 0
    assert sapwood("apx", "process", made, "--format", "csv", "--columns").code == 2


def test_process_into_a_folder_and_again(sapwood: Run, made: Path, tmp_path: Path) -> None:
    arguments = ("apx", "process", made, "--format", "csv", "--out-dir", tmp_path / "a" / "b")
    assert sapwood(*arguments).code == 0
    before = (tmp_path / "a" / "b" / "run.csv").read_text()
    again = sapwood(*arguments)
    assert (again.code, "exists already" in again.error) == (1, True)
    assert sapwood(*arguments, "--overwrite").code == 0
    assert (tmp_path / "a" / "b" / "run.csv").read_text() == before
    other = tmp_path / "other"
    other.mkdir()
    twin = other / "run.apx"
    twin.write_bytes(made.read_bytes())
    assert sapwood(*arguments, twin, "--overwrite").code == 2


def test_process_agrees_with_the_peer(sapwood: Run, golden_apx: Path, tmp_path: Path) -> None:
    assert sapwood("apx", "process", golden_apx / V4, "--format", "csv", "--out-dir", tmp_path).code == 0
    assert (tmp_path / V4).with_suffix(".csv").read_text() == (golden_apx / V4).with_suffix(
        ".csv"
    ).read_text()


def test_process_exit_codes(sapwood: Run, made: Path, tmp_path: Path) -> None:
    assert sapwood("apx", "process", made).code == 2
    assert sapwood("apx", "process", made, "--format", "xls").code == 2
    wrong = sapwood("apx", "process", made, "--format", "csv", "--columns", "nope")
    assert (wrong.code, "no column nope" in wrong.err, "chip_id" in wrong.err) == (2, True, True)
    bad = tmp_path / "bad.apx"
    bad.write_bytes(b"%APXDF\x04\0\0\0{{{{")
    missing = sapwood("apx", "process", tmp_path / "none.apx", "--format", "csv")
    assert (missing.code, "none.apx" in missing.error) == (4, True)
    damaged = sapwood("apx", "process", cut(made), "--format", "csv")
    assert (damaged.code, "truncated" in damaged.error, "2 hits" in damaged.out) == (3, True, True)
    every = sapwood("apx", "process", bad, made, "--format", "csv", "--overwrite")
    assert every.code == 4
    assert len(every.err.splitlines()) == 2
    assert "2 hits" in every.out
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert sapwood("apx", "process", made, "--format", "csv", "--out-dir", blocked / "x").code == 1


# Logs and streams


def test_log2apx(sapwood: Run, tmp_path: Path) -> None:
    log = tmp_path / "old.log"
    log.write_text("Voltagecard: {'thpix': 1.1}\n" + "".join(f"{n}\tb'{HALF.hex()}bcff'\n" for n in range(3)))
    ran = sapwood("apx", "log2apx", log, "--readout", "astropix3readout")
    assert (ran.code, ": 3 readouts, " in ran.out) == (0, True)
    with apx_open(tmp_path / "old.apx") as file:
        assert file.header is not None
        assert (file.header.readout_uid(), file.header["Voltagecard"]) == (3000, {"thpix": 1.1})
        assert [one.readout_id for one in file] == [0, 1, 2]
    assert sapwood("apx", "log2apx", log).code == 1
    log.write_text(log.read_text() + "3\tb'bce'\nno readout\n4\tb'bc'\n")
    ran = sapwood("apx", "log2apx", log, "--overwrite")
    assert (ran.code, "line 5" in ran.error, "line 6" in ran.error, "4 readouts" in ran.out) == (
        3, True, True, True,
    )  # fmt: skip
    log.write_text("evil: __import__('os')\n")
    assert sapwood("apx", "log2apx", log, "--overwrite").code == 4
    assert sapwood("apx", "log2apx", tmp_path / "none.log").code == 4


@pytest.mark.parametrize("name", ["astep_v3", "astep_v4"])
def test_astep2csv(sapwood: Run, golden_apx: Path, tmp_path: Path, name: str) -> None:
    ran = sapwood("apx", "astep2csv", golden_apx / f"{name}.bin", "--out-dir", tmp_path)
    assert (ran.code, f"60 hits of version {name[-1]}" in ran.out) == (0, True)
    with (tmp_path / f"{name}.csv").open() as file, (golden_apx / f"{name}.peer.csv").open() as peers:
        found, wanted = list(csv.reader(file)), list(csv.reader(peers))
    assert len(found) == 61
    assert found[0] == [one for one in wanted[0] if one]
    assert sapwood("apx", "astep2csv", golden_apx / f"{name}.bin", "--out-dir", tmp_path).code == 1


def test_astep2csv_tells_what_it_leaves_out(sapwood: Run, tmp_path: Path) -> None:
    stream = tmp_path / "s.bin"
    stream.write_bytes(QUAD + bytes.fromhex("060102030405ff") + QUAD + b"\xff")
    ran = sapwood("apx", "astep2csv", stream, "--tick-ns", "5")
    assert (ran.code, "2 hits of version 3 (left out: 1 frames of other lengths)" in ran.out) == (0, True)
    assert (tmp_path / "s.csv").read_text().splitlines()[1].split(",")[-2:] == ["15.09", "258"]


def test_match(sapwood: Run, golden_apx: Path, tmp_path: Path) -> None:
    stream = golden_apx / "peer_quad_chip_data.bin"
    ran = sapwood("apx", "match", stream, "--out-dir", tmp_path)
    target = tmp_path / "peer_quad_chip_data_matched.csv"
    rows = target.read_text().splitlines()
    assert (ran.code, f"{len(rows) - 1:,} pixels of 1,984 half hits" in ran.out) == (0, True)
    options = [
        "--overwrite",
        "-q",
        "-l",
        "1",
        "-c",
        "0",
        "-c",
        "1",
        "--mints",
        "0",
        "--maxts",
        "0",
        "--mintot",
        "6",
        "--maxtot",
        "15",
    ]
    ran = sapwood("apx", "match", stream, "--out-dir", tmp_path, *options)
    fewer = target.read_text().splitlines()
    assert (ran.code, ran.out) == (0, "")
    assert 1 < len(fewer) < len(rows)
    assert set(fewer) < set(rows)
    assert {row.split(",")[0] for row in fewer[1:]} == {"1"}
    assert sapwood("apx", "match", stream, "--out-dir", tmp_path).code == 1
    assert sapwood("apx", "match", tmp_path / "none.bin").code == 4


# Playing


def test_play_piped_shows_all_without_colours(sapwood: Run, made: Path) -> None:
    ran = sapwood("apx", "play", made)
    assert ran.code == 0
    assert "\033" not in ran.out
    heads = [line for line in ran.out.splitlines() if line.startswith("#")]
    assert [head.split("  ")[:2] for head in heads] == [["#0", "id 0"], ["#1", "id 1"], ["#2", "id 2"]]
    assert [head.rpartition("  ")[2] for head in heads] == ["1 hit", "1 hit", "1 hit"]
    assert "0000  e0 50 42 03 06 20 d7 01 bc" in ran.out
    assert "orphan bytes matched" in ran.out
    assert "31.050" in ran.out


def test_play_from_a_readout_on(sapwood: Run, made: Path) -> None:
    ran = sapwood("apx", "play", made, "--start", "2", "--nohits")
    assert "#1" not in ran.out
    assert "#2  id 2" in ran.out
    assert "orphan bytes matched" in ran.out
    assert "tot_us" not in ran.out
    assert "#" not in sapwood("apx", "play", made, "--start", "3").out


def test_play_damage(sapwood: Run, made: Path, tmp_path: Path) -> None:
    ran = sapwood("apx", "play", cut(made))
    assert (ran.code, "truncated" in ran.error, "truncated: 2 bytes are missing" in ran.out) == (
        3,
        True,
        True,
    )
    assert sapwood("apx", "play", tmp_path / "none.apx").code == 4


@pytest.mark.parametrize("name", [V4, "v3_fuzz.apx", "v4_300_hits.apx"])
def test_play_any_class(sapwood: Run, golden_apx: Path, name: str) -> None:
    ran = sapwood("apx", "play", golden_apx / name)
    with ApxReader(golden_apx / name) as reader:
        assert sum(line.startswith("#") for line in ran.out.splitlines()) == reader.info()["readouts"]


def test_play_follows_a_growing_file(start: Run, made: Path) -> None:
    process = start("apx", "play", made, "--follow")
    process.wait_for("#2  id 2")
    with apx_open(made, "ab") as file:
        AstroPix4Readout(OTHER, 99).write(file)
    process.wait_for("#3  id 99")
    process.send(signal.SIGINT)
    assert process.end() == 0


# On a network


def begin(start: Run, *arguments: object) -> tuple[Any, int]:
    """Start a receiver; return it and its port."""
    process = start("apx", *arguments, "--port", 0)
    line = process.wait_for("Receiving at", errors=True)
    return process, int(line.split(",")[0].rpartition(":")[2])


def put(port: int, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        for datagram in datagrams:
            one.sendto(datagram, (HOST, port))


def test_sent_and_recorded(sapwood: Run, start: Run, golden_apx: Path, tmp_path: Path) -> None:
    process, port = begin(start, "receive", "-o", tmp_path / "got.apx", "--count", "775")
    ran = sapwood("apx", "send", golden_apx / V4, "--port", port, "--rate", "5000")
    assert (ran.code, ran.out) == (0, f"Sent 775 readouts, 27.1 kB, to 127.0.0.1:{port}\n")
    assert process.end() == 0, process.errors
    assert process.lines == [f"Received 775 readouts into {tmp_path / 'got.apx'}, 27.1 kB"]
    with apx_open(golden_apx / V4) as sent, apx_open(tmp_path / "got.apx") as got:
        assert [one.to_bytes() for one in got] == [one.to_bytes() for one in sent]
    refused = sapwood("apx", "receive", "-o", tmp_path / "got.apx", "--port", "0")
    assert (refused.code, "exists already" in refused.err) == (1, True)


def test_received_readouts_are_printed_and_losses_told(start: Run) -> None:
    process, port = begin(start, "receive", "--count", "3")
    put(port, record(HIT, 4), b"noise", record(b"", 5), record(HIT + OTHER, 9), record(HIT, 10))
    assert process.end() == 3
    assert [line.split()[:2] for line in process.lines[:2]] == [["id", "4"], ["id", "5"]]
    assert process.lines[2] == "-- 3 readouts lost --"
    assert process.lines[3].endswith("16 bytes  2 hits")
    assert "3 lost" in process.lines[4]
    assert process.errors[-1] == "sapwood: 3 lost, 1 malformed"


def test_receive_ends_by_ctrl_c_and_when_nothing_comes(start: Run, tmp_path: Path) -> None:
    process, port = begin(start, "receive")
    put(port, record(HIT, 0))
    process.wait_for("id 0")
    process.send(signal.SIGINT)
    assert process.end() == 0
    assert process.lines[-1].startswith("Received 1 readouts")
    process, _ = begin(start, "receive", "-o", tmp_path / "none.apx", "--idle", "0.1")
    assert process.end() == 0
    with apx_open(tmp_path / "none.apx") as file:
        assert list(file) == []


@pytest.mark.parametrize(
    ("readout_class", "board", "line", "tot"),
    [
        (AstroPix4Readout, HIT, "row 1", 31.05),
        (AstroPix3Readout, HALF, "chip 7 columns", 15.09),
        (AstroPix3QuadChipReadout, QUAD, "layer 2 chip 7 columns", 15.09),
    ],
)
def test_monitor_of_each_class(start: Run, readout_class: Any, board: bytes, line: str, tot: float) -> None:
    name = readout_class.__name__
    process, port = begin(start, "monitor", "--once", "5", "--json", "--readout", name)
    put(port, *(record(board, count) for count in range(5)))
    assert process.end() == 0, process.errors
    found = json.loads("\n".join(process.lines))
    assert (found["readouts"], found["hits"], found["lost"], found["dropped"]) == (5, 5, 0, {})
    assert found["tot"]["hits"][int(tot // found["tot"]["us_per_bin"])] == 5
    assert sum(found["pixels"][line]) == 5
    assert all(len(counts) == 35 for counts in found["pixels"].values())


def test_monitor_draws(start: Run) -> None:
    process, port = begin(start, "monitor", "--once", "3")
    put(port, record(HIT, 0), record(HIT * 4, 1), record(OTHER, 5))
    assert process.end() == 3
    text = "\n".join(process.lines)
    assert f"AstroPix4Readout at 127.0.0.1:{port}" in text
    assert "Readouts 3 (" in text
    assert "Hits 6 (" in text
    assert "3 lost" in text
    assert " row 1 " in text
    assert "6 " in text.partition("Time over threshold")[2]
    shown = next(one for one in process.lines if one.strip().startswith("row 1 "))
    assert shown.split()[2:] == ["·"] * 9 + ["@", "-"] + ["·"] * 24


def test_monitor_ends(start: Run) -> None:
    process, port = begin(start, "monitor", "--refresh", "0.05")
    put(port, record(HIT, 0))
    process.send(signal.SIGINT)
    assert process.end() == 0
    process, _ = begin(start, "monitor", "--once", "2", "--idle", "0.1")
    assert process.end() == 1
    assert process.errors[-1] == "sapwood: Only 0 of 2 readouts came in"


def test_several_receivers_of_one_group(sapwood: Run, start: Run, made: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            member = socket.inet_aton(GROUP) + socket.inet_aton(HOST)
            probe.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        except OSError as error:
            pytest.skip(f"this machine knows no multicast: {error}")
    place = ("--group", GROUP, "--interface", HOST)
    first, port = begin(start, "receive", "--count", "3", *place)
    second = start("apx", "receive", "--count", "3", *place, "--port", port)
    second.wait_for("Receiving at", errors=True)
    assert sapwood("apx", "send", made, "--rate", "100", "--port", port, *place).code == 0
    for process in (first, second):
        assert process.end() == 0
        assert process.lines[-1].startswith("Received 3 readouts")


def test_send_exit_codes(sapwood: Run, made: Path, tmp_path: Path) -> None:
    assert sapwood("apx", "send", made, "--rate", "1", "--sleep", "1").code == 2
    assert sapwood("apx", "send", tmp_path / "none.apx").code == 4
    assert sapwood("apx", "send", made, "--group", "no.such.host.invalid").code == 1
    with apx_open(made, "ab") as file:
        AstroPix4Readout(bytes(66_000), 3).write(file)
    ran = sapwood("apx", "send", made, "--sleep", "0", "--port", "9")
    assert (ran.code, ran.error, ran.out.split(",")[0]) == (
        3, "sapwood: 1 readouts were not sent: oversize", "Sent 3 readouts",
    )  # fmt: skip


def test_a_port_that_is_taken(sapwood: Run) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind((HOST, 0))
        ran = sapwood("apx", "receive", "--port", one.getsockname()[1])
    assert (ran.code, "Another process" in ran.error) == (1, True)


@pytest.mark.parametrize(
    "command", ["process", "log2apx", "astep2csv", "match", "play", "send", "receive", "monitor"]
)
def test_every_command_has_help(sapwood: Run, command: str) -> None:
    assert sapwood("apx", command, "--help").out.startswith("Usage:")
