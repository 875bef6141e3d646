"""Checking PRBS frames, in batches or one by one.

Most frames are right and in sequence, so the expected bytes are made in a scratch buffer and
compared as a whole (one `memcmp`: a bytearray compares itself with any buffer that way). Only
when that fails, or frames are no plain run, are the rules applied frame by frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from sapwood.streams.batch import FrameBatch
from sapwood.streams.frame import BytesLike
from sapwood.streams.prbs.lfsr import DEFAULT_TAPS, SEED_BITS, SEQ_MASK, check_taps, check_width
from sapwood.streams.prbs.result import CheckResult
from sapwood.streams.prbs.table import Pattern
from sapwood.streams.windows import windows

__all__ = ["PrbsChecker", "check"]

Words = npt.NDArray[np.uint32]
Indices = npt.NDArray[np.int64]
Octets = npt.NDArray[np.uint8]

_BLOCK_BYTES = 256 << 10  # compared at once, so that the scratch stays in the second cache level
_KEPT_BYTES = 32 << 20  # of patterns, and of scratch, kept for different sizes


class PrbsChecker:
    """Checks a stream of frames and keeps track of the sequence (not for several threads at once).

    Parameters
    ----------
    width
        Bits of a word, a multiple of 32 from 32 to 512.
    taps
        Bit indices fed back, each below `width`.
    expected
        Sequence number of the first frame; 0 accepts any.
    check_payload
        Compare every word, not the sequence number and length alone.

    Raises
    ------
    StreamError
        For a width or taps out of range.
    """

    def __init__(
        self,
        width: int = SEED_BITS,
        taps: Iterable[int] = DEFAULT_TAPS,
        expected: int = 0,
        check_payload: bool = True,
    ) -> None:
        self.width = check_width(width)
        self.taps = check_taps(taps, width)
        self.expected = expected & SEQ_MASK
        self.check_payload = check_payload
        self._unit = width // 8
        self._patterns: dict[int, Pattern] = {}
        self._scratch: dict[int, tuple[bytearray, Octets]] = {}

    # One frame

    def check_frame(self, payload: BytesLike, error: int = 0) -> CheckResult | None:
        """Check one frame.

        Parameters
        ----------
        payload
            Its bytes.
        error
            Its error byte.

        Returns
        -------
        CheckResult or None
            What is wrong with it; None when nothing is.
        """
        size = len(payload)
        pattern = self._patterns.get(size)
        if pattern is not None and self.check_payload and not error:
            want, octets = self._buffer(size)
            pattern.frame(self.expected, octets)
            if want == payload:
                self.expected = (self.expected + 1) & SEQ_MASK
                return None
        result = CheckResult()
        if self._misshapen(size, error):
            self._count_misshapen(result, size, error)
        else:
            data = np.frombuffer(payload, np.uint8)
            seq, length = (int.from_bytes(data[at : at + 4].tobytes(), "little") for at in (0, self._unit))
            if self._header_right(result, seq, length, size) and self.check_payload:
                want, octets = self._buffer(size)
                self._pattern(size).frame(seq, octets)
                if want != data:
                    self._count_payload(result, seq, data, octets)
        result.next_seq = self.expected
        return result if result.bad else None

    def _misshapen(self, size: int, error: int) -> bool:
        return bool(error) or size % self._unit != 0 or size < 3 * self._unit

    def _count_misshapen(self, result: CheckResult, size: int, error: int) -> None:
        result.bad += 1
        if error:
            result.frame_errors += 1
            result.note(f"A frame of {size} bytes has error {error:#x}")
        else:
            result.size_errors += 1
            result.note(f"A frame has {size} bytes, not a multiple of {self._unit} from {3 * self._unit} up")

    def _header_right(self, result: CheckResult, seq: int, length: int, size: int) -> bool:
        """Apply the rules on sequence number and length word, and move on in the sequence."""
        expected, self.expected = self.expected, (seq + 1) & SEQ_MASK
        if (length + 1) * self._unit != size:
            result.bad += 1
            result.length_errors += 1
            result.note(f"Frame {seq}: length word {length}, expected {size // self._unit - 1}")
            return False
        if seq and expected and seq != expected:
            result.bad += 1
            result.seq_errors += 1
            skipped = (seq - expected) & SEQ_MASK
            result.lost_frames += skipped if skipped <= SEQ_MASK >> 1 else 0
            result.note(f"Frame {seq}: sequence number {seq}, expected {expected}")
            return False
        return True

    def _count_payload(self, result: CheckResult, seq: int, seen: Octets, want: Octets) -> None:
        wrong = seen ^ want
        bits = int(np.unpackbits(wrong).sum())
        word = int(np.flatnonzero(wrong)[0]) // self._unit
        place = slice(word * self._unit, (word + 1) * self._unit)
        result.bad += 1
        result.payload_errors += 1
        result.bit_errors += bits
        result.note(
            f"Frame {seq}: word {word} of {len(seen) // self._unit} is {seen[place].tobytes().hex(' ')}, "
            f"expected {want[place].tobytes().hex(' ')} ({bits} bits differ in the frame)"
        )

    # Batches

    def check(self, batch: FrameBatch) -> CheckResult:
        """Check the frames of `batch` in order and return what was found."""
        if self._plain_run(batch):
            return CheckResult(len(batch), 0, batch.nbytes, self.expected)
        result = CheckResult()
        right, expected, after = self._judge(batch)
        for index in np.flatnonzero(~right).tolist():
            self.expected = int(expected[index])
            found = self.check_frame(batch.frame_bytes(index), int(batch.error[index]))
            if found is not None:
                result.add(found)
        result.good = len(batch) - result.bad
        result.bytes = int(batch.size[right].sum())
        result.next_seq = self.expected = after
        return result

    def _plain_run(self, batch: FrameBatch) -> bool:
        """Take the frames when they are right, of one size and in sequence; else change nothing."""
        rows = batch.rows() if self.check_payload else None
        if rows is None or self._misshapen(rows.shape[1], bool(batch.error.any())):
            return False
        first = int.from_bytes(rows[0, :4].tobytes(), "little")
        if first != self.expected and first and self.expected:
            return False
        size = rows.shape[1]
        pattern = self._pattern(size)
        step = max(_BLOCK_BYTES // size, 1)
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            want, octets = self._buffer(len(part) * size)
            pattern.run((first + start) & SEQ_MASK, octets.view("<u4").reshape(len(part), -1))
            if want != np.ascontiguousarray(part):
                return False
        self.expected = (first + len(rows)) & SEQ_MASK
        return True

    def _judge(self, batch: FrameBatch) -> tuple[npt.NDArray[np.bool_], Words, int]:
        """Apply the rules to all frames at once.

        Returns
        -------
        tuple
            Which frames are right, ``(n,)``; the sequence number expected before each, ``(n,)``;
            and the one expected after the last.
        """
        unit = self._unit
        usable = (batch.error == 0) & (batch.size % unit == 0) & (batch.size >= 3 * unit)
        index = np.flatnonzero(usable)
        start, size = batch.start[index], batch.size[index]
        seq = _words_at(batch.payload, start)
        length = _words_at(batch.payload, start + unit)
        follows = np.empty(len(index) + 1, np.uint32)
        follows[0] = self.expected
        np.add(seq, np.uint32(1), out=follows[1:])
        before = follows[:-1]
        right = (length + np.int64(1)) * unit == size
        right &= (seq == before) | (seq == 0) | (before == 0)
        if self.check_payload:
            place = np.flatnonzero(right)
            right[place] = self._equal(batch.payload, seq[place], start[place], size[place])
        usable[index] = right
        # a frame that is no candidate waits for the number that follows the candidates before it
        expected = follows[np.searchsorted(index, np.arange(len(batch)))]
        return usable, expected, int(follows[-1])

    def _equal(self, payload: Octets, seq: Words, start: Indices, size: Indices) -> npt.NDArray[np.bool_]:
        """Return which frames hold what their sequence number asks for; sizes may differ."""
        equal = np.empty(len(seq), np.bool_)
        for width, members in _by_size(size):
            pattern = self._pattern(width)
            step = max(_BLOCK_BYTES // width, 1)
            for first in range(0, len(members), step):
                part = members[first : first + step]
                seen = windows(payload, width)[start[part]].view("<u4").reshape(len(part), -1)
                equal[part] = (seen == pattern.pick(seq[part])).all(axis=1)
        return equal

    # Buffers

    @property
    def held_bytes(self) -> int:
        """Memory held for the sizes seen, bytes."""
        return sum(self._patterns) + sum(self._scratch)

    def _pattern(self, size: int) -> Pattern:
        pattern = self._patterns.get(size)
        if pattern is None:
            if sum(self._patterns) + size > _KEPT_BYTES:
                self._patterns.clear()
            pattern = self._patterns[size] = Pattern(self.width, self.taps, size)
        return pattern

    def _buffer(self, nbytes: int) -> tuple[bytearray, Octets]:
        """Return a scratch buffer of `nbytes` bytes, also as an array."""
        found = self._scratch.get(nbytes)
        if found is None:
            if sum(self._scratch) + nbytes > _KEPT_BYTES:
                self._scratch.clear()
            data = bytearray(nbytes)
            found = self._scratch[nbytes] = data, np.frombuffer(data, np.uint8)
        return found


def check(
    batch: FrameBatch,
    width: int = SEED_BITS,
    taps: Iterable[int] = DEFAULT_TAPS,
    expected: int | None = None,
    check_payload: bool = True,
) -> CheckResult:
    """Check the frames of `batch` in order.

    Parameters
    ----------
    batch
        The frames.
    width
        Bits of a word, a multiple of 32 from 32 to 512.
    taps
        Bit indices fed back, each below `width`.
    expected
        Sequence number of the first frame; None (or 0) accepts any.
    check_payload
        Compare every word, not the sequence number and length alone.

    Raises
    ------
    StreamError
        For a width or taps out of range.
    """
    return PrbsChecker(width, taps, expected or 0, check_payload).check(batch)


def _words_at(payload: Octets, start: Indices) -> Words:
    """Return the little-endian words of 32 bits at the byte offsets `start`."""
    if not len(start):
        return np.empty(0, np.uint32)
    anywhere: Words = np.ndarray((len(payload) - 3,), "<u4", payload, strides=(1,))
    return anywhere[start]


def _by_size(size: Indices) -> Iterator[tuple[int, Indices]]:
    """Yield each size with the indices of its frames, in order."""
    order = np.argsort(size, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(size[order])) + 1):
        if len(members):
            yield int(size[members[0]]), members
