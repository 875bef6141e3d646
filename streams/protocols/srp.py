"""What the versions of SRP, the register access protocol over streams, have in common; commands.

``srpv0`` and ``srpv3`` turn accesses into bytes and back. Each is a `Wire`: a module of functions
with the same names, so that a client or server is written once.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple, Protocol

from sapwood.errors import ProtocolError
from sapwood.streams.counters import StageCounters
from sapwood.streams.frame import Frame
from sapwood.streams.link import Master

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "MIN_ACCESS",
    "POST",
    "READ",
    "WRITE",
    "Cmd",
    "Request",
    "Response",
    "StatusTexts",
    "Wire",
    "decode_command",
    "encode_command",
]

READ, WRITE, POST = 0, 1, 2

MIN_ACCESS = 4
"""Addresses and sizes of accesses are multiples of this (bytes)."""

_COMMAND = struct.Struct("<4I")


class Request(NamedTuple):
    """A request as a server sees it.

    Attributes
    ----------
    opcode
        ``READ``, ``WRITE`` or ``POST`` (a write that is not answered).
    id
        Number that the response repeats, 32 bits.
    address, size
        Byte address, bytes to move.
    data
        The bytes to write; empty for a read.
    head
        First bytes of the response.
    """

    opcode: int
    id: int
    address: int
    size: int
    data: memoryview
    head: bytes


class Response(NamedTuple):
    """A response as a client sees it.

    Attributes
    ----------
    id
        Number of the request.
    head
        The words that have to repeat the request's, as ``head`` of the version gives them.
    data
        What was read, or the written bytes again; not compared with any size.
    status
        0 for a success.
    """

    id: int
    head: tuple[int, ...]
    data: memoryview
    status: int


class StatusTexts:
    """What the status words of one version mean.

    Parameters
    ----------
    texts
        Bit -> text, what matters most first.
    other
        Text for any other status, which is added as a number.
    failed
        Status of a failure that none of the texts tells.
    """

    def __init__(self, texts: dict[int, str], other: str, failed: int) -> None:
        self._texts = texts
        self._other = other
        self._failed = failed

    def text(self, status: int) -> str:
        """Return what `status` means, the empty string for 0."""
        if not status:
            return ""
        known = (text for bit, text in self._texts.items() if status & bit)
        return next(known, f"{self._other}: {status:#x}")

    def status(self, text: str) -> int:
        """Return the status that says best what the error `text` of a register access says."""
        return next((bit for bit, known in self._texts.items() if known in text), self._failed)


class Wire(Protocol):
    """What a module for one version of the protocol offers."""

    MAX_ACCESS: int
    MAX_ADDRESS: int
    TIMED_OUT: int
    STATUS: StatusTexts

    def head(self, opcode: int, id: int, address: int, size: int, timeout: int) -> tuple[int, ...]:
        """Return the first words of a request."""

    def encode_request(self, head: tuple[int, ...], size: int, data: Buffer) -> bytes:
        """Return the bytes of a request: `data` is empty for a read of `size` bytes."""

    def decode_request(self, payload: Buffer) -> Request:
        """Return the request in `payload`."""

    def encode_response(self, head: bytes, data: Buffer, status: int) -> bytes:
        """Return the bytes of a response."""

    def decode_response(self, payload: Buffer) -> Response:
        """Return the response in `payload`."""


def encode_command(opcode: int, context: int) -> bytes:
    """Return the 16 bytes of a command: `opcode` is 0..255, `context` an unsigned 32-bit number.

    Raises
    ------
    ProtocolError
        One of them is out of range.
    """
    if not 0 <= opcode <= 0xFF or not 0 <= context <= 0xFFFFFFFF:
        raise ProtocolError(
            "No such command", expected="opcode 0..255, context 0..2**32-1", seen=f"{opcode}, {context}"
        )
    return _COMMAND.pack(context, opcode, 0, 0)


def decode_command(payload: Buffer) -> tuple[int, int]:
    """Return the opcode and the context of the command in `payload`.

    Raises
    ------
    ProtocolError
        Not the 16 bytes of a command.
    """
    view = memoryview(payload)
    if view.nbytes != _COMMAND.size:
        raise ProtocolError("Bad command frame", expected=f"{_COMMAND.size} bytes", seen=view.nbytes)
    context, opcode, *rest = _COMMAND.unpack(view)
    if opcode > 0xFF or any(rest):
        raise ProtocolError("Bad command frame", expected="an opcode 0..255, then zeros", seen=view.hex())
    return opcode, context


class Cmd(Master):
    """Sends command frames (opcode with context) to firmware; nothing comes back.

    Attributes
    ----------
    counters
        The commands.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counters = StageCounters()

    def sendCmd(self, opcode: int, context: int) -> None:
        """Send the command `opcode` (0..255) with `context` (unsigned 32-bit)."""
        frame = Frame(encode_command(opcode, context))
        self.counters.accept(1, frame.size)
        self._sendFrame(frame)
