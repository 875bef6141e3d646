"""Where packets begin and end, and what becomes of damage."""

from __future__ import annotations

import bz2
import gzip
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapwood.fileio.lh5 import read
from sapwood.fileio.raw import build_raw
from sapwood.fileio.raw.orca import OrcaStream
from sapwood.fileio.raw.orca.packets import walk

IDS = {0x80000, 0xC0000, 0x240000, 0xA4000000}


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(IDS)), st.integers(1, 40), st.booleans(), st.integers(1, 30)),
        max_size=12,
    ),
    st.integers(1, 200),
)
def test_every_packet_is_found_in_its_place(runs: list[tuple[int, int, bool, int]], limit: int) -> None:
    data, expected = b"", []
    for data_id, words, extended, repeats in runs:
        for _ in range(repeats):
            if data_id >> 31:
                one = np.array([data_id | 5], "<u4")
            elif extended:
                one = np.array([data_id, words + 1, *range(words - 1)], "<u4")
            else:
                one = np.array([data_id + words, *range(words - 1)], "<u4")
            expected.append((len(data), one.nbytes))
            data += one.tobytes()
    found = walk(np.frombuffer(data, np.uint8), IDS, limit)
    assert list(zip(found.start.tolist(), found.size.tolist(), strict=True)) == expected[:limit]
    assert found.fault == ""


def runs_of(made: Any, count: int) -> bytes:
    return b"".join(made.run_record(number) for number in range(count))


@pytest.fixture
def head(made: Any) -> bytes:
    return bytes(made.header(made.tree([made.RUN, made.OTHER, made.SHORT])))


def test_blocks_are_as_small_as_asked(made: Any, decoded: Any, head: bytes) -> None:
    whole = decoded(head + runs_of(made, 30), nbytes=1, packets=7)
    assert whole.packets == 31
    assert whole.column("ORRunDecoderForRun", "run_number").tolist() == list(range(30))


def test_short_records_and_unknown_decoders_are_counted(made: Any, decoded: Any, head: bytes) -> None:
    short = np.array([made.SHORT | 77], "<u4").tobytes()
    data = head + runs_of(made, 2) + short + made.packet(made.OTHER, range(9), extended=True) + short
    result = decoded(data + made.run_record(5))
    assert result.packets == 7
    assert result.stream.unknown == {"ORBlinkDecoder": 2, "ORSomethingElseDecoder": 1}
    assert result.column("ORRunDecoderForRun", "run_number").tolist() == [0, 1, 5]
    assert result.problems == []


@pytest.mark.parametrize("junk", [1, 2, 3, 5, 4096, 3_000_001])
def test_goes_on_behind_bytes_that_are_no_packets(made: Any, decoded: Any, head: bytes, junk: int) -> None:
    noise = b"\xff" * junk  # a short record's id that nobody has
    before = head + runs_of(made, 3)
    result = decoded(before + noise + runs_of(made, 4))
    assert result.column("ORRunDecoderForRun", "run_number").tolist() == [0, 1, 2, 0, 1, 2, 3]
    assert result.stream.resyncs == 1
    assert result.problems == [
        f"made.orca: {junk} bytes that are no packets are skipped at offset {len(before)}"
    ]


def test_one_packet_before_the_end_is_found_again(made: Any, decoded: Any, head: bytes) -> None:
    result = decoded(head + b"\xff" * 6 + made.run_record(9))
    assert result.column("ORRunDecoderForRun", "run_number").tolist() == [9]


def test_nothing_behind_the_damage(made: Any, decoded: Any, head: bytes) -> None:
    before = head + runs_of(made, 3)
    result = decoded(before + b"\xff" * 5000)
    assert len(result.column("ORRunDecoderForRun", "run_number")) == 3
    assert result.problems == [f"made.orca: no packet begins here and none follows, at offset {len(before)}"]


def test_a_length_that_swallows_the_rest(made: Any, decoded: Any, head: bytes) -> None:
    wrong = np.array([made.OTHER | 0x3FFFF, 1, 2], "<u4").tobytes()
    result = decoded(head + made.run_record(1) + wrong + runs_of(made, 5))
    assert len(result.column("ORRunDecoderForRun", "run_number")) == 6
    assert result.stream.resyncs == 1


def test_an_impossible_length_takes_no_memory(made: Any, decoded: Any, head: bytes) -> None:
    wrong = np.array([made.OTHER, 0xFFFFFFFF], "<u4").tobytes()
    tracemalloc.start()
    result = decoded(head + wrong + runs_of(made, 5))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(result.column("ORRunDecoderForRun", "run_number")) == 5
    assert peak < 60e6


def test_a_stream_of_nothing_but_damage_is_given_up(
    made: Any, decoded: Any, head: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sapwood.fileio.raw.orca.stream._MOST_RESYNCS", 20)
    result = decoded(head + (runs_of(made, 3) + b"\xff" * 4) * 100)
    assert len(result.column("ORRunDecoderForRun", "run_number")) == 63
    assert result.stream.resyncs == 20
    assert result.problems[-1].endswith(f"after offset {len(head) + 21 * 52 - 4} is not read")


@pytest.mark.parametrize("packer", [gzip, bz2])
def test_packed_files(made: Any, tmp_path: Path, head: bytes, packer: Any) -> None:
    path = tmp_path / "run.orca.packed"
    path.write_bytes(packer.compress(head + runs_of(made, 50)))
    build_raw(path, out_spec=str(tmp_path / "out.lh5"))
    numbers = read("ORRunDecoderForRun/run_number", tmp_path / "out.lh5")
    assert numbers.nda.tolist() == list(range(50))


def test_a_second_header_is_skipped(made: Any, decoded: Any, head: bytes) -> None:
    result = decoded(head + runs_of(made, 2) + head + runs_of(made, 1))
    assert len(result.column("ORRunDecoderForRun", "run_number")) == 3
    assert result.stream.unknown == {"OrcaHeaderDecoder": 1}
    assert "another header" in result.problems[0]


def test_every_truncation_keeps_what_is_whole(made: Any, decoded: Any, head: bytes) -> None:
    data = head + runs_of(made, 4)
    for cut in range(len(head), len(data)):
        result = decoded(data[:cut])
        whole, rest = divmod(cut - len(head), 16)
        assert len(result.column("ORRunDecoderForRun", "run_number")) == whole
        assert bool(result.problems) == bool(rest)
        if rest:
            assert f"at offset {cut - rest}" in result.problems[0]


@pytest.mark.parametrize("seed", range(25))
def test_noise_never_hurts(made: Any, decoded: Any, head: bytes, seed: int) -> None:
    random = np.random.default_rng(seed)
    data = np.frombuffer(head + runs_of(made, 40), np.uint8).copy()
    places = random.integers(len(head), len(data), 12)
    data[places] = random.integers(0, 256, len(places))
    result = decoded(data.tobytes())
    assert result.packets > 1


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "no orca data in file"),
        (b"\0" * 40, "does not begin with an ORCA header"),
        (b"\x05\0\0\0\x0c\0\0\0<?xm", "cut off"),
    ],
)
def test_no_header(decoded: Any, data: bytes, text: str) -> None:
    with pytest.raises(RuntimeError, match=text):
        decoded(data)


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE plist [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
    b"<plist><string>&b;</string></plist>"
)


@pytest.mark.parametrize(
    ("xml", "text"),
    [
        (BOMB, "no property list"),
        (b"<?xml version='1.0'?><plist><array/></plist>", "no dictionary"),
        (b"<?xml version='1.0'?><plist><dict><key>a</key>", "no property list"),
        (b"<?xml version='1.0'?><plist><integer>" + b"9" * 9999 + b"</integer></plist>", "no property list"),
        (
            b"<?xml version='1.0'?><plist><dict><key>a</key>"
            + b"<array>" * 5000
            + b"</array>" * 5000
            + b"</dict></plist>",
            "too deeply",
        ),
    ],
)
def test_hostile_headers_are_refused(made: Any, decoded: Any, xml: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=text) as caught:
        decoded(made.xml_header(xml))
    assert "made.orca" in str(caught.value)


@pytest.mark.parametrize("value", [3, "text", [], {"a": 1}, {"a": {"b": 2}}, [[1]], None])
@pytest.mark.parametrize("section", ["ObjectInfo", "ReadoutDescription"])
def test_sections_of_another_kind_count_as_empty(made: Any, decoded: Any, section: str, value: Any) -> None:
    content = made.tree([made.RUN, made.FLASHCAM, made.SIS3302, made.SIS3316])
    if value is None:
        del content[section]
    else:
        content[section] = value
    result = decoded(made.header(content) + made.run_record(3))
    assert result.column("ORRunDecoderForRun", "run_number").tolist() == [3]
    assert isinstance(result.stream, OrcaStream)
