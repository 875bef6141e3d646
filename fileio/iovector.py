"""Many pieces of memory given to the system in one call, without a Python object for each."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np
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
    table
        Address and bytes of each piece, shape (n, 2), C-contiguous, of the machine's word.
    pieces
        Makes the pieces as buffers.
    keep
        Objects that own the memory.
    """

    __slots__ = ("_keep", "_made", "_pieces", "_table")

    def __init__(
        self, table: NDArray[np.intp], pieces: Callable[[], Sequence[Buffer]], keep: tuple[object, ...]
    ) -> None:
        self._table = table
        self._pieces = pieces
        self._made: Sequence[Buffer] | None = None
        self._keep = keep

    def __len__(self) -> int:
        return len(self._table)

    @overload
    def __getitem__(self, index: int) -> Buffer: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Buffer]: ...
    def __getitem__(self, index: int | slice) -> Buffer | Sequence[Buffer]:
        if self._made is None:
            self._made = self._pieces()
        return self._made[index]

    def writev(self, fd: int) -> int:
        """Write all pieces to `fd`; return the bytes taken, maybe fewer than given."""
        taken = _writev(fd, address_of(self._table), len(self._table))
        if taken < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return taken
