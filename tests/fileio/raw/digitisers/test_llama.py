"""llamaDAQ files: blocks by format bits, counters, begin of the run, damage."""

from __future__ import annotations

import gzip
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sapwood.errors import FormatError
from sapwood.fileio import lh5
from sapwood.fileio.raw import build_raw, open_stream, read_raw
from sapwood.fileio.raw.llama.eventdecoder import NO_SENSE
from sapwood.fileio.raw.llama.starttime import start_time

TABLE = "LLAMAEventDecoder"
COLUMNS = {
    1: {"wf_max_sample_value": 7, "wf_max_sample_idx": 9, "info_bits": 0xAB}
    | {"cumsum_1": 0xFFFFFE}
    | {f"cumsum_{index}": 1000 + index for index in range(2, 7)},
    2: {"cumsum_7": 1007, "cumsum_8": 1008},
    4: {"maw_max": 21, "maw_before": 22, "maw_after": 23},
    8: {"start_energy": 31, "max_energy": 32},
}


@pytest.mark.parametrize("bits", range(16))
def test_every_combination_of_blocks(llama: Any, bits: int) -> None:
    path = llama.write([llama.channel(bits=bits)], [llama.event(0, 5, bits), llama.event(0, 6, bits)])
    read = llama.read(path)
    assert not read.stream.problems
    assert read.rows(TABLE) == 2
    for bit, columns in COLUMNS.items():
        for name, value in columns.items():
            if bits & bit:
                assert read[f"{TABLE}.{name}"].tolist() == [value] * 2
            else:
                assert name not in read[TABLE]
    assert (read[TABLE]["waveform_windowed"]["values"].nda[:2] == np.arange(8)).all()
    assert (read[TABLE]["waveform_presummed"]["values"].nda[:2] == np.arange(4)).all()


def test_times_use_all_bits_of_the_clock(llama: Any) -> None:
    ticks = [0, 1, (1 << 32) + 5, (1 << 48) - 1]
    read = llama.read(llama.write([llama.channel()], [llama.event(0, tick) for tick in ticks]))
    seconds = np.array(ticks) * 4e-9
    assert read[f"{TABLE}.time_since_run_start"] == pytest.approx(seconds, rel=1e-15)
    assert read[f"{TABLE}.unixtime"] == pytest.approx(seconds + start_time("20240102-030405"))
    assert (read[f"{TABLE}.unixtime_accuracy"] == 1).all()


def test_waveforms_have_their_place_in_time(llama: Any) -> None:
    events = [llama.event(0, 0, counter=0), llama.event(0, 9, counter=200, status=1)]
    read = llama.read(llama.write([llama.channel(freq=125.0)], events))
    raw, averaged = read[TABLE]["waveform_windowed"], read[TABLE]["waveform_presummed"]
    assert raw["dt"].nda[:2].tolist() == [8, 8]
    assert raw["t0"].nda[:2].tolist() == [-80, -80]
    assert averaged["dt"].nda[:2].tolist() == [32, 32]
    assert averaged["t0"].nda[:2].tolist() == [-256, -256 + 200 * 8]
    assert read[f"{TABLE}.fadc_status_bits"].tolist() == [0, 1]


def test_channels_that_differ_have_tables_of_their_own(llama: Any) -> None:
    channels = [
        llama.channel(0, 0, bits=1, mode=0, samples=2),
        llama.channel(0, 1, bits=1, mode=0, samples=2, freq=125.0),
        llama.channel(1, 0, bits=2, mode=0, samples=2),
        llama.channel(1, 1, bits=2, mode=0, samples=0),
    ]
    one, two = {"samples": [1, 2], "averaged": ()}, {"bits": 2, "averaged": ()}
    events = [
        llama.event(0, 1, 1, **one), llama.event(16, 2, samples=[3, 4], **two), llama.event(1, 1, 1, **one),
        llama.event(17, 3, samples=(), **two), llama.event(0, 4, 1, **one),
    ]  # fmt: skip
    read = llama.read(llama.write(channels, events))
    assert read.stream.decoders[1].get_key_lists() == [[0, 1], [16], [17]]
    assert read[f"{TABLE}.packet_id"].tolist() == [1, 3, 5]
    assert read[f"{TABLE}.fadc_channel_id"].tolist() == [0, 1, 0]
    assert read[f"{TABLE}.time_since_run_start"] == pytest.approx([4e-9, 8e-9, 16e-9])
    assert read[TABLE]["waveform_windowed"]["dt"].nda[:3].tolist() == [4, 8, 4]
    assert "cumsum_1" in read[TABLE]
    assert "cumsum_1" not in read[f"{TABLE}1"]
    assert "waveform_windowed" not in read[f"{TABLE}2"]
    assert "waveform_presummed" not in read[TABLE]
    assert read[f"{TABLE}2.packet_id"].tolist() == [4]


def test_the_header_shows_the_configuration(llama: Any) -> None:
    path = llama.write([llama.channel(0, 4), llama.channel(2, 1)], [])
    shown = llama.read(path)["LLAMAHeaderDecoder"]
    assert [shown[f"version_{part}"].value for part in ("patch", "minor", "major")] == [1, 2, 3]
    assert shown["number_chOpen"].value == 2
    assert shown["fch_04/sample_freq"].value == 250
    assert shown["fch_33/14_bit_flag"].value == 1
    assert shown["fch_33/avg_sample_pretrigger"].value == 3
    assert shown["initial_timestamp"].value == 1704164645


@pytest.mark.parametrize("nbytes", [1, 100, 500])
def test_small_blocks_give_the_same(llama: Any, nbytes: int) -> None:
    channels = [llama.channel(0, 0), llama.channel(0, 1, samples=16)]
    events = [llama.event(row % 2, row, samples=range([8, 16][row % 2])) for row in range(50)]
    read = llama.read(llama.write(channels, events), nbytes=nbytes)
    assert read[f"{TABLE}.packet_id"].tolist() == list(range(1, 51, 2))
    assert read[f"{TABLE}1.packet_id"].tolist() == list(range(2, 51, 2))
    assert (read[f"{TABLE}1"]["waveform_windowed"]["values"].nda[:25] == np.arange(16)).all()
    assert not read.stream.problems


def test_words_after_the_samples_are_passed_over(llama: Any) -> None:
    event = llama.event(0, 1) + bytes(12)
    read = llama.read(llama.write([llama.channel(extra_words=3)], [event, event]))
    assert read.rows(TABLE) == 2


@pytest.mark.parametrize(
    ("name", "zone", "expected"),
    [
        ("20241218-150158-pulser.bin", "UTC", 1734534118),
        ("run_20241218T150158.bin", "UTC", 1734534118),
        ("20241218T150158Z.bin", "Europe/Rome", 1734534118),
        ("20241218-150158.bin", "Europe/Rome", 1734530518),
        ("20240718-150158.bin", "America/New_York", 1721329318),
        ("folder-20241218-150158/run.bin", "UTC", 0),
        ("20241399-150158.bin", "UTC", 0),
        ("120241218-1501589.bin", "UTC", 0),
        ("run.bin", "UTC", 0),
    ],
)
def test_the_name_tells_when_the_run_began(name: str, zone: str, expected: int) -> None:
    assert start_time(name, zone) == expected


def test_the_time_zone_of_the_machine_plays_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.environ.get("TZ")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert start_time("20241218-150158") == 1734534118
    finally:
        monkeypatch.undo()
        time.tzset()
    assert os.environ.get("TZ") == before


@pytest.mark.parametrize("zone", ["Nowhere/Town", "../../etc/passwd", ""])
def test_time_zones_that_are_none(zone: str) -> None:
    with pytest.raises(FormatError, match="time zone"):
        start_time("20241218-150158", zone)


def test_every_truncation_keeps_what_is_whole(llama: Any, damaged: Callable[[Path, bytes], Path]) -> None:
    event = llama.event(0, 3)
    path = llama.write([llama.channel()], [event] * 3)
    data = path.read_bytes()
    header = len(data) - 3 * len(event)
    for length in range(header):
        with pytest.raises(RuntimeError):
            llama.read(damaged(path, data[:length]))
    for length in range(header, len(data)):
        read = llama.read(damaged(path, data[:length]))
        whole, rest = divmod(length - header, len(event))
        assert read.rows(TABLE) == whole
        assert len(read.stream.problems) == (rest > 0)
        if rest:
            assert f"at byte {header + whole * len(event)}, is cut after {rest}" in read.stream.problems[0]


@pytest.mark.parametrize("junk", [4, 40, 5000, 3_000_000])
def test_bytes_that_are_no_event_are_passed_over(llama: Any, junk: int) -> None:
    event = llama.event(0, 3)
    noise = (np.arange(junk // 4, dtype="<u4") * 2654435761 | 0xFFF0).astype("<u4").tobytes()
    path = llama.write([llama.channel()], [event, event, noise, event])
    read = llama.read(path)
    assert read[f"{TABLE}.packet_id"].tolist() == [1, 2, 3]
    assert read.stream.resyncs == 1
    header = 16 + 88
    assert read.stream.problems == [f"{path}: {junk} bytes at byte {header + 2 * len(event)} are no event"]


def test_noise_at_the_end(llama: Any) -> None:
    event = llama.event(0, 3)
    path = llama.write([llama.channel()], [event, b"\xff" * 4000])
    read = llama.read(path)
    assert read.rows(TABLE) == 1
    assert "4000 bytes at byte" in read.stream.problems[0]
    assert read.stream.resyncs == 0


@pytest.mark.parametrize(
    ("channels", "options", "text"),
    [
        ([{}], {"magic": 1}, "wrong file type"),
        ([{}], {"size": 92}, "unknown size"),
        ([{}, {}], {}, "configured twice"),
        ([{"freq": 0.0}], {}, "sampling rate"),
        ([{"freq": float("nan")}], {}, "sampling rate"),
        ([{"words": 3}], {}, "do not fit"),
        ([{"words": 1 << 31}], {}, "do not fit"),
        ([{"samples": 7}], {}, "do not fit"),
        ([{"fadc": 1 << 20}], {}, "makes no sense"),
        ([{"mode": 1 << 30}], {}, "makes no sense"),
        ([], {}, "number of channels"),
    ],
)
def test_headers_that_make_no_sense(
    llama: Any, channels: list[dict[str, Any]], options: dict[str, Any], text: str
) -> None:
    path = llama.write([llama.channel(**channel) for channel in channels], [], **options)
    with pytest.raises(RuntimeError, match=text) as caught:
        llama.read(path)
    assert isinstance(caught.value, FormatError)
    assert caught.value.file == str(path)


def test_garbage_never_breaks_the_decoder(llama: Any, damaged: Callable[[Path, bytes], Path]) -> None:
    path = llama.write([llama.channel(0, 0), llama.channel(0, 1)], [llama.event(n % 2, n) for n in range(30)])
    whole = path.read_bytes()
    rng = random.Random(7)
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 5)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            read = llama.read(damaged(path, bytes(data)), nbytes=1000)
        except FormatError:
            continue
        assert read.rows(TABLE) <= 31


def test_a_decoder_alone_keeps_bad_packets(llama: Any) -> None:
    good = llama.event(0, 3)
    decoder = llama.read(llama.write([llama.channel()], [good])).stream.decoders[1]
    from sapwood.fileio.raw.buffer import RawBuffer

    buffers = {0: RawBuffer(decoder.make_lgdo(0, 4), [0])}
    bad = [
        b"",
        good[:4],
        good[:60],
        llama.event(5, 1),
        llama.event(0, 1, bits=2),
        good[:44] + bytes(4) + good[48:],
    ]
    for number, packet in enumerate([*bad, good]):
        decoder.decode_packet(np.frombuffer(packet, np.uint8), buffers, number)
    assert buffers[0].loc == 1
    assert decoder.garbage.table["packet_id"].nda.tolist() == list(range(6))
    assert set(decoder.garbage.table["garbage_code"].nda.tolist()) == {NO_SENSE}


def test_the_time_zone_is_an_argument_of_everything_that_opens_streams(llama: Any) -> None:
    path = llama.write([llama.channel()], [llama.event(0, 0)])
    build_raw(path, timezone="Asia/Tokyo")
    assert lh5.read("LLAMAEvent/unixtime", str(path.with_suffix(".lh5"))).nda[0] == 1704164645 - 9 * 3600
    for chunk in read_raw(path, timezone="Asia/Tokyo", tables=["LLAMAEvent"]):
        assert chunk["LLAMAEvent"]["unixtime"].nda[0] == 1704164645 - 9 * 3600
    with open_stream(path, timezone="Asia/Tokyo") as (_, header):
        assert header[0].lgdo["initial_timestamp"].value == 1704164645 - 9 * 3600


def test_packed_files(llama: Any, tmp_path: Path) -> None:
    path = llama.write([llama.channel()], [llama.event(0, tick) for tick in range(20)])
    packed = tmp_path / f"{path.name}.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    build_raw(packed, out_spec=str(tmp_path / "out.lh5"))
    table = lh5.read("LLAMAEvent", str(tmp_path / "out.lh5"))
    assert table["time_since_run_start"].nda == pytest.approx(np.arange(20) * 4e-9)
    assert table["unixtime"].nda[0] == 1704164645
