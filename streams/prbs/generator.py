"""PRBS frames for consecutive sequence numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
import numpy.typing as npt

from sapwood.streams.prbs.lfsr import DEFAULT_TAPS, SEED_BITS, SEQ_MASK, check_size, check_taps, check_width
from sapwood.streams.prbs.table import Pattern

__all__ = ["Content", "Generator", "generate"]

Words = npt.NDArray[np.uint32]

Content = Literal["prbs", "count", "zero"]
"""What follows the sequence number and the length: the register's states, the word index, or zeros."""


class Generator:
    """Makes frames one after the other (no frames are sent here; not for several threads at once).

    Parameters
    ----------
    width
        Bits of a word, a multiple of 32 from 32 to 512.
    taps
        Bit indices fed back, each below `width`.
    seq
        Sequence number of the first frame.
    content
        What follows the two header words.

    Raises
    ------
    StreamError
        For a width or taps out of range.
    """

    def __init__(
        self,
        width: int = SEED_BITS,
        taps: Iterable[int] = DEFAULT_TAPS,
        seq: int = 0,
        content: Content = "prbs",
    ) -> None:
        self.width = check_width(width)
        self.taps = check_taps(taps, width)
        self.seq = seq & SEQ_MASK
        self.content = content
        self._pattern: Pattern | None = None
        self._template: Words | None = None

    def setContent(self, content: Content) -> None:
        """Choose what follows the two header words, from the next frame on."""
        self.content = content
        self._template = None

    def frames(self, count: int, size: int) -> npt.NDArray[np.uint8]:
        """Return the next `count` frames of `size` bytes as a fresh array, ``(count, size)``.

        Raises
        ------
        StreamError
            When `size` is not a whole number of words, at least three.
        """
        out = np.empty((count, check_size(size, self.width) // 4), "<u4")
        if self.content == "prbs":
            self._prbs(size).run(self.seq, out)
        else:
            out[:] = self._fixed(size)
            out[:, 0] = (np.arange(count, dtype=np.int64) + self.seq) & SEQ_MASK
        self.seq = (self.seq + count) & SEQ_MASK
        return out.view(np.uint8)

    def frame(self, size: int) -> npt.NDArray[np.uint8]:
        """Return the next frame of `size` bytes as a fresh array, ``(size,)``.

        Raises
        ------
        StreamError
            When `size` is not a whole number of words, at least three.
        """
        pattern = self._pattern
        if self.content != "prbs" or pattern is None or pattern.size != size:
            return self.frames(1, size).reshape(-1)
        seq = self.seq
        self.seq = (seq + 1) & SEQ_MASK
        return pattern.frame(seq)

    def _prbs(self, size: int) -> Pattern:
        if self._pattern is None or self._pattern.size != size:
            self._pattern = Pattern(self.width, self.taps, size)
        return self._pattern

    def _fixed(self, size: int) -> Words:
        """Return a frame of sequence number 0 that holds word indices or zeros."""
        if self._template is None or self._template.nbytes != size:
            words = np.zeros((size * 8 // self.width, self.width // SEED_BITS), "<u4")
            if self.content == "count":
                words[:, 0] = np.arange(len(words))
            words[0, 0], words[1, 0] = 0, len(words) - 1
            self._template = words.reshape(-1)
        return self._template


def generate(
    width: int, taps: Iterable[int], seq: int, count: int, size: int, *, sendCount: bool = False
) -> npt.NDArray[np.uint8]:
    """Return `count` frames from sequence number `seq` on, ``(count, size)`` bytes.

    Parameters
    ----------
    width
        Bits of a word, a multiple of 32 from 32 to 512.
    taps
        Bit indices fed back, each below `width`.
    seq
        Sequence number of the first frame; wraps at 2**32.
    count
        Number of frames.
    size
        Bytes of each.
    sendCount
        Fill with the word index in place of pseudo-random words.

    Raises
    ------
    StreamError
        For a width, taps or a size that no frame can have.
    """
    return Generator(width, taps, seq, "count" if sendCount else "prbs").frames(count, size)
