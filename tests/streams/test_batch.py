"""FrameBatch: columns over one buffer, views, copies that have a name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapwood.errors import StreamError
from sapwood.streams import Frame, FrameBatch

frames = st.builds(
    Frame,
    st.binary(max_size=30),
    channel=st.integers(0, 255),
    flags=st.integers(0, 0xFFFF),
    error=st.integers(0, 255),
)


def facts(frame: Frame) -> tuple[bytes, int, int, int]:
    return bytes(frame), frame.channel, frame.flags, frame.error


@given(st.lists(frames, max_size=40))
def test_gather_keeps_every_frame(items: list[Frame]) -> None:
    batch = FrameBatch.gather(items)
    assert [facts(frame) for frame in batch.frames()] == [facts(frame) for frame in items]
    assert [facts(batch[i]) for i in range(len(batch))] == [facts(frame) for frame in items]
    assert batch.nbytes == sum(len(frame) for frame in items)
    assert batch.offset.tolist() == np.cumsum([0, *map(len, items)]).tolist()


@given(st.lists(frames, min_size=1, max_size=40), st.data())
def test_selections_are_views_and_compact_keeps_them(items: list[Frame], data: st.DataObject) -> None:
    batch = FrameBatch.gather(items)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(items), max_size=len(items))))
    chosen = batch[mask]
    assert chosen.payload is batch.payload
    expected = [facts(frame) for frame, keep in zip(items, mask, strict=True) if keep]
    dense = chosen.compact()
    assert dense.is_dense
    assert len(dense.payload) == dense.nbytes == chosen.nbytes
    assert [facts(frame) for frame in dense.frames()] == expected


def test_compact_of_many_sizes_and_of_few_sizes() -> None:
    for sizes in ([7] * 50, [3, 8] * 40, list(range(60)), [0] * 5):
        parts = [bytes([i % 251]) * size for i, size in enumerate(sizes)]
        whole = FrameBatch.gather([Frame(part) for part in parts])
        back = whole[np.arange(len(parts))[::-1]].compact()
        assert [bytes(frame) for frame in back.frames()] == parts[::-1]


def test_compact_of_a_dense_batch_is_itself() -> None:
    batch = FrameBatch.gather([Frame(b"ab"), Frame(b"c")])
    assert batch.compact() is batch


def test_scalar_columns_are_broadcast_not_stored() -> None:
    batch = FrameBatch(bytes(100), np.arange(10) * 10, 10, channel=3, time=5)
    assert batch.channel.strides == (0,)
    assert batch.size.strides == (0,)
    assert batch.channel.tolist() == [3] * 10
    assert batch.time.dtype == np.int64
    assert FrameBatch(b"", [0], 0, time=-(2**63)).time.tolist() == [-(2**63)]
    assert FrameBatch(b"", [0], 0, flags=0x1234).flags.tolist() == [0x1234]


@pytest.mark.parametrize("value", [0, 3, np.uint8(3)])
def test_scalar_columns_cannot_be_written_as_that_would_change_all_frames(value: int) -> None:
    batch = FrameBatch(bytes(100), np.arange(10) * 10, 10, channel=value)
    with pytest.raises(ValueError, match="read-only"):
        batch.channel[0] = 7


def test_one_frame_is_gathered_without_a_copy() -> None:
    data = np.arange(50, dtype=np.uint8)
    assert np.shares_memory(FrameBatch.gather([Frame(data)]).payload, data)


def test_rows_are_kept_and_found_again() -> None:
    rows = np.arange(12, dtype="<u4").reshape(3, 4)
    batch = FrameBatch.from_rows(rows, channel=[1, 2, 3])
    assert np.shares_memory(batch.payload, rows)
    view = batch.rows()
    assert view is not None
    assert view.view("<u4").tolist() == rows.tolist()
    assert batch.uniform_size == 16
    every_other = batch[::2].rows()
    assert every_other is not None
    assert every_other.view("<u4").tolist() == rows[::2].tolist()


def test_rows_is_none_when_frames_differ_or_lie_unevenly() -> None:
    assert FrameBatch(bytes(30), [0, 10], [10, 5]).rows() is None
    assert FrameBatch(bytes(30), [0, 10, 25], 5).rows() is None
    assert FrameBatch.empty().rows() is None


@pytest.mark.parametrize(
    ("start", "size"),
    [([0, 9], [5, 2]), ([-1], [1]), ([0], [-1]), ([5], [1 << 62]), ([0, (1 << 63) - 1], [1, 5])],
)
def test_frames_outside_the_payload_are_refused(start: list[int], size: list[int]) -> None:
    with pytest.raises(StreamError, match="outside the payload"):
        FrameBatch(bytes(10), start, size)


def test_columns_of_wrong_shape_or_range_are_refused() -> None:
    with pytest.raises(StreamError, match="Column channel has the wrong shape"):
        FrameBatch(bytes(10), [0, 5], 5, channel=[1, 2, 3])
    with pytest.raises(StreamError, match="Column flags is out of range"):
        FrameBatch(bytes(10), [0, 5], 5, flags=[0, 0x10000])
    with pytest.raises(StreamError, match="Column error holds no integers"):
        FrameBatch(bytes(10), [0, 5], 5, error=[0, 0.5])
    with pytest.raises(StreamError, match="Column start holds no integers"):
        FrameBatch(bytes(10), [0, 5.5], 1)
    with pytest.raises(StreamError, match="No such column: colour"):
        FrameBatch(bytes(10), [0, 5], 5).replace(colour=1)


def test_offset_of_a_sparse_batch_is_refused() -> None:
    with pytest.raises(StreamError, match="dense"):
        _ = FrameBatch(bytes(10), [2], 3).offset


def test_concat_joins_batches_in_order() -> None:
    a = FrameBatch.gather([Frame(b"ab", channel=1), Frame(b"c", flags=7)])
    b = FrameBatch(b"__xyz__", 2, 3, error=4)
    joined = FrameBatch.concat([a, b])
    assert [facts(f) for f in joined.frames()] == [(b"ab", 1, 0, 0), (b"c", 0, 7, 0), (b"xyz", 0, 0, 4)]
    assert len(FrameBatch.concat([])) == 0


@given(st.lists(st.integers(0, 30), max_size=40), st.integers(1, 60))
def test_split_bounds_bytes_and_loses_nothing(sizes: list[int], bound: int) -> None:
    batch = FrameBatch.gather([Frame(bytes([i % 256]) * size) for i, size in enumerate(sizes)])
    parts = list(batch.split(bound))
    assert all(part.nbytes <= bound or len(part) == 1 for part in parts)
    assert [bytes(f) for part in parts for f in part.frames()] == [bytes(f) for f in batch.frames()]


def test_replace_changes_one_column_only() -> None:
    batch = FrameBatch.gather([Frame(b"ab", channel=1), Frame(b"c", channel=2)])
    forced = batch.replace(channel=9)
    assert forced.channel.tolist() == [9, 9]
    assert batch.channel.tolist() == [1, 2]
    assert forced.payload is batch.payload
