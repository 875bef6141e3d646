"""Ctrl-C and SIGTERM in the middle of commands: nothing half-written stays, and the exit code says why."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sapwood import fileio
from sapwood.fileio import Column, ColumnInfo, StreamWriter, Table, TableInfo, registry
from sapwood.streams import Frame, Master

SIGNALS = [signal.SIGINT, signal.SIGTERM]
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
ENDINGS = [
    "npz", "h5", "csv", "ecsv", "jsonl", "parquet", "arrow", "arrows", "root", "mcap", "fits", "dat", "sof",
]  # fmt: skip
ROWS = 1000


class Signalled(fileio.Reader):
    """Rows in two chunks, or frames; after the first chunk this process gets a signal."""

    def __init__(self, number: signal.Signals, out: Path) -> None:
        self._number, self._out = number, out

    def tables(self) -> list[TableInfo]:
        hits = TableInfo("hits", 2 * ROWS, {"x": ColumnInfo(np.dtype("f8"))})
        return [hits, TableInfo.of_frames(2 * ROWS, 2 * ROWS, view=True)]

    def chunks(self, table: str, *_: Any, **__: Any) -> Iterator[Table]:
        whole = Table("hits", {"x": Column(np.random.default_rng(1).random(ROWS))})
        if table != "hits":
            columns = {"payload": Column(np.zeros(ROWS, "u1"), np.arange(ROWS), np.ones(ROWS, "i8"))}
            whole = Table.from_frames(Table(table, columns).to_frames())
        yield whole
        assert Path(f"{self._out}.part").exists()
        os.kill(os.getpid(), self._number)
        yield whole

    def close(self) -> None:
        pass


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_conversions_leave_nothing(
    sapwood: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ending: str,
    number: signal.Signals,
) -> None:
    out = tmp_path / f"b.{ending}"

    class Source(fileio.Format):
        name = "source"

        def open(self, path: Any, **options: Any) -> fileio.Reader:
            return Signalled(number, out)

    monkeypatch.setitem(registry._loaded, "source", Source())
    before = [signal.getsignal(one) for one in SIGNALS]
    ran = sapwood("file", "convert", "a", out, "--format", "source")
    assert ran.code == CODES[number]
    assert ran.error.endswith(f"{out} was not written")
    assert not list(tmp_path.iterdir())
    assert [signal.getsignal(one) for one in SIGNALS] == before


DECODER = """
import os, pathlib
from sapwood.fileio.raw import DataDecoder

class Killing(DataDecoder):
    decoded_values = {{"size": {{"dtype": "int64"}}}}
    sent = False

    def decode_batch(self, packets, packet_ids, buffers):
        if not self.sent and list(pathlib.Path({folder!r}).glob("*.part")):  # at the second block
            self.sent = True
            os.kill({pid}, {number})
        self.deliver(None, {{"size": packets.size}}, buffers)
"""


def recording(path: Path) -> Path:
    source, writer = Master(), StreamWriter()
    source >> writer.getChannel(1)
    writer.open(path)
    for _ in range(20):
        source._sendFrame(Frame(bytes(10)))
    writer.close()
    return path


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("jobs", [(), ("--jobs", "2")])
def test_raw_conversions_leave_nothing(
    start: Callable[..., Any], tmp_path: Path, number: signal.Signals, jobs: tuple[str, ...]
) -> None:
    """Processes of --jobs have the command as their parent: the decoder sends it the signal."""
    who = "os.getppid()" if jobs else "os.getpid()"
    (tmp_path / "killing.py").write_text(DECODER.format(folder=str(tmp_path), pid=who, number=int(number)))
    options = ("--decoder", "killing:Killing", "--buffer-size", 5, *jobs)
    process = start("raw", "build", recording(tmp_path / "run.dat"), *options)
    assert process.end() == CODES[number]
    assert process.errors[-1].endswith("what was not complete was not written")
    assert not [one.name for one in tmp_path.iterdir() if "lh5" in one.name]


@pytest.mark.parametrize("number", SIGNALS)
def test_any_other_command(sapwood: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), number)
        os.getpid()  # handlers run between instructions

    monkeypatch.setattr(registry, "verify", interrupted)
    ran = sapwood("file", "verify", sys.executable)
    assert ran.code == CODES[signal.Signals(number)]
    assert ran.error in ("sapwood: Interrupted", "sapwood: Terminated")
