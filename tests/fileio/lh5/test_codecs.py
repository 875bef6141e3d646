"""Codecs: what is encoded comes back, and streams that no encoder makes are refused."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sapwood.fileio.lh5 import (
    ArrayOfEqualSizedArrays,
    CodecError,
    LH5EncodeError,
    RadwareSigcompress,
    ULEB128ZigZagDiff,
    VectorOfVectors,
    decode,
    encode,
)

CODECS = {
    "RadwareSigcompress(codec_shift=-32768)": np.uint16,
    "RadwareSigcompress()": np.int16,
    "ULEB128ZigZagDiff()": np.int32,
}
SHAPES = st.tuples(st.integers(0, 4), st.integers(0, 300))


def words(row: Any) -> list[int]:
    return [int(word) for word in np.frombuffer(bytes(row), ">u2")]


@pytest.mark.parametrize("codec", CODECS)
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_anything_comes_back(codec: str, data: Any) -> None:
    dtype = np.dtype(CODECS[codec])
    low, high = (0, 30) if data.draw(st.booleans()) else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    values = data.draw(hnp.arrays(dtype, SHAPES, elements=st.integers(int(low), int(high))))
    back = decode(encode(values, codec))
    assert back.dtype == np.int32
    assert np.array_equal(back.nda, values)


@pytest.mark.parametrize("codec", CODECS)
@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.lists(st.integers(0, 3000), max_size=200), max_size=6))
def test_rows_of_any_length_come_back(codec: str, rows: list[list[int]]) -> None:
    vectors = VectorOfVectors(rows, dtype=CODECS[codec], attrs={"units": "adc"})
    back = decode(encode(vectors, codec))
    assert [row.tolist() for row in back] == rows
    assert back.attrs == vectors.attrs


def test_streams_of_radware_are_what_they_should_be() -> None:
    constant = encode(np.full((1, 3), 5, np.int16), "RadwareSigcompress()")
    assert words(constant.encoded_data[0]) == [
        3,
        3,
        2,
        5,
        0,
        0,
    ]  # absolute, 2 bits; padded by 0 to an even count
    ramp = encode(np.arange(0, 6000, 60, dtype=np.int16)[None], "RadwareSigcompress()")
    assert words(ramp.encoded_data[0])[:5] == [100, 100, 34, 0, 60]  # steps, 2 bits, first 0, least 60
    one = encode(np.array([[-7]], np.int16), "RadwareSigcompress()")
    assert words(one.encoded_data[0]) == [1, 1, 34, 0xFFF9, 16000, 0]
    long = encode(np.zeros((1, 129), np.int16), "RadwareSigcompress()")
    assert words(long.encoded_data[0])[:2] == [129, 128]  # a section has 128 samples at most


def by_the_rules(row: list[int]) -> list[int]:
    """Return the words of a radware stream, one sample after the other."""
    out, at = [len(row)], 0
    while at < len(row):
        look = row[at : at + 48]
        steps = [b - a for a, b in itertools.pairwise(look)]
        top, low = max([*steps, -16000]), min([*steps, 16000])
        by_steps = max(look) - min(look) > top - low
        if not by_steps:
            top, low = max(look), min(look)
        width = max(2, max(top - low, 0).bit_length())
        count = len(look)
        while count < 128 and at + count < len(row):
            new = row[at + count] - (row[at + count - 1] if by_steps else 0)
            if max(top, new) - min(low, new) >= 1 << width:
                break
            top, low, count = max(top, new), min(low, new), count + 1
        part = row[at : at + count]
        values = [b - a for a, b in itertools.pairwise(part)] if by_steps else part
        out += [count, width + 32, part[0], low] if by_steps else [count, width, low]
        bits = "".join(f"{value - low:0{width}b}" for value in values)
        out += [int(bits[i : i + 16].ljust(16, "0"), 2) for i in range(0, len(bits), 16)]
        at += count
    return [word & 0xFFFF for word in out + [0] * (len(out) % 2)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 700), min_size=1, max_size=5),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 5, 100, 4000, 60000]),
    st.booleans(),
)
def test_streams_of_radware_follow_the_rules(lengths: list[int], seed: int, size: int, ramps: bool) -> None:
    rng = np.random.default_rng(seed)
    rows = []
    for length in lengths:
        noise = rng.integers(-size, size + 1, length)
        noise[rng.random(length) < 0.9] //= 8
        row = np.cumsum(noise) if ramps else noise
        rows.append(((row + (1 << 15)) % (1 << 16) - (1 << 15)).astype(np.int16))
    vectors = VectorOfVectors(flattened_data=np.concatenate(rows), cumulative_length=np.cumsum(lengths))
    encoded = encode(vectors, "RadwareSigcompress()")
    assert [words(row) for row, _ in encoded] == [by_the_rules(row.tolist()) for row in rows]
    assert [row.tolist() for row in decode(encoded)] == [row.tolist() for row in rows]


def test_many_blocks_in_threads_give_what_one_row_does() -> None:
    rng = np.random.default_rng(3)
    values = (rng.normal(9000, 9, (300, 4000)) + np.arange(4000) * 5).astype(np.uint16)
    for codec in CODECS:
        encoded = encode(values, codec)
        for row in (0, 131, 299):
            one = encode(values[row : row + 1], codec)
            assert np.array_equal(encoded.encoded_data[row], one.encoded_data[0])
        assert np.array_equal(decode(encoded).nda, values)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.one_of(st.integers(0, 90), st.integers(-(2**31), 2**31 - 1)), max_size=40), max_size=5
    )
)
def test_streams_of_uleb_follow_the_rules(rows: list[list[int]]) -> None:
    encoded = encode(VectorOfVectors(rows, dtype=np.int32), "ULEB128ZigZagDiff()")
    for row, (found, _) in zip(rows, encoded, strict=True):
        expected = bytearray()
        for before, now in itertools.pairwise([0, *row]):
            step = (now - before + (1 << 31)) % (1 << 32) - (1 << 31)
            number = 2 * step if step >= 0 else -2 * step - 1
            while number > 0x7F:
                expected.append(number & 0x7F | 0x80)
                number >>= 7
            expected.append(number)
        assert bytes(found) == expected
    assert [row.tolist() for row in decode(encoded)] == rows


def test_numbers_longer_than_32_bits_are_refused() -> None:
    encoded = encode(np.array([[-(2**31)]], np.int32), "ULEB128ZigZagDiff()")
    flat = encoded.encoded_data.flattened_data.nda
    assert flat.tolist() == [0xFF, 0xFF, 0xFF, 0xFF, 0x0F]
    flat[4] = 0x1F
    with pytest.raises(CodecError, match="32 bits"):
        decode(encoded)


def test_streams_of_uleb_are_what_they_should_be() -> None:
    found = encode(np.array([[1, 0, 64, 64]], np.int16), "ULEB128ZigZagDiff()")
    assert bytes(found.encoded_data[0]) == bytes([2, 1, 0x80, 0x01, 0])
    assert found.attrs["codec"] == "uleb128_zigzag_diff"


@pytest.mark.parametrize(
    "text",
    [
        "RadwareSigcompress(",
        "Radware(1)",
        "RadwareSigcompress(codec_shift)",
        "ULEB128ZigZagDiff(x=1)",
        "RadwareSigcompress(codec_shift='a')",
    ],
)
def test_expressions_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="invalid WaveformCodec expression"):
        encode(np.zeros((1, 1), np.int16), text)


def test_numbers_in_expressions_are_floats() -> None:
    found = encode(np.zeros((1, 1), np.int16), "RadwareSigcompress( codec_shift = -32768 )")
    assert repr(found.attrs["codec_shift"]) == "-32768.0"
    with pytest.raises(LH5EncodeError, match="whole number"):
        RadwareSigcompress(0.5)


def test_samples_that_do_not_fit() -> None:
    with pytest.raises(CodecError, match="16 bits"):
        encode(np.array([[70000]]), RadwareSigcompress())
    with pytest.raises(CodecError, match="too long"):
        encode(np.zeros((1, 70000), np.int16), RadwareSigcompress())
    with pytest.raises(CodecError, match="32 bits"):
        encode(np.array([[1 << 40]]), ULEB128ZigZagDiff())
    with pytest.raises(CodecError, match="integers"):
        encode(np.array([[1.5]]), ULEB128ZigZagDiff())


def test_a_buffer_takes_what_is_decoded() -> None:
    values = np.arange(12, dtype=np.uint16).reshape(2, 6)
    buffer = ArrayOfEqualSizedArrays(shape=(0, 6), dtype=np.uint16)
    assert decode(encode(values, ULEB128ZigZagDiff()), out_buf=buffer) is buffer
    assert np.array_equal(buffer.nda, values)
    assert buffer.dtype == np.uint16


@pytest.mark.parametrize("codec", CODECS)
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_streams_are_refused_or_decoded(codec: str, data: Any) -> None:
    encoded = encode(np.arange(300, dtype=np.uint16).reshape(3, 100) % 37, codec)
    flat = encoded.encoded_data.flattened_data.nda
    for _ in range(data.draw(st.integers(1, 4))):
        flat[data.draw(st.integers(0, len(flat) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, 3))
    if cut:
        ends = encoded.encoded_data.cumulative_length.nda
        ends[-1] = max(int(ends[-2]), int(ends[-1]) - cut)
    with contextlib.suppress(CodecError):
        assert decode(encoded).shape == (3, 100)


def test_streams_that_promise_too_much() -> None:
    encoded = encode(np.zeros((1, 100), np.int16), ULEB128ZigZagDiff())
    for size in (101, 1 << 30, 1 << 60, -1):
        encoded.decoded_size.value = size
        with pytest.raises(CodecError):
            decode(encoded)
    encoded.attrs["codec"] = "zip"
    with pytest.raises(CodecError, match="not known"):
        decode(encoded)


def test_the_golden_waveforms_come_back(golden_daq: Path) -> None:
    """Samples of the FlashCam file, as its event records hold them."""
    manifest = json.loads((golden_daq / "MANIFEST.json").read_text())
    (case,) = [case for case in manifest["cases"] if case["id"] == "fcio-procspec-radware"]
    told = case["expected_outputs"]["p.lh5"]["/ch52800/windowed_waveform/values"]
    data = (golden_daq / "L200-comm-20211130-phy-spms.fcio").read_bytes()
    traces = fcio_traces(data, samples=6002)[::6, 0, 2:][:, 100:-100]  # six channels by turns
    assert list(traces.shape) == told["decoded_shape"]
    back = decode(encode(np.ascontiguousarray(traces), "RadwareSigcompress(codec_shift=-32768)"))
    digest = hashlib.sha256(back.nda.astype("<u2").tobytes()).hexdigest()
    assert digest == told["decoded_sha256_as_uint16"]


def fcio_traces(data: bytes, samples: int) -> np.ndarray[Any, Any]:
    """Return the frames that hold traces: shape (frames, traces, samples)."""
    at, found = 68, []
    while at + 4 <= len(data):
        head = int.from_bytes(data[at : at + 4], "little", signed=True)
        at += 4
        if head > 0 and head % (2 * samples) == 0:
            found.append(np.frombuffer(data, "<u2", head // 2, at).reshape(-1, samples))
        at += max(head, 0)
    return np.stack(found)
