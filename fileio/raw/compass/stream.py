"""Reads list files of CoMPASS: finds their events."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.formats import PathLike
from sapwood.fileio.raw.compass.config import CompassConfig, read_config
from sapwood.fileio.raw.compass.eventdecoder import CompassEventDecoder, Digitiser, channel_key
from sapwood.fileio.raw.compass.headerdecoder import CompassHeaderDecoder
from sapwood.fileio.raw.compass.layout import (
    HEADER_BYTES,
    MOST_SAMPLES,
    EventLayout,
    guess,
    layout_of_header,
)
from sapwood.fileio.raw.errors import BadStreamError
from sapwood.fileio.raw.source import Source
from sapwood.fileio.raw.streamer import PacketBlock, PacketStream
from sapwood.streams import FrameBatch

__all__ = ["CompassStream"]

_LOOK_BYTES = 1 << 20  # looked at for boards, channels and lengths before decoding begins
_LOOK_EVENTS = 2000
_ASSUMED_KEYS = [channel_key(board, channel) for board in range(2) for channel in range(16)]
_MOST_BOARDS = 256
_SINGLE = 256  # events of changing size taken one by one before a run of equal ones is looked for


class CompassStream(PacketStream):
    """Events of a CoMPASS file; packet 0 is its header, empty when it has none.

    Parameters
    ----------
    source
        The file.
    config_file
        Settings of the run, for sampling rates and channels.
    """

    def __init__(self, source: Source, config_file: PathLike | None = None) -> None:
        super().__init__(source)
        self._config_file = config_file
        self._next_id = 1

    def begin(self) -> PacketBlock:
        """Read the header, or find out what follows when there is none."""
        data = self.source.peek(_LOOK_BYTES)
        config = None if self._config_file is None else read_config(self._config_file)
        layout = layout_of_header(data)
        if layout is None:
            layout = self._guessed(data)
        header = data[: HEADER_BYTES if layout.header else 0]
        self._layout = layout
        boards, keys = self._boards(config, data[len(header) :])
        samples = boards[0].samples
        self.decoders = [
            CompassHeaderDecoder(layout, config, samples),
            CompassEventDecoder(layout, boards, keys),
        ]
        self.source.advance(len(header))
        return PacketBlock(FrameBatch(header, [0], len(header)), np.zeros(1, np.int8), 0)

    def _guessed(self, data: NDArray[np.uint8]) -> EventLayout:
        layout = guess(data, ended=len(data) < _LOOK_BYTES)
        if layout is None:
            raise BadStreamError(
                "This is no CoMPASS file: neither a header nor events that make sense",
                file=self.source.name,
                offset=0,
                expected="a header (.. ca)",
                seen=data[:8].tobytes().hex(" ") or "nothing",
            )
        return layout

    def _boards(
        self, config: CompassConfig | None, data: NDArray[np.uint8]
    ) -> tuple[dict[int, Digitiser], list[int]]:
        """Return what is known of the boards, and the keys of all channels."""
        seen = self._seen(data)
        if config is not None:
            boards = {
                number: Digitiser(board.samples if self._layout.waveform else 0, 1 / board.sample_rate)
                for number, board in enumerate(config.boards)
            }
            keys = [
                channel_key(n, channel) for n, board in enumerate(config.boards) for channel in board.channels
            ]
            self._compare(boards, seen)
            return boards, keys or [channel_key(n, 0) for n in boards]
        first = next((samples for samples in seen.values() if samples), 0)
        numbers = {0, 1, *(board for board, _ in seen)}
        boards = {number: Digitiser(first) for number in sorted(numbers)}
        for (board, _), samples in seen.items():
            boards[board].samples = samples or boards[board].samples
        return boards, sorted({*_ASSUMED_KEYS, *(channel_key(*channel) for channel in seen)})

    def _compare(self, boards: dict[int, Digitiser], seen: dict[tuple[int, int], int]) -> None:
        """Trust the data where it contradicts the settings."""
        told = set()
        for (number, _), samples in seen.items():
            board = boards.get(number)
            if board is not None and samples and samples != board.samples and number not in told:
                told.add(number)
                self.problems.append(
                    f"{self.source.name}: waveforms of board {number} have {samples} samples, "
                    f"the settings say {board.samples}"
                )
                board.samples = samples

    def _seen(self, data: NDArray[np.uint8]) -> dict[tuple[int, int], int]:
        """Return the channels at the begin of the data -> samples of their first event."""
        layout, at = self._layout, 0
        seen: dict[tuple[int, int], int] = {}
        for _ in range(_LOOK_EVENTS):
            event = layout.event(data, at)
            if event is None:
                break
            channel = int(event["board"]), int(event["channel"])
            samples = int(event["samples"]) if layout.waveform else 0
            if channel[0] >= _MOST_BOARDS or samples > MOST_SAMPLES:
                break
            seen.setdefault(channel, samples)
            at += layout.size(event)
        return seen

    def next_block(self, nbytes: int, packets: int) -> PacketBlock | None:
        """Return the next events."""
        layout = self._layout
        data = self.source.peek(max(nbytes, layout.head), least=layout.head)
        if len(data) < layout.head:
            self._note_rest(len(data))
            return None
        size = layout.size(layout.event(data, 0))
        if size > layout.head + 2 * MOST_SAMPLES:
            self.problems.append(
                f"{self.source.name}: at byte {self.source.offset} an event of {size} bytes; "
                "what follows is not read"
            )
            return None
        if len(data) < size:
            data = self.source.peek(max(nbytes, size), least=size)
            if len(data) < size:
                self._note_rest(len(data))
                return None
        start, sizes = self._split(data, size, packets)
        end = int(start[-1]) + int(sizes[-1] if sizes.ndim else sizes)
        batch = FrameBatch(data[:end], start, sizes)
        block = PacketBlock(batch, np.ones(len(batch), np.int8), self._next_id)
        self._next_id += len(batch)
        self.source.advance(end)
        return block

    def _note_rest(self, rest: int) -> None:
        if rest:
            self.problems.append(
                f"{self.source.name}: the last event, at byte {self.source.offset}, is cut after {rest} bytes"
            )

    def _split(self, data: NDArray[np.uint8], size: int, most: int) -> tuple[NDArray[np.int64], Any]:
        """Return begin and size of the events: of a run of equal ones, or of some of changing size."""
        count = min(len(data) // size, most)
        equal = self._run(data, size, count)
        if equal == count or equal >= _SINGLE:
            return np.arange(equal, dtype=np.int64) * size, np.int64(size)
        starts, sizes, at = [0], [size], size
        while len(starts) < min(most, _SINGLE) and (event := self._layout.event(data, at)) is not None:
            size = self._layout.size(event)
            if at + size > len(data):
                break
            starts.append(at)
            sizes.append(size)
            at += size
        return np.array(starts, np.int64), np.array(sizes, np.int64)

    def _run(self, data: NDArray[np.uint8], size: int, count: int) -> int:
        """Return how many of the next `count` events have that size, at least one."""
        if not self._layout.waveform:
            return count
        at = self._layout.head - 4
        rows = data[: count * size].reshape(count, size)[:, at : at + 4]
        samples = np.ascontiguousarray(rows).view("<u4")[:, 0]
        other = np.flatnonzero(samples != samples[0])
        return int(other[0]) if len(other) else count
