"""Read a recording of the front-end board back and compare it with what the board says it sent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import sapwood.fileio
from sapwood.streams import FrameBatch
from sapwood.streams.prbs import PrbsChecker

__all__ = ["ChannelCheck", "Sent", "check_recording"]

WORD_BYTES = 4  # bytes


@dataclass(frozen=True)
class Sent:
    """What the board says of one of its channels.

    `first` is the word that a counter begins with, None when it is not known.
    """

    pattern: str
    frames: int
    size: int
    first: int | None = 0


class ChannelCheck:
    """Checks the frames of one channel as they are read.

    Parameters
    ----------
    sent
        What should be there.
    """

    def __init__(self, sent: Sent) -> None:
        self.sent = sent
        self.frames = 0
        self.nbytes = 0
        self.bad = 0
        self.note = ""
        contents = {
            "PRBS": self._check_prbs,
            "Counter": self._check_counter,
            "Waveform": self._check_waveform,
        }
        self._content: Callable[[FrameBatch], int] = contents[sent.pattern]
        self._prbs = PrbsChecker()
        self._word = sent.first
        self._extremes = 32767, -32768

    @property
    def missing(self) -> int:
        """Frames sent but not recorded; negative when there are too many."""
        return self.sent.frames - self.frames

    def take(self, frames: FrameBatch) -> None:
        """Check frames of this channel, in order."""
        self.frames += len(frames)
        self.nbytes += frames.nbytes
        right = (frames.size == self.sent.size) & (frames.error == 0)
        if not right.all():
            self.bad += int(np.count_nonzero(~right))
            frames = frames[right]
        if len(frames):
            self.bad += self._content(frames.compact())

    def _check_prbs(self, frames: FrameBatch) -> int:
        bad = self._prbs.check(frames).bad
        self.note = f"{self.nbytes // WORD_BYTES:,} words"
        return bad

    def _check_counter(self, frames: FrameBatch) -> int:
        words = frames.payload.view("<u4").reshape(len(frames), -1)
        if self._word is None:
            self._word = int(words[0, 0])
        first = self._word + np.arange(len(frames), dtype=np.uint32)[:, None] * np.uint32(words.shape[1])
        wanted = (first + np.arange(words.shape[1], dtype=np.uint32)).astype(np.uint32)
        bad = int(np.count_nonzero((words != wanted).any(axis=1)))
        self._word = (int(words[-1, -1]) + 1) & 0xFFFFFFFF
        self.note = f"{self.nbytes // WORD_BYTES:,} words"
        return bad

    def _check_waveform(self, frames: FrameBatch) -> int:
        samples = frames.payload.view("<i2")
        lowest, highest = self._extremes
        self._extremes = min(lowest, int(samples.min())), max(highest, int(samples.max()))
        self.note = "samples {} to {}".format(*self._extremes)
        return 0


def check_recording(
    path: Path, sent: Mapping[int, Sent], ignore: Collection[int] = ()
) -> tuple[dict[int, ChannelCheck], int]:
    """Read the recording `path` and check it against what was `sent` on each channel.

    Parameters
    ----------
    ignore
        Channels of configuration records.

    Returns
    -------
    dict, int
        The checks by channel, and the frames and torn tails that belong to no channel sent.
    """
    checks = {number: ChannelCheck(one) for number, one in sent.items()}
    with sapwood.fileio.open(path) as reader:
        strange = 0
        for batch in reader.batches():
            for number in np.unique(batch.channel):
                if number in checks:
                    checks[number].take(batch[batch.channel == number])
                elif number not in ignore:
                    strange += int(np.count_nonzero(batch.channel == number))
        strange += bool(reader.info()["torn_bytes"])
    return checks, strange
