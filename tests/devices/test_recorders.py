"""Recorder devices of all formats: one contract, whatever the file."""

from __future__ import annotations

import errno
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest

from sapwood.devices import (
    ApxWriter,
    FormatWriter,
    Hdf5Writer,
    IcfWriter,
    Lh5Writer,
    PrbsTx,
    PymodaqWriter,
    RunControl,
    StreamVariable,
    StreamWriter,
)
from sapwood.errors import DeviceError, FileError, RecorderFault, RecordingExists, StreamError
from sapwood.fileio import FileLayer
from sapwood.fileio import StreamWriter as FileStreamWriter
from sapwood.fileio import open as open_recording
from sapwood.fileio.icf.live import IcfFrames
from sapwood.fileio.lh5 import RaggedBlock
from sapwood.fileio.raw import DataDecoder
from sapwood.streams import Fifo, Frame, FrameBatch, Gap, Master, Slave
from sapwood.tree import Root

SIZE = 12  # bytes of every frame


class Disk(FileLayer):
    """Fails or hangs on request: at syncs, which all formats need, and at writes."""

    def __init__(self) -> None:
        self.error: OSError | None = None
        self.no_open: OSError | None = None
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.hangs = threading.Event()

    def _touch(self) -> None:
        if not self.goes_on.is_set():
            self.hangs.set()
            assert self.goes_on.wait(30)
        if self.error is not None:
            raise self.error

    def open(self, path: str, *, exclusive: bool) -> int:
        if self.no_open is not None:
            raise self.no_open
        return super().open(path, exclusive=exclusive)

    def fdatasync(self, fd: int) -> None:
        self._touch()
        super().fdatasync(fd)


def frames_in(path: Path, *, single: bool = True) -> list[bytes]:
    """Payloads of the frames of a file, or else of a recording in parts, of any of the formats."""
    with open_recording(path, single=single) as reader:
        names = [table.name for table in reader.tables()]
        if "Payload" in names:
            return [bytes(row) for chunk in reader.chunks("Payload") for row in chunk["payload"]]
        if "frames" in names:
            chunks = [chunk.to_frames() for chunk in reader.chunks("frames")]
            return [bytes(frame) for chunk in chunks for frame in chunk.frames()]
        name = next(name for name in names if name.endswith("Ch000"))
        rows = [chunk["EnlData00"].values for chunk in reader.chunks(name)]
        return [row.tobytes() for chunk in rows for row in chunk]


class PayloadDecoder(DataDecoder):
    """Each frame is a row."""

    decoded_values: ClassVar = {"payload": {"dtype": "uint8", "datatype": "array<1>{array<1>{real}}"}}

    def decode_batch(self, packets: FrameBatch, packet_ids: Any, buffers: Any) -> None:
        dense = packets.compact()
        self.deliver(None, {"payload": RaggedBlock(dense.payload, dense.size)}, buffers)


class Kind(NamedTuple):
    make: Callable[..., Any]
    ending: str


def _stream_writer(disk: FileLayer, **kwargs: Any) -> StreamWriter:
    return StreamWriter(writer=FileStreamWriter(files=disk), **kwargs)


def _format(device: Callable[..., Any], **fixed: Any) -> Callable[..., Any]:
    return lambda disk, **kwargs: device(recorder={"files": disk}, **fixed, **kwargs)


KINDS = {
    "rogue": Kind(_stream_writer, ".dat"),
    "icf": Kind(_format(IcfWriter), ".sof"),
    "icf-0": Kind(_format(IcfWriter, protocol=0), ".sof"),
    "icf-zlib": Kind(_format(IcfWriter, compressor="zlib"), ".sof"),
    "apx": Kind(_format(ApxWriter), ".apx"),
    "hdf5": Kind(_format(Hdf5Writer), ".h5"),
    "hdf5-gzip": Kind(_format(Hdf5Writer, compression="gzip"), ".h5"),
    "lh5": Kind(_format(Lh5Writer, decoders=PayloadDecoder), ".lh5"),
    "pymodaq": Kind(_format(PymodaqWriter, dtype="<u2", shape=(2, 3)), ".h5"),
}


class Top(Root):
    def __init__(self, kind: Kind, disk: FileLayer, **kwargs: Any) -> None:
        super().__init__(name="Top", pollEn=False)
        self.add(kind.make(disk, name="Writer", **kwargs))
        self.Writer._writer.recorder._period_s = 0.05
        self.source = Master()
        self.source >> self.Writer

    def send(self, *numbers: int, **kwargs: Any) -> None:
        for number in numbers:
            self.source._sendFrame(Frame(payload(number), **kwargs))

    def begin(self, path: Path) -> None:
        self.Writer.DataFile.set(str(path))
        self.Writer.Open()


def payload(number: int) -> bytes:
    return b"%012d" % number


def rows(*numbers: int) -> FrameBatch:
    return FrameBatch.from_rows(np.frombuffer(b"".join(map(payload, numbers)), np.uint8).reshape(-1, SIZE))


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def top(kind: Kind, disk: Disk):
    with Top(kind, disk) as root:
        yield root
        disk.error = None
        disk.goes_on.set()
    for thread in threading.enumerate():
        if thread.name.startswith(("Recorder ", "flush ")):
            thread.join(10)
            assert not thread.is_alive(), thread.name


@pytest.fixture
def path(kind: Kind, tmp_path: Path) -> Path:
    return tmp_path / f"run{kind.ending}"


def counters(top: Top) -> Any:
    return top.Writer._writer.counters


class TestContract:
    """What every recorder device does."""

    def test_nodes(self, top: Top) -> None:
        names = {"DataFile", "IsOpen", "BufferSize", "MaxFileSize", "CurrentSize", "TotalSize", "Bandwidth"}
        names |= {"FrameCount", "DataFrameCount", "DroppedCount", "FreeSpace", "State", "Overwrite"}
        assert names <= set(top.Writer.variables)
        assert {"Open", "Close", "AutoName"} <= set(top.Writer.commands)

    def test_frames_and_batches_in_order(self, top: Top, path: Path) -> None:
        top.begin(path)
        assert (top.Writer.State.get(), top.Writer.IsOpen.get()) == ("Recording", True)
        top.send(1, 2)
        top.source._sendBatch(rows(*range(3, 40)))
        top.send(40)
        assert top.Writer._waitFrameCount(40, 20)
        assert counters(top).written.frames == counters(top).accepted.frames == 40
        assert top.Writer._waitFrameChannelCount(0, 40, 20)
        top.Writer.Close()
        assert (top.Writer.State.get(), top.Writer.IsOpen.get()) == ("Closed", False)
        assert frames_in(path) == [payload(number) for number in range(1, 41)]
        assert top.Writer.FrameCount.get() == top.Writer.DataFrameCount.get() == 40
        assert counters(top).durable == counters(top).written
        assert top.Writer.TotalSize.get() == top.Writer.CurrentSize.get() == path.stat().st_size
        assert (top.Writer.DroppedCount.get(), top.Writer.Bandwidth.get()) == (0, 0)

    def test_a_frame_changed_after_it_was_sent_is_recorded_as_it_was(self, top: Top, path: Path) -> None:
        top.begin(path)
        frame = Frame.reserve(SIZE)
        for number in range(5):
            frame.write(payload(number))
            top.source._sendFrame(frame)
        top.Writer.Close()
        assert frames_in(path) == [payload(number) for number in range(5)]

    def test_counters_begin_anew_and_closed_recorders_count(self, top: Top, path: Path) -> None:
        top.send(1)
        assert counters(top).dropped == {"closed": 1}
        assert top.Writer.DroppedCount.get() == 0
        top.begin(path)
        top.send(1, 2, 3)
        top.begin(path.with_stem("second"))
        assert counters(top).accepted.frames == top.Writer.FrameCount.get() == 0
        assert counters(top).dropped == {}
        top.send(4)
        top.Writer.Close()
        assert frames_in(path) == [payload(number) for number in (1, 2, 3)]
        assert frames_in(path.with_stem("second")) == [payload(4)]
        top.Writer.Close()

    def test_existing_files_are_refused_or_replaced(self, top: Top, path: Path) -> None:
        path.write_bytes(b"precious" * 100_000)
        with pytest.raises(RecordingExists, match="Overwrite"):
            top.begin(path)
        assert path.read_bytes() == b"precious" * 100_000
        assert top.Writer.State.get() == "Closed"
        top.Writer.Overwrite.set(True)
        top.begin(path)
        top.send(1)
        top.Writer.Close()
        assert frames_in(path) == [payload(1)]

    def test_a_file_is_named(self, top: Top, kind: Kind, tmp_path: Path) -> None:
        with pytest.raises(FileError, match="No data file"):
            top.Writer.Open()
        top.Writer.AutoName()
        assert re.fullmatch(rf"data_\d{{8}}_\d{{6}}\{kind.ending}", top.Writer.DataFile.value())
        with pytest.raises(FileError, match="open data file"):
            top.begin(tmp_path / "nowhere" / f"run{kind.ending}")
        assert top.Writer.State.get() == "Closed"

    def test_a_disk_that_makes_no_file(self, top: Top, disk: Disk, path: Path) -> None:
        disk.no_open = OSError(errno.EACCES, os.strerror(errno.EACCES))
        with pytest.raises(FileError, match="Permission denied"):
            top.begin(path)
        assert top.Writer.State.get() == "Closed"
        disk.no_open = None
        top.begin(path)
        top.send(1)
        top.Writer.Close()
        assert frames_in(path) == [payload(1)]

    def test_large_runs_are_split(self, top: Top, path: Path) -> None:
        top.Writer.MaxFileSize.set(2000)
        top.begin(path)
        for first in range(0, 300, 30):
            top.source._sendBatch(rows(*range(first, first + 30)))
        top.Writer.Close()
        parts = sorted(path.parent.glob("run*"), key=lambda part: int(part.suffix[1:]))
        parts = [part for part in parts if part.suffix != ".idx"]
        assert len(parts) >= 2
        assert [part.name for part in parts] == [f"{path.name}.{n + 1}" for n in range(len(parts))]
        assert [one for part in parts for one in frames_in(part)] == [payload(n) for n in range(300)]
        assert frames_in(path, single=False) == [payload(n) for n in range(300)]
        assert top.Writer.TotalSize.get() == sum(part.stat().st_size for part in parts)
        if path.suffix not in (".h5", ".lh5"):  # those grow in steps
            assert all(part.stat().st_size <= 2000 for part in parts)

    def test_an_oversized_frame_gets_a_file(self, top: Top, path: Path) -> None:
        top.Writer.MaxFileSize.set(1)
        top.begin(path)
        top.send(1, 2)
        top.Writer.Close()
        assert frames_in(Path(f"{path}.1")) == [payload(1)]
        assert frames_in(Path(f"{path}.2")) == [payload(2)]
        assert counters(top).oversize == 2

    def test_a_buffer_gathers_and_waiting_writes(self, top: Top, path: Path) -> None:
        top.Writer.BufferSize.set(1 << 20)
        top.begin(path)
        top.send(1, 2, 3)
        assert counters(top).accepted.frames == 3
        assert top.Writer._waitFrameCount(3, 20)
        top.send(4)
        top.Writer._writer.flush()
        assert counters(top).written.frames == 4
        top.Writer.Close()
        assert frames_in(path) == [payload(number) for number in (1, 2, 3, 4)]

    def test_waiting_ends_at_the_time_out_and_at_close(self, top: Top, path: Path) -> None:
        top.begin(path)
        top.send(1)
        assert top.Writer._waitFrameCount(2, 0.01) is False
        ended = []
        waiting = threading.Thread(target=lambda: ended.append(top.Writer._waitFrameCount(2, 30)))
        waiting.start()
        top.Writer.Close()
        waiting.join(10)
        assert ended == [False]

    def test_errors_empties_and_gaps(self, top: Top, path: Path) -> None:
        top.Writer.setDropErrors(True)
        top.begin(path)
        top.send(1)
        top.send(2, error=3)
        top.source._sendFrame(Frame(b""))
        top.source._sendBatch(rows(4, 5, 6).replace(error=[0, 1, 0]))
        top.Writer.getChannel(0)._acceptGap(Gap(None, 7, 56, "ring", 0))
        top.Writer.Close()
        assert frames_in(path) == [payload(number) for number in (1, 4, 6)]
        found = counters(top)
        assert found.dropped == {"error": 2, "empty": 1}
        assert (found.gaps, found.gap_frames) == (1, 7)
        assert top.Writer.DroppedCount.get() == 3
        assert top.Writer._writer.recorder.gaps[0][1].reason == "ring"
        assert top.Writer.getChannel(0).getFrameCount() == 6

    def test_abort_counts_what_was_staged(self, top: Top, path: Path) -> None:
        top.Writer.BufferSize.set(1 << 20)
        top.begin(path)
        top.send(1, 2)
        assert top.Writer._waitFrameCount(2, 20)
        top.send(3, 4, 5)
        top.Writer._writer.abort()
        assert counters(top).dropped == {"aborted": 3}
        assert frames_in(path) == [payload(1), payload(2)]

    def test_a_failing_disk_is_told_once_and_a_new_file_resumes(
        self, top: Top, disk: Disk, path: Path, await_true: Callable[..., Any]
    ) -> None:
        top.begin(path)
        top.send(1)
        assert top.Writer._waitFrameCount(1, 20)
        disk.error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        top.send(2)
        await_true(lambda: top.Writer.State.get().startswith("Fault: "), "fault")
        assert "No space left" in top.Writer.State.get()
        assert top.Writer.State.getVariableValue().severity == "AlarmMajor"
        assert top.Writer.IsOpen.value() is False
        with pytest.raises(RecorderFault) as caught:
            top.send(3)
        assert caught.value.errno == errno.ENOSPC
        top.send(4)
        found = counters(top)
        assert found.written.frames + found.dropped["fault"] == 4
        assert frames_in(path)[: found.written.frames] == [payload(1), payload(2)][: found.written.frames]
        assert top.Writer._waitFrameCount(100, 20) is False
        disk.error = None
        top.begin(path.with_stem("next"))
        assert top.Writer.State.get() == "Recording"
        top.send(5)
        top.Writer.Close()
        assert frames_in(path.with_stem("next")) == [payload(5)]

    def test_closing_tells_of_a_fault_that_nobody_was_told_of(self, top: Top, disk: Disk, path: Path) -> None:
        top.begin(path)
        top.send(1)
        disk.error = OSError(errno.EIO, os.strerror(errno.EIO))
        with pytest.raises(RecorderFault, match="Input/output"):
            top.Writer.Close()
        assert top.Writer.State.get() == "Closed"
        top.Writer.Close()

    def test_a_hanging_disk_keeps_nobody(
        self, top: Top, disk: Disk, path: Path, await_true: Callable[..., Any]
    ) -> None:
        top.begin(path)
        top.Writer._writer.recorder._close_timeout_s = 0.1
        disk.goes_on.clear()
        top.send(1)
        assert disk.hangs.wait(10)
        top.send(*range(2, 100))
        with pytest.raises(RecorderFault, match="in time"):
            top.Writer.Close()
        assert top.Writer.State.get() in ("Closed", "Fault: " + str(top.Writer._writer.fault))
        top.Writer._writer.abort()
        assert top.Writer.State.get() == "Closed"
        disk.goes_on.set()
        top.Writer._writer.recorder._close_timeout_s = 20.0
        top.begin(path.with_stem("next"))
        top.send(1)
        top.Writer.Close()
        assert frames_in(path.with_stem("next")) == [payload(1)]

    def test_a_root_stops_in_spite_of_a_failing_disk(
        self, kind: Kind, disk: Disk, path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.CRITICAL), Top(kind, disk) as root:
            root.begin(path)
            root.send(1)
            disk.error = OSError(errno.EIO, os.strerror(errno.EIO))
        assert root.Writer._writer.state == "Closed"

    def test_a_root_that_stops_drains_its_sources(self, kind: Kind, path: Path) -> None:
        class Gen(Root):
            def __init__(self) -> None:
                super().__init__(name="Top", pollEn=False)
                self.add(PrbsTx(name="Tx"))
                self.add(kind.make(FileLayer(), name="Writer"))
                self.fifo = Fifo()
                self.Tx >> self.fifo >> self.Writer

        with Gen() as top:
            top.Tx.txSize.set(SIZE)
            top.Tx.txPeriod.set(200)
            top.Writer.DataFile.set(str(path))
            top.Writer.Open()
            top.Tx.txEnable.set(True)
            assert top.Writer._waitFrameCount(10, 20)
        numbers = [int.from_bytes(one[:4], "little") for one in frames_in(path)]
        assert numbers == list(range(top.Tx._prbs.getTxCount()))

    def test_a_run(self, kind: Kind, disk: Disk, tmp_path: Path) -> None:
        class Run(Top):
            def __init__(self) -> None:
                super().__init__(kind, disk)
                self.dataDir = tmp_path
                self.add(RunControl(name="Run", recorders="all", sources=[self.switch]))

            def switch(self, on: bool) -> None:
                if on:
                    self.send(1, 2, 3)

        with Run() as top:
            top.Run.StartRun()
            top.Run.StopRun()
            assert top.Run.Frames.get() == 3
            assert top.Writer.State.get() == "Closed"
        assert frames_in(tmp_path / f"run000001{kind.ending}") == [payload(n) for n in (1, 2, 3)]

    def test_a_failing_recorder_stops_no_other_sink(
        self, top: Top, disk: Disk, path: Path, sink: Any, await_true: Callable[..., Any]
    ) -> None:
        source, fifo = Master(), Fifo()
        source >> fifo
        fifo >> sink
        fifo >> top.Writer
        top.begin(path)
        disk.error = OSError(errno.EIO, os.strerror(errno.EIO))
        for number in range(50):
            source._sendFrame(Frame(payload(number)))
        await_true(lambda: top.Writer.State.get().startswith("Fault"), "fault")
        for number in range(50, 100):
            source._sendFrame(Frame(payload(number)))
        sink.await_frames(100)
        assert sink.payloads() == [payload(number) for number in range(100)]
        fifo._stop()


@pytest.mark.parametrize("name", ["icf", "apx", "hdf5", "pymodaq"])
def test_another_process_reads_what_was_flushed(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"run{KINDS[name].ending}"
    code = (
        "import sys, sapwood.fileio as f\n"
        "with f.open(sys.argv[1]) as reader: print(max(table.rows for table in reader.tables()))"
    )
    with Top(KINDS[name], FileLayer()) as top:
        top.begin(path)
        top.source._sendBatch(rows(*range(70)))
        assert top.Writer._waitFrameCount(70, 20)
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60
        )
        assert (done.stdout, done.stderr) == ("70\n", "")
        top.send(70)
        top.Writer.Close()
    assert len(frames_in(path)) == 71


# What only some can


def test_hdf5_columns_keep_channels_flags_and_times(tmp_path: Path) -> None:
    with Top(KINDS["hdf5"], FileLayer()) as top:
        other = Master()
        other >> top.Writer.getChannel(7)
        top.begin(tmp_path / "run.h5")
        top.send(1, channel=3, flags=0x102)
        other._sendBatch(rows(2, 3).replace(time=[5, 6], channel=1, error=[0, 4]))
        top.Writer.Close()
    with open_recording(tmp_path / "run.h5") as reader:
        frames = next(reader.chunks("frames")).to_frames()
    assert frames.channel.tolist() == [3, 7, 7]
    assert frames.flags.tolist() == [0x102, 0, 0]
    assert frames.error.tolist() == [0, 0, 4]
    assert frames.time[0] > 1_700_000_000_000_000_000
    assert frames.time[1:].tolist() == [5, 6]


def test_hdf5_columns_keep_the_configuration(tmp_path: Path) -> None:
    class Config(Root):
        def __init__(self) -> None:
            super().__init__(name="Top", pollEn=False)
            self.add(Hdf5Writer(name="Writer", configStream={255: StreamVariable(root=self)}))
            self.source = Master()
            self.source >> self.Writer

    with Config() as top:
        top.Writer.DataFile.set(str(tmp_path / "run.h5"))
        top.Writer.Open()
        top.source._sendFrame(Frame(payload(1)))
        top.waitOnUpdate()
        top.Writer.Close()
        assert top.Writer.DataFrameCount.get() == 1
        assert top.Writer.FrameCount.get() >= 3
    with open_recording(tmp_path / "run.h5") as reader:
        frames = next(reader.chunks("frames")).to_frames()
    assert frames.channel[0] == frames.channel[-1] == 255
    assert bytes(frames[0]).startswith(b"Top:\n")


@pytest.mark.parametrize("name", ["icf", "apx", "pymodaq"])
def test_formats_without_channels_refuse_configuration_streams(name: str) -> None:
    with pytest.raises(DeviceError, match="no channels"):
        KINDS[name].make(FileLayer(), name="Writer", configStream={255: Slave()})


@pytest.mark.parametrize("header", [None, {"detector": 4}])
def test_the_header_of_apx_files(header: dict[str, Any] | None, tmp_path: Path) -> None:
    kind = Kind(_format(ApxWriter, header=header), ".apx")
    with Top(kind, FileLayer()) as top:
        top.Writer.MaxFileSize.set(600)
        top.begin(tmp_path / "run.apx")
        top.source._sendBatch(rows(*range(100)).replace(time=np.arange(100) + 5))
        top.Writer.Close()
    ids: list[int] = []
    for part in sorted(tmp_path.glob("run.apx.*"), key=lambda part: int(part.suffix[1:])):
        with open_recording(part, single=True) as reader:
            content = reader.info()["header"]
            for chunk in reader.chunks("readouts"):
                ids += chunk["readout_id"].values.tolist()
                assert (chunk["timestamp"].values == chunk["readout_id"].values + 5).all()
        if header is None:
            assert content["configuration"].startswith("Top:\n")
        else:
            assert content["detector"] == 4
    assert ids == list(range(100))


@pytest.mark.parametrize(("shape", "dimension"), [((), "Data0D"), ((6,), "Data1D"), ((2, 3), "Data2D")])
def test_pymodaq_files_have_values_curves_and_images(
    shape: tuple[int, ...], dimension: str, tmp_path: Path
) -> None:
    size, dtype = (8, "<u8") if not shape else (SIZE, "<u2")
    kind = Kind(_format(PymodaqWriter, dtype=dtype, shape=shape, dataName="Camera", units="counts"), ".h5")
    with Top(kind, FileLayer()) as top:
        top.begin(tmp_path / "run.h5")
        frames = FrameBatch.from_rows(np.arange(3 * size, dtype=np.uint8).reshape(3, size))
        top.source._sendBatch(frames.replace(time=[10**9, 2 * 10**9, 3 * 10**9]))
        with pytest.raises(StreamError, match="cannot hold 1"):
            top.source._sendFrame(Frame(b"123"))
        with pytest.raises(StreamError, match="cannot hold 1"):
            top.source._sendBatch(FrameBatch.gather([Frame(bytes(size)), Frame(b"1"), Frame(bytes(size))]))
        top.Writer.Close()
        assert counters(top).dropped == {"invalid": 2}
        assert top.Writer.FrameCount.get() == 5
    with open_recording(tmp_path / "run.h5") as reader:
        table = next(reader.chunks(f"RawData/Detector000/{dimension}/Ch000"))
        nodes = reader.info()["nodes"]
    data = table["EnlData00"]
    assert data.values.shape == (5, *(shape or (1,)))
    assert data.values[0].tobytes() == bytes(range(size))
    assert data.unit == "counts"
    axis = next(name for name in table if name.startswith(("Axis", "EnlAxis")))
    assert table[axis].values[:3].tolist() == [1.0, 2.0, 3.0]
    assert "/RawData/Detector000/Configuration" in nodes


def test_a_curve_is_as_long_as_the_first_frame(tmp_path: Path) -> None:
    kind = Kind(_format(PymodaqWriter, dtype="<u2"), ".h5")
    with Top(kind, FileLayer()) as top:
        for size in (4, 10):
            top.begin(tmp_path / f"{size}.h5")
            with pytest.raises(StreamError, match="cannot hold 1"):
                top.source._sendFrame(Frame(b"odd"))
            top.source._sendFrame(Frame(bytes(size)))
            with pytest.raises(StreamError, match="cannot hold 1"):
                top.source._sendFrame(Frame(bytes(6)))
            top.Writer.Close()
            with open_recording(tmp_path / f"{size}.h5") as reader:
                chunk = next(reader.chunks("RawData/Detector000/Data1D/Ch000"))
            assert chunk["EnlData00"].values.shape == (1, size // 2)


def test_typed_icf_files_say_so(tmp_path: Path) -> None:
    kind = Kind(_format(IcfWriter, typeCode=1, protocol=1), ".sof")
    with Top(kind, FileLayer()) as top:
        top.begin(tmp_path / "run.sof")
        top.send(1)
        top.Writer.Close()
    with open_recording(tmp_path / "run.sof") as reader:
        assert reader.info()["metadata"]


def test_any_format_can_be_recorded(tmp_path: Path) -> None:
    kind = Kind(lambda disk, **kwargs: FormatWriter(IcfFrames(0), recorder={"files": disk}, **kwargs), ".sof")
    with Top(kind, FileLayer()) as top:
        top.begin(tmp_path / "run.sof")
        top.send(1)
        top.Writer.Close()
    assert frames_in(tmp_path / "run.sof") == [payload(1)]
