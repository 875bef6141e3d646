"""Send and receive the parts of a message, without what the general functions of pyzmq cost."""

from __future__ import annotations

from collections.abc import Sequence

import zmq

__all__ = ["NOBLOCK", "receive_parts", "receive_rest", "send_parts"]

# Plain integers: arithmetic with pyzmq's enumerations takes longer than a whole receive.
NOBLOCK = int(zmq.NOBLOCK)
_SNDMORE = int(zmq.SNDMORE)
_RCVMORE = int(zmq.RCVMORE)


def receive_parts(socket: zmq.Socket[bytes], flags: int) -> list[bytes]:
    """Return the parts of the next message.

    Raises
    ------
    zmq.Again
        None came in time, or none is there and `flags` is `NOBLOCK`.
    """
    frame = socket.recv(flags, False)  # a Frame knows whether more follow; asking the socket takes longer
    parts = [frame.bytes]
    while frame.more:
        frame = socket.recv(flags, False)
        parts.append(frame.bytes)
    return parts


def receive_rest(socket: zmq.Socket[bytes]) -> list[bytes]:
    """Return the parts of the message whose first part was just received."""
    parts = []
    while socket.getsockopt(_RCVMORE):
        parts.append(socket.recv())
    return parts


def send_parts(socket: zmq.Socket[bytes], first: bytes, rest: Sequence[bytes], flags: int = NOBLOCK) -> None:
    """Send a message of `first` and the parts in `rest`; by default without waiting.

    Raises
    ------
    zmq.Again
        There is no room for it.
    """
    if rest:
        socket.send(first, flags | _SNDMORE)
        for part in rest[:-1]:
            socket.send(part, flags | _SNDMORE)
        socket.send(rest[-1], flags)
    else:
        socket.send(first, flags)
