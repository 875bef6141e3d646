"""A bit-by-bit model of the frames, written without the package."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

ReferenceFrame = Callable[..., bytes]


def _reference(width: int, taps: Sequence[int], seq: int, size: int) -> bytes:
    count = size * 8 // width
    words = [seq, count - 1]
    state = seq
    for _ in range(2, count):
        new = 0
        for tap in taps:
            new ^= (state >> tap) & 1
        state = ((state << 1) | new) & ((1 << width) - 1)
        words.append(state)
    return b"".join(word.to_bytes(width // 8, "little") for word in words)


@pytest.fixture(scope="session")
def reference_frame() -> ReferenceFrame:
    """reference_frame(width, taps, seq, size) -> bytes."""
    return _reference
