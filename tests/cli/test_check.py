"""The check behind the demo finds what is wrong with a recording."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sapwood.cli.check import Sent, check_recording
from sapwood.fileio import StreamWriter
from sapwood.streams import FrameBatch, Master
from sapwood.streams.prbs import DEFAULT_TAPS, generate

COUNT = 40
SENT = {0: Sent("PRBS", COUNT, 64), 1: Sent("Counter", COUNT, 32), 2: Sent("Waveform", COUNT, 16)}
Rows = dict[int, NDArray[np.uint8]]


def _rows() -> Rows:
    counter = np.arange(COUNT * 8, dtype="<u4").view(np.uint8).reshape(COUNT, 32)
    pulses = np.arange(COUNT * 8, dtype="<i2").view(np.uint8).reshape(COUNT, 16)
    return {0: generate(32, DEFAULT_TAPS, 0, COUNT, 64), 1: counter, 2: pulses}


def _record(path: Path, rows: Rows, *, errors: int = 0) -> None:
    """Write the rows in two batches each, the channels in turn."""
    writer, source = StreamWriter(), Master()
    source >> writer.getChannel(0)
    writer.open(str(path))
    for half in (slice(0, COUNT // 2), slice(COUNT // 2, None)):
        for channel, frames in rows.items():
            if len(frames[half]):
                source._sendBatch(FrameBatch.from_rows(frames[half], channel=channel, error=errors))
    writer.close()


def _verdict(path: Path) -> tuple[dict[int, int], dict[int, int], int]:
    checks, strange = check_recording(path, SENT, ignore=(255,))
    return {n: c.bad for n, c in checks.items()}, {n: c.missing for n, c in checks.items()}, strange


def test_a_good_recording(tmp_path: Path) -> None:
    path = tmp_path / "good.dat"
    _record(path, {**_rows(), 255: np.zeros((1, 5), np.uint8)})
    assert _verdict(path) == ({0: 0, 1: 0, 2: 0}, {0: 0, 1: 0, 2: 0}, 0)


def _flip(channel: int, row: int, byte: int) -> Callable[[Rows], Rows]:
    def damage(rows: Rows) -> Rows:
        rows[channel] = rows[channel].copy()
        rows[channel][row, byte] ^= 0x10
        return rows

    return damage


def _lose(channel: int, row: int) -> Callable[[Rows], Rows]:
    def damage(rows: Rows) -> Rows:
        rows[channel] = np.delete(rows[channel], row, axis=0)
        return rows

    return damage


@pytest.mark.parametrize("row", [0, 7, COUNT - 1])
@pytest.mark.parametrize("byte", [9, 63])
def test_one_wrong_bit_of_prbs(tmp_path: Path, row: int, byte: int) -> None:
    path = tmp_path / "bit.dat"
    _record(path, _flip(0, row, byte)(_rows()))
    bad, missing, _ = _verdict(path)
    assert bad == {0: 1, 1: 0, 2: 0}
    assert missing[0] == 0


def test_one_wrong_counter_word(tmp_path: Path) -> None:
    path = tmp_path / "word.dat"
    _record(path, _flip(1, 5, 12)(_rows()))
    assert _verdict(path)[0] == {0: 0, 1: 1, 2: 0}


@pytest.mark.parametrize("channel", [0, 1])
def test_a_lost_frame_is_missing_and_breaks_the_sequence(tmp_path: Path, channel: int) -> None:
    path = tmp_path / "lost.dat"
    _record(path, _lose(channel, 30)(_rows()))
    bad, missing, _ = _verdict(path)
    assert missing == {**dict.fromkeys(SENT, 0), channel: 1}
    assert bad[channel] >= 1


def test_frames_of_another_size_with_errors_or_from_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "size.dat"
    _record(path, {**_rows(), 2: np.zeros((COUNT, 12), np.uint8), 9: np.zeros((3, 8), np.uint8)})
    bad, _, strange = _verdict(path)
    assert bad == {0: 0, 1: 0, 2: COUNT}
    assert strange == 3
    path = tmp_path / "error.dat"
    _record(path, _rows(), errors=1)
    assert _verdict(path)[0] == dict.fromkeys(SENT, COUNT)


def test_a_torn_tail_is_strange(tmp_path: Path) -> None:
    path = tmp_path / "torn.dat"
    _record(path, _rows())
    with path.open("ab") as tail:
        tail.write(b"\x40\0\0\0abc")
    assert _verdict(path)[2] == 1
