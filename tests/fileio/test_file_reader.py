"""`FileReader`: the peer's interface, and columns."""

from __future__ import annotations

import hashlib
import logging
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood.errors import FileError, FormatError, SapwoodError
from sapwood.fileio import BatchHeader, FileReader, FileReaderException, RogueHeader
from sapwood.fileio.rogue.superframe import split_superframe

WIDTHS = (2, 4, 8, 16, 32, 64)


def record(channel: int, payload: bytes, flags: int = 0, error: int = 0) -> bytes:
    return struct.pack("<IHBB", len(payload) + 4, flags, error, channel) + payload


def tail(payload: bytes, dest: int, width: int) -> bytes:
    head = struct.pack("<I4B", len(payload), dest, 3, 4, WIDTHS.index(width))
    return head.ljust(max(width, 8), b"\0")


def padded(payload: bytes, width: int) -> bytes:
    return payload + bytes(-len(payload) % width)


def header_first(payloads: list[bytes], width: int) -> bytes:
    return b"".join(tail(p, n, width) + padded(p, width) for n, p in enumerate(payloads))


def tail_last(payloads: list[bytes], width: int) -> bytes:
    head = bytes([1 | WIDTHS.index(width) << 4, 9]).ljust(width, b"\0")
    return head + b"".join(padded(p, width) + tail(p, n, width) for n, p in enumerate(payloads))


def test_records_with_header_and_payload(tmp_path: Path) -> None:
    path = tmp_path / "noending"
    path.write_bytes(record(3, b"abcd", 0xBEEF, 0x12) + record(255, b"") + record(4, b"\xff"))
    reader = FileReader(str(path))
    (first, body), second, third = reader.records()
    assert first == RogueHeader(size=4, flags=0xBEEF, error=0x12, channel=3)
    assert (body.dtype, body.tobytes()) == (np.int8, b"abcd")
    assert body.flags.owndata
    body[0] = 1  # the caller's own
    assert second[0] == RogueHeader(0, 0, 0, 255)
    assert len(second[1]) == 0
    assert third[1].tolist() == [-1]
    assert (reader.currCount, reader.totCount) == (3, 3)


def test_records_of_every_golden_file(golden_rogue: Path, rogue_manifest: dict[str, Any]) -> None:
    for name, entry in rogue_manifest.items():
        wanted = entry["expect"].get("peer_FileReader", entry["expect"].get("record_list"))
        if wanted is not None:
            found = [
                [head.channel, head.error, head.flags, head.size, hashlib.sha256(body.tobytes()).hexdigest()]
                for head, body in FileReader(golden_rogue / name).records()
            ]
            assert found == wanted, name


def test_files_in_the_order_given_and_again(tmp_path: Path) -> None:
    for name, count in (("b.1", 2), ("b.2", 3), ("a", 1)):
        (tmp_path / name).write_bytes(record(1, b"x") * count)
    reader = FileReader([tmp_path / "b.1", tmp_path / "a"])
    for _ in range(2):  # iterable again, from the start
        counts = [(reader.currCount, reader.totCount) for _ in reader.records()]
        assert counts == [(1, 1), (2, 2), (1, 3)]
    assert len(list(FileReader(tmp_path / "b.1").records())) == 2  # no chaining


def test_configuration_advances_with_the_records(golden_rogue: Path, rogue_manifest: dict[str, Any]) -> None:
    path = golden_rogue / "config_ch255.dat"
    with FileReader(path, configChan=255) as reader:
        gains = []
        for head, body in reader.records():
            gains.append((head.channel, body.tobytes(), reader.configValue("Top.DevA.Gain")))
        assert gains == [(1, b"first data frame", 1.25), (1, b"second data frame", 2.5)]
        assert reader.totCount == 2
        for name, value in rogue_manifest["config_ch255.dat"]["expect"]["config_values"].items():
            if value == "MISSING":
                with pytest.raises(FileReaderException, match=f"Failed to find path {name}"):
                    reader.configValue(name)
            else:
                assert reader.configValue(name) == value
        assert len(list(reader.records())) == 2
        assert reader.configDict["Top"]["DevB"]["Mode"] == "Odd"
    assert len(list(FileReader(path).records())) == 9


def test_configuration_that_cannot_be_read_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(record(9, b"\xff\xff") + record(9, b"A: !!float '1,234.5'") + record(1, b"data"))
    reader = FileReader(path, configChan=9)
    assert len(list(reader.records())) == 1
    assert reader.configDict == {"A": 1234.5}
    assert "a.dat: Configuration record is not YAML" in caplog.text


def test_columns_of_the_data_records(tmp_path: Path) -> None:
    paths = [tmp_path / "a.dat", tmp_path / "b.dat"]
    paths[0].write_bytes(record(9, b"A: 1") + record(1, b"one") + record(9, b"A: 2") + record(2, b"two"))
    paths[1].write_bytes(record(3, b"three"))
    reader = FileReader(paths, configChan=9)
    assert [batch.channel.tolist() for batch in reader.batches()] == [[1, 2], [3]]
    assert reader.configDict == {"A": 2}
    assert (reader.currCount, reader.totCount) == (1, 3)
    batch = reader.read()
    assert [bytes(frame.buffer) for frame in batch.frames()] == [b"one", b"two", b"three"]
    assert reader.totCount == 3


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(FileReaderException, match=f"Failed to read file {tmp_path}/b") as caught:
        FileReader([tmp_path / "a", tmp_path / "b"])
    assert isinstance(caught.value, FileError)
    assert isinstance(caught.value, SapwoodError)
    assert list(FileReader(tmp_path / "a").records()) == []


def test_a_torn_tail_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(record(1, b"abc") * 2 + record(1, b"abc")[:-1])
    assert len(list(FileReader(path).records())) == 2
    assert f"File underrun reading {path} at offset 22" in caplog.text
    log = logging.getLogger("mine")
    caplog.clear()
    list(FileReader(path, log=log).records())
    assert caplog.records[0].name == "mine"


# Super-frames


def test_batched_golden_files(golden_rogue: Path, rogue_manifest: dict[str, Any]) -> None:
    names = [name for name in rogue_manifest if name.startswith("batcher")]
    assert len(names) == 6
    for name in names:
        expect = rogue_manifest[name.replace("_inverted", "")]["expect"]["subframes"]
        found = [
            {
                "dest": sub.tdest,
                "first_user": sub.fUser,
                "last_user": sub.lUser,
                "length": sub.size,
                "sha256": hashlib.sha256(body.tobytes()).hexdigest(),
            }
            for _, sub, body in FileReader(golden_rogue / name, batched=True).records()
        ]
        assert found == [sub for frame in expect for sub in frame], name


# A header-first reading of a tail-last frame of small words can make sense by accident, and there is no
# mark that tells them apart; payload bytes of 0xA0 and more keep such accidents out.
bodies = st.lists(st.binary(max_size=70).map(lambda b: bytes(0xA0 | x for x in b)), min_size=1, max_size=6)


@given(bodies, st.sampled_from(WIDTHS), st.sampled_from([header_first, tail_last]))
@settings(deadline=None)
def test_superframes_of_every_width(payloads: list[bytes], width: int, layout: Any) -> None:
    frame = layout(payloads, width)
    parts = split_superframe(memoryview(frame))
    assert [frame[begin : begin + sub.size] for sub, begin in parts] == payloads
    assert [sub for sub, _ in parts] == [
        BatchHeader(len(payload), n, 3, 4, width) for n, payload in enumerate(payloads)
    ]


def test_superframes_without_padding() -> None:
    frame = tail(b"abc", 0, 8) + b"abc" + tail(b"defgh", 1, 8) + b"defgh"
    parts = split_superframe(memoryview(frame))
    assert [frame[begin : begin + sub.size] for sub, begin in parts] == [b"abc", b"defgh"]


def test_superframes_have_one_width() -> None:
    with pytest.raises(FormatError, match="Batch frame header underrun"):
        split_superframe(memoryview(tail(b"", 0, 4) + tail(b"", 1, 8)))


def test_an_own_copy_of_each_subframe(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(record(5, header_first([b"one", b"two"], 8)) + record(6, header_first([b"three"], 8)))
    reader = FileReader(path, batched=True)
    found = list(reader.records())
    assert [(head.channel, sub.tdest, body.tobytes()) for head, sub, body in found] == [
        (5, 0, b"one"), (5, 1, b"two"), (6, 0, b"three"),
    ]  # fmt: skip
    assert all(body.flags.owndata and body.dtype == np.int8 for _, _, body in found)
    assert reader.totCount == 2


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b"\xff\xff\xff", "Batch frame header underrun in"),
        (b"\x50\0\0\0\0\0\0\0ab", "Batch frame data underrun in"),
    ],
)
def test_subframe_underruns(tmp_path: Path, payload: bytes, text: str) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(record(1, payload))
    with pytest.raises(FileReaderException, match=f"{text} {path}"):
        list(FileReader(path, batched=True).records())


@given(st.binary(max_size=100))
@settings(deadline=None)
def test_any_bytes_are_a_superframe_or_refused(frame: bytes) -> None:
    try:
        parts = split_superframe(memoryview(frame))
    except FormatError:
        return
    assert all(0 <= begin <= begin + sub.size <= len(frame) for sub, begin in parts)
