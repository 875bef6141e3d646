"""Framing rules: any chunking gives the same frames; damage is skipped, reported and survived."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood.errors import ProtocolError, StreamError
from sapwood.streams import FrameBatch, Gap
from sapwood.streams.protocols.framer import Framer
from sapwood.streams.protocols.framing import Delimited, FixedSize, Framing, LengthPrefix, SyncWord

SYNC = b"\xaa\x55\xaa"
PAYLOADS = st.lists(st.one_of(st.binary(max_size=30), st.just(b"equal size"), st.just(b"")), max_size=40)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[begin:end] for begin, end in itertools.pairwise(at)]


def feed(framer: Framer, chunks: list[bytes]) -> tuple[list[bytes], int]:
    """Return the frames, and the bytes that gaps tell of."""
    frames: list[bytes] = []
    lost = 0
    for chunk in chunks:
        for item in framer.feed(chunk, 5):
            if isinstance(item, FrameBatch):
                assert set(item.time.tolist()) == {5}
                assert set(item.channel.tolist()) == {3}
                frames += [bytes(frame) for frame in item.frames()]
            else:
                assert (item.reason, item.frames, item.channel) == ("skipped", 0, 3)
                lost += item.bytes
    return frames, lost


def framer(rule: Framing, most: int = 1000) -> Framer:
    return Framer(rule, most, 3)


LENGTHS = st.fixed_dictionaries(
    {
        "width": st.sampled_from([1, 2, 3, 4, 8]),
        "byteorder": st.sampled_from(["little", "big"]),
        "inclusive": st.booleans(),
        "keep": st.booleans(),
    }
)
CUTS = st.lists(st.integers(0, 600), max_size=20)


@given(payloads=PAYLOADS, options=LENGTHS, offset=st.integers(0, 3), more=st.integers(0, 3), cuts=CUTS)
def test_length_prefix(payloads: list[bytes], options: Any, offset: int, more: int, cuts: list[int]) -> None:
    header = offset + options["width"] + more
    wire, want = b"", []
    for payload in payloads:
        count = len(payload) + (header if options["inclusive"] else 0)
        head = b"#" * offset + count.to_bytes(options["width"], options["byteorder"]) + b"#" * more
        wire += head + payload
        want.append(head + payload if options["keep"] else payload)
    one = framer(LengthPrefix(offset=offset, header=header, **options))
    assert feed(one, split(wire, cuts)) == (want, 0)
    assert one.end() == []


@given(payloads=PAYLOADS, options=LENGTHS, cuts=CUTS)
def test_sync_word(payloads: list[bytes], options: Any, cuts: list[int]) -> None:
    header = len(SYNC) + options["width"]
    wire, want = b"", []
    for payload in payloads:
        count = len(payload) + (header if options["inclusive"] else 0)
        head = SYNC + count.to_bytes(options["width"], options["byteorder"])
        wire += head + payload
        want.append(head + payload if options["keep"] else payload)
    assert feed(framer(SyncWord(SYNC, **options)), split(wire, cuts)) == (want, 0)


@settings(max_examples=300)
@given(
    parts=st.lists(
        st.one_of(
            st.binary(max_size=20).map(lambda data: ("frame", data)),
            st.binary(min_size=1, max_size=20).map(lambda data: ("rubbish", data)),
            st.just(("rubbish", SYNC[:2])),
            st.just(("rubbish", SYNC + b"\xff\xff")),  # a mark with an impossible length
        ),
        max_size=25,
    ),
    cuts=CUTS,
)
def test_a_sync_word_is_found_again(parts: list[tuple[str, bytes]], cuts: list[int]) -> None:
    def safe(data: bytes) -> bytes:
        return data.replace(SYNC[:1], b".")

    wire, want, lost = b"", [], 0
    for kind, data in parts:
        if kind == "frame":
            wire += SYNC + len(data).to_bytes(2, "big") + safe(data)
            want.append(safe(data))
        else:
            data = data if data.startswith(SYNC[:2]) else safe(data)
            wire += data
            lost += len(data)
    wire += SYNC + bytes(2)
    rule = SyncWord(SYNC, 2, "big", keep=False)
    assert feed(framer(rule, 100), split(wire, cuts)) == ([*want, b""], lost)


@given(
    payloads=PAYLOADS, delimiter=st.sampled_from([b"\n", b"\r\n", b"--", b"aab"]), keep=st.booleans(),
    cuts=CUTS, most=st.sampled_from([5, 12, 1000]),
)  # fmt: skip
def test_delimiters(payloads: list[bytes], delimiter: bytes, keep: bool, cuts: list[int], most: int) -> None:
    clean = [payload.translate(None, delimiter) for payload in payloads]
    wire = b"".join(payload + delimiter for payload in clean)
    fit = [payload for payload in clean if len(payload) <= most]
    want = [payload + delimiter if keep else payload for payload in fit]
    lost = sum(len(payload + delimiter) for payload in clean if len(payload) > most)
    one = framer(Delimited(delimiter, keep=keep), most)
    assert feed(one, split(wire, cuts)) == (want, lost)
    assert one.end() == []


@given(data=st.binary(max_size=600), size=st.integers(1, 40), cuts=CUTS)
def test_fixed_size(data: bytes, size: int, cuts: list[int]) -> None:
    whole = len(data) // size * size
    one = framer(FixedSize(size))
    assert feed(one, split(data, cuts)) == ([data[at : at + size] for at in range(0, whole, size)], 0)
    assert [(gap.reason, gap.bytes) for gap in one.end() if isinstance(gap, Gap)] == (
        [("torn", len(data) - whole)] if len(data) > whole else []
    )
    assert one.waiting == 0


RULES = [FixedSize(7), LengthPrefix(2), LengthPrefix(8, "big", inclusive=True), SyncWord(b"\0", 1),
         SyncWord(SYNC, 4), Delimited(), Delimited(b"ab")]  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
@given(data=st.binary(max_size=500), cuts=CUTS)
def test_any_bytes_are_frames_gaps_or_an_error_and_all_chunkings_agree(
    rule: Framing, data: bytes, cuts: list[int]
) -> None:
    def run(chunks: list[bytes]) -> tuple[list[bytes], int, bool]:
        one, frames, lost, failed = framer(rule, 40), [], 0, False
        try:
            for chunk in chunks:
                found, gone = feed(one, [chunk])
                frames += found
                lost += gone
        except ProtocolError:
            failed = True
        return frames, lost + sum(gap.bytes for gap in one.end() if isinstance(gap, Gap)), failed

    whole, pieces, bytewise = run([data, b""]), run(split(data, cuts)), run(split(data, list(range(600))))
    assert whole[0] == pieces[0] == bytewise[0]
    if not (whole[2] or pieces[2]):
        assert whole[1] == pieces[1] == bytewise[1]


def test_large_reads_are_views_of_one_buffer_and_pieces_of_memory_change() -> None:
    payload = np.random.default_rng(1).bytes(100_000)
    wire = b"".join(len(payload).to_bytes(4, "little") + payload for _ in range(200))
    one = framer(LengthPrefix(), 1 << 20)
    frames, lost = feed(one, split(wire, list(range(0, len(wire), 777_777))))
    assert frames == [payload] * 200
    assert lost == 0


def test_a_frame_larger_than_memory_so_far() -> None:
    payload = bytes(20 << 20)
    one = framer(LengthPrefix(), 1 << 30)
    wire = len(payload).to_bytes(4, "little") + payload
    assert [len(frame) for frame in feed(one, split(wire, list(range(0, len(wire), 1 << 20))))[0]] == [
        20 << 20
    ]


def test_a_frame_that_is_too_large_takes_no_memory() -> None:
    one = framer(Delimited(), 1000)
    for _ in range(1000):
        assert feed(one, [b"x" * 10_000]) == ([], 0)
        assert one.waiting <= 1001
    assert feed(one, [b"\nnext\n"]) == ([b"next"], 10_000_001)


@pytest.mark.parametrize("rule", [LengthPrefix(4), LengthPrefix(4, inclusive=True)])
def test_an_impossible_length_ends_the_stream(rule: Framing) -> None:
    one = framer(rule, 100)
    with pytest.raises(ProtocolError, match="length of a frame is impossible"):
        feed(one, [b"\xff\xff\xff\x7f"])
    with pytest.raises(ProtocolError, match="too large"):
        feed(framer(FixedSize(101), 100), [b"x"])


def test_bad_rules() -> None:
    for wrong in (
        lambda: FixedSize(0), lambda: LengthPrefix(5), lambda: LengthPrefix(4, "middle"),  # type: ignore[arg-type]
        lambda: LengthPrefix(4, header=3), lambda: LengthPrefix(4, offset=-1),
        lambda: LengthPrefix("<u4"), lambda: SyncWord(b"\1", "<u4"), lambda: SyncWord(b""),  # type: ignore[arg-type]
        lambda: SyncWord(SYNC, offset=1), lambda: Delimited(b""), lambda: Framer(Delimited(), 0),
    ):  # fmt: skip
        with pytest.raises(StreamError):
            wrong()
