"""Looks after the link of a board: tells of clients and of drops, frees it from a client that stalls."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sapwood.devices.board.firmware import FrontEndFirmware
from sapwood.devices.board.lanes import Exit
from sapwood.devices.board.messages import Code, Severity

__all__ = ["Watch"]

LOOK_S = 0.1
CALM_S = 1.0  # without a drop: a channel drops no more
JOIN_S = 5.0


class Watch:
    """Looks every 0.1 s, in a thread of its own.

    Parameters
    ----------
    firmware
        Sends the messages.
    exit
        Of the link.
    breakLink
        Closes the link, so that it can be opened anew.
    stall
        Seconds after which a client that takes nothing is cut off; 0 = never.
    status
        Seconds between status messages; 0 = none.

    Attributes
    ----------
    stalls
        How often a client was cut off.
    """

    def __init__(
        self,
        firmware: FrontEndFirmware,
        exit: Exit,
        breakLink: Callable[[], None],
        *,
        stall: float,
        status: float,
    ) -> None:
        self.stalls = 0
        self._firmware = firmware
        self._exit = exit
        self._break = breakLink
        self._stall = stall
        self._status = status
        self._next_status = 0.0
        self._clients = self._told = 0
        self._was_open = False
        self._dropped = [0] * len(firmware.channels)
        self._dropping: dict[int, float] = {}  # channel -> when it dropped last
        self._ending = threading.Event()
        self._worker: threading.Thread | None = None

    def _start(self) -> None:
        self._ending.clear()
        self._worker = threading.Thread(target=self._run, name="FrontEndWatch", daemon=True)
        self._worker.start()

    def _stop(self) -> None:
        self._ending.set()
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.join(JOIN_S)

    def _run(self) -> None:
        self._next_status = time.monotonic() + self._status
        while not self._ending.wait(LOOK_S):
            now = time.monotonic()
            self._look_at_link()
            self._look_at_channels(now)
            if self._status and now >= self._next_status:
                self._next_status = now + self._status
                self._firmware.post(Severity.Info, Code.Status, "The board is up", self._firmware.upTime)

    def _look_at_link(self) -> None:
        is_open = self._exit.isOpen()
        if is_open and not self._was_open:
            self._clients += 1
            self._firmware.post(Severity.Info, Code.Client, "A client has connected", self._clients)
            self._tell_stalls()
        self._was_open = is_open
        if is_open and self._stall and self._exit.stalled > self._stall:
            self.stalls += 1
            self._break()
            self._was_open = False

    def _tell_stalls(self) -> None:
        """Tell the client that comes back, or the next one, why the link was closed."""
        if self.stalls > self._told:
            self._told = self.stalls
            text = f"The client took nothing for {self._stall:g} s; the link was closed"
            self._firmware.post(Severity.Alarm, Code.Stalled, text, self.stalls)

    def _look_at_channels(self, now: float) -> None:
        for channel in self._firmware.channels:
            number, dropped = channel.number, channel.dropped
            if dropped > self._dropped[number]:
                if number not in self._dropping:
                    text = "Frames are dropped: the client takes less than the channel sends"
                    self._firmware.post(Severity.Alarm, Code.Dropping, text, dropped, number)
                self._dropping[number] = now
            elif number in self._dropping and now - self._dropping[number] > CALM_S:
                del self._dropping[number]
                self._firmware.post(Severity.Info, Code.DropEnd, "Dropped no more", dropped, number)
            self._dropped[number] = dropped
