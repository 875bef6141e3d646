"""Tables from which the payload of any PRBS frame of one size is made by XOR.

The frame of a sequence number, without its length word, is a linear function F over GF(2) of
the number's bits. The low bits are looked up among the precomputed `low` frames; the frame of
the high bits is carried along and moved from one value to another by `row` frames, one for each
bit in which the Gray codes of the two values differ: one XOR for a step to the next value.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from sapwood.streams.prbs.lfsr import (
    SEED_BITS,
    SEQ_MASK,
    check_size,
    check_taps,
    check_width,
    register_states,
    seed_streams,
)

__all__ = ["FrameTable", "Pattern", "TableCache", "frame_table"]

Words = npt.NDArray[np.uint32]
Octets = npt.NDArray[np.uint8]

_LOW_BYTES = 256 << 10  # of the looked up frames, so that they stay in the second cache level
_MIN_LOW = 4  # looked up frames at least, so that most frames cost a single XOR
_MAX_LOW = 1 << 16
_ROW_BYTES = 64 << 20  # rows of one table are kept while they fit, computed anew beyond
_CACHE_BYTES = 256 << 20
_SHARED_WORDS = 64  # frames of that many words and more share tables with others of nearly their size


class FrameTable:
    """Frames of one width, set of taps and size as XORs of precomputed ones.

    Parameters
    ----------
    width
        Bits of a word.
    taps
        Bit indices fed back.
    size
        Bytes of a frame.

    Attributes
    ----------
    low_bits
        How many low bits of the sequence number `low` covers.
    low
        ``(2 ** low_bits, size // 4)`` uint32: F of the low bits, length word zero.
    nbytes
        Memory held, bytes.
    """

    def __init__(self, width: int, taps: tuple[int, ...], size: int) -> None:
        self.width = check_width(width)
        self.size = check_size(size, width)
        self._streams = seed_streams(width, check_taps(taps, width), size * 8 // width - 2)
        count = max(_LOW_BYTES // size, 1 if size > _ROW_BYTES // _MIN_LOW else _MIN_LOW)
        self.low_bits = min(count, _MAX_LOW).bit_length() - 1
        self.low = self._make_low()
        self._rows: dict[int, Words] = {}

    @property
    def nbytes(self) -> int:
        """Memory held, bytes."""
        return self._streams.nbytes + self.low.nbytes + len(self._rows) * self.size

    def _make_low(self) -> Words:
        low = np.zeros((1 << self.low_bits, self.size // 4), "<u4")
        for bit in range(self.low_bits):
            half = 1 << bit
            np.bitwise_xor(low[:half], self.frame(half), out=low[half : 2 * half])
        return low

    def frame(self, seed: int) -> Words:
        """Return F(`seed`), computed from scratch: ``(size // 4,)`` uint32, length word zero."""
        states = register_states(self._streams, self.width, seed)
        frame = np.empty((len(states) + 1, states.shape[1]), "<u4")
        frame[0] = states[0]
        frame[1] = 0
        frame[2:] = states[1:]
        return frame.reshape(-1)

    def row(self, bit: int) -> Words:
        """Return F of the ones from `low_bits` up to `low_bits` + `bit`: the step across that carry."""
        row = self._rows.get(bit)
        if row is None:
            row = self.frame(((2 << bit) - 1) << self.low_bits)
            if (len(self._rows) + 1) * self.size <= _ROW_BYTES:
                self._rows[bit] = row
        return row


class TableCache:
    """The tables used last, as many as fit into `limit` bytes (the newest is always kept)."""

    def __init__(self, limit: int = _CACHE_BYTES) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._tables: OrderedDict[tuple[int, tuple[int, ...], int], FrameTable] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tables)

    @property
    def nbytes(self) -> int:
        """Memory held, bytes."""
        return sum(table.nbytes for table in self._tables.values())

    def get(self, width: int, taps: tuple[int, ...], size: int) -> FrameTable:
        """Return a table of this width (bits) and these taps for frames of `size` bytes or a little more.

        What a frame holds does not depend on where it ends (but for the length word), so sizes
        close to each other share a table.
        """
        key = (width, taps, _rounded(size * 8 // width) * width // 8)
        with self._lock:
            table = self._tables.get(key)
            if table is not None:
                self._tables.move_to_end(key)
                return table
        table = FrameTable(*key)
        with self._lock:
            self._tables[key] = table
            self._tables.move_to_end(key)
            while len(self._tables) > 1 and self.nbytes > self.limit:
                self._tables.popitem(last=False)
        return table


frame_table = TableCache().get


def _rounded(words: int) -> int:
    """Return `words` rounded up to one of four steps an octave; short frames have tables of their own."""
    if words < _SHARED_WORDS:
        return words
    step = 1 << (words.bit_length() - 3)
    return -(-words // step) * step


class Pattern:
    """The frames of one size with their length word, made for one user (not shared by threads).

    Parameters
    ----------
    width
        Bits of a word.
    taps
        Bit indices fed back.
    size
        Bytes of a frame.
    """

    def __init__(self, width: int, taps: tuple[int, ...], size: int) -> None:
        self.size = check_size(size, width)
        self._table = frame_table(width, taps, size)
        self._low = self._table.low[:, : size // 4]
        self._low_bits = self._table.low_bits
        self._low_mask = (1 << self._low_bits) - 1
        self._high = np.zeros(size // 4, "<u4")  # frame of the high bits, with the length word
        self._high[width // SEED_BITS] = size * 8 // width - 1
        self._at = 0
        self._low_octets = self._table.low.view(np.uint8)[:, :size]
        self._high_octets = self._high.view(np.uint8)

    def _high_of(self, seq: int) -> Words:
        """Return the frame of the high bits of `seq`; valid until the next call."""
        high = seq >> self._low_bits
        change = high ^ self._at
        if change:
            gray = change ^ (change >> 1)
            while gray:
                bit = gray.bit_length() - 1
                self._high ^= self._table.row(bit)[: len(self._high)]
                gray ^= 1 << bit
            self._at = high
        return self._high

    def frame(self, seq: int, out: Octets | None = None) -> Octets:
        """Return the frame of `seq`, ``(size,)`` bytes, a fresh array or `out`."""
        if seq >> self._low_bits != self._at:
            self._high_of(seq)
        low = self._low_octets[seq & self._low_mask]
        frame: Octets = np.bitwise_xor(low, self._high_octets, out)
        return frame

    def run(self, seq: int, out: Words) -> None:
        """Write the frames of `seq`, `seq` + 1, ... to `out`, ``(n, size // 4)`` uint32; the number wraps."""
        done, count = 0, len(out)
        while done < count:
            first = seq & self._low_mask
            step = min(count - done, self._low_mask + 1 - first)
            np.bitwise_xor(self._low[first : first + step], self._high_of(seq), out=out[done : done + step])
            done += step
            seq = (seq + step) & SEQ_MASK

    def pick(self, seqs: Words) -> Words:
        """Return the frames of arbitrary numbers `seqs`, ``(n,)`` uint32, as ``(n, size // 4)``."""
        out: Words = self._low[seqs & np.uint32(self._low_mask)]
        high = seqs >> np.uint32(self._low_bits)
        bounds = [0, *(np.flatnonzero(high[1:] != high[:-1]) + 1).tolist(), len(seqs)]
        for start, stop in pairwise(bounds):
            out[start:stop] ^= self._high_of(int(seqs[start]))
        return out
