"""Reads files of llamaDAQ: finds their events."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.raw.columns import distinct
from sapwood.fileio.raw.llama.config import Channel, read_config
from sapwood.fileio.raw.llama.eventdecoder import LLAMAEventDecoder
from sapwood.fileio.raw.llama.headerdecoder import LLAMAHeaderDecoder
from sapwood.fileio.raw.llama.starttime import start_time
from sapwood.fileio.raw.rowbytes import first_words
from sapwood.fileio.raw.source import Source
from sapwood.fileio.raw.streamer import PacketBlock, PacketStream
from sapwood.streams import FrameBatch

__all__ = ["LlamaStream"]

_HEADER_BYTES = 16 + 88 * (1 << 12)
_SEARCH_BYTES = 1 << 20


class LlamaStream(PacketStream):
    """Events of a llamaDAQ file; packet 0 is its header.

    Where bytes make no event, the next place is searched where one begins.

    Parameters
    ----------
    source
        The file. Its name tells when the run began, see `start_time`.
    timezone
        Of the clock that named the file.
    """

    def __init__(self, source: Source, timezone: str = "UTC") -> None:
        super().__init__(source)
        self._timezone = timezone
        self._next_id = 1

    def begin(self) -> PacketBlock:
        """Read the header."""
        data = self.source.peek(_HEADER_BYTES)
        config = read_config(data, self.source.name, start_time(self.source.name, self._timezone))
        self._channels = config.channels
        self._longest = max(4 * channel.layout.words for channel in config.channels.values())
        self.decoders = [LLAMAHeaderDecoder(config), LLAMAEventDecoder(config)]
        self.source.advance(config.nbytes)
        return PacketBlock(FrameBatch(data[: config.nbytes], [0], config.nbytes), np.zeros(1, np.int8), 0)

    def next_block(self, nbytes: int, packets: int) -> PacketBlock | None:
        """Return the next events."""
        while True:
            data = self.source.peek(max(nbytes, self._longest), least=self._longest)
            if not len(data):
                return None
            batch = self._split(data, packets)
            if len(batch):
                block = PacketBlock(batch, np.ones(len(batch), np.int8), self._next_id)
                self._next_id += len(batch)
                self.source.advance(int(batch.start[-1] + batch.size[-1]))
                return block
            if not self._recover(data):
                return None

    def _split(self, data: NDArray[np.uint8], most: int) -> FrameBatch:
        """Return the events up to the first bytes that make none."""
        words = data[: len(data) // 4 * 4].data.cast("I")
        lengths = {number: channel.layout.words for number, channel in self._channels.items()}
        starts: list[int] = []
        numbers: list[int] = []
        at = 0
        while len(starts) < most and at < len(words):
            number = words[at] >> 4 & 0xFFF
            length = lengths.get(number)
            if length is None or at + length > len(words):
                break
            starts.append(at)
            numbers.append(number)
            at += length
        start = 4 * np.array(starts, np.int64)
        batch = FrameBatch(data, start, np.diff(start, append=4 * at))
        return batch[: self._sensible(batch, np.array(numbers, np.int64))]

    def _sensible(self, batch: FrameBatch, numbers: NDArray[np.int64]) -> int:
        """Return how many events make sense before the first that does not."""
        count = len(batch)
        for number in distinct(numbers).tolist():
            layout, rows = self._channels[number].layout, np.flatnonzero(numbers == number)
            bad = rows[~layout.makes_sense(first_words(batch[rows], layout.head))]
            if len(bad):
                count = min(count, int(bad[0]))
        return count

    def _recover(self, data: NDArray[np.uint8]) -> bool:
        """Skip to the next event; False when there is none."""
        begin = self.source.offset
        if self._is_cut(data):
            self.problems.append(
                f"{self.source.name}: the last event, at byte {begin}, is cut after {len(data)} bytes"
            )
            return False
        while True:
            found = self._search(data)
            if found is not None:
                self.source.advance(found)
                self.resyncs += 1
                self.problems.append(
                    f"{self.source.name}: {self.source.offset - begin} bytes at byte {begin} are no event"
                )
                return True
            if len(data) <= self._longest:  # the end: whatever begins here is no whole event
                self.problems.append(
                    f"{self.source.name}: {self.source.offset - begin + len(data)} bytes at byte {begin}, "
                    "up to the end, are no event"
                )
                return False
            self.source.advance((len(data) - self._longest) // 4 * 4 + 4)
            data = self.source.peek(_SEARCH_BYTES + self._longest)

    def _is_cut(self, data: NDArray[np.uint8]) -> bool:
        """Tell whether `data` is the begin of an event that the end of the file cuts."""
        if len(data) >= self._longest:
            return False
        if len(data) < 4:
            return True
        channel = self._channels.get(int.from_bytes(data[:4].tobytes(), "little") >> 4 & 0xFFF)
        if channel is None or len(data) >= 4 * channel.layout.words:
            return False
        head = data[: 4 * channel.layout.head]
        return len(head) < 4 * channel.layout.head or bool(
            channel.layout.makes_sense(_copied(head)[np.newaxis])[0]
        )

    def _search(self, data: NDArray[np.uint8]) -> int | None:
        """Return the first byte after the begin of `data` where a whole event lies."""
        words = _copied(data)
        found = (self._find(channel, words) for channel in self._channels.values())
        return min((4 * at for at in found if at is not None), default=None)

    @staticmethod
    def _find(channel: Channel, words: NDArray[np.uint32]) -> int | None:
        layout = channel.layout
        places = len(words) - layout.words + 1
        if places < 2:
            return None
        mark = channel.id << 4 | layout.format_bits
        for at in np.flatnonzero((words[1:places] & 0xFFFF) == mark).tolist():
            if layout.makes_sense(words[np.newaxis, at + 1 : at + 1 + layout.head])[0]:
                return int(at) + 1
        return None


def _copied(data: NDArray[np.uint8]) -> NDArray[np.uint32]:
    return np.frombuffer(data[: len(data) // 4 * 4].tobytes(), "<u4")
