"""ORCA streams: the header makes the decoders, packets are found, damage is skipped and told."""

from __future__ import annotations

import os
from contextlib import closing
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.raw.errors import BadStreamError
from sapwood.fileio.raw.orca.decoder import OrcaDecoder
from sapwood.fileio.raw.orca.header import HEADER_DECODER, OrcaHeader
from sapwood.fileio.raw.orca.packets import LONG_ID, Walk, find_packets, is_orca, masked_id, walk
from sapwood.fileio.raw.orca.plist import parse_plist
from sapwood.fileio.raw.rowbytes import first_words
from sapwood.fileio.raw.source import FileSource, ReadingSource, Source, open_source
from sapwood.fileio.raw.streamer import PacketBlock, PacketStream
from sapwood.streams import FrameBatch

__all__ = ["OrcaStream", "read_header"]


_AHEAD = 4 << 20  # bytes looked through for set-up before tables are made; more when some is missing
_HEAD = 12  # bytes by which any packet is known
_MOST_RESYNCS = 20_000
_MOST_TOLD = 1000
_HOMES = {
    "records": (HEADER_DECODER, "ORRunDecoderForRun"),
    "flashcam": ("ORFlashCamADCWaveformDecoder", "ORFlashCamWaveformDecoder"),
    "listener": ("ORFlashCamListenerConfigDecoder", "ORFlashCamListenerStatusDecoder"),
    "fcio": ("ORFCIOConfigDecoder", "ORFCIOEventDecoder", "ORFCIOEventHeaderDecoder", "ORFCIOStatusDecoder"),
    "sis3302": ("ORSIS3302DecoderForEnergy",),
    "sis3316": ("ORSIS3316WaveformDecoder",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def read_header(source: Source) -> tuple[OrcaHeader, NDArray[np.uint8]]:
    """Return the header of the stream and its packet; nothing is consumed.

    Raises
    ------
    BadStreamError
        When the stream does not begin with one.
    """
    head = source.peek(12)
    if not len(head):
        raise BadStreamError("There is no orca data in file", file=source.name, offset=0)
    if not is_orca(head):
        raise BadStreamError(
            "The stream does not begin with an ORCA header",
            file=source.name,
            offset=0,
            expected="a packet with data id 0 that holds XML",
            seen=bytes(head).hex(),
        )
    words, nbytes = head[:8].view("<u4").tolist()
    packet = source.peek(4 * words)
    if len(packet) < 4 * words:
        raise BadStreamError(
            "The ORCA header is cut off", file=source.name, offset=0, expected=4 * words, seen=len(packet)
        )
    return OrcaHeader(parse_plist(packet[8 : 8 + nbytes].tobytes(), file=source.name, offset=8)), packet


class OrcaStream(PacketStream):
    """Packets of an ORCA file.

    Parameters
    ----------
    source
        Where the bytes come from.
    with_decoders
        Whether packets are to be decoded; else all that counts is where they lie.

    Attributes
    ----------
    header
        Filled by `begin`.
    """

    decoders: list[OrcaDecoder]  # type: ignore[assignment]  # narrower, filled here only

    def __init__(self, source: Source, *, with_decoders: bool = True) -> None:
        super().__init__(source)
        self._with_decoders = with_decoders
        self.header = OrcaHeader()
        self._names: dict[int, str] = {}
        self._index: dict[int, int] = {}  # data id -> decoder
        self._next_id = 0

    def begin(self) -> PacketBlock:
        """Read the header; return its packet.

        Raises
        ------
        BadStreamError
            When this is no ORCA stream.
        """
        self.header, packet = read_header(self.source)
        self._names = self.header.data_ids()
        self._index = dict.fromkeys(self._names, -1)
        if self._with_decoders:
            self._make_decoders()
        self.source.advance(len(packet))
        self._look_ahead()
        batch = FrameBatch(packet, np.zeros(1, np.int64), len(packet))
        return self._block(batch, np.zeros(1, np.int8))

    def _make_decoders(self) -> None:
        offered = sorted(name for name in set(self._names.values()) - {HEADER_DECODER} if name in _HOME_OF)
        shared: dict[str, object] = {}
        for name in [HEADER_DECODER, *offered]:
            kind = getattr(import_module(f"sapwood.fileio.raw.orca.{_HOME_OF[name]}"), name)
            decoder: OrcaDecoder = kind()
            decoder.tell = self._tell
            decoder.share(shared)
            decoder.set_header(self.header)
            self.decoders.append(decoder)
        places = {type(decoder).__name__: index for index, decoder in enumerate(self.decoders)}
        self._index = {word: places.get(name, -1) for word, name in self._names.items()}

    def _look_ahead(self) -> None:
        """Let packets of set-up be known before tables are made."""
        if not any(one.reads_ahead for one in self.decoders):
            return
        least = _AHEAD if self._can_be_read_twice() else _HEAD
        while True:
            data = self.source.peek(_AHEAD, least=least)
            found = walk(data, self._index.keys(), _AHEAD)
            self._heed(FrameBatch(data, found.start, found.size), found.word)
            if not self._lacks_setup() or not least <= len(data) < _AHEAD:
                break
            least = len(data) + 1  # of a live stream only as much as it takes
        if self._lacks_setup() and len(data) == _AHEAD and self._can_be_read_twice():
            self._look_through()

    def _look_through(self) -> None:
        """Look for set-up that is missing in the whole file."""
        with closing(open_source(self.source.name)) as source:
            ahead = OrcaStream(source, with_decoders=False)
            ahead.begin()
            while self._lacks_setup() and (block := ahead.next_block(_AHEAD, _AHEAD)) is not None:
                self._heed(block.packets, first_words(block.packets, 1)[:, 0])

    def _lacks_setup(self) -> bool:
        return any(one.lacks_setup for one in self.decoders)

    def _can_be_read_twice(self) -> bool:
        return isinstance(self.source, FileSource | ReadingSource) and os.path.isfile(self.source.name)

    def _heed(self, batch: FrameBatch, word: NDArray[np.uint32]) -> None:
        """Let packets of set-up be known, among some with these words 0."""
        decoder = self._decoder_of(word)
        for row in np.flatnonzero(self._reads_ahead(decoder)).tolist():
            self.decoders[decoder[row]].look_ahead(self.decoders, batch.frame_bytes(row), early=True)

    def next_block(self, nbytes: int, packets: int) -> PacketBlock | None:
        """Return the next packets; damage between them is skipped."""
        while True:
            data = self.source.peek(nbytes, least=_HEAD)
            found = walk(data, self._index.keys(), packets)
            while not len(found) and found.fault == "partial" and found.wanted > len(data):
                before, data = len(data), self.source.peek(found.wanted)
                if len(data) == before:
                    break
                found = walk(data, self._index.keys(), 1)
            if len(found):
                return self._take(data, found)
            if not len(data) or not self._go_on(len(data), found):
                return None

    def _take(self, data: NDArray[np.uint8], found: Walk) -> PacketBlock:
        """Consume packets, up to the next one that tells how to decode."""
        decoder = self._decoder_of(found.word)
        telling = self._reads_ahead(decoder)
        stop = int(np.argmax(telling[1:])) + 1 if telling[1:].any() else len(found)
        batch = FrameBatch(data, found.start[:stop], found.size[:stop])
        if telling[0]:
            self.decoders[decoder[0]].look_ahead(self.decoders, batch.frame_bytes(0), early=False)
        end = int(found.start[stop - 1] + found.size[stop - 1])
        self._count_unknown(found.word[:stop], decoder[:stop])
        self.source.advance(end)
        return self._block(batch, decoder[:stop])

    def _block(self, batch: FrameBatch, decoder: NDArray[np.int8]) -> PacketBlock:
        first, self._next_id = self._next_id, self._next_id + len(batch)
        return PacketBlock(batch, decoder, first)

    def _decoder_of(self, word: NDArray[np.uint32]) -> NDArray[np.int8]:
        """Return the decoder of each packet by its word 0."""
        kinds, inverse = np.unique(word, return_inverse=True)
        index = [self._index.get(masked_id(kind), -1) for kind in kinds.tolist()]
        return np.array(index, np.int8)[inverse.reshape(-1)]

    def _reads_ahead(self, decoder: NDArray[np.int8]) -> NDArray[np.bool_]:
        telling = [index for index, one in enumerate(self.decoders) if one.reads_ahead]
        return np.isin(decoder, telling)

    def _count_unknown(self, word: NDArray[np.uint32], decoder: NDArray[np.int8]) -> None:
        if not (decoder < 0).any():
            return
        kinds, counts = np.unique(word[decoder < 0], return_counts=True)
        for kind, count in zip(kinds.tolist(), counts.tolist(), strict=True):
            self.count_unknown(self._names.get(masked_id(kind), HEADER_DECODER), count)
            if not kind & LONG_ID:
                self._tell(
                    f"another header among the packets before offset {self.source.offset + 1}; it is skipped"
                )

    def _go_on(self, there: int, found: Walk) -> bool:
        """Skip what is no packet; return whether packets follow."""
        offset, cut = self.source.offset, found.fault == "partial"
        if self.resyncs >= _MOST_RESYNCS:
            self._tell(f"damaged in too many places: what comes after offset {offset} is not read")
            return False
        skipped = find_packets(self.source, self._index.keys(), lone_end=not cut)
        if skipped is None:
            what = (
                f"the last packet is cut off: only got {there} of {found.wanted} bytes"
                if cut
                else "no packet begins here and none follows"
            )
            self._tell(f"{what}, at offset {offset}")
            return False
        self.resyncs += 1
        self._tell(f"{skipped} bytes that are no packets are skipped at offset {offset}")
        return True

    def _tell(self, text: str) -> None:
        if len(self.problems) < _MOST_TOLD or self.resyncs >= _MOST_RESYNCS:
            self.problems.append(f"{self.source.name}: {text}")
