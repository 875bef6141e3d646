"""Frames of the generator against a bit-by-bit model and the worked examples of the peer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood.errors import StreamError
from sapwood.streams.prbs import DEFAULT_TAPS, Generator, generate, table

WIDTHS = list(range(32, 513, 32))
SEQS = st.one_of(
    st.integers(0, 70),
    st.integers(0, 2**32 - 1),
    st.integers(2**32 - 5, 2**32 - 1),
    st.sampled_from([2**16, 2**31]),
)

EXAMPLES = {
    (32, 0, 64): "0 f 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
    (32, 1, 64): "1 f 2 5 b 17 2e 5c b8 170 2e1 5c3 b86 170c 2e19 5c32",
    (32, 1000, 64): "3e8 f 7d1 fa3 1f47 3e8f 7d1e fa3c 1f479 3e8f3 7d1e6 fa3cd 1f479a 3e8f35 7d1e6b fa3cd6",
    (32, 74565, 64): "12345 f 2468a 48d15 91a2b 123457 2468af 48d15e 91a2bd 123457b 2468af6 48d15ed"
    " 91a2bda 123457b4 2468af69 48d15ed3",
    (64, 1, 64): "1 7 2 5 b 17 2e 5c",
    (64, 1000, 64): "3e8 7 7d1 fa3 1f47 3e8f 7d1e fa3c",
    (128, 3, 96): "3 5 7 e 1c 39",
}


def words(frame: np.ndarray, width: int) -> list[int]:
    data = frame.tobytes()
    unit = width // 8
    return [int.from_bytes(data[at : at + unit], "little") for at in range(0, len(data), unit)]


@pytest.mark.parametrize(("width", "seq", "size"), EXAMPLES)
def test_worked_examples_of_the_peer(width: int, seq: int, size: int) -> None:
    frame = generate(width, DEFAULT_TAPS, seq, 1, size)[0]
    assert words(frame, width) == [int(word, 16) for word in EXAMPLES[width, seq, size].split()]


@pytest.mark.parametrize(("width", "last"), [(32, 15), (64, 7)])
def test_send_count_fills_with_the_word_index(width: int, last: int) -> None:
    frames = generate(width, DEFAULT_TAPS, 2, 2, 64, sendCount=True)
    assert words(frames[0], width) == [2, last, *range(2, last + 1)]
    assert words(frames[1], width) == [3, last, *range(2, last + 1)]


def test_bytes_on_the_wire_are_little_endian() -> None:
    assert generate(32, DEFAULT_TAPS, 74565, 1, 64)[0, 56:60].tobytes() == bytes.fromhex("69af6824")


@pytest.mark.parametrize("width", WIDTHS)
def test_every_width_equals_the_model(width: int, reference_frame: Callable[..., bytes]) -> None:
    size = 70 * width // 8
    frames = generate(width, DEFAULT_TAPS, 2**32 - 2, 4, size)
    for frame, seq in zip(frames, [2**32 - 2, 2**32 - 1, 0, 1], strict=True):
        assert frame.tobytes() == reference_frame(width, DEFAULT_TAPS, seq, size)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), width=st.sampled_from(WIDTHS), seq=SEQS, count=st.integers(1, 5))
def test_any_taps_and_sizes_equal_the_model(
    data: st.DataObject, width: int, seq: int, count: int, reference_frame: Callable[..., bytes]
) -> None:
    taps = data.draw(st.lists(st.integers(0, width - 1), min_size=1, max_size=6))
    size = data.draw(st.integers(3, 150)) * width // 8
    frames = generate(width, taps, seq, count, size)
    assert frames.shape == (count, size)
    for index, frame in enumerate(frames):
        assert frame.tobytes() == reference_frame(width, taps, (seq + index) % 2**32, size)


def test_a_long_frame_equals_the_model(reference_frame: Callable[..., bytes]) -> None:
    size = 200_000
    frames = generate(32, DEFAULT_TAPS, 0xDEADBEEF, 2, size)
    assert frames[0].tobytes() == reference_frame(32, DEFAULT_TAPS, 0xDEADBEEF, size)
    assert frames[1].tobytes() == reference_frame(32, DEFAULT_TAPS, 0xDEADBEF0, size)


def test_long_runs_cross_every_kind_of_carry() -> None:
    run = generate(64, DEFAULT_TAPS, 2**20 - 300, 600, 800)
    for index in (0, 255, 299, 300, 301, 599):
        assert (run[index] == generate(64, DEFAULT_TAPS, 2**20 - 300 + index, 1, 800)[0]).all()


def test_frames_one_by_one_equal_a_batch_and_go_on_across_sizes(
    reference_frame: Callable[..., bytes],
) -> None:
    one_by_one, batch = Generator(64, seq=5), Generator(64, seq=5)
    assert (np.stack([one_by_one.frame(240) for _ in range(40)]) == batch.frames(40, 240)).all()
    for seq, size in enumerate([24, 8000, 32, 8000, 24], start=45):
        assert one_by_one.frame(size).tobytes() == reference_frame(64, DEFAULT_TAPS, seq, size)
    assert one_by_one.seq == 50


def test_frames_own_their_memory() -> None:
    generator = Generator()
    first = generator.frame(1200)
    kept = first.copy()
    batch = generator.frames(3, 1200)
    batch[:] = 0xAA
    later = generator.frame(1200)
    later[:] = 0x55
    assert (first == kept).all()
    assert (generator.frame(1200) == generate(32, DEFAULT_TAPS, 5, 1, 1200)[0]).all()


def test_zero_content_keeps_the_header(reference_frame: Callable[..., bytes]) -> None:
    frame = Generator(32, seq=9, content="zero").frame(32)
    assert words(frame, 32) == [9, 7, 0, 0, 0, 0, 0, 0]


def test_content_changes_on_the_run() -> None:
    generator = Generator(32, seq=1)
    assert words(generator.frame(16), 32) == [1, 3, 2, 5]
    generator.setContent("count")
    assert words(generator.frame(16), 32) == [2, 3, 2, 3]
    generator.setContent("zero")
    assert words(generator.frame(16), 32) == [3, 3, 0, 0]
    generator.setContent("prbs")
    assert words(generator.frame(16), 32) == [4, 3, 9, 0x12]


def test_rows_beyond_the_kept_ones_are_made_anew(
    monkeypatch: pytest.MonkeyPatch, reference_frame: Callable[..., bytes]
) -> None:
    monkeypatch.setattr(table, "_ROW_BYTES", 5000)
    tables = table.FrameTable(32, (0, 3), 4000)
    assert tables.low_bits == 6
    small = table.FrameTable(32, (0, 3), 6000)
    assert small.low.shape[0] * small.size <= 256 << 10
    monkeypatch.setattr(table, "frame_table", table.TableCache().get)
    frames = generate(32, (0, 3), 1000, 200, 4000)
    for index in range(0, 200, 23):
        assert frames[index].tobytes() == reference_frame(32, (0, 3), 1000 + index, 4000)


def test_the_table_cache_is_bounded_and_shares_tables_of_near_sizes() -> None:
    cache = table.TableCache(limit=1 << 20)
    kept = cache.get(32, DEFAULT_TAPS, 400)
    assert cache.get(32, DEFAULT_TAPS, 400) is kept
    assert cache.get(32, DEFAULT_TAPS, 404) is cache.get(32, DEFAULT_TAPS, 448)
    for size in range(1024, 64 << 10, 2048):
        cache.get(32, DEFAULT_TAPS, size)
        assert cache.nbytes <= 1 << 20 or len(cache) == 1
    assert cache.get(32, DEFAULT_TAPS, 400) is not kept


@pytest.mark.parametrize("width", [0, -32, 16, 48, 544, 1024])
def test_bad_width(width: int) -> None:
    with pytest.raises(StreamError, match=r"Invalid width\..*32 to 512.*seen"):
        Generator(width)


@pytest.mark.parametrize(("taps", "seen"), [((), "none"), ((1, 32), "32"), ((-1,), "-1")])
def test_bad_taps(taps: tuple[int, ...], seen: str) -> None:
    with pytest.raises(StreamError, match=f"Invalid taps.*seen {seen}"):
        Generator(32, taps)


@pytest.mark.parametrize(("width", "size"), [(32, 0), (32, 8), (32, 13), (64, 16), (64, 28), (512, 128)])
def test_bad_size(width: int, size: int) -> None:
    generator = Generator(width)
    with pytest.raises(StreamError, match="Invalid frame size"):
        generator.frame(size)
    with pytest.raises(StreamError, match="Invalid frame size"):
        generator.frames(2, size)
    assert generator.seq == 0
