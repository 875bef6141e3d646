"""Who receives from a socket: its thread, or for a moment somebody who waits for an answer."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable

__all__ = ["ReceiveRole"]

_LEASE_S = 0.002  # that the thread stays away after a guest has gone: the next one comes soon, as a rule
_LOOK_S = 0.005  # between two looks whether what a guest waits for came by another way
_FEW = 2  # datagrams between two guests: a link that brings more is left to its thread


class ReceiveRole:
    """Lets a guest receive in place of the thread, which saves waking two threads for one answer.

    Only who holds the role receives, so datagrams stay in order. A thread that finds the role taken
    stays away until the guests have: while they come and go, nobody is woken but them. Whatever
    arrives meanwhile waits for the next guest, or for the thread, 2 ms at most.

    Parameters
    ----------
    socket, bell
        File descriptors to wait for; the bell is rung when all shall go.
    """

    def __init__(self, socket: int, bell: int) -> None:
        self._held = threading.Lock()
        self._holder = 0  # thread that is a guest
        self._poll = select.poll()  # of the guest
        self._socket = socket
        for one in (socket, bell):
            self._poll.register(one, select.POLLIN)
        self._lease = 0.0  # monotonic time until which the thread stays away
        self._called = threading.Event()
        self._seen = 0
        self.closed = False

    def take(self) -> bool:
        """Become the one who receives; False, after a while, when guests do: then look again."""
        while not self.closed:
            if time.monotonic() >= self._lease and self._held.acquire(blocking=False):
                return True
            if self._called.wait(_LEASE_S):
                self._called.clear()
                self._lease = 0.0
            else:
                return False
        self._held.acquire()
        return True

    def give(self) -> None:
        """Stop receiving, for now."""
        self._held.release()

    def recall(self) -> None:
        """Have the thread receive again at once, if guests made it stay away."""
        if self._lease:
            self._called.set()

    def close(self) -> None:
        """Let no guest in any more, and the thread go on."""
        self.closed = True
        self._called.set()

    @property
    def is_mine(self) -> bool:
        """The caller is the guest."""
        return self._holder == threading.get_ident()

    def visit(
        self,
        waits: Callable[[], bool],
        deadline: float,
        receive: Callable[[], None],
        seen: Callable[[], int],
    ) -> None:
        """Receive while `waits()`, as a guest; returns at once when that is not possible or not wise.

        Parameters
        ----------
        waits
            Whether what the caller waits for is still to come.
        deadline
            Monotonic time at which to return.
        receive
            Takes one datagram and sends it onward.
        seen
            Datagrams received so far.
        """
        if not self._held.acquire(blocking=False):
            return
        begin, self._seen = self._seen, seen()
        try:
            if self.closed or not 0 <= self._seen - begin <= _FEW:
                return
            self._lease = deadline
            self._holder = threading.get_ident()
            first = self._seen
            while waits() and seen() - first <= _FEW and not self.closed:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                for descriptor, _ in self._poll.poll(min(left, _LOOK_S) * 1000):
                    if descriptor == self._socket:
                        receive()
            self._seen = seen()
            self._lease = time.monotonic() + _LEASE_S if self._seen - first <= _FEW else 0.0
        finally:
            self._holder = 0
            self._held.release()
