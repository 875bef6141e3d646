"""Which messages the far ends of a stream bridge understand, found out by greetings."""

from __future__ import annotations

import secrets
from threading import Lock

from sapwood.streams.transports.bridgemessage import TOKEN_BYTES, Greeting

__all__ = ["BridgePeers"]

_NONE = bytes(TOKEN_BYTES)


class BridgePeers:
    """Counts the ends connected, and those of them that answered the present greeting.

    Messages are dealt out among all connected ends, so batches are sent only while every one
    of them is known to be Sapwood's. With each end that comes or goes a new token is greeted
    with, so that late answers to an old one do not count. Any thread may call; no socket, no clock.

    Attributes
    ----------
    connected
        Ends that messages may go to now.
    reconnects
        Ends that came when one had gone.
    """

    def __init__(self) -> None:
        self.connected = self.reconnects = 0
        self._gone = 0
        self._own = secrets.token_bytes(TOKEN_BYTES)
        self._token = _NONE
        self._known: set[bytes] = set()
        self._asked = False
        self._answers: list[bytes] = []
        self._lock = Lock()

    def changed(self, by: int) -> None:
        """Note that `by` ends came, or went when it is negative."""
        with self._lock:
            if by < 0:
                self._gone -= by
            back = min(max(by, 0), self._gone)
            self._gone -= back
            self.reconnects += back
            self.connected = max(self.connected + by, 0)
            self._token = secrets.token_bytes(TOKEN_BYTES)
            self._known.clear()
            self._asked = False

    def ask_again(self) -> None:
        """Have a greeting that nobody answered repeated."""
        with self._lock:
            self._asked = False

    def take(self, greeting: Greeting) -> bool:
        """Note a greeting that arrived; return whether there is something to answer."""
        with self._lock:
            if greeting.echo == self._token and greeting.echo != _NONE:
                self._known.add(greeting.sender)
            if greeting.token == _NONE:
                return False
            if len(self._answers) < max(2 * self.connected, 8):  # whoever is not answered asks again
                self._answers.append(greeting.token)
            return True

    @property
    def agreed(self) -> bool:
        """Every end connected is Sapwood's."""
        return 0 < self.connected <= len(self._known)

    def greetings(self) -> list[Greeting]:
        """Return the greetings to send now, each as many times as there are ends for it to reach them all."""
        with self._lock:
            if not self.connected:
                return []
            due = [Greeting(self._own, _NONE, token) for token in self._answers]
            self._answers.clear()
            if not self._asked:
                due.append(Greeting(self._own, self._token, _NONE))
                self._asked = True
            return due * self.connected
