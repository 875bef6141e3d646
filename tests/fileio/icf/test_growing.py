"""Files that are being written: followed by readers, and what a killed writer leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from sapwood.fileio import RawObjectReaderBase, RawObjectWriterBase

BOTH = pytest.mark.parametrize("options", [{"protocol": 0}, {"compressor": None}, {"compressor": "bz2"}])


@BOTH
def test_following(tmp_path, options) -> None:
    path = tmp_path / "a.sof"
    writer = RawObjectWriterBase(path, **options)
    reader = RawObjectReaderBase(path)
    written, got = [], []
    assert len(reader) == 0
    for step in range(20):
        for i in range(step % 4):
            written.append(bytes([step, i]) * (step + 1))
            writer.write(written[-1])
        writer.flush()
        before = len(reader)
        reader.reload()
        assert len(reader) == len(written)
        got += [reader.read() for _ in range(len(reader) - before)]
        assert reader[:] == written == got
    writer.close()
    reader.reload()
    assert reader[:] == written
    assert reader.filesize == path.stat().st_size


@BOTH
def test_only_whole_bunches_are_seen(tmp_path, options) -> None:
    """A reader looks at every prefix of a growing file."""
    full = tmp_path / "full.sof"
    objects = [bytes([i]) * (i % 9) for i in range(40)]
    kw = {"bunchsize": 20} if options.get("protocol") != 0 else {}
    with RawObjectWriterBase(full, **options, **kw) as writer:
        for item in objects:
            writer.write(item)
    data = full.read_bytes()
    path = tmp_path / "growing.sof"
    path.write_bytes(data[:24])
    reader = RawObjectReaderBase(path, recover=True)
    got: list[bytes] = []
    for size in [*range(24, len(data), 3), len(data)]:
        path.write_bytes(data[:size])
        before = len(reader)
        reader.reload()
        assert len(reader) >= before
        got += [reader.read() for _ in range(len(reader) - before)]
        assert got == objects[: len(reader)]
    assert got == objects
    assert reader.problems() == []
    assert reader.torn_bytes == 0


def test_a_cut_or_replaced_file_is_read_anew(tmp_path, p1) -> None:
    path = tmp_path / "a.sof"
    path.write_bytes(p1([[b"a", b"b"], [b"c"]]))
    reader = RawObjectReaderBase(path)
    assert [reader.read() for _ in range(3)] == [b"a", b"b", b"c"]
    os.unlink(path)
    path.write_bytes(p1([[b"new"]], created=5))
    reader.reload()
    assert (len(reader), reader[0]) == (1, b"new")
    with pytest.raises(IndexError):
        reader.read()
    reader.resetfp()
    assert reader.read() == b"new"


SCRIPT = """
import sys
from sapwood.fileio import RawObjectWriterBase
writer = RawObjectWriterBase(sys.argv[1], int(sys.argv[2]), sys.argv[3] or None, **eval(sys.argv[4]))
for i in range(10**9):
    writer.write(i.to_bytes(4, "little") * (i % 300))
    if i == 12_000:
        print("go", flush=True)
"""


@pytest.mark.parametrize(("protocol", "compressor"), [(0, ""), (1, ""), (1, "bz2")])
def test_a_killed_writer(tmp_path, protocol, compressor) -> None:
    path = tmp_path / "a.sof"
    options = "{'bunchsize': 50_000}" if protocol else "{}"
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path), str(protocol), compressor, options], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"go\n"
    with RawObjectReaderBase(path, recover=True) as live:
        assert len(live) > 1000
        assert live[-1] == (len(live) - 1).to_bytes(4, "little") * ((len(live) - 1) % 300)
    child.send_signal(signal.SIGKILL)
    child.wait(30)
    child.stdout.close()
    with RawObjectReaderBase(path, recover=True) as reader:
        count = len(reader)
        assert count > 11_000
        for number in (0, 1, 299, 1000, count // 2, count - 1):
            assert reader[number] == number.to_bytes(4, "little") * (number % 300)
