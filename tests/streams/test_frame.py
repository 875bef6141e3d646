"""Frame: payload, metadata, copy on write, Rogue's reading and writing calls."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapwood.errors import StreamError
from sapwood.streams import Frame


def test_payload_is_kept_not_copied() -> None:
    data = b"some payload"
    assert Frame(data).buffer is data
    array = np.arange(10, dtype=np.uint8)
    assert np.shares_memory(Frame(array).payload, array)


def test_array_of_any_type_is_taken_by_its_bytes() -> None:
    array = np.array([1, 2, 3], dtype="<u2")
    assert bytes(Frame(array)) == array.tobytes()
    assert bytes(Frame(array[::2])) == array[::2].tobytes()


def test_fortran_array_is_written_in_memory_order() -> None:
    array = np.asfortranarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    assert bytes(Frame(array)) == array.tobytes(order="A")


@pytest.mark.parametrize("bad", [{"channel": 256}, {"flags": 0x10000}, {"error": 256}, {"channel": -1}])
def test_metadata_out_of_range_is_refused(bad: dict[str, int]) -> None:
    with pytest.raises(OverflowError, match="outside 0"):
        Frame(b"", **bad)


@pytest.mark.parametrize("setter", ["setFlags", "setError", "setChannel", "setFirstUser", "setLastUser"])
def test_setters_refuse_out_of_range(setter: str) -> None:
    with pytest.raises(OverflowError):
        getattr(Frame(), setter)(0x10000)


def test_user_bits_are_added_to_flags_as_in_rogue() -> None:
    frame = Frame()
    frame.setFirstUser(0x0F)
    frame.setFirstUser(0xF0)
    frame.setLastUser(0x12)
    assert frame.getFlags() == 0x12FF
    assert (frame.getFirstUser(), frame.getLastUser()) == (0xFF, 0x12)


def test_reserved_frame_grows_by_writing_and_skipped_bytes_are_zero() -> None:
    frame = Frame.reserve(10)
    assert (frame.getSize(), frame.getPayload(), frame.getAvailable()) == (10, 0, 10)
    frame.write(b"ab", 3)
    assert bytes(frame) == b"\0\0\0ab"
    assert frame.getAvailable() == 5
    frame.putNumpy(np.array([0x0201], dtype="<u2"), 8)
    assert bytes(frame) == b"\0\0\0ab\0\0\0\1\2"


def test_write_beyond_the_capacity_is_refused() -> None:
    with pytest.raises(StreamError, match="Attempt to write 5 bytes to frame at offset 6 with size 10"):
        Frame.reserve(10).write(b"12345", 6)


def test_read_copies_into_a_writable_buffer() -> None:
    dest = bytearray(3)
    Frame(b"abcdef").read(dest, 2)
    assert dest == b"cde"
    with pytest.raises(StreamError, match="Attempt to read 3 bytes from frame at offset 4 with size 6"):
        Frame(b"abcdef").read(dest, 4)
    with pytest.raises(StreamError, match="Python Buffer Error In Frame"):
        Frame(b"abcdef").read(b"xyz")  # type: ignore[arg-type]  # the refusal is what is tested


def test_object_without_buffer_is_refused() -> None:
    with pytest.raises(StreamError, match="Python Buffer Error In Frame"):
        Frame.reserve(4).write([1, 2])  # type: ignore[arg-type]  # the refusal is what is tested
    with pytest.raises(StreamError, match="Object is not a numpy array"):
        Frame.reserve(4).putNumpy(b"ab")  # type: ignore[arg-type]  # the refusal is what is tested


def test_copies_and_views() -> None:
    frame = Frame(b"abcdefgh")
    assert frame.getBa(2, 3) == bytearray(b"cde")
    view = frame.getMemoryview()
    view[0:1] = b"X"
    assert bytes(frame) == b"abcdefgh"
    assert frame.getNumpy(4).tobytes() == b"efgh"
    assert frame.getNumpy(0, 4, "<u2").tolist() == [0x6261, 0x6463]
    own = frame.getNumpy()
    own[0] = 0
    assert frame.getBa(0, 1) == b"a"


@pytest.mark.parametrize(("offset", "count"), [(9, 0), (-1, 0), (4, 5), (0, -1)])
def test_ranges_outside_the_payload_are_refused(offset: int, count: int) -> None:
    frame = Frame(b"abcdefgh")
    with pytest.raises(StreamError):
        frame.getBa(offset, count)
    with pytest.raises(StreamError):
        frame.getNumpy(offset, count)


def test_whoever_keeps_the_buffer_never_sees_a_later_write() -> None:
    frame = Frame.reserve(3)
    frame.write(b"abc")
    kept, seen, twin = frame.buffer, frame.payload, frame.snapshot()
    frame.write(b"Z")
    assert bytes(frame) == b"Zbc"
    assert bytes(kept) == bytes(seen) == bytes(twin) == b"abc"


def test_writing_to_a_frame_never_reaches_the_caller_s_object() -> None:
    data = bytearray(b"abc")
    frame = Frame(data)
    frame.write(b"Z")
    assert data == b"abc"


def test_lock_excludes_other_threads_until_released() -> None:
    frame = Frame(b"x")
    entered = threading.Event()

    def other() -> None:
        with frame.lock():
            entered.set()

    with frame.lock():
        with frame.lock():  # re-entrant
            pass
        thread = threading.Thread(target=other)
        thread.start()
        assert not entered.wait(0.05)
    assert entered.wait(20)
    thread.join(20)


@given(st.lists(st.tuples(st.integers(0, 40), st.binary(max_size=20)), max_size=8))
def test_writes_build_the_same_bytes_as_a_bytearray(writes: list[tuple[int, bytes]]) -> None:
    frame, model, size = Frame.reserve(60), bytearray(60), 0
    for offset, data in writes:
        frame.write(data, offset)
        model[offset : offset + len(data)] = data
        size = max(size, offset + len(data))
    assert bytes(frame) == bytes(model[:size])
