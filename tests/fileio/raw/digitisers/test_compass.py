"""CoMPASS files: every combination of fields, settings, files without header, damage."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sapwood.errors import FileError, FormatError, SapwoodError
from sapwood.fileio import lh5
from sapwood.fileio.raw import build_raw
from sapwood.fileio.raw.compass import CompassStream, EventLayout
from sapwood.fileio.raw.compass.eventdecoder import OTHER_LENGTH
from sapwood.fileio.raw.source import FileSource, ReadingSource

SAMPLES = [list(range(row, row + 8)) for row in range(40)]


def events(count: int = 40, **other: Any) -> list[dict[str, Any]]:
    return [
        {"time": 10**9 + 4000 * row, "channel": row % 3, "board": row % 2, "energy": row,
         "short": 65000 + row,
         "calibrated": row / 8, "flags": row << 8, "samples": SAMPLES[row % 40], **other}
        for row in range(count)
    ]  # fmt: skip


def check_rows(read: Any, bits: int, count: int = 40) -> None:
    rows = np.arange(count)
    table = "CompassEventDecoder"
    assert read.rows(table) == count
    assert (read[f"{table}.packet_id"] == rows + 1).all()
    assert (read[f"{table}.timestamp_ps"] == 10**9 + 4000 * rows).all()
    assert (read[f"{table}.timestamp"] == 10**9 + 4000 * rows).all()
    assert (read[f"{table}.channel"] == rows % 3).all()
    assert (read[f"{table}.board"] == rows % 2).all()
    assert (read[f"{table}.energy"] == (rows if bits & 1 else 0)).all()
    calibrated = read[f"{table}.energy_calibrated"]
    assert np.array_equal(calibrated, rows / 8 if bits & 2 else np.full(count, np.nan), equal_nan=True)
    assert (read[f"{table}.energy_short"] == (65000 + rows if bits & 4 else 0)).all()
    assert (read[f"{table}.flags"] == rows << 8).all()
    assert (read[f"{table}.num_samples"] == (8 if bits & 8 else 0)).all()
    columns = read[table]
    if bits & 8:
        assert np.array_equal(columns["waveform"]["values"].nda[:count], np.array(SAMPLES)[rows % 40])
    else:
        assert "waveform" not in columns


@pytest.mark.parametrize("bits", range(16))
@pytest.mark.parametrize("header", [True, False])
def test_every_combination_of_fields(compass: Any, bits: int, header: bool) -> None:
    path = compass.write(bits, events(), header=header)
    if not header and bits & 7 == 4:
        bits ^= 5  # without a header, short energy alone looks like energy alone
        read = compass.read(path)
        assert (read["CompassEventDecoder.energy"] == np.arange(40) + 65000).all()
        return
    read = compass.read(path)
    check_rows(read, bits)
    assert not read.stream.problems
    shown = read["CompassHeaderDecoder"]
    names = ["energy_channels", "energy_calibrated", "energy_short", "waveform_samples"]
    assert [shown[name].value for name in names] == [bits >> bit & 1 for bit in range(4)]
    assert shown["header_present"].value == header


@pytest.mark.parametrize("bits", [9, 13, 10, 15, 0, 7])
def test_small_blocks_give_the_same(compass: Any, bits: int) -> None:
    path = compass.write(bits, events())
    assert compass.read(path, nbytes=1).blocks == 41
    check_rows(compass.read(path, nbytes=1), bits)
    check_rows(compass.read(path, nbytes=100, packets=3), bits)


def test_a_file_without_header_may_be_one_event(compass: Any) -> None:
    path = compass.write(13, events(1), header=False)
    check_rows(compass.read(path), 13, 1)


def test_times_beyond_what_a_float_holds_stay_exact(compass: Any) -> None:
    late = (1 << 60) + 1
    read = compass.read(compass.write(1, [{"time": late}]))
    assert int(read["CompassEventDecoder.timestamp_ps"][0]) == late
    assert int(read["CompassEventDecoder.timestamp"][0]) == 1 << 60


def test_settings_give_sampling_times_and_channels(compass: Any) -> None:
    config = compass.settings(
        compass.board("DT5730"), compass.board("DT5725", "32.0", channels=(0, 1, 2)),
        compass.board("XY9999", "64", "<sampleTime>8000</sampleTime>"),
    )  # fmt: skip
    path = compass.write(9, [{"board": board, "samples": range(8)} for board in (0, 1, 2, 1, 0)])
    read = compass.read(path, config)
    assert read["CompassEventDecoder"]["waveform"]["dt"].nda[:5].tolist() == [2, 4, 8, 4, 2]
    boards = read["CompassHeaderDecoder"]["boards"]
    assert [boards[n]["sample_rate"].value for n in "012"] == [0.5, 0.25, 0.125]
    assert [boards[n]["wf_len"].value for n in "012"] == [8, 8, 8]
    assert boards["1"]["modelName"].value == "DT5725"
    assert sorted(boards["1"]["channels"]) == ["0", "1", "2"]
    assert read.stream.decoders[1].get_key_list() == [0, 1, 512, 513, 514, 1024, 1025]
    assert not read.stream.problems


def test_boards_of_other_length_have_tables_of_their_own(compass: Any) -> None:
    config = compass.settings(compass.board("DT5730"), compass.board("DT5730", "8"))
    lengths = {0: 8, 1: 4}
    order = [0, 1, 1, 0, 1]
    path = compass.write(9, [{"board": board, "samples": range(lengths[board])} for board in order])
    for read in (compass.read(path, config), compass.read(path)):
        first = read["CompassEventDecoder"]["waveform"]["values"].nda[:2]
        second = read["CompassEventDecoder1"]["waveform"]["values"].nda[:3]
        assert (first == np.arange(8)).all()
        assert (second == np.arange(4)).all()
        assert read["CompassEventDecoder1.packet_id"].tolist() == [2, 3, 5]


def test_without_settings_sampling_times_are_unknown(compass: Any) -> None:
    read = compass.read(compass.write(9, events()))
    assert np.isnan(read["CompassEventDecoder"]["waveform"]["dt"].nda[:40]).all()
    boards = read["CompassHeaderDecoder"]["boards"]
    assert np.isnan(boards["0"]["modelName"].value)
    assert np.isnan(boards["1/channels/7"].value)
    assert boards["0"]["wf_len"].value == 8


def test_data_count_more_than_settings(compass: Any) -> None:
    config = compass.settings(compass.board(length="100"))
    read = compass.read(compass.write(9, events(4, board=0)), config)
    assert read["CompassEventDecoder"]["waveform"]["values"].nda.shape[1] == 8
    assert "8 samples, the settings say 50" in read.stream.problems[0]


def test_channels_the_settings_lack_are_skipped_and_counted(compass: Any) -> None:
    config = compass.settings(compass.board(channels=(0,)))
    path = compass.write(
        9, [{"board": b, "channel": c, "samples": range(8)} for b, c in [(0, 0), (0, 3), (7, 0)]]
    )
    read = compass.read(path, config)
    assert read.rows("CompassEventDecoder") == 1
    assert read.stream.decoders[1].skipped == {3: 1}
    assert read.stream.decoders[1].garbage.count == 1  # waveforms of a board that is not there


def test_waveforms_of_changing_length(compass: Any) -> None:
    lengths = [8, 8, 3, 0, 8, 9, 8, 2] * 100
    path = compass.write(13, [{"samples": range(length), "energy": 7} for length in lengths])
    read = compass.read(path, nbytes=3000)
    kept = [length for length in lengths if length <= 8]
    assert read["CompassEventDecoder.num_samples"].tolist() == kept
    values = read["CompassEventDecoder"]["waveform"]["values"].nda[: len(kept)]
    expected = [[*range(length), *[0] * (8 - length)] for length in kept]
    assert np.array_equal(values, expected)
    garbage = read.stream.decoders[1].garbage
    assert garbage.count == 100
    assert set(garbage.table["garbage_code"].nda.tolist()) == {OTHER_LENGTH}
    assert garbage.table["packet_id"].nda[0] == 6


def test_every_truncation_keeps_what_is_whole(compass: Any, damaged: Callable[[Path, bytes], Path]) -> None:
    path = compass.write(13, events(3))
    data = path.read_bytes()
    size = (len(data) - 2) // 3
    for length in range(2, len(data)):
        read = compass.read(damaged(path, data[:length]))
        whole, rest = divmod(length - 2, size)
        assert read.rows("CompassEventDecoder") == whole
        assert len(read.stream.problems) == (rest > 0)
        if rest:
            assert f"at byte {2 + whole * size}, is cut after {rest} bytes" in read.stream.problems[0]


def test_an_absurd_length_ends_the_stream_with_its_place(compass: Any) -> None:
    path = compass.write(9, events(2))
    with path.open("ab") as file:
        file.write(compass.event(9)[:-4] + b"\xff\xff\xff\xff" + bytes(100))
    read = compass.read(path)
    assert read.rows("CompassEventDecoder") == 2
    assert "at byte 80 an event of 8589934613 bytes" in read.stream.problems[0]


def test_live_streams_give_what_has_come(compass: Any) -> None:
    data = compass.write(13, events()).read_bytes()
    parts = iter([data[at : at + 17] for at in range(0, len(data), 17)])
    source = ReadingSource("somewhere", lambda nbytes: next(parts, b""), lambda: None)
    stream = CompassStream(source)
    assert stream.begin().packets.frame_bytes(0).tobytes() == data[:2]
    found = 0
    while (block := stream.next_block(1000, 100)) is not None:
        found += len(block.packets)
    assert found == 40


@pytest.mark.parametrize("data", [b"", b"\x01", b"no list file of a digitiser" * 10, bytes(range(256)) * 20])
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "other.bin"
    path.write_bytes(data)
    with pytest.raises(RuntimeError, match="no CoMPASS file"):
        CompassStream(FileSource(path)).begin()


def test_garbage_never_breaks_the_decoder(compass: Any, damaged: Callable[[Path, bytes], Path]) -> None:
    path = compass.write(13, events())
    whole = path.read_bytes()
    rng = random.Random(5)
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 5)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            read = compass.read(damaged(path, bytes(data)), nbytes=2000)
        except FormatError:
            assert data[1] != 0xCA
        else:
            assert read.rows("CompassEventDecoder") <= 50


HOSTILE = {
    "entities": '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><configuration>&c;</configuration>',
    "external": '<!DOCTYPE a SYSTEM "file:///etc/passwd"><configuration/>',
    "deep": "<a>" * 1000 + "</a>" * 1000,
    "no XML": "{}",
    "cut": "<configuration><board>",
    "no board": "<configuration/>",
    "no length": "<configuration><board><modelName>DT5730</modelName></board></configuration>",
    "no rate": "<configuration><board><modelName>?</modelName></board></configuration>",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_settings_are_refused(compass: Any, tmp_path: Path, text: str) -> None:
    config = tmp_path / "settings.xml"
    config.write_text(text)
    with pytest.raises(FormatError) as caught:
        compass.read(compass.write(9, events(2)), config)
    assert isinstance(caught.value, RuntimeError)
    assert caught.value.file == str(config)


@pytest.mark.parametrize("length", ["nan", "inf", "-4", "1e300", "x", None])
def test_lengths_that_make_no_sense_are_refused(compass: Any, length: str | None) -> None:
    config = compass.settings(compass.board(length=length))
    with pytest.raises(SapwoodError, match="length of waveforms"):
        compass.read(compass.write(9, events(2)), config)


def test_settings_that_are_not_there(compass: Any, tmp_path: Path) -> None:
    with pytest.raises(FileError):
        compass.read(compass.write(9, events(2)), tmp_path / "none.xml")


def test_sizes_of_heads() -> None:
    heads = {EventLayout(True, False, False, True).head: 23, EventLayout(True, True, True, True).head: 33}
    assert heads == {23: 23, 33: 33}
    assert EventLayout(False, False, False, False).head == 16


def test_follow_up_files_without_header_continue_the_rows(compass: Any, tmp_path: Path) -> None:
    first = compass.write(13, events(10)).rename(tmp_path / "first.BIN")
    second = compass.write(13, events(10), header=False)
    build_raw([first, second], out_spec=str(tmp_path / "all.lh5"))
    table = lh5.read("CompassEvent", str(tmp_path / "all.lh5"))
    assert table["energy"].nda.tolist() == list(range(10)) * 2


def test_packed_files(compass: Any, tmp_path: Path) -> None:
    packed = tmp_path / "run.BIN.gz"
    packed.write_bytes(gzip.compress(compass.write(13, events()).read_bytes()))
    summary = build_raw(packed)
    assert summary.rows[f"{tmp_path / 'run.lh5'}:/CompassEvent"] == 40
