"""The linear feedback shift register behind the PRBS frames, solved over GF(2) with NumPy.

Each step of the register adds one new bit, whatever its width, so a run of states is a stream
of bits seen through a sliding window of `width` bits: the seed's bits come first (oldest is the
most significant one), then ``b[n] = XOR of b[n - lag]`` with ``lag = tap + 1``. Over GF(2) the
square of that recurrence has the same form with all lags doubled, so ever longer blocks follow
from the bits before them by array operations.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from sapwood.errors import StreamError

__all__ = [
    "DEFAULT_TAPS",
    "MAX_WIDTH",
    "SEED_BITS",
    "SEQ_MASK",
    "check_size",
    "check_taps",
    "check_width",
    "register_states",
    "seed_streams",
]

DEFAULT_TAPS = (1, 2, 6, 31)
"""Bits fed back by default, at every width."""

MAX_WIDTH = 512
"""Widest word, in bits."""

SEED_BITS = 32
"""Bits of a sequence number, which seeds the register."""

SEQ_MASK = (1 << SEED_BITS) - 1
"""Sequence numbers count modulo 2**32."""

Words = npt.NDArray[np.uint32]


def check_width(width: int) -> int:
    """Return `width` (bits) when it is a multiple of 32 from 32 to 512, else raise StreamError."""
    if not 0 < width <= MAX_WIDTH or width % SEED_BITS:
        raise StreamError("Invalid width.", expected="a multiple of 32 from 32 to 512", seen=width)
    return width


def check_taps(taps: Iterable[int], width: int) -> tuple[int, ...]:
    """Return `taps`, bit indices (bytes do), as a tuple.

    Raises
    ------
    StreamError
        When there is none, or one lies outside a word of `width` bits.
    """
    indices = tuple(int(tap) for tap in taps)
    if not indices:
        raise StreamError("Invalid taps.", expected="at least one bit index", seen="none")
    for tap in indices:
        if not 0 <= tap < width:
            raise StreamError("Invalid taps.", expected=f"bit indices from 0 to {width - 1}", seen=tap)
    return indices


def check_size(size: int, width: int) -> int:
    """Return `size` (bytes of a frame) when it is whole words and at least three, else raise StreamError."""
    unit = width // 8
    if size % unit or size < 3 * unit:
        raise StreamError(
            "Invalid frame size", expected=f"a multiple of {unit}, at least {3 * unit}", seen=size
        )
    return size


def seed_streams(width: int, taps: Iterable[int], count: int) -> Words:
    """Return the bit streams of all 32 single-bit seeds at once.

    Parameters
    ----------
    width
        Bits of the register.
    taps
        Bit indices fed back; one given an even number of times cancels out.
    count
        New bits wanted.

    Returns
    -------
    ndarray
        ``(width + count,)`` of uint32; bit r of element n is bit n of the stream of seed ``1 << r``.
    """
    streams = np.zeros(width + count, "<u4")
    streams[width - SEED_BITS : width] = np.uint32(1) << np.arange(SEED_BITS - 1, -1, -1, dtype=np.uint32)
    lags: set[int] = set()
    for tap in taps:
        lags ^= {tap + 1}
    if not lags:
        return streams
    least, most = min(lags), max(lags)
    known, scale = width, 1
    while known < len(streams):
        # the recurrence with lags * scale holds from bit width + (scale - 1) * most on
        while width + (2 * scale - 1) * most <= known:
            scale *= 2
        stop = min(len(streams), known + least * scale)
        block = streams[known:stop]
        for lag in lags:
            block ^= streams[known - lag * scale : stop - lag * scale]
        known = stop
    return streams


def register_states(streams: Words, width: int, seed: int) -> Words:
    """Return the states of the register seeded with `seed`, the seed first.

    Parameters
    ----------
    streams
        From `seed_streams` with the same `width`.
    seed
        32 bits.

    Returns
    -------
    ndarray
        ``(count + 1, width // 32)`` of little-endian uint32, the least significant part first.
    """
    bits = _parity(streams & np.uint32(seed))
    for shift in (1, 2, 4, 8, 16):
        bits = (bits[:-shift] << np.uint32(shift)) | bits[shift:]
    # bits[i] now holds stream bits i .. i + 31, the oldest as the most significant
    count = len(streams) - width + 1
    states = np.empty((count, width // SEED_BITS), "<u4")
    for part in range(width // SEED_BITS):
        first = width - SEED_BITS * (part + 1)
        states[:, part] = bits[first : first + count]
    return states


def _parity(values: Words) -> Words:
    """Return 1 where a value has an odd number of bits set, else 0; `values` is used up."""
    for shift in (16, 8, 4, 2, 1):
        values ^= values >> np.uint32(shift)
    values &= np.uint32(1)
    return values
