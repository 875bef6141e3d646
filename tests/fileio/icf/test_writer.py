"""Writing: what is refused, what is kept when the disk fails, grouping, batches, rotation."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood.errors import FileError, FormatError
from sapwood.fileio import RawObjectReaderBase, RawObjectWriterBase
from sapwood.fileio.icf import RawObjectWriterV0, RawObjectWriterV1, RotatingWriter
from sapwood.streams import FrameBatch

BOTH = pytest.mark.parametrize("options", [{"protocol": 0}, {"compressor": None}, {"compressor": "bz2"}])


@BOTH
def test_bytes_like_objects_count_by_their_bytes(tmp_path, options) -> None:
    with RawObjectWriterBase(tmp_path / "a.sof", **options) as writer:
        words = np.arange(5, dtype=np.uint32)
        for data in (b"abc", bytearray(b"de"), memoryview(b"fgh")[::2], words, words[::2]):
            writer.write(data)
        assert writer.data_counter == 5
    wanted = [b"abc", b"de", b"fh", words.tobytes(), words[::2].tobytes()]
    assert RawObjectReaderBase(tmp_path / "a.sof")[:] == wanted


@BOTH
@pytest.mark.parametrize("data", ["text", 5, None, [1, 2]])
def test_other_objects_change_nothing(tmp_path, options, data) -> None:
    with RawObjectWriterBase(tmp_path / "a.sof", **options) as writer:
        writer.write(b"before")
        with pytest.raises(TypeError, match="bytes"):
            writer.write(data)
        writer.write(b"after")
    assert RawObjectReaderBase(tmp_path / "a.sof")[:] == [b"before", b"after"]


def test_a_mutable_object_is_copied(tmp_path) -> None:
    buffer = bytearray(b"one")
    with RawObjectWriterBase(tmp_path / "a.sof") as writer:
        writer.write(buffer)
        buffer[:] = b"two"
        writer.write_many(buffer, [3])
        buffer[:] = b"six"
    assert RawObjectReaderBase(tmp_path / "a.sof")[:] == [b"one", b"two"]


@BOTH
def test_closed(tmp_path, options) -> None:
    writer = RawObjectWriterBase(tmp_path / "a.sof", **options)
    writer.write(b"x")
    writer.close()
    writer.close()
    assert writer.data_counter == 1
    for call in (
        lambda: writer.write(b""), writer.flush, writer.sync, lambda: writer.write_many(b"y", [1]),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="closed"):
            call()
    assert RawObjectReaderBase(tmp_path / "a.sof")[:] == [b"x"]


def test_an_error_in_the_block_closes_the_file(tmp_path) -> None:
    def fail() -> None:
        with RawObjectWriterBase(tmp_path / "a.sof") as writer:
            writer.write(b"x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert RawObjectReaderBase(tmp_path / "a.sof")[:] == [b"x"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"compressor": "rar"}, KeyError),
        ({"protocol": 2}, KeyError),
        ({"wrong": 1}, TypeError),
        ({"header_ext": bytes(65_536)}, ValueError),
        ({"header_ext": "text"}, TypeError),
        ({"bunchsize": -1}, ValueError),
        ({"protocol": 0, "header": 1 << 64}, ValueError),
    ],
)
def test_refused_arguments_leave_the_file(tmp_path, options, error) -> None:
    path = tmp_path / "a.sof"
    path.write_bytes(b"precious")
    with pytest.raises(error):
        RawObjectWriterBase(path, **options)
    assert path.read_bytes() == b"precious"


def test_an_existing_file_is_replaced(tmp_path) -> None:
    path = tmp_path / "a.sof"
    path.write_bytes(b"old" * 1000)
    RawObjectWriterV1(path).close()
    assert path.stat().st_size == 24
    RawObjectWriterV0(path, 3).close()
    reader = RawObjectReaderBase(path)
    assert (reader.fhead, reader.version, reader.compressor, len(reader)) == (3, 0, None, 0)
    assert RawObjectWriterV1.__init__.__defaults__[-1] is None  # type: ignore[index]


@pytest.mark.parametrize("compressor", [None, "bz2", "zlib", "zstd"])
def test_compressors(tmp_path, compressor) -> None:
    objects = [os.urandom(i % 50) + bytes(i % 400) for i in range(1000)]
    with RawObjectWriterBase(tmp_path / "a.sof", 1, compressor, bunchsize=5000, timestamp=12.9) as writer:
        for item in objects:
            writer.write(item)
    reader = RawObjectReaderBase(tmp_path / "a.sof")
    assert reader.compressor == compressor
    assert reader.timestamp == datetime.fromtimestamp(12)
    assert reader[:] == list(reader) == objects
    assert reader[[999, 1, 500]] == [objects[999], objects[1], objects[500]]


def test_a_datetime_as_timestamp(tmp_path) -> None:
    RawObjectWriterV1(tmp_path / "a.sof", timestamp=datetime(2020, 1, 1, tzinfo=UTC)).close()
    assert RawObjectReaderBase(tmp_path / "a.sof").timestamp.timestamp() == 1577836800


def test_grouping(tmp_path, p1) -> None:
    """A bunch ends with the object that makes it larger than its limit, strictly."""
    path = tmp_path / "a.sof"
    with RawObjectWriterV1(path, bunchsize=4, timestamp=0) as writer:
        for data in (b"ab", b"cd", b"", b"e", b"fghij", b"k"):
            writer.write(data)
    assert path.read_bytes() == p1([[b"ab", b"cd", b"", b"e"], [b"fghij"], [b"k"]], created=0)
    with RawObjectWriterV1(path, bunchsize=0, timestamp=0) as writer:
        for data in (b"", b"", b"a", b"", b"b"):
            writer.write(data)
        writer.flush()
        writer.flush()
    assert path.read_bytes() == p1([[b"", b"", b"a"], [b"", b"b"]], created=0)


def test_the_file_is_full(tmp_path) -> None:
    path = tmp_path / "a.sof"
    writer = RawObjectWriterV1(path, bunchsize=0)
    writer.write_many(bytes(65_535), np.ones(65_535, np.int64))
    writer.write(b"x")
    for call in (lambda: writer.write(b"y"), lambda: writer.write(b""), lambda: writer.write_many(b"z", [1])):
        with pytest.raises(FormatError, match="65536 bunches"):
            call()
    writer.close()
    reader = RawObjectReaderBase(path)
    assert (len(reader), reader.n_bunches, reader[-1], reader.problems()) == (65_536, 65_536, b"x", [])


@given(
    sizes=st.lists(st.integers(0, 70), max_size=60),
    single=st.lists(st.integers(0, 70), max_size=9),
    bunchsize=st.sampled_from([0, 1, 64, 500, 10_000]),
    protocol=st.integers(0, 1),
)
@settings(deadline=None, max_examples=60)
def test_batches_are_as_one_by_one(tmp_path_factory, sizes, single, bunchsize, protocol) -> None:
    folder = tmp_path_factory.mktemp("same")
    before = [bytes([i % 256]) * size for i, size in enumerate(single)]
    objects = [bytes([i % 256]) * size for i, size in enumerate(sizes)]
    options = {"bunchsize": bunchsize, "timestamp": 1} if protocol else {}
    with RawObjectWriterBase(folder / "one", protocol, None, **options) as writer:
        for item in before + objects + before + objects:
            writer.write(item)
    starts = np.cumsum([size + 3 for size in sizes], dtype=np.int64) - np.array(sizes, np.int64)
    spread = b"".join(b"???" + item for item in objects)
    with RawObjectWriterBase(folder / "two", protocol, None, **options) as writer:
        for item in before:
            writer.write(item)
        writer.write_frames(FrameBatch(spread, starts, np.array(sizes, np.int64)))
        for item in before:
            writer.write(item)
        writer.write_many(b"".join(objects), sizes)
    assert (folder / "one").read_bytes() == (folder / "two").read_bytes()
    assert list(RawObjectReaderBase(folder / "two")) == before + objects + before + objects


def test_sizes_that_do_not_fit(tmp_path) -> None:
    with RawObjectWriterV1(tmp_path / "a.sof") as writer:
        for sizes in ([1, 1], [-1, 4], [4]):
            with pytest.raises(ValueError, match="do not fit"):
                writer.write_many(b"abc", sizes)
        assert writer.data_counter == 0


@BOTH
@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("room", [0, None])
def test_a_full_disk(tmp_path, disk, no_space, options, lasting, room) -> None:
    """The file ends with its last whole group; what was accepted is written when there is room again."""
    path = tmp_path / "a.sof"
    kw = {"bunchsize": 500} if options.get("protocol") != 0 else {}
    writer = RawObjectWriterBase(path, files=disk, **options, **kw)
    accepted = []
    for _ in range(30):
        accepted.append(os.urandom(100))
        writer.write(accepted[-1])
    writer.flush()
    whole = path.stat().st_size
    disk.plan["writev"] = (1, no_space if room is None else room)
    disk.lasting = True

    def fill() -> None:
        for i in range(10_000):
            accepted.append(bytes([i % 256]) * 100)
            writer.write(accepted[-1])

    with pytest.raises(OSError, match="Failed to write file"):
        fill()
    if writer.data_counter < len(accepted):  # an earlier group was refused: this one was not taken
        accepted.pop()
    assert writer.data_counter == len(accepted)
    if room is None:
        assert path.stat().st_size == whole
        assert len(RawObjectReaderBase(path)) == 30
    if lasting:
        with pytest.raises(OSError, match="Failed to write file"):
            writer.close()
    else:
        disk.plan.clear()
        writer.write(b"end")
        writer.close()
        assert RawObjectReaderBase(path)[:] == [*accepted, b"end"]
    writer.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ICF")]


def test_short_writes_are_continued_or_cut_back(tmp_path, disk, no_space) -> None:
    path = tmp_path / "a.sof"
    writer = RawObjectWriterBase(path, 1, None, bunchsize=100, files=disk)
    disk.plan["writev"] = (1, 7)
    disk.lasting = False
    writer.write(b"a" * 101)
    assert len(RawObjectReaderBase(path)) == 1

    class Cutting(type(disk)):
        """Takes 7 bytes of a bunch, then nothing."""

    calls = iter([7])

    def short(fd, buffers):
        for taken in calls:
            return os.write(fd, b"".join(buffers)[:taken])
        raise no_space

    whole = path.stat().st_size
    disk.writev = short
    with pytest.raises(FileError, match="Failed to write"):
        writer.write(b"b" * 101)
    assert path.stat().st_size == whole
    del disk.writev
    writer.write(b"c")
    writer.close()
    assert RawObjectReaderBase(path)[:] == [b"a" * 101, b"b" * 101, b"c"]


def test_a_compressor_that_fails_is_told(tmp_path, monkeypatch) -> None:
    from sapwood.fileio.icf import compressors

    def fail(data: bytes) -> bytes:
        raise MemoryError("no memory")

    broken = compressors.Compressor(1, "bz2", fail, compressors.BY_NAME["bz2"].inflate)
    monkeypatch.setitem(compressors.BY_NAME, "bz2", broken)
    writer = RawObjectWriterV1(tmp_path / "a.sof", bunchsize=10, compressor="bz2")

    def fill() -> None:
        for _ in range(100):
            writer.write(bytes(11))

    with pytest.raises(FileError, match="no memory"):
        fill()
    with pytest.raises(FileError, match="no memory"):
        writer.close()


def test_compression_keeps_the_order_and_is_bounded(tmp_path, monkeypatch) -> None:
    """While the first bunch is being compressed the writer takes a few more, then waits."""
    from sapwood.fileio.icf import compressors

    real = compressors.BY_NAME["bz2"]
    gate, begun = threading.Event(), []

    def compress(data: bytes) -> bytes:
        begun.append(data[0])
        if data[0] == 0:
            assert gate.wait(30)
        return real.compress(data)  # type: ignore[misc]

    monkeypatch.setitem(compressors.BY_NAME, "bz2", compressors.Compressor(1, "bz2", compress, real.inflate))
    path = tmp_path / "a.sof"
    writer = RawObjectWriterV1(path, bunchsize=10, compressor="bz2")
    objects = [bytes([i]) * 11 for i in range(40)]

    def feed() -> None:
        for item in objects:
            writer.write(item)

    thread = threading.Thread(target=feed)
    thread.start()
    thread.join(0.5)
    assert writer.data_counter < 12
    assert len(RawObjectReaderBase(path)) == 0
    gate.set()
    thread.join(30)
    writer.close()
    assert RawObjectReaderBase(path)[:] == objects


class TestRotating:
    def test_order(self, tmp_path) -> None:
        (tmp_path / "run_002.sof").write_bytes(b"")
        options = {"limit_mib": 0.01, "check_every": 10, "bunchsize": 1000, "compressor": None}
        with RotatingWriter(tmp_path, "run_", "order", **options) as writer:
            for i in range(95):
                writer.write(i.to_bytes(2, "little") * 200)
            assert writer.data_counter == 95
            writer.flush()
        names = [os.path.basename(name) for name in writer.files]
        assert names == ["run_001.sof", "run_003.sof", "run_004.sof", "run_005.sof"][: len(names)]
        assert len(names) > 1
        found = [item for name in writer.files for item in RawObjectReaderBase(name)]
        assert found == [i.to_bytes(2, "little") * 200 for i in range(95)]
        with pytest.raises(ValueError, match="closed"):
            writer.write(b"")

    def test_date(self, tmp_path) -> None:
        options = {"limit_mib": 0, "check_every": 1, "clock": lambda: 1_600_000_000.0}
        with RotatingWriter(tmp_path, "d", extension=".prt", compressor=None, **options) as writer:
            writer.write(b"a")
            writer.write(b"b")
        names = [os.path.basename(name) for name in writer.files]
        assert names == ["d2020-09-13_1226.prt", "d2020-09-13_1226_2.prt", "d2020-09-13_1226_3.prt"]

    def test_suffix(self, tmp_path) -> None:
        with pytest.raises(ValueError, match="date or order"):
            RotatingWriter(tmp_path, suffix="moon")
