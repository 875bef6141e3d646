"""Many pieces of memory given to the system in one call, without a Python object for each."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from typing import Any, overload

from numpy.typing import NDArray

__all__ = ["Buffer", "IoVector", "address_of"]

# What can be handed to the system as bytes.
Buffer = bytes | bytearray | memoryview


def address_of(array: NDArray[Any]) -> int:
    """Return where the first byte of `array` lies in memory."""
    address: int = array.__array_interface__["data"][0]
    return address


def _system_writev() -> Callable[[int, int, int], int]:
    function = ctypes.CDLL(None, use_errno=True).writev
    function.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
    function.restype = ctypes.c_ssize_t
    return function


_writev = _system_writev()


class IoVector(Sequence[Buffer]):
    """Pieces to be written one after the other, described by addresses and lengths.

    As a sequence it holds the same pieces as buffers, made when first asked for.

    Parameters
    ----------
    address
        Where the table of the pieces lies: address and bytes of each, words of the machine.
    count
        Number of pieces.
    keep
        The owner of the table.
    pieces, args
        ``pieces(*args)`` makes the pieces as buffers; `args` own the memory of the pieces.
    """

    __slots__ = ("_address", "_args", "_count", "_keep", "_made", "_pieces")

    def __init__(
        self,
        address: int,
        count: int,
        keep: object,
        pieces: Callable[..., Sequence[Buffer]],
        args: tuple[object, ...],
    ) -> None:
        self._address = address
        self._count = count
        self._keep = keep
        self._pieces = pieces
        self._args = args
        self._made: Sequence[Buffer] | None = None

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Buffer: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Buffer]: ...
    def __getitem__(self, index: int | slice) -> Buffer | Sequence[Buffer]:
        if self._made is None:
            self._made = self._pieces(*self._args)
        return self._made[index]

    def writev(self, fd: int) -> int:
        """Write all pieces to `fd`; return the bytes taken, maybe fewer than given."""
        taken = _writev(fd, self._address, self._count)
        if taken < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return taken
