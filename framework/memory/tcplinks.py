"""How many clients the two sockets of a memory bridge server are connected to."""

from __future__ import annotations

import time
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

__all__ = ["Links"]

_GRACE_S = 0.2  # in which a client that has come opens its second connection


class Links:
    """Counts connections; only for the thread that uses the sockets.

    Parameters
    ----------
    pull, push
        The sockets for requests and for answers, before they are bound.
    """

    def __init__(self, pull: zmq.Socket[bytes], push: zmq.Socket[bytes]) -> None:
        self._sockets = pull, push
        events = zmq.EVENT_ACCEPTED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
        self._monitors: list[Any] = [one.get_monitor_socket(events) for one in self._sockets]
        self._counts = [0, 0]
        self._unready = [0, 0]  # connections whose handshake is not done
        self._came = 0.0

    @property
    def receivers(self) -> int:
        """Clients that answers go to, when `look` was called last."""
        return self._counts[1]

    def look(self) -> bool:
        """Count; return whether every client that sends requests can be answered, or has had time to."""
        if self._count(0) | self._count(1):
            self._sockets[1].get(zmq.EVENTS)  # has it take up new connections
        asking, answered = self._counts
        ready = answered >= asking and self._unready[1] <= 0
        return ready or time.monotonic() - self._came > _GRACE_S

    def _count(self, at: int) -> bool:
        """Take what the monitor of socket `at` has seen; return whether that was anything."""
        monitor, news = self._monitors[at], False
        while monitor.get(zmq.EVENTS) & zmq.POLLIN:
            news = True
            event = recv_monitor_message(monitor)["event"]
            if event == zmq.EVENT_ACCEPTED:
                self._counts[at] += 1
                self._unready[at] += 1
                self._came = time.monotonic()
            elif event == zmq.EVENT_DISCONNECTED:
                self._counts[at] = max(0, self._counts[at] - 1)
            else:
                self._unready[at] -= 1
        return news

    def close(self) -> None:
        """Stop counting; before the sockets are closed."""
        for socket, monitor in zip(self._sockets, self._monitors, strict=True):
            socket.disable_monitor()
            monitor.close(linger=0)
