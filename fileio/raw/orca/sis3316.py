"""Decoder of Struck SIS3316 events in ORCA: several a packet, with the fields that their format bits name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.raw.buffer import RawBuffer
from sapwood.fileio.raw.columns import distinct
from sapwood.fileio.raw.orca.decoder import WRONG_SIZE, word_rows
from sapwood.fileio.raw.orca.struck import StruckDecoder, channel_key, mask_bits
from sapwood.fileio.raw.orca.waves import alike, fitted, waveform
from sapwood.fileio.raw.rowbytes import cut
from sapwood.streams import FrameBatch

__all__ = ["ORSIS3316WaveformDecoder"]

_HEAD = 10  # words before the first event
_SAMPLES = 0x03FFFFFF  # of the word before the samples: words of them
_ADC = ("peakHighValue", "peakHighIndex", *(f"accSum{index}" for index in range(1, 9)))
_MAW = ("mawMax", "mawBefore", "mawAfter", "startEnergy", "maxEnergy")
_BLOCKS = (  # words after the time that a format bit brings, and the columns of whole words among them
    (7, {"accSum2": 2, "accSum3": 3, "accSum4": 4, "accSum5": 5, "accSum6": 6}),
    (2, {"accSum7": 0, "accSum8": 1}),
    (3, {"mawMax": 0, "mawBefore": 1, "mawAfter": 2}),
    (2, {"startEnergy": 0, "maxEnergy": 1}),
)


class ORSIS3316WaveformDecoder(StruckDecoder):
    """Waveform, time and what the firmware found in each event of a channel.

    Fields that an event does not have are 0. ``energy`` is its ``maxEnergy``, ``energy_first`` its
    ``startEnergy``.
    """

    card_class = "ORSIS3316Model"
    dt = 8.0
    least_words = _HEAD
    columns: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "packet_id": {"dtype": "uint32"},
        "energy": {"dtype": "uint32", "units": "adc"},
        "energy_first": {"dtype": "uint32"},
        "timestamp": {"dtype": "uint64", "units": "clock_ticks"},
        **{name: {"dtype": "uint32", "units": "adc"} for name in _ADC},
        "information": {"dtype": "uint32"},
        **{name: {"dtype": "uint32", "units": "adc"} for name in _MAW},
        "crate": {"dtype": "uint8"},
        "card": {"dtype": "uint8"},
        "channel": {"dtype": "uint8"},
    }

    def channels(self, settings: Mapping[str, Any]) -> dict[int, int]:
        """Return the channels of the mask; all have one length."""
        length = settings.get("rawDataBufferLen")
        if not isinstance(length, int) or not 0 <= length < 1 << 25:
            return {}
        return dict.fromkeys(mask_bits(settings.get("enabledMask"), 16), length)

    def decode_batch(
        self, packets: FrameBatch, packet_ids: NDArray[np.uint32], buffers: Mapping[Any, RawBuffer]
    ) -> None:
        """Decode packets of all channels."""
        packets, packet_ids = self.sound(packets, packet_ids)
        if not len(packets):
            return
        head = word_rows(packets, 0, _HEAD).astype(np.int64)
        fits = 4 * (_HEAD + head[:, 2] * head[:, 3]) <= packets.size
        good = fits & (head[:, 3] >= 3) | (head[:, 2] == 0)
        packets, packet_ids = self.sift(packets, packet_ids, good, WRONG_SIZE)
        head = head[good]
        if not len(packets):
            return
        word = head[:, 1]
        keys = channel_key(word >> 21 & 0xF, word >> 16 & 0x1F, word >> 8 & 0xFF)
        for key in distinct(keys).tolist():
            rows = np.flatnonzero(keys == key)
            events, owner = _events(packets[rows], head[rows])
            if key not in buffers:
                self.skip(key, len(events))
            elif len(events):
                self._decode_channel(key, events, packets[rows], packet_ids[rows], owner, buffers[key])

    def _decode_channel(
        self,
        key: int,
        events: FrameBatch,
        packets: FrameBatch,
        packet_ids: NDArray[np.uint32],
        owner: NDArray[np.int64],
        buffer: RawBuffer,
    ) -> None:
        layout = _Layout(events)
        good = layout.whole()
        if not good.all():
            _, _ = self.sift(packets, packet_ids, ~np.isin(np.arange(len(packets)), owner[~good]), WRONG_SIZE)
            events, owner = events[good], owner[good]
            layout = _Layout(events)
        if not len(events):
            return
        word = word_rows(packets, 1, 1)[:, 0][owner]
        block = layout.fields()
        block |= {
            "packet_id": packet_ids[owner],
            "energy": block["maxEnergy"],
            "energy_first": block["startEnergy"],
            "crate": (word >> 21 & 0xF).astype(np.uint8),
            "card": (word >> 16 & 0x1F).astype(np.uint8),
            "channel": (word >> 8 & 0xFF).astype(np.uint8),
            "waveform": waveform(self._samples(key, layout), self.dt),
        }
        buffer.put(block)

    def _samples(self, key: int, layout: _Layout) -> NDArray[np.uint16]:
        counts = distinct(layout.count).tolist()
        for count in counts:
            self.note_length(key, 2 * count)
        length = self.lengths.get(key, 2 * max(counts))
        parts = [(rows, fitted(samples, length)) for rows, samples in layout.samples()]
        if len(parts) == 1:
            return parts[0][1]
        out = np.zeros((len(layout.events), length), np.uint16)
        for rows, samples in parts:
            out[rows] = samples
        return out


def _events(packets: FrameBatch, head: NDArray[np.int64]) -> tuple[FrameBatch, NDArray[np.int64]]:
    """Return the events of packets, in order, and the row of the packet of each."""
    count = np.where(head[:, 3] >= 3, head[:, 2], 0)
    owner = np.repeat(np.arange(len(packets)), count)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    size = 4 * head[:, 3]
    start = packets.start[owner] + 4 * _HEAD + within * size[owner]
    return FrameBatch(packets.payload, start, size[owner]), owner


class _Layout:
    """Where the fields of events lie, by their format bits."""

    def __init__(self, events: FrameBatch) -> None:
        self.events = events
        self.first = word_rows(events, 0, 2) if len(events) else np.empty((0, 2), np.uint32)
        bits = self.first[:, 0] & 0xF
        self.bits = bits
        steps = [np.where(bits >> bit & 1, width, 0) for bit, (width, _) in enumerate(_BLOCKS)]
        self.begin = [2 + sum(steps[:bit], np.zeros(len(bits), np.int64)) for bit in range(len(_BLOCKS))]
        self.last = 2 + sum(steps, np.zeros(len(bits), np.int64))  # the word before the samples
        inside = 4 * (self.last + 1) <= events.size
        self.count = np.zeros(len(bits), np.int64)
        self.count[inside] = self._words(self.last, inside) & _SAMPLES

    def _words(self, word: NDArray[np.int64], rows: NDArray[np.bool_]) -> NDArray[np.uint32]:
        """Return one word of each of the events `rows`, each at its own place."""
        places = FrameBatch(self.events.payload, self.events.start[rows] + 4 * word[rows], 4)
        return word_rows(places, 0, 1)[:, 0]

    def whole(self) -> NDArray[np.bool_]:
        """Tell which events have the size that their fields add up to."""
        whole: NDArray[np.bool_] = 4 * (self.last + 1 + self.count) == self.events.size
        return whole

    def fields(self) -> dict[str, Any]:
        """Return time and fields, shape (n,) each, 0 where an event lacks one."""
        rows = len(self.events)
        block: dict[str, Any] = {name: np.zeros(rows, np.uint32) for name in (*_ADC, "information", *_MAW)}
        high = (self.first[:, 0] >> 16).astype(np.uint64)
        block["timestamp"] = high << np.uint64(32) | self.first[:, 1]
        for bit, (_, columns) in enumerate(_BLOCKS):
            there = (self.bits >> bit & 1).astype(bool)
            for name, word in columns.items():
                block[name][there] = self._words(self.begin[bit] + word, there)
        there = (self.bits & 1).astype(bool)
        peak, sums = (self._words(self.begin[0] + word, there) for word in (0, 1))
        block["peakHighValue"][there], block["peakHighIndex"][there] = peak & 0xFFFF, peak >> 16
        block["accSum1"][there], block["information"][there] = sums & 0xFFFFFF, sums >> 24
        return block

    def samples(self) -> list[tuple[NDArray[np.intp], NDArray[np.uint16]]]:
        """Return rows and their samples, shape (rows, samples), for each layout that occurs."""
        parts = []
        for rows in alike(self.last, self.count):
            events = self.events[rows]
            first, count = int(self.last[rows[0]]) + 1, int(self.count[rows[0]])
            parts.append((rows, cut(events, 4 * first, 4 * count).view("<u2")))
        return parts
