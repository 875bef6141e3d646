"""The emulated front end without a tree: registers over the memory bus, streams, schedule."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from sapwood.devices.board.channel import CATCH_UP_S
from sapwood.devices.board.firmware import BUILD_STAMP, VERSION, FrontEndFirmware
from sapwood.devices.board.waveform import Pulse, PulseWaveform
from sapwood.errors import StreamError
from sapwood.memory import Master, Post, Read, Verify, Write
from sapwood.streams import Fifo, FrameBatch, Slave

RUN, RESET = 0x010, 0x014
ENABLE, RATE, SIZE, PATTERN, AMPLITUDE, NOISE, PERIOD, FRAME_SIZE = range(0, 0x20, 4)
FRAMES, BYTES, SKIPPED, ERRORS = 0x20, 0x28, 0x30, 0x38
PRBS, COUNTER, WAVEFORM = range(3)


class Bus:
    """Reads and writes words of a register space."""

    def __init__(self, slave) -> None:
        self._master = Master()
        self._master._setSlave(slave)

    def access(self, kind: int, address: int, data: bytearray) -> str:
        self._master._clearError()
        self._master._waitTransaction(self._master._reqTransaction(address, data, 0, 0, kind))
        return self._master._getError()

    def read(self, address: int, size: int = 4, kind: int = Read) -> int:
        data = bytearray(size)
        assert self.access(kind, address, data) == ""
        return int.from_bytes(data, "little")

    def write(self, address: int, value: int, kind: int = Write) -> None:
        assert self.access(kind, address, bytearray(value.to_bytes(4, "little"))) == ""

    def refused(self, kind: int, address: int, value: int = 0, size: int = 4) -> str:
        text = self.access(kind, address, bytearray(value.to_bytes(size, "little")))
        assert text
        return text

    def channel(self, number: int, **registers: int) -> None:
        for name, value in registers.items():
            self.write(0x100 * (number + 1) + globals()[name.upper()], value)


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def firmware(clock):
    return FrontEndFirmware(channels=3, clock=clock)


@pytest.fixture
def bus(firmware):
    return Bus(firmware)


def only(bus: Bus, number: int, **registers: int) -> None:
    """Let only channel `number` run."""
    for other in range(3):
        bus.channel(other, enable=int(other == number))
    bus.channel(number, **registers)
    bus.write(RUN, 1)


def test_identity_registers(bus, clock, firmware):
    assert bus.read(0x000) == VERSION
    assert bus.read(0x00C) == 3
    assert bus.read(0x018, 8) & 0xFF == 3
    stamp = bytearray(64)
    assert bus.access(Read, 0x040, stamp) == ""
    assert stamp.rstrip(b"\0").decode() == BUILD_STAMP
    clock.now += 42.5
    assert bus.read(0x008) == 42


def test_scratch_is_written_posted_and_verified(bus):
    bus.write(0x004, 0xDEADBEEF)
    assert bus.read(0x004) == bus.read(0x004, kind=Verify) == 0xDEADBEEF
    bus.write(0x004, 7, kind=Post)
    assert bus.read(0x004) == 7


@pytest.mark.parametrize(
    ("kind", "address", "value", "size", "text"),
    [
        (Read, 0x080, 0, 4, "Address 0x80 has no register"),
        (Write, 0x500, 1, 4, "Address 0x500 has no register"),
        (Read, 0x002, 0, 4, "Address 0x2 is not aligned to 4 bytes"),
        (Write, 0x000, 1, 4, "Register FpgaVersion at 0x0 is read-only"),
        (Post, 0x120, 1, 4, r"Register Ch[0].FrameCount at 0x120 is read-only"),
        (Read, RESET, 0, 4, "Register CountReset at 0x14 is write-only"),
        (Write, 0x004, 1, 6, "Write of 6 bytes at 0x4 is not made of 4-byte words"),
        (Write, 0x10C, 3, 4, "Pattern 3 is above 2"),
        (Write, 0x108, (16 << 20) + 1, 4, "Size 16777217 is above 16777216"),
        (Write, 0x100, 2, 4, "Enable 2 is above 1"),
        (Write, RUN, 2, 4, "Run 2 is above 1"),
    ],
)
def test_wrong_accesses_are_answered_with_a_text(bus, kind, address, value, size, text):
    assert bus.refused(kind, address, value, size) == text


def test_refused_write_leaves_the_words_before_it_alone(bus):
    text = bus.refused(Write, 0x004, 5 << 32 | 5, size=8)
    assert text == "Register UpTime at 0x8 is read-only"
    assert bus.read(0x004) == 0


def test_registers_that_share_a_word_are_a_mistake(firmware):
    with pytest.raises(ValueError, match="share 0x0"):
        firmware.addRegister(firmware.registers[0])


def test_number_of_channels_is_bounded():
    for number in (0, 65):
        with pytest.raises(StreamError, match="1 to 64 channels"):
            FrontEndFirmware(number)
    firmware = FrontEndFirmware(2)
    assert firmware.application(1) is firmware.channel(1)
    with pytest.raises(StreamError, match="no channel 2"):
        firmware.channel(2)


# Content


def test_prbs_frames_go_on_through_a_change_of_size(bus, firmware, sink, reference):
    firmware.channel(0) >> sink
    only(bus, 0, pattern=PRBS, rate=1, size=64)
    firmware.step()
    bus.channel(0, size=103)  # rounded down to 100
    for _ in range(3):
        firmware._clock.now += 1
        firmware.step()
    assert sink.payloads() == [reference(0, 64)] + [reference(seq, 100) for seq in (1, 2, 3)]
    assert bus.read(0x100 + SIZE) == 103
    assert bus.read(0x100 + FRAME_SIZE) == 100
    bus.channel(0, size=0)
    assert bus.read(0x100 + FRAME_SIZE) == 12


def test_counter_words_count_on_from_frame_to_frame(bus, firmware, sink):
    firmware.channel(1) >> sink
    only(bus, 1, pattern=COUNTER, rate=0, size=1000)
    firmware.step()
    bus.channel(1, size=40)
    firmware.step()
    words = np.frombuffer(b"".join(sink.payloads()), "<u4")
    assert np.array_equal(words, np.arange(len(words)))
    assert {int(n) for n in sink.all().size} == {1000, 40}
    assert set(sink.all().channel) == {1}


def test_waveform_holds_one_exponential_pulse_a_frame(bus, firmware, sink):
    firmware.channel(2) >> sink
    only(bus, 2, pattern=WAVEFORM, rate=0, size=1024, amplitude=1000, noise=0)
    firmware.step()
    samples = np.frombuffer(b"".join(sink.payloads()), "<i2").reshape(-1, 512)
    position = samples.argmax(axis=1)
    assert len(set(position)) > 100  # at random positions
    for row, start in zip(samples[:50], position[:50], strict=True):
        assert (row[:start] == 100).all()
        tail = 100 + 1000 * np.exp(-np.arange(512 - start) / 32)
        assert np.abs(row[start:] - tail).max() <= 0.5


def test_waveform_repeats_with_its_period_and_has_the_noise_asked_for():
    train = PulseWaveform(Pulse(amplitude=1000, noise=0, period=100), 1000, seed=3).frames(20)
    assert np.array_equal(train[:, 100:], train[:, :-100])
    assert (train.max(axis=1) == 1100).all()
    noisy = PulseWaveform(Pulse(amplitude=0, noise=25), 4096, seed=3).frames(200)
    assert noisy.std() == pytest.approx(25, rel=0.05)
    assert noisy.mean() == pytest.approx(100, abs=1)


def test_waveform_is_repeatable_and_saturates():
    one, two, other = (PulseWaveform(Pulse(), 256, seed).frames(8) for seed in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)
    loud = PulseWaveform(Pulse(amplitude=65535, noise=1000), 256).frames(100)
    assert loud.max() > 25000
    assert loud.min() > -6000  # nothing has wrapped around


def test_settings_change_the_waveform_while_it_runs(bus, firmware, sink):
    firmware.channel(2) >> sink
    only(bus, 2, pattern=WAVEFORM, rate=0, size=200, noise=0, amplitude=500)
    firmware.step()
    bus.channel(2, amplitude=900, period=50)
    firmware.step()
    first, second = (batch.compact().payload.view("<i2") for batch in sink.batches)
    assert first.max() == 600
    assert second.max() == 1000
    assert np.array_equal(second.reshape(-1, 100)[:, 50:], second.reshape(-1, 100)[:, :50])


# Schedule


def test_rate_is_kept_on_a_schedule_without_drift(bus, firmware, clock, sink):
    firmware.channel(0) >> sink
    only(bus, 0, rate=250, size=64)
    firmware.step()
    start = clock.now
    for number in range(1, 2000):
        clock.now = start + number * 0.0107  # never in step with the period
        firmware.step()
        assert sink.frames() == int((clock.now - start) * 250 + 1e-6) + 1
    assert bus.read(0x100 + SKIPPED, 8) == 0
    assert np.median(np.diff(sink.batches[5].time)) == pytest.approx(4e6, abs=2)


def test_catching_up_is_bounded_and_counted(bus, firmware, clock, sink):
    firmware.channel(0) >> sink
    only(bus, 0, rate=1000, size=64)
    firmware.step()
    clock.now += 10.0
    while firmware.step():
        pass
    assert sink.frames() == 1 + CATCH_UP_S * 1000
    assert bus.read(0x100 + SKIPPED, 8) == 9000
    assert bus.read(0x100 + FRAMES, 8) == sink.frames()
    clock.now += 0.01
    firmware.step()
    assert sink.frames() == 11 + CATCH_UP_S * 1000


def test_batches_are_about_a_mebibyte(bus, firmware, clock, sink):
    firmware.channel(0) >> sink
    only(bus, 0, rate=0, size=10_000)
    for _ in range(3):
        firmware.step()
    assert {len(batch) for batch in sink.batches} == {104}
    only(bus, 0, rate=1_000_000, size=10_000)
    clock.now += 0.001
    firmware.step()
    assert len(sink.batches[-1]) == 1  # the schedule starts anew
    clock.now += 0.001
    while firmware.step():
        pass
    assert sum(len(batch) for batch in sink.batches[4:]) == 1000
    assert max(batch.nbytes for batch in sink.batches) <= 1 << 20


def test_run_and_enable_gate_the_streams(bus, firmware, clock, sink):
    for number in range(3):
        firmware.channel(number) >> sink
    bus.channel(1, enable=0)
    firmware.step()
    assert sink.frames() == 0
    bus.write(RUN, 1)
    firmware.step()
    assert {int(channel) for channel in sink.all().channel} == {0, 2}
    bus.write(RUN, 0)
    clock.now += 1
    assert not firmware.step()
    assert sink.frames() == 2


def test_a_pause_of_the_run_is_not_made_up_for(bus, firmware, clock, sink):
    firmware.channel(0) >> sink
    only(bus, 0, rate=100)
    firmware.step()
    bus.write(RUN, 0)
    clock.now += 10
    bus.write(RUN, 1)
    firmware.step()
    assert sink.frames() == 2
    assert bus.read(0x130, 8) == 0  # skipped


def test_count_reset_zeroes_counters_not_sequences(bus, firmware, clock, sink, reference):
    firmware.channel(0) >> sink
    only(bus, 0, rate=1, size=64)
    firmware.step()
    assert (bus.read(0x120, 8), bus.read(0x128, 8)) == (1, 64)
    bus.write(RESET, 1)
    assert (bus.read(0x120, 8), bus.read(0x128, 8)) == (0, 0)
    clock.now += 1
    firmware.step()
    assert sink.payloads()[-1] == reference(1, 64)


# Faults


def test_a_failing_sink_is_counted_and_others_are_served(bus, firmware, clock, sink):
    healthy = type(sink)()
    firmware.channel(0) >> sink
    firmware.channel(0) >> healthy
    sink.fail = OSError("disk full")
    only(bus, 0, rate=10, size=64)
    firmware.step()
    clock.now += 0.4
    firmware.step()
    assert healthy.frames() == 5
    assert bus.read(0x100 + ERRORS) == 5
    assert firmware.lastError == "OSError: disk full"
    sink.fail = None
    clock.now += 0.1
    firmware.step()
    assert sink.frames() == 1
    bus.write(RESET, 1)
    assert firmware.lastError is None


# The clock thread


class Gate(Slave):
    """A sink that blocks until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.opened = threading.Event(), threading.Event()

    def _acceptBatch(self, batch: FrameBatch) -> None:
        self.entered.set()
        self.opened.wait(20)
        self._frameCount += len(batch)


@pytest.fixture
def running():
    firmware = FrontEndFirmware(channels=3)
    firmware._start()
    yield firmware
    firmware._stop()
    assert "FrontEndFirmware" not in {thread.name for thread in threading.enumerate()}


def test_registers_steer_a_running_board(running, sink):
    bus = Bus(running)
    running.channel(0) >> sink
    running.channel(1) >> sink
    only(bus, 0, rate=0, size=1000)
    sink.await_frames(2000)
    bus.channel(0, size=500, pattern=COUNTER)
    seen = sink.frames()
    sink.await_frames(seen + 5000)
    assert sink.batches[-1].uniform_size == 500
    bus.write(RUN, 0)
    assert bus.read(0x120, 8) == sink.frames()  # nothing is under way any more
    bus.channel(1, rate=0)
    only(bus, 1)
    sink.await_frames(sink.frames() + 1000)
    bus.channel(1, enable=0)
    assert bus.read(0x120, 8) + bus.read(0x220, 8) == sink.frames()


def test_registers_answer_while_a_sink_blocks(running):
    bus, gate = Bus(running), Gate()
    running.channel(0) >> gate
    only(bus, 0, rate=0)
    assert gate.entered.wait(20)
    bus.write(0x004, 99)
    assert bus.read(0x004) == 99
    bus.channel(0, size=64)
    assert bus.read(0x008) >= 0
    assert not running._quiesce(time.monotonic() + 0.01)  # gives up at its deadline
    gate.opened.set()
    assert running._quiesce(time.monotonic() + 20)


@pytest.mark.parametrize("register", [RUN, 0x100 + ENABLE])
def test_nothing_is_sent_after_a_write_that_stops(running, monkeypatch, register):
    monkeypatch.setattr("sapwood.devices.board.firmware.SETTLE_S", 20.0)
    bus, gate = Bus(running), Gate()
    running.channel(0) >> gate
    only(bus, 0, rate=0)
    assert gate.entered.wait(20)
    threading.Timer(0.05, gate.opened.set).start()
    bus.write(register, 0)  # while a batch is on its way
    assert gate.getFrameCount() == bus.read(0x120, 8) > 0


def test_a_sink_may_stop_the_board(running):
    bus, stopped = Bus(running), threading.Event()

    class Stopper(Slave):
        def _acceptBatch(self, batch: FrameBatch) -> None:
            bus.write(RUN, 0)
            stopped.set()

    running.channel(0) >> Stopper()
    bus.write(RUN, 1)
    assert stopped.wait(20)
    assert bus.read(RUN) == 0
    assert running.lastError is None


def test_quiesce_leaves_nothing_between_generator_and_sink(running, sink):
    bus, fifo = Bus(running), Fifo()
    for number in range(3):
        running.channel(number) >> fifo
        bus.channel(number, rate=0, size=10_000)
    fifo >> sink
    bus.write(RUN, 1)
    sink.await_frames(1000)
    assert running._quiesce(time.monotonic() + 20)
    assert running._runDry(time.monotonic() + 20)
    sent = sum(bus.read(0x100 * (n + 1) + FRAMES, 8) for n in range(3))
    assert sink.frames() == sent
    assert not running.step()  # and nothing more comes
    fifo._stop()


def test_a_stopped_board_can_start_again(running, sink):
    running.channel(0) >> sink
    Bus(running).write(RUN, 1)
    sink.await_frames(1)
    running._stop()
    seen = sink.frames()
    running._start()
    running._start()
    sink.await_frames(seen + 1)
