"""Emulated front-end firmware: a register space that steers streams, without a tree."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from functools import partial

from sapwood.devices.board.channel import Channel, Pattern, Settings
from sapwood.devices.board.messages import BOARD, Code, Message, Severity, encode
from sapwood.devices.board.registers import Register, RegisterSpace
from sapwood.errors import StreamError
from sapwood.streams import Fifo, Frame, Master, drain

__all__ = ["BUILD_STAMP", "BUILD_STAMP_BYTES", "CHANNEL_STRIDE", "VERSION", "FrontEndFirmware"]

VERSION = 0x01000000
BUILD_STAMP = "FrontEndFirmware: sapwood emulator"
CHANNEL_STRIDE = 0x100
TICK_S = 0.005  # paced channels are served at most this often, so that fast ones send batches
JOIN_S = 5.0
MESSAGES = 1000  # that may wait; beyond, the oldest are dropped
SETTLE_S = 0.1  # longest that a write which stops a channel waits for the batch being sent
BUILD_STAMP_BYTES = 64
SETTINGS = ("Enable", "Rate", "Size", "Pattern", "Amplitude", "Noise", "Period")  # words 0..6

logger = logging.getLogger("sapwood.devices.FrontEndFirmware")


class FrontEndFirmware(RegisterSpace):
    """A front end with registers (a memory slave) and `channels` virtual channels (stream masters).

    ====== ============ ==== =====================================================
    Offset Register     Mode Meaning
    ====== ============ ==== =====================================================
    0x000  FpgaVersion  RO   version, 0xMMmmpppp
    0x004  ScratchPad   RW   any word
    0x008  UpTime       RO   seconds since start
    0x00C  Channels     RO   number of virtual channels
    0x010  Run          RW   1: enabled channels send
    0x014  CountReset   WO   any write zeroes all counters
    0x018  DeviceDna    RO   64 bit identity
    0x020  Batcher      RO   version of the super-frames that channels send in, 0: in none
    0x040  BuildStamp   RO   64 bytes of text
    ====== ============ ==== =====================================================

    Channel n at ``0x100 * (n + 1)``:

    ====== ============ ==== =====================================================
    0x00   Enable       RW   1: sends while Run is set
    0x04   Rate         RW   frames/s, 0 = as fast as the sink takes them
    0x08   Size         RW   bytes a frame
    0x0C   Pattern      RW   0 PRBS, 1 Counter, 2 Waveform
    0x10   Amplitude    RW   pulse height, ADC counts
    0x14   Noise        RW   standard deviation, ADC counts
    0x18   Period       RW   samples between pulses, 0 = one a frame
    0x1C   FrameSize    RO   bytes a frame really has
    0x20   FrameCount   RO   64 bit
    0x28   ByteCount    RO   64 bit
    0x30   SkipCount    RO   64 bit, frames not made because the sink was too slow
    0x38   ErrorCount   RO   frames a sink refused
    0x3C   DropCount    RO   frames made that did not leave the board
    ====== ============ ==== =====================================================

    PRBS frames are those of `sapwood.streams.prbs` (width 32), their sequence numbers go on
    through everything; Counter frames hold 32-bit little-endian words that count on from frame
    to frame; Waveform frames are int16 samples. Frames carry the channel's number and time.

    What happens to the board it tells by messages, see `sapwood.devices.board.messages`, on the
    stream master `messages`.

    One thread, made by `_start`, sends everything. What a sink raises is counted and kept in
    `lastError`; neither the thread nor the registers stop for it. After a write that clears Run
    or Enable nothing more is sent, unless a sink holds a batch for longer than 0.1 s.

    Parameters
    ----------
    channels
        Number of virtual channels, 1 to 64.
    seed
        Of the waveform noise and the pulse positions.
    clock
        Gives monotonic seconds.

    Attributes
    ----------
    messages
        Stream master of the messages, with a queue and a thread of its own.
    batcher
        What the register Batcher tells.
    passed
        Functions called in the clock thread when each channel has had its turn.
    """

    def __init__(
        self, channels: int = 4, *, seed: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if not 1 <= channels <= 64:
            raise StreamError("A front end has 1 to 64 channels", seen=channels)
        super().__init__()
        self._clock = clock
        self._born = clock()
        self._scratch = 0
        self._run = False
        self._stopping = False
        self._wake = threading.Condition()
        self._passing = threading.Lock()
        self._thread: threading.Thread | None = None
        self.messages = Fifo(MESSAGES, policy="drop_old")
        self.batcher = 0
        self.passed: list[Callable[[], None]] = []
        self._posting = threading.Lock()
        self._posted = 0
        self.channels = [
            Channel(number, Settings(pattern=Pattern(number % len(Pattern))), seed + number)
            for number in range(channels)
        ]
        self._add_global_registers()
        for channel in self.channels:
            self._add_channel_registers(channel)

    # ----- streams

    def channel(self, number: int) -> Master:
        """Stream master of virtual channel `number`; StreamError when there is none."""
        if not 0 <= number < len(self.channels):
            raise StreamError(
                f"The front end has no channel {number}", expected=f"0..{len(self.channels) - 1}", seen=number
            )
        return self.channels[number].master

    application = channel

    @property
    def upTime(self) -> int:
        """Seconds since the start."""
        return int(self._clock() - self._born)

    @property
    def lastError(self) -> str | None:
        """The latest thing a sink raised on any channel, or None."""
        return next((c.last_error for c in self.channels if c.last_error is not None), None)

    def step(self) -> bool:
        """Make and send the frames due now; return whether there is more to do at once.

        The clock thread calls it; a test with a clock of its own may instead.
        """
        busy = False
        with self._passing:
            try:
                for channel in self.channels:
                    if not self._run or self._stopping:
                        return False
                    busy |= self._serve(channel)
            finally:
                for call in self.passed:
                    call()
        return busy

    def _serve(self, channel: Channel) -> bool:
        """Send one batch of `channel`; return whether another one is due at once."""
        now = self._clock()
        if channel.next_due() > now:
            return False
        batch = channel.take(now, time.time_ns())
        if batch is None:
            return False
        try:
            channel.master._sendBatch(batch)
        except Exception as error:  # noqa: BLE001 - whatever a sink raises must not stop the clock
            if channel.failed(len(batch), error):
                logger.warning("Channel %d: a sink failed: %s", channel.number, error)
                text = f"A sink refused frames: {channel.last_error}"
                self.post(Severity.Warning, Code.SinkFault, text, channel.errors, channel.number)
        paced = channel.settings.rate > 0
        return channel.next_due() <= now if paced else channel.master._slaveCount() > 0

    def post(self, severity: Severity, code: Code, text: str, value: int = 0, source: int = BOARD) -> None:
        """Queue a message for whoever is linked to `messages`; nothing waits for them."""
        with self._posting:
            message = Message(severity, code, self._posted, time.time_ns(), source, value, text)
            self._posted += 1
            if self.messages._slaveCount():
                self.messages._acceptFrame(Frame(encode(message)))

    # ----- life

    def _start(self) -> None:
        """Begin UpTime and the clock thread."""
        self._stopping = False
        self.messages._start()
        if self._thread is not None:
            return
        self._born = self._clock()
        self._thread = threading.Thread(target=self._clock_loop, name="FrontEndFirmware", daemon=True)
        self._thread.start()

    def _quiesce(self, deadline: float) -> bool:
        """Stop making frames; the batch on its way is still sent.

        `deadline` is in monotonic seconds. Returns whether the sinks took that batch in time.
        """
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        done = self._await_pass(deadline - time.monotonic())
        if not done:
            logger.warning("A batch is still on its way after the time to quiesce: a sink blocks")
        return done

    def _runDry(self, deadline: float) -> bool:
        """Let everything sent drain downstream; return whether all of it arrived by `deadline`."""
        drained = [drain(channel.master, deadline) for channel in self.channels]
        done = all(drained)
        if not done:
            logger.warning("Frames are still in queues after the time to quiesce: a sink is too slow")
        return done

    def _await_pass(self, timeout_s: float) -> bool:
        """Wait until the pass in progress has sent its frames; False when that took too long."""
        if threading.current_thread() is self._thread:
            return True
        if not self._passing.acquire(timeout=max(0.0, timeout_s)):
            return False
        self._passing.release()
        return True

    def _stop(self) -> None:
        """Stop the clock thread, and the messages; frames of a pass in progress are still sent."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if self._thread is not None:
            self._thread.join(JOIN_S)
            if self._thread.is_alive():
                logger.error("The clock thread did not end within %g s: a sink blocks", JOIN_S)
            else:
                self._thread = None
        self.messages._stop()

    def _clock_loop(self) -> None:
        while not self._stopping:
            if self.step():
                time.sleep(0)  # let register traffic have the interpreter
                continue
            with self._wake:
                if not self._stopping:
                    self._wake.wait(self._idle_time())

    def _idle_time(self) -> float | None:
        """Seconds to the next frame; None when nothing will be due before a register changes."""
        if not self._run:
            return None
        due = min(channel.next_due() for channel in self.channels)
        return None if due == math.inf else max(TICK_S, due - self._clock())

    # ----- registers

    def _add_global_registers(self) -> None:
        stamp = int.from_bytes(BUILD_STAMP.encode().ljust(BUILD_STAMP_BYTES, b"\0"), "little")
        dna = 0x53415057_4F4F4400 | len(self.channels)
        for register in (
            Register("FpgaVersion", 0x000, lambda: VERSION),
            Register("ScratchPad", 0x004, lambda: self._scratch, partial(setattr, self, "_scratch")),
            Register("UpTime", 0x008, lambda: self.upTime),
            Register("Channels", 0x00C, lambda: len(self.channels)),
            Register("Run", 0x010, lambda: int(self._run), self._set_run),
            Register("CountReset", 0x014, None, self._reset_counts),
            Register("DeviceDna", 0x018, lambda: dna, size=8),
            Register("Batcher", 0x020, lambda: self.batcher),
            Register("BuildStamp", 0x040, lambda: stamp, size=BUILD_STAMP_BYTES),
        ):
            self.addRegister(register)

    def _add_channel_registers(self, channel: Channel) -> None:
        base = CHANNEL_STRIDE * (channel.number + 1)
        for offset, name in enumerate(SETTINGS):
            read = partial(self._setting, channel, name.lower())
            write = partial(self._change, channel, name.lower())
            self.addRegister(Register(f"Ch[{channel.number}].{name}", base + 4 * offset, read, write))
        for offset, name, attribute, size in (
            (0x20, "FrameCount", "frames", 8),
            (0x28, "ByteCount", "bytes", 8),
            (0x30, "SkipCount", "skipped", 8),
            (0x38, "ErrorCount", "errors", 4),
            (0x3C, "DropCount", "dropped", 4),
        ):
            read = partial(getattr, channel, attribute)
            self.addRegister(Register(f"Ch[{channel.number}].{name}", base + offset, read, size=size))
        frame_size = partial(self._setting, channel, "frame_size")
        self.addRegister(Register(f"Ch[{channel.number}].FrameSize", base + 0x1C, frame_size))

    @staticmethod
    def _setting(channel: Channel, name: str) -> int:
        return int(getattr(channel.settings, name))

    def _change(self, channel: Channel, name: str, value: int) -> None:
        channel.change(name, value)
        with self._wake:
            self._wake.notify_all()
        if name == "enable" and not value:
            self._await_pass(SETTLE_S)

    def _set_run(self, value: int) -> None:
        if value > 1:
            raise ValueError(f"Run {value} is above 1")
        for channel in self.channels:
            channel.pause()
        with self._wake:
            self._run = bool(value)
            self._wake.notify_all()
        if not value:
            self._await_pass(SETTLE_S)
        self.post(Severity.Info, Code.Run, "Channels send" if value else "Channels stopped", value)

    def _reset_counts(self, _value: int) -> None:
        for channel in self.channels:
            channel.reset_counts()
        self.post(Severity.Info, Code.CountReset, "Counters are zero")
