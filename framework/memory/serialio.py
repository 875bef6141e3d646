"""Lines over a serial port, a file descriptor, or any object with ``read`` and ``write``."""

from __future__ import annotations

import os
import select
import termios
import time
import tty
from collections.abc import Callable
from typing import Any

from sapwood.errors import BusError

__all__ = ["DescriptorLine", "LineIO", "ObjectLine", "open_line"]

_SLICE_S = 0.05
_PAUSE_S = 0.002
_CHUNK = 4096
_CHUNKS = 64


class LineIO:
    """Base of the ways to reach a line: bytes in and out, never waiting long at a time."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def close(self) -> None:
        """Close what this object opened."""

    def _some(self) -> bytes:
        """Return bytes that arrived, empty after a short wait without any."""
        raise NotImplementedError

    def _put(self, data: memoryview) -> int:
        """Write part of `data`, waiting briefly at most; return how many bytes went out."""
        raise NotImplementedError

    def forget(self) -> None:
        """Drop what was received so far."""
        self._rest.clear()

    def write(self, data: bytes, give_up: Callable[[], bool]) -> bool:
        """Write all of `data` unless `give_up` says so in the meantime; return whether it went out."""
        view = memoryview(data)
        while view:
            if give_up():
                return False
            view = view[self._put(view) :]
        return True

    def read_line(self, limit: int, give_up: Callable[[], bool]) -> bytes | None:
        """Return the next line with its end, None when `give_up` says so before it is there.

        Raises
        ------
        BusError
            More than `limit` bytes came without a line end.
        """
        while True:
            end = self._rest.find(b"\n") + 1
            if end:
                line = bytes(self._rest[:end])
                del self._rest[:end]
                return line
            if len(self._rest) > limit:
                self._rest.clear()
                raise BusError("No line end on the serial line", expected=f"within {limit} bytes")
            if give_up():
                return None
            self._rest += self._some()


class DescriptorLine(LineIO):
    """A line behind a file descriptor."""

    def __init__(self, descriptor: int, owned: bool = False) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._owned = owned

    def close(self) -> None:
        """Close the descriptor if it is owned."""
        if self._owned:
            os.close(self._descriptor)

    def forget(self) -> None:
        """Drop what was received so far, here and in the system."""
        super().forget()
        for _ in range(_CHUNKS):
            if not select.select([self._descriptor], [], [], 0)[0] or not os.read(self._descriptor, _CHUNK):
                return

    def _some(self) -> bytes:
        if not select.select([self._descriptor], [], [], _SLICE_S)[0]:
            return b""
        data = os.read(self._descriptor, _CHUNK)
        if not data:
            raise BusError("The serial line was closed")
        return data

    def _put(self, data: memoryview) -> int:
        if not select.select([], [self._descriptor], [], _SLICE_S)[1]:
            return 0
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:
            return 0


class ObjectLine(LineIO):
    """A line behind an object, such as a pyserial port; its ``read`` should not wait long."""

    def __init__(self, port: Any) -> None:
        super().__init__()
        self._port = port

    def forget(self) -> None:
        """Drop what was received so far, in the object too where it can."""
        super().forget()
        reset = getattr(self._port, "reset_input_buffer", None)
        if reset is not None:
            reset()

    def _some(self) -> bytes:
        data = self._port.read(1)
        if not data:
            time.sleep(_PAUSE_S)
        return data or b""

    def _put(self, data: memoryview) -> int:
        written = self._port.write(bytes(data))
        flush = getattr(self._port, "flush", None)
        if flush is not None:
            flush()
        return len(data) if written is None else int(written)


def open_line(line: Any, baud: int) -> LineIO:
    """Return the way to reach `line`: a path, a file descriptor, or an object.

    A path is opened here, and a terminal there set to raw bytes at `baud`; others are used as
    they are and never closed.

    Raises
    ------
    BusError
        The path cannot be opened, the rate is not one the system knows, or the object has no
        ``read`` and ``write``.
    """
    if isinstance(line, int):
        return DescriptorLine(line)
    if not isinstance(line, (str, os.PathLike)):
        if not (callable(getattr(line, "read", None)) and callable(getattr(line, "write", None))):
            raise BusError("No serial line", expected="a path, descriptor or object", seen=repr(line))
        return ObjectLine(line)
    try:
        descriptor = os.open(line, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as problem:
        raise BusError(
            f"Cannot open {os.fspath(line)}: {problem.strerror}", path=os.fspath(line)
        ) from problem
    try:
        if os.isatty(descriptor):
            _set_raw(descriptor, baud)
    except BaseException:
        os.close(descriptor)
        raise
    return DescriptorLine(descriptor, owned=True)


def _set_raw(descriptor: int, baud: int) -> None:
    """Set a terminal to raw bytes at `baud`, without flow control or modem lines."""
    speed = getattr(termios, f"B{baud}", None)
    if speed is None:
        raise BusError("Unknown serial rate", expected="one of the system's", seen=baud)
    tty.setraw(descriptor)
    modes = termios.tcgetattr(descriptor)
    modes[2] |= termios.CLOCAL | termios.CREAD
    modes[4] = modes[5] = speed
    termios.tcsetattr(descriptor, termios.TCSANOW, modes)
