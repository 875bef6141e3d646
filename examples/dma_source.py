"""A source for a driver of your own: a card that writes frames into a ring of buffers.

The card here is simulated; with a real one, replace `SimulatedCard` by calls of your driver. Run it::

    python examples/dma_source.py run.dat
"""

import collections
import contextlib
import logging
import mmap
import os
import select
import sys
import threading
import time
import weakref

import numpy as np

import sapwood as sw
from sapwood.devices import StageDevice, StreamWriter
from sapwood.streams import FrameBatch, Gap, Master, StageCounters, drain

log = logging.getLogger("lab.DmaSource")

SLOT = 4096  # bytes of a buffer of the ring
JOIN_S = 2.0


class SimulatedCard:
    """A driver as many cards have it: a file descriptor to poll, mapped buffers, and two calls.

    ``filled()`` returns (slot, bytes, channel, error) of buffers with new frames; ``give_back(slot)`` lets
    the card write there again. Without a free buffer the card drops frames and counts them in ``lost``.
    """

    def __init__(self, slots=64):
        self.memory = mmap.mmap(-1, slots * SLOT)
        self.slots = slots
        self.fd = os.eventfd(0, os.EFD_NONBLOCK)
        self.lost = self.made = 0
        self.broken = False
        self._free = collections.deque(range(slots))
        self._filled = collections.deque()

    def produce(self, count, size=1000):
        """Do what the hardware does: write frames and ring."""
        for _ in range(count):
            self.made += 1
            if not self._free:
                self.lost += 1
                continue
            slot = self._free.popleft()
            self.memory[slot * SLOT : slot * SLOT + 4] = self.made.to_bytes(4, "little")
            self._filled.append((slot, size, self.made % 2, 0))
        os.eventfd_write(self.fd, 1)

    def filled(self):
        """Return what was written since the last call."""
        if self.broken:
            raise OSError("the card does not answer")
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.fd)
        return [self._filled.popleft() for _ in range(len(self._filled))]

    def give_back(self, slot):
        """Let the card write to a buffer again; from any thread, without a lock."""
        self._free.append(slot)

    @property
    def free(self):
        """Buffers that the card can write to."""
        return len(self._free)

    def close(self):
        """Let go of the card."""
        os.close(self.fd)


class DmaSource(Master):
    """Sends the frames of a card in batches that lie where the card wrote them."""

    def __init__(self, card):
        super().__init__()
        self.counters = StageCounters()
        self.lastError = ""
        self._card = card
        self._lost = card.lost
        self._life = threading.Lock()
        self._thread = self._ringer = None

    def _start(self):
        """Start the thread; called by the root, after a stop too."""
        with self._life:
            if self._thread is None:
                self.lastError = ""
                bell, self._ringer = os.pipe()
                self._thread = threading.Thread(target=self._run, args=(bell,), name="DmaSource", daemon=True)
                self._thread.start()

    def _stop(self):
        """End the thread, within 2 s even when a sink holds it."""
        with self._life:
            thread, self._thread = self._thread, None
            ringer, self._ringer = self._ringer, None
        if thread is not None:
            os.close(ringer)  # the other end becomes readable: the thread wakes up
            if thread is not threading.current_thread():
                thread.join(JOIN_S)
                if thread.is_alive():
                    log.warning("The source ends when the sink that holds it back returns")

    def _quiesce(self, deadline):
        """Stop first when the tree stops, so that queues behind can run empty."""
        self._stop()

    def _drain(self, deadline):
        """Nothing is held here: wait for what is behind."""
        return drain(self, deadline)

    def _run(self, bell):
        poll = select.poll()
        poll.register(bell)
        poll.register(self._card.fd, select.POLLIN)
        try:
            while all(descriptor != bell for descriptor, _ in poll.poll()):
                self._read()
        except OSError as error:  # the driver: nothing more will come
            self.counters.errors += 1
            self.lastError = str(error)
            log.error("The source ends: %s", error)
        finally:
            os.close(bell)

    def _read(self):
        card = self._card
        filled = card.filled()
        if card.lost != self._lost:
            lost, self._lost = card.lost - self._lost, card.lost
            self.counters.accept(lost, 0)
            self.counters.drop("ring", lost)
            self._deliver(self._sendGap, Gap(None, lost, 0, "ring", time.time_ns()))
        if filled:
            batch = self._batch(filled)
            self.counters.accept(len(batch), batch.nbytes)
            self._deliver(self._sendBatch, batch)

    def _batch(self, filled):
        slot, size, channel, error = np.array(filled).T
        lease = np.frombuffer(self._card.memory, np.uint8)  # lives as long as anybody holds these frames
        batch = FrameBatch(lease, slot * SLOT, size, channel=channel, error=error, time=time.time_ns())
        if self._card.free < self._card.slots // 4:  # somebody keeps frames: copy, so that the ring goes on
            batch = FrameBatch.concat([batch])
        weakref.finalize(lease, give_back, self._card, slot.tolist()).atexit = False
        return batch

    def _deliver(self, send, item):
        try:
            send(item)
        except Exception as error:  # noqa: BLE001  # whatever a sink raises, the card is served
            self.counters.errors += 1
            self.lastError = str(error)
            if self.counters.errors == 1:
                log.error("A sink failed: %s", error)


def give_back(card, slots):
    """Called when the last view of the frames is gone, in whatever thread that is: no locks here."""
    for slot in slots:
        card.give_back(slot)


class DmaCard(StageDevice):
    """The card in the tree: counters come from `StageDevice`, links pass through the source."""

    def __init__(self, card, **kwargs):
        super().__init__(DmaSource(card), **kwargs)
        self.add(sw.LocalVariable(name="FreeBuffers", mode="RO", value=0, localGet=lambda: card.free))
        self.add(
            sw.LocalVariable(name="LastError", mode="RO", value="", localGet=lambda: self._stage.lastError)
        )


class Top(sw.Root):
    """A card and a recorder."""

    def __init__(self, card, **kwargs):
        super().__init__(name="Top", **kwargs)
        self.add(StreamWriter(name="Writer"))
        self.add(DmaCard(card, name="Card"))
        self.Card >> self.Writer.getChannel(0)


def main(path):
    card = SimulatedCard()
    with Top(card, pollEn=False) as root:
        root.Writer.DataFile.set(path)
        root.Writer.Open()
        for run in range(1, 101):
            card.produce(20)
            root.Writer.getChannel(0).waitFrameCount(20 * run, 1_000_000)
        root.Writer.Close()
        print(f"{path}: {root.Card.FrameCount.get()} frames, {root.Card.DropCount.get()} lost")
    card.close()


if __name__ == "__main__":
    main(sys.argv[1])
