"""FCIO streams: records found, numbered and sorted by decoder."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FormatError
from sapwood.fileio.raw.decoder import DataDecoder
from sapwood.fileio.raw.fcio.config import FCIOConfig, FCIOState
from sapwood.fileio.raw.fcio.configdecoder import FCConfigDecoder
from sapwood.fileio.raw.fcio.eventdecoder import FCEventDecoder
from sapwood.fileio.raw.fcio.fspdecoders import FSPConfigDecoder, FSPEventDecoder, FSPStatusDecoder
from sapwood.fileio.raw.fcio.headerdecoder import FCEventHeaderDecoder
from sapwood.fileio.raw.fcio.records import (
    CONFIG,
    EVENT,
    EVENT_HEADER,
    FSP_CONFIG,
    FSP_EVENT,
    FSP_STATUS,
    FSP_TAGS,
    MAGIC,
    PREAMBLE_BYTES,
    SPARSE_EVENT,
    STATUS,
    TAGS,
    Incomplete,
    Layout,
    check_preamble,
    parse_record,
    word_at,
)  # fmt: skip
from sapwood.fileio.raw.fcio.statusdecoder import FCStatusDecoder
from sapwood.fileio.raw.source import Source
from sapwood.fileio.raw.streamer import PacketBlock, PacketStream
from sapwood.streams import FrameBatch

__all__ = ["FCIOStream"]

_LOG = logging.getLogger("sapwood.fileio.raw")
_LARGEST_RECORD = 256 << 20
_FIRST_RUN = 8
_MOST_TOLD = 1000
_MOST_EXTRA = 4096  # frames in a row that no record needs: more are damage
_SEARCHED = (SPARSE_EVENT, EVENT, EVENT_HEADER, STATUS)


class FCIOStream(PacketStream):
    """Records of a file or a connection.

    Attributes
    ----------
    state
        Filled by `begin`.
    """

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._layouts: dict[tuple[int, int], Layout] = {}
        self._decoder_of: dict[int, int] = {}
        self._next_id = 1
        self._extra_frames = 0
        self._config = b""
        self.state: FCIOState | None = None

    def begin(self) -> PacketBlock:
        """Read up to the first configuration."""
        check_preamble(self.source.peek(PREAMBLE_BYTES), self.source.name, 0)
        self.source.advance(PREAMBLE_BYTES)
        fsp: NDArray[np.uint8] | None = None
        before = 0
        while True:
            layout = self._next_record()
            if layout is None:
                raise FormatError(
                    "The stream ends before its configuration",
                    file=self.source.name,
                    offset=self.source.offset,
                    expected="a Config record",
                )
            data = self.source.peek(layout.nbytes)[: layout.nbytes].copy()
            offset = self.source.offset
            self.source.advance(layout.nbytes)
            if layout.tag == CONFIG:
                break
            if layout.tag == FSP_CONFIG:
                fsp = data
            else:
                before += 1
        if before:
            self._tell(f"{before} records before the configuration are skipped", offset)
        notes: list[str] = []
        try:
            config = FCIOConfig.parse(data, layout, notes)
        except FormatError as error:
            error.file, error.offset = self.source.name, offset
            raise
        for note in notes:
            _LOG.warning("%s: %s", self.source.name, note)
        self._config = data.tobytes()
        self._make_decoders(config)
        packets = [one for one in (fsp, data) if one is not None]
        sizes = np.array([len(one) for one in packets], np.int64)
        batch = FrameBatch(np.concatenate(packets), np.cumsum(sizes) - sizes, sizes)
        decoder = [self._decoder_of[FSP_CONFIG]] if fsp is not None else []
        return PacketBlock(
            batch,
            np.array([*decoder, self._decoder_of[CONFIG]], np.int8),
            0,
            np.zeros(len(packets), np.uint32),
        )

    def _make_decoders(self, config: FCIOConfig) -> None:
        self.state = FCIOState(config)
        made: dict[tuple[int, ...], DataDecoder] = {
            (CONFIG,): FCConfigDecoder(self.state),
            (EVENT, SPARSE_EVENT): FCEventDecoder(self.state),
            (EVENT_HEADER,): FCEventHeaderDecoder(self.state),
            (STATUS,): FCStatusDecoder(self.state),
            (FSP_CONFIG,): FSPConfigDecoder(self.state),
            (FSP_EVENT,): FSPEventDecoder(self.state),
            (FSP_STATUS,): FSPStatusDecoder(self.state),
        }
        self.decoders = list(made.values())
        self._decoder_of = {tag: index for index, tags in enumerate(made) for tag in tags}

    def next_block(self, nbytes: int, packets: int) -> PacketBlock | None:
        """Return the next records; a later configuration comes alone, and is in force from there on."""
        while (layout := self._next_record()) is not None:
            if layout.tag not in (CONFIG, FSP_CONFIG):
                return self._records(layout, max(nbytes, layout.nbytes), packets)
            block = self._later_config(layout)
            if block is not None:
                return block
        return None

    def _later_config(self, layout: Layout) -> PacketBlock | None:
        """Return the record, which no decoder gets; None when it is damaged and skipped."""
        data, offset = self.source.peek(layout.nbytes)[: layout.nbytes], self.source.offset
        try:
            if layout.tag == CONFIG and self.state is not None:
                self.state.switch(FCIOConfig.parse(data, layout))
            elif not layout.begin:
                raise FormatError("The record is empty")
        except FormatError as error:
            self._resync(f"a wrong {TAGS[layout.tag]} record: {error}")
            return None
        if layout.tag != CONFIG or data.tobytes() != self._config:  # one like before loses nothing
            self._tell(f"another {TAGS[layout.tag]} record: it gets no row", offset)
        block = PacketBlock(
            FrameBatch(data, np.zeros(1, np.int64), layout.nbytes), np.array([-1], np.int8), self._next_id
        )
        self._next_id += layout.tag == CONFIG
        self.source.advance(layout.nbytes)
        return block

    def _records(self, first: Layout, nbytes: int, most: int) -> PacketBlock:
        """Return records, the first of a known layout, up to the next configuration, preamble or damage."""
        data = self.source.peek(nbytes, least=4)
        starts: list[NDArray[np.int64]] = []
        sizes: list[int] = []
        tags: list[int] = []
        position, count = 0, 0
        while count < most and position + 4 <= len(data):
            found = self._run(data, position, most - count)
            if found is None and not count:
                found = first, 1  # the last of the stream, whose end is not seen otherwise
            if found is None:
                break
            layout, rows = found
            starts.append(position + layout.nbytes * np.arange(rows, dtype=np.int64))
            sizes.append(layout.nbytes)
            tags.append(layout.tag)
            position += rows * layout.nbytes
            count += rows
        counts = [len(one) for one in starts]
        tag = np.repeat(np.array(tags, np.int32), counts)
        batch = FrameBatch(data[:position], np.concatenate(starts), np.repeat(np.array(sizes), counts))
        alone = ~np.isin(tag, FSP_TAGS)
        ids = self._next_id + np.cumsum(alone) - alone
        self._next_id += int(alone.sum())
        self.source.advance(position)
        decoder = np.repeat(np.array([self._decoder_for(*one) for one in zip(tags, counts, strict=True)],
                                     np.int8), counts)  # fmt: skip
        return PacketBlock(batch, decoder, int(ids[0]), ids.astype(np.uint32))

    def _decoder_for(self, tag: int, rows: int) -> int:
        index = self._decoder_of.get(tag)
        if index is None:
            self.count_unknown(TAGS.get(tag, f"tag {tag}"), rows)
            return -1
        return index

    def _run(self, data: NDArray[np.uint8], position: int, most: int) -> tuple[Layout, int] | None:
        """Return the layout of the record at `position` and how many like it follow one another."""
        tag = -word_at(data, position)
        if tag in (CONFIG, FSP_CONFIG) or not 0 < tag < -MAGIC:
            return None
        layout = self._known(tag, data, position)
        rows = self._like(layout, data, position, most) if layout is not None else 0
        if layout is None or not rows:
            try:
                layout = parse_record(data[position:], at_end=False)
            except (Incomplete, FormatError):
                return None
            self._layouts[tag, self._traces(layout, data, position)] = layout
            rows = 1 + self._like(layout, data, position + layout.nbytes, most - 1)
        return layout, rows

    def _known(self, tag: int, data: NDArray[np.uint8], position: int) -> Layout | None:
        """Return the layout that the record at `position` has if it is like one before."""
        if tag != SPARSE_EVENT:
            return self._layouts.get((tag, 0))
        last = self._layouts.get((tag, -1))
        if last is None:
            return None
        return self._layouts.get((tag, self._traces(last, data, position)))

    def _traces(self, layout: Layout, data: NDArray[np.uint8], position: int) -> int:
        """Return the number of traces of a sparse event; 0 for other records."""
        if layout.tag != SPARSE_EVENT or len(layout.begin) < 6:
            return 0
        self._layouts[layout.tag, -1] = layout
        return word_at(data, position + layout.begin[5])

    @staticmethod
    def _like(layout: Layout, data: NDArray[np.uint8], position: int, most: int) -> int:
        """Return how many records of this layout follow one another."""
        size = layout.nbytes
        left = min((len(data) - position) // size, most)
        if left <= 0:
            return 0
        rows = np.lib.stride_tricks.as_strided(data[position:], (left, size), (size, 1), writeable=False)
        done, step = 0, _FIRST_RUN
        while done < left:
            same = layout.matches(rows[done : done + step])
            if not same.all():
                return done + int(np.argmin(same))
            done += len(same)
            step *= 4
        return left

    def _next_record(self) -> Layout | None:
        """Return the layout of the record that comes next, past preambles, extra frames and damage."""
        wanted, least = 1 << 12, 4
        while True:
            data = self.source.peek(wanted, least=least)
            at_end = len(data) < least
            if len(data) < 4:
                if len(data):
                    self._cut(len(data))
                return None
            word = word_at(data, 0)
            try:
                if word == MAGIC:
                    check_preamble(self.source.peek(PREAMBLE_BYTES), self.source.name, self.source.offset)
                    self.source.advance(PREAMBLE_BYTES)
                    least = 4
                elif word >= 0 and self._extra(word):
                    least = 4
                else:
                    found = parse_record(data, at_end)
                    self._extra_frames = 0
                    return found
            except Incomplete:
                if at_end or wanted > _LARGEST_RECORD:
                    self._cut(len(data))
                    return None
                least = len(data) + 1
                wanted = max(wanted, 4 * len(data))
            except FormatError as error:
                if not self._resync(str(error)):
                    return None
                least = 4

    def _extra(self, length: int) -> bool:
        """Skip a frame that its record does not need, if it is one."""
        self._extra_frames += 1
        if self._extra_frames > _MOST_EXTRA:
            raise FormatError("There is no record", expected="a tag", seen=f"{_MOST_EXTRA} frames")
        most = (self.state.config.nsamples + 2) * 2 if self.state else 1 << 16
        frame = self.source.peek(4 + length + 4) if length <= max(most, 1 << 16) else np.zeros(0, np.uint8)
        if len(frame) < 4 + length:
            raise FormatError("There is no record", expected="a tag", seen=length)
        if len(frame) == 8 + length and word_at(frame, 4 + length) < MAGIC:
            raise FormatError("There is no record", expected="a tag", seen=length)
        self.source.advance(4 + length)
        return True

    def _resync(self, why: str) -> bool:
        """Look for the next record like one before; tell what is skipped."""
        begin = self.source.offset
        patterns = [np.array([-tag, 4], "<i4").tobytes() for tag in _SEARCHED]
        while True:
            data = self.source.peek(1 << 22).tobytes()
            hits = sorted(
                at for one in patterns for at in _all_finds(data, one) if at and self._plausible(data, at)
            )
            if hits:
                self.source.advance(hits[0])
                break
            if len(data) < 1 << 22:
                self.source.advance(len(data))
                self._tell(f"{why}; nothing follows that makes sense, {len(data)} bytes are lost", begin)
                return False
            self.source.advance(len(data) - 64)
        self.resyncs += 1
        self._tell(f"{why}; {self.source.offset - begin} bytes are skipped", begin)
        return True

    def _plausible(self, data: bytes, at: int) -> bool:
        """Tell whether the first frames of a record at `at` have the sizes seen before."""
        tag = -int.from_bytes(data[at : at + 4], "little", signed=True)
        known = self._layouts.get((tag, -1)) or self._layouts.get((tag, 0))
        if known is None:
            return False
        frames = known.size[:5]
        words = [data[at + begin - 4 : at + begin] for begin in known.begin[:5]]
        return words == [size.to_bytes(4, "little") for size in frames]

    def _cut(self, nbytes: int) -> None:
        self._tell(f"the stream ends within a record, its first {nbytes} bytes are lost", self.source.offset)

    def _tell(self, what: str, offset: int) -> None:
        if len(self.problems) < _MOST_TOLD:
            self.problems.append(f"{self.source.name}: offset {offset}: {what}")


def _all_finds(data: bytes, pattern: bytes) -> list[int]:
    found: list[int] = []
    at = data.find(pattern)
    while at >= 0 and len(found) < 1000:
        found.append(at)
        at = data.find(pattern, at + 1)
    return found
