"""Recordings of frames decoded by classes that the caller names, after the fact and live."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from sapwood.errors import SapwoodError
from sapwood.fileio import StreamWriter, lh5
from sapwood.fileio.batchrecorder import BatchRecorder
from sapwood.fileio.raw import DataDecoder, OutSpecError, build_raw
from sapwood.fileio.raw.declared import DeclaredDecoder, decoder_table, take_decoders
from sapwood.fileio.raw.live import Lh5Frames
from sapwood.fileio.raw.recording import declare_decoders
from sapwood.fileio.recording.channelwriter import ChannelWriter
from sapwood.streams import FrameBatch, Master

EVENT = np.dtype([("key", "<u2"), ("energy", "<u4"), ("samples", "<u2", 3)])


class PulseDecoder(DataDecoder):
    """A digitiser of two channels."""

    decoded_values: ClassVar = {
        "packet_id": {"dtype": "uint32"},
        "energy": {"dtype": "uint32"},
        "samples": {"dtype": "uint16", "datatype": "array_of_equalsized_arrays<1,1>{real}", "length": 3},
    }

    def get_key_lists(self) -> list[list[Any]]:
        return [[0, 1]]

    def decode_batch(self, packets: Any, packet_ids: Any, buffers: Any) -> None:
        if packets.uniform_size != EVENT.itemsize:
            raise ValueError("This is no event")
        events = packets.compact().payload.view(EVENT)
        block = {"packet_id": packet_ids, "energy": events["energy"], "samples": events["samples"]}
        self.deliver(events["key"], block, buffers)


class SizeDecoder(DataDecoder):
    """The size of each frame."""

    decoded_values: ClassVar = {"size": {"dtype": "int64"}}

    def decode_batch(self, packets: Any, packet_ids: Any, buffers: Any) -> None:
        self.deliver(None, {"size": packets.size}, buffers)


class NeedyDecoder(DataDecoder):
    def __init__(self, what: Any) -> None:
        super().__init__()


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> str:
    """This module under a name that can be imported."""
    monkeypatch.setitem(sys.modules, "pulse_decoders", sys.modules[__name__])
    return "pulse_decoders"


def events(first: int, count: int) -> FrameBatch:
    made = np.zeros(count, EVENT)
    made["energy"] = np.arange(first, first + count)
    made["key"] = made["energy"] % 2
    made["samples"] = made["energy"][:, np.newaxis] + np.arange(3)
    return FrameBatch.from_rows(made.view("u1").reshape(count, -1))


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Channel 1: events; 2: frames of other sizes; 255: configuration; some frames with an error."""
    path = tmp_path / "run.dat"
    source, other, writer = Master(), Master(), StreamWriter()
    source >> writer.getChannel(1)
    other >> writer.getChannel(2)
    writer.open(path)
    source._sendBatch(events(0, 700))
    other._sendBatch(FrameBatch(bytes(100), [0, 10, 30], [10, 20, 70]))
    source._sendBatch(events(700, 300))
    source._sendBatch(events(1000, 2).replace(error=1))
    writer.close()
    return path


def energies(path: Path, name: str = "Pulse") -> list[int]:
    return list(lh5.read(name, str(path))["energy"].nda)


def test_a_channel_of_a_recording(recording: Path, named: str) -> None:
    kind = declare_decoders([f"1={named}:PulseDecoder"])
    summary = build_raw(recording, kind, buffer_size=64)
    table = lh5.read("Pulse", str(recording.with_suffix(".lh5")))
    assert (table["energy"].nda == np.arange(1000)).all()
    assert (table["samples"].nda == np.arange(1000)[:, np.newaxis] + np.arange(3)).all()
    assert (np.diff(table["packet_id"].nda) >= 1).all()
    assert summary.unknown == {"channel 2": 3, "frames with an error": 2}


def test_each_channel_has_its_decoder(recording: Path, named: str, tmp_path: Path) -> None:
    kind = declare_decoders([f"1={named}:PulseDecoder", f"{named}:SizeDecoder"])
    spec = {
        "PulseDecoder": {"ch{key}": {"key_list": ["*"], "out_stream": str(tmp_path / "a.lh5")}},
        "*": {"{name}": {"key_list": ["*"], "out_stream": str(tmp_path / "b.lh5")}},
    }
    build_raw(recording, kind, spec)
    assert energies(tmp_path / "a.lh5", "ch0") == list(range(0, 1000, 2))
    assert energies(tmp_path / "a.lh5", "ch1") == list(range(1, 1000, 2))
    assert lh5.read("Size", str(tmp_path / "b.lh5"))["size"].nda.tolist() == [10, 20, 70]


def test_frames_that_cannot_be_decoded_are_garbage(recording: Path, named: str) -> None:
    summary = build_raw(recording, declare_decoders([f"{named}:PulseDecoder"]))
    assert summary.garbage == {"PulseDecoder": 3}
    assert energies(recording.with_suffix(".lh5")) == list(range(1000))


def test_a_cut_recording_gives_what_is_whole(recording: Path, named: str) -> None:
    data = recording.read_bytes()
    recording.write_bytes(data[: len(data) // 2])
    summary = build_raw(recording, declare_decoders([f"1={named}:PulseDecoder"]))
    rows = energies(recording.with_suffix(".lh5"))
    assert 100 < len(rows) < 1000
    assert rows == list(range(len(rows)))
    assert "run.dat" in summary.problems[0]


@pytest.mark.parametrize(
    "text", ["", "a", "a:", ":B", "a:B:c", "300=a:B", "x=a:B", "a/b:C", "a:B()", "__import__('os'):x"]
)
def test_names_that_are_none(text: str) -> None:
    with pytest.raises(OutSpecError, match="names no decoder"):
        declare_decoders([text])


@pytest.mark.parametrize("names", [["a:B", "c:D"], ["1=a:B", "1=c:D"]])
def test_a_channel_has_one_decoder(names: list[str]) -> None:
    with pytest.raises(OutSpecError, match="one decoder"):
        declare_decoders(names)


@pytest.mark.parametrize(
    ("name", "text"),
    [("no_such_module:X", "no_such_module"), ("{}:Nothing", "Nothing"), ("{}:EVENT", "no decoder"),
     ("{}:np", "no decoder"), ("{}:NeedyDecoder", "without parameters")],
)  # fmt: skip
def test_classes_that_are_no_decoders(recording: Path, named: str, name: str, text: str) -> None:
    kind = declare_decoders([name.format(named)])
    with pytest.raises(SapwoodError, match=text):
        build_raw(recording, kind)
    assert not recording.with_suffix(".lh5").exists()


def test_the_table_of_channels() -> None:
    table = decoder_table([None, 3])
    assert table[3] == 1
    assert table[255] == -1
    assert set(table[:3] + table[4:255]) == {0}
    assert decoder_table([255])[255] == 0


def test_decoders_in_a_specification() -> None:
    spec = {"1=lab.scope:Scope": {"a": 1}, "Other": {"b": 2}, "*": {}}
    assert take_decoders(spec) == ({"Scope": {"a": 1}, "Other": {"b": 2}, "*": {}}, ["1=lab.scope:Scope"])
    assert str(DeclaredDecoder.parse("1=lab.scope:Scope")) == "1=lab.scope:Scope"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Callable[..., tuple[ChannelWriter, Master]]]:
    """A recorder of LH5 files and its source, open."""
    writers = []

    def make(frames: Lh5Frames, **settings: Any) -> tuple[ChannelWriter, Master]:
        writer, source = ChannelWriter(BatchRecorder(frames, period_s=0.05, **settings)), Master()
        writers.append(writer)
        source >> writer.getChannel(0)
        return writer, source

    yield make
    for writer in writers:
        writer.abort()


def test_frames_become_rows_while_they_come(live: Any, tmp_path: Path) -> None:
    writer, source = live(Lh5Frames({None: PulseDecoder}, buffer_size=64))
    writer.open(tmp_path / "live.lh5")
    for first in range(0, 1000, 100):
        source._sendBatch(events(first, 100))
    writer.flush()
    assert energies(tmp_path / "live.lh5") == list(range(1000))  # whole while it is open
    source._sendBatch(events(1000, 1))
    writer.close()
    assert energies(tmp_path / "live.lh5") == list(range(1001))
    assert writer.getFrameCount() == 1001


def test_live_tables_are_those_of_the_specification(live: Any, tmp_path: Path) -> None:
    spec = {"PulseDecoder": {"ch{key}/raw": {"key_list": [[0, 1]], "out_stream": "any.lh5:/run"}}}
    writer, source = live(Lh5Frames({None: PulseDecoder}, spec))
    writer.open(tmp_path / "live.lh5")
    source._sendBatch(events(0, 10))
    writer.close()
    assert energies(tmp_path / "live.lh5", "run/ch1/raw") == [1, 3, 5, 7, 9]


def test_parts_of_a_live_recording(live: Any, tmp_path: Path) -> None:
    frames = Lh5Frames({None: PulseDecoder})
    writer, source = live(frames)
    writer.setMaxSize(100 * EVENT.itemsize)
    writer.open(tmp_path / "live.lh5")
    for first in range(0, 250, 10):
        source._sendBatch(events(first, 10))
    writer.close()
    parts = sorted(tmp_path.glob("live.lh5.*"), key=lambda path: int(path.suffix[1:]))
    assert len(parts) > 1
    assert [one for part in parts for one in energies(part)] == list(range(250))


def test_live_losses_are_told(live: Any, tmp_path: Path) -> None:
    frames = Lh5Frames({3: SizeDecoder, None: PulseDecoder})
    writer, source = live(frames)
    writer.open(tmp_path / "live.lh5")
    source._sendBatch(events(0, 5))
    source._sendBatch(FrameBatch(bytes(20), [0, 10], 10))
    source._sendBatch(FrameBatch(bytes(30), [0, 10], [10, 20], channel=3))
    writer.close()
    assert frames.losses[0] == "PulseDecoder: 2 packets could not be decoded"
    assert "packet 5 cannot be decoded: This is no event" in frames.losses[1]
    assert energies(tmp_path / "live.lh5") == list(range(5))
    assert lh5.read("Size", str(tmp_path / "live.lh5"))["size"].nda.tolist() == [10, 20]


KILLED = """
import os, signal, sys
sys.path.insert(0, {folder!r})
from test_recording import Lh5Frames, PulseDecoder, events
from sapwood.fileio.batchrecorder import BatchRecorder
from sapwood.fileio.recording.channelwriter import ChannelWriter
from sapwood.streams import Master

writer, source = ChannelWriter(BatchRecorder(Lh5Frames({{None: PulseDecoder}}), period_s=1000)), Master()
source >> writer.getChannel(0)
writer.open({path!r})
for first in range(0, 5000, 500):
    source._sendBatch(events(first, 500))
writer.flush()
source._sendBatch(events(5000, 20))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_recorder_leaves_what_was_flushed(tmp_path: Path) -> None:
    path = tmp_path / "live.lh5"
    script = KILLED.format(folder=str(Path(__file__).parent), path=str(path))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert energies(path)[:5000] == list(range(5000))
