"""One connection of the ZeroMQ server: its session, its lane, what is on the way to it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from sapwood.errors import RemoteError
from sapwood.remote import codec
from sapwood.remote.lanes import Lane
from sapwood.remote.session import Session

__all__ = ["Peer", "push_message"]

PUSH_VALUES = 500
PUSH_BYTES = 2**20


class Peer:
    """A connection to the server, known by the identity that the ROUTER socket gave it."""

    __slots__ = ("gone", "held", "identity", "lane", "last", "sequence", "session")

    def __init__(self, identity: bytes, session: Session) -> None:
        self.identity = identity
        self.session = session
        self.lane = Lane()
        self.sequence = 0  # of the pushes
        self.held: list[bytes] = []  # a push that did not fit into the connection yet
        self.last = time.monotonic()  # when something was heard from it
        self.gone = False


def push_message(peer: Peer) -> list[bytes]:
    """Return the next push for `peer`, header first, or an empty list when nothing waits.

    Further values of a path that is in ``values`` follow, in order, in the batches of ``then``.
    """
    subscription = peer.session.subscription
    if subscription is None:
        return []
    batches, lost = subscription.take(PUSH_VALUES, PUSH_BYTES)
    if not batches:
        return []
    buffers: list[bytes] = []
    rows = [{path: _row(value, buffers) for path, value in batch.items()} for batch in batches]
    peer.sequence += 1
    message = {"push": "update", "seq": peer.sequence, "lost": lost, "values": rows[0]}
    if len(rows) > 1:
        message["then"] = rows[1:]
    return [codec.to_json(message), *buffers]


def _row(value: Any, buffers: list[bytes]) -> list[Any]:
    """Return [value, disp, severity, status, time] of a `VariableValue`.

    The text of an array is left out: it would be larger than the array. A value that has no form on
    the wire travels as its text only.
    """
    data = value.value
    text = None if isinstance(data, np.ndarray) else value.valueDisp
    before = len(buffers)
    try:
        form = codec.encode(data, buffers)
    except RemoteError:
        del buffers[before:]
        form, text = None, value.valueDisp
    return [form, text, value.severity, value.status, value.time]
