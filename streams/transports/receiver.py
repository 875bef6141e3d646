"""Base of sources that receive from a socket in a thread of their own."""

from __future__ import annotations

import logging
import os
import socket
import threading
from typing import Any

from sapwood.streams.batch import FrameBatch
from sapwood.streams.counters import StageCounters
from sapwood.streams.framequeue import Flow
from sapwood.streams.gap import Gap
from sapwood.streams.link import Master, drain
from sapwood.streams.sinkerrors import SinkErrors

__all__ = ["Receiver"]

_JOIN_S = 2.0


class Receiver(Master):
    """Sends onward what a thread receives; the thread starts with the first link, or ``_start``.

    A subclass overrides `_open_socket` and `_run`. Slaves are served in that thread.

    Parameters
    ----------
    logger
        Told of sinks that fail.

    Attributes
    ----------
    counters
        Frames received, and dropped by reason.
    """

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__()
        self.counters = StageCounters()
        self._logger = logger
        self._faults = SinkErrors(logger)
        self._life = threading.Lock()
        self._worker: threading.Thread | None = None
        self._ringer: int | None = None  # closed to wake the thread
        self._socket: socket.socket | None = None

    # What differs

    def _open_socket(self) -> socket.socket | None:
        """Return the socket that the thread is to use; None when it makes its own."""
        raise NotImplementedError

    def _run(self, bell: int, link: socket.socket | None) -> None:
        """Receive until the pipe `bell` is closed at its other end; close both at the end."""
        raise NotImplementedError

    def _thread_name(self) -> str:
        raise NotImplementedError

    # State

    @property
    def lastError(self) -> Exception | None:
        """The newest exception of a sink, or of the connection."""
        return self._faults.last

    def flow(self) -> Flow:
        """Return the frames received, passed on, held (none) and dropped."""
        accepted, dropped = self.counters.frames, self.counters.dropped_total
        return Flow(accepted, accepted - dropped, 0, dropped)

    def _note(self, error: Exception, what: str = "A sink failed") -> None:
        """Keep and count an error, logged as `what`; the thread goes on."""
        self._faults.note(error, what)
        self.counters.errors = self._faults.count

    def _deliver(self, item: FrameBatch | Gap) -> None:
        """Send onward; the error of a sink is kept, the thread goes on."""
        try:
            if isinstance(item, FrameBatch):
                self._sendBatch(item)
            else:
                self._sendGap(item)
        except Exception as error:  # noqa: BLE001  # whatever a sink raises, the thread goes on
            self._note(error)

    # Life

    def _addSlave(self, slave: Any) -> None:
        """Link `slave`, and receive from now on."""
        super()._addSlave(slave)
        self._start()

    def _start(self) -> None:
        """Receive, also after a stop."""
        with self._life:
            if self._worker is None:
                if self._socket is None:
                    self._socket = self._open_socket()
                bell, self._ringer = os.pipe()
                work, name = (bell, self._socket), self._thread_name()
                self._worker = threading.Thread(target=self._run, args=work, name=name, daemon=True)
                self._worker.start()

    def _stop(self) -> None:
        """End the thread (2 s at most, when a sink holds it back) and free the port."""
        with self._life:
            worker, self._worker = self._worker, None
            ringer, self._ringer = self._ringer, None
            link, self._socket = self._socket, None
        if ringer is not None:
            os.close(ringer)
        elif link is not None:
            link.close()
        if worker is not None and worker is not threading.current_thread():
            worker.join(_JOIN_S)
            if worker.is_alive():
                self._logger.warning("%s ends when the sink that holds it back returns", worker.name)

    close = _stop

    def abort(self) -> None:
        """Receive no more; nothing is held that could be dropped but a torn frame."""
        self._stop()

    def _quiesce(self, deadline: float) -> None:
        """Receive no more."""
        self._stop()

    def _drain(self, deadline: float) -> bool:
        """Wait for the queues behind to run empty; nothing is held here."""
        return drain(self, deadline)
