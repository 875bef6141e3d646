"""`Prbs`: generator and checker of pseudo-random frames as one stream end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import replace

from sapwood.errors import StreamError
from sapwood.streams.batch import FrameBatch
from sapwood.streams.counters import StageCounters
from sapwood.streams.frame import Frame
from sapwood.streams.gap import Gap
from sapwood.streams.link import Master, Slave
from sapwood.streams.prbs.checker import PrbsChecker
from sapwood.streams.prbs.generator import Generator
from sapwood.streams.prbs.lfsr import DEFAULT_TAPS, check_size, check_taps, check_width
from sapwood.streams.prbs.rate import RateMeter
from sapwood.streams.prbs.result import CheckResult
from sapwood.streams.sinkerrors import SinkErrors

__all__ = ["Prbs"]

_BATCH_BYTES = 1 << 20
_JOIN_S = 2.0

_rx_log = logging.getLogger("sapwood.prbs.rx")
_tx_log = logging.getLogger("sapwood.prbs.tx")


class Prbs(Master, Slave):
    """Sends frames with a sequence number, a length and pseudo-random words, and checks received ones.

    The sending and the receiving side share width and taps and nothing else, so an object may be
    linked to itself. Defaults: 32 bits, taps 1, 2, 6, 31.

    Attributes
    ----------
    counters
        What came in on the receiving side, and what of it was dropped at a stop.
    lastError
        The newest exception that a sink raised in the generating thread; None while there is none.
    """

    def __init__(self) -> None:
        Master.__init__(self)
        Slave.__init__(self)
        self.counters = StageCounters()
        self._width = 32
        self._taps: tuple[int, ...] = DEFAULT_TAPS
        # sending
        self._generator = Generator()
        self._order = threading.RLock()  # keeps senders in sequence; held while sending, by nothing else
        self._making = threading.Lock()  # generator and counters
        self._genPayload, self._sendCount = True, False
        self._txPeriod = 0
        self._txFrames = self._txBytes = 0
        self._txMeter = RateMeter()
        self._txFaults = SinkErrors(_tx_log)
        self._control = threading.Lock()
        self._source: tuple[threading.Thread, threading.Event] | None = None
        # receiving
        self._checker = PrbsChecker()
        self._checking = threading.Lock()  # checker and totals
        self._totals = CheckResult()
        self._rxMeter = RateMeter()
        self._gate = threading.Condition()
        self._rxEnable, self._stopped = True, False

    # Format

    def setWidth(self, width: int) -> None:
        """Set the width of a word, bits: a multiple of 32 from 32 to 512."""
        self._configure(check_width(width), self._taps)

    def getWidth(self) -> int:
        """Return the width of a word, bits."""
        return self._width

    def setTaps(self, taps: bytes | bytearray | memoryview) -> None:
        """Set the bits fed back: a bytes-like object of bit indices, each below the width."""
        try:
            indices = bytes(memoryview(taps).cast("B"))
        except TypeError as error:
            raise StreamError(
                "Python Buffer Error", expected="a bytes-like object of bit indices", seen=type(taps).__name__
            ) from error
        self._configure(self._width, check_taps(indices, self._width))

    def _configure(self, width: int, taps: Iterable[int]) -> None:
        indices = check_taps(taps, width)
        with self._making, self._checking:
            self._width, self._taps = width, indices
            old = self._generator
            self._generator = Generator(width, indices, old.seq, old.content)
            self._checker = PrbsChecker(width, indices, self._checker.expected, self._checker.check_payload)

    # Sending

    def genFrame(self, size: int) -> None:
        """Send one frame of `size` bytes from the caller's thread.

        Raises
        ------
        StreamError
            When `size` is not a whole number of words, at least three.
        """
        with self._order:
            with self._making:
                payload = self._generator.frame(size)
                self._count(1, size)
            self._sendFrame(Frame(payload.data))

    def genFrames(self, count: int, size: int) -> None:
        """Send `count` frames of `size` bytes from the caller's thread, in batches of about 1 MiB.

        Raises
        ------
        StreamError
            When `size` is not a whole number of words, at least three.
        """
        check_size(size, self._width)
        most = max(_BATCH_BYTES // size, 1)
        while count > 0:
            self._sendRun(min(count, most), size)
            count -= most

    def _sendRun(self, count: int, size: int) -> None:
        with self._order:
            with self._making:
                rows = self._generator.frames(count, size)
                self._count(count, rows.size)
            self._sendBatch(FrameBatch.from_rows(rows))

    def _count(self, frames: int, nbytes: int) -> None:
        self._txFrames += frames
        self._txBytes += nbytes
        if time.monotonic() > self._txMeter.due:
            self._txMeter.update(self._txFrames, self._txBytes)

    def enable(self, size: int) -> None:
        """Start a thread that sends frames of `size` bytes, one each period; does nothing while one runs.

        With period 0 it sends without a pause, in batches.

        Raises
        ------
        StreamError
            When `size` is not a whole number of words, at least three.
        """
        check_size(size, self._width)
        with self._control:
            if self._source is None:
                stop = threading.Event()
                thread = threading.Thread(target=self._run, args=(size, stop), name="Prbs", daemon=True)
                self._source = thread, stop
                thread.start()

    def disable(self) -> None:
        """Stop the thread and wait for its end (2 s at most, when a receiver holds it back)."""
        with self._control:
            source, self._source = self._source, None
        if source is not None:
            thread, stop = source
            stop.set()
            if thread is not threading.current_thread():
                thread.join(_JOIN_S)
                if thread.is_alive():
                    _tx_log.warning("The generator ends when the receiver that holds it back goes on")

    def _run(self, size: int, stop: threading.Event) -> None:
        while not stop.is_set():
            period = self._txPeriod
            try:
                if period:
                    self.genFrame(size)
                else:
                    self._sendRun(max(_BATCH_BYTES // size, 1), size)
            except Exception as error:  # noqa: BLE001  # whatever a sink raises, the source goes on
                if size % (self._width // 8):
                    _tx_log.error("The generator ends: %s", error)  # the width was changed meanwhile
                    return
                self._txFaults.note(error)
            if period:
                stop.wait(period * 1e-6)

    @property
    def lastError(self) -> Exception | None:
        """The newest exception that a sink raised in the generating thread."""
        return self._txFaults.last

    def setTxPeriod(self, period: int) -> None:
        """Set the pause after each frame of the thread, microseconds; 0 = none."""
        if period < 0:
            raise StreamError("Invalid period", expected="0 us or more", seen=period)
        self._txPeriod = period

    def getTxPeriod(self) -> int:
        """Return the pause after each frame, microseconds."""
        return self._txPeriod

    def genPayload(self, enable: bool) -> None:
        """Choose whether words follow the sequence number and length; without, they are zero."""
        self._genPayload = bool(enable)
        self._setContent()

    def sendCount(self, enable: bool) -> None:
        """Choose between the word index (True) and pseudo-random words as content."""
        self._sendCount = bool(enable)
        self._setContent()

    def _setContent(self) -> None:
        with self._making:
            self._generator.setContent(
                "zero" if not self._genPayload else "count" if self._sendCount else "prbs"
            )

    # Receiving

    def _acceptFrame(self, frame: Frame) -> None:
        if not (self._rxEnable or self._opened(1, frame.size)):
            return
        with self._checking:
            self.counters.accept(1, frame.size)
            found = self._checker.check_frame(frame.buffer, frame.error)
            if found is None:
                self._totals.good += 1
                self._totals.bytes += frame.size
                if time.monotonic() > self._rxMeter.due:
                    self._rxMeter.update(self._totals.good, self._totals.bytes)
            else:
                self._totals.add(found)
        if found is not None:
            self._report(found)

    def _acceptBatch(self, batch: FrameBatch) -> None:
        if not (self._rxEnable or self._opened(len(batch), batch.nbytes)):
            return
        with self._checking:
            self.counters.accept(len(batch), batch.nbytes)
            found = self._checker.check(batch)
            self._totals.add(found)
            self._rxMeter.update(self._totals.good, self._totals.bytes)
        if found.bad:
            self._report(found)

    def _acceptGap(self, gap: Gap) -> None:
        """Take note of lost frames: the sequence numbers tell of them, nothing is passed on."""
        _rx_log.debug("%d frames were lost upstream: %s", gap.frames, gap.reason)

    def _opened(self, frames: int, nbytes: int) -> bool:
        """Wait until receiving is on; return False, the frames counted as dropped, after a stop."""
        with self._gate:
            self.counters.blocked += 1
            self._gate.wait_for(lambda: self._rxEnable or self._stopped)
            if self._rxEnable:
                return True
        with self._checking:
            self.counters.accept(frames, nbytes)
            self.counters.drop("stopped", frames, nbytes)
        return False

    def _report(self, found: CheckResult) -> None:
        for problem in found.problems:
            _rx_log.warning("%s", problem)
        if found.bad > len(found.problems):
            _rx_log.warning("%d more bad frames", found.bad - len(found.problems))

    def setRxEnable(self, enable: bool) -> None:
        """Turn receiving on or off; while it is off, calls that deliver frames wait."""
        with self._gate:
            self._rxEnable = bool(enable)
            self._stopped = False
            self._gate.notify_all()

    def getRxEnable(self) -> bool:
        """Return whether receiving is on."""
        return self._rxEnable

    def checkPayload(self, enable: bool) -> None:
        """Choose whether every word is checked, or the sequence number and length alone."""
        with self._checking:
            self._checker.check_payload = bool(enable)

    # Counters

    def getRxTotals(self) -> CheckResult:
        """Return the receive counters, errors by cause, and the first problems since the last reset."""
        with self._checking:
            return replace(
                self._totals, problems=list(self._totals.problems), next_seq=self._checker.expected
            )

    def getRxErrors(self) -> int:
        """Return the bad frames received."""
        return self._totals.bad

    def getRxCount(self) -> int:
        """Return the good frames received."""
        return self._totals.good

    def getRxBytes(self) -> int:
        """Return the bytes of the good frames received."""
        return self._totals.bytes

    def getRxRate(self) -> float:
        """Return the good frames received per second."""
        return self._rxMeter.update(self._totals.good, self._totals.bytes)[0]

    def getRxBw(self) -> float:
        """Return the bytes of good frames received per second."""
        return self._rxMeter.update(self._totals.good, self._totals.bytes)[1]

    def getTxErrors(self) -> int:
        """Return how often a sink failed in the generating thread."""
        return self._txFaults.count

    def getTxCount(self) -> int:
        """Return the frames sent."""
        return self._txFrames

    def getTxBytes(self) -> int:
        """Return the bytes sent."""
        return self._txBytes

    def getTxRate(self) -> float:
        """Return the frames sent per second."""
        return self._txMeter.update(self._txFrames, self._txBytes)[0]

    def getTxBw(self) -> float:
        """Return the bytes sent per second."""
        return self._txMeter.update(self._txFrames, self._txBytes)[1]

    def resetCount(self) -> None:
        """Set all counters to zero; both sequence numbers go on."""
        with self._making:
            self._txFrames = self._txBytes = 0
            self._txFaults.clear()
            self._txMeter.rebase()
        with self._checking:
            self._totals = CheckResult()
            self.counters.clear()
            self._rxMeter.rebase()

    def _start(self) -> None:
        """Let calls that deliver frames wait again while receiving is off, after a stop."""
        self.setRxEnable(self._rxEnable)

    def _stop(self) -> None:
        """Stop generating, and let go of calls that wait for receiving to be turned on."""
        with self._gate:
            self._stopped = True
            self._gate.notify_all()
        self.disable()
