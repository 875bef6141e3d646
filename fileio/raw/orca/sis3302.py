"""Decoder of Struck SIS3302 waveforms and energies in ORCA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.raw.buffer import RawBuffer
from sapwood.fileio.raw.columns import distinct
from sapwood.fileio.raw.orca.decoder import WRONG_SIZE, WRONG_TRAILER, word_rows
from sapwood.fileio.raw.orca.struck import StruckDecoder, channel_key, mask_bits
from sapwood.fileio.raw.orca.waves import alike, fitted, waveform
from sapwood.fileio.raw.rowbytes import cut
from sapwood.streams import FrameBatch

__all__ = ["ORSIS3302DecoderForEnergy"]

_HEAD, _WRAP, _TAIL = 6, 2, 4  # words before the samples, more of them with a wrap, words at the end
_TRAILER = 0xDEADBEEF


class ORSIS3302DecoderForEnergy(StruckDecoder):
    """Waveform, energy and time of each trigger of a channel."""

    card_class = "ORSIS3302Model"
    dt = 10.0
    least_words = _HEAD + _TAIL
    columns: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "packet_id": {"dtype": "uint32"},
        "energy": {"dtype": "uint32", "units": "adc"},
        "energy_first": {"dtype": "uint32"},
        "timestamp": {"dtype": "uint64", "units": "clock_ticks"},
        "crate": {"dtype": "uint8"},
        "card": {"dtype": "uint8"},
        "channel": {"dtype": "uint8"},
    }

    def channels(self, settings: Mapping[str, Any]) -> dict[int, int]:
        """Return the channels of the trigger masks; two and two share a length."""
        lengths = settings.get("sampleLengths")
        masks = (settings.get("internalTriggerEnabledMask"), settings.get("externalTriggerEnabledMask"))
        chosen = sorted({bit for mask in masks for bit in mask_bits(mask, 8)})
        known = lengths if isinstance(lengths, list) else []
        return {
            channel: int(known[channel // 2])
            for channel in chosen
            if channel // 2 < len(known)
            and isinstance(known[channel // 2], int)
            and 0 <= known[channel // 2] < 1 << 24
        }

    def decode_batch(
        self, packets: FrameBatch, packet_ids: NDArray[np.uint32], buffers: Mapping[Any, RawBuffer]
    ) -> None:
        """Decode packets of all channels."""
        packets, packet_ids = self.sound(packets, packet_ids)
        packets, packet_ids = self._whole(packets, packet_ids)
        if not len(packets):
            return
        word = word_rows(packets, 1, 1)[:, 0]
        keys = channel_key(word >> 21 & 0xF, word >> 16 & 0x1F, word >> 8 & 0xFF)
        for key in distinct(keys).tolist():
            if key in buffers:
                rows = np.flatnonzero(keys == key)
                self._decode_channel(key, packets[rows], packet_ids[rows], buffers)
            else:
                self.skip(key, int(np.count_nonzero(keys == key)))

    def _whole(
        self, packets: FrameBatch, packet_ids: NDArray[np.uint32]
    ) -> tuple[FrameBatch, NDArray[np.uint32]]:
        """Keep packets whose fields agree with their length and that end as they must."""
        if not len(packets):
            return packets, packet_ids
        head = word_rows(packets, 0, _HEAD).astype(np.int64)
        words = _HEAD + _WRAP * (head[:, 1] & 1) + head[:, 2] + head[:, 3] + _TAIL
        packets, packet_ids = self.sift(packets, packet_ids, 4 * words == packets.size, WRONG_SIZE)
        ends = FrameBatch(packets.payload, packets.start + packets.size - 4, 4)
        last = word_rows(ends, 0, 1)[:, 0] if len(packets) else np.empty(0, np.uint32)
        return self.sift(packets, packet_ids, last == _TRAILER, WRONG_TRAILER)

    def _decode_channel(
        self, key: int, packets: FrameBatch, packet_ids: NDArray[np.uint32], buffers: Mapping[Any, RawBuffer]
    ) -> None:
        head = word_rows(packets, 0, _HEAD)
        tail = word_rows(
            FrameBatch(packets.payload, packets.start + packets.size - 4 * _TAIL, 4 * _TAIL), 0, _TAIL
        )
        block: dict[str, Any] = {
            "packet_id": packet_ids,
            "energy": tail[:, 0],
            "energy_first": tail[:, 1],
            "timestamp": (head[:, 4] >> 16).astype(np.uint64) << np.uint64(32) | head[:, 5],
            "crate": (head[:, 1] >> 21 & 0xF).astype(np.uint8),
            "card": (head[:, 1] >> 16 & 0x1F).astype(np.uint8),
            "channel": (head[:, 1] >> 8 & 0xFF).astype(np.uint8),
        }
        block["waveform"] = waveform(self._samples(key, packets, head), self.dt)
        buffers[key].put(block)

    def _samples(self, key: int, packets: FrameBatch, head: NDArray[np.uint32]) -> NDArray[np.uint16]:
        length = self.lengths.get(key, 2 * int(head[0, 2]))
        groups = alike(head[:, 1] & 1, head[:, 2])
        if len(groups) == 1:
            return fitted(self._of_one_layout(key, packets, head[0]), length)
        out = np.zeros((len(packets), length), np.uint16)
        for rows in groups:
            out[rows] = fitted(self._of_one_layout(key, packets[rows], head[rows[0]]), length)
        return out

    def _of_one_layout(self, key: int, packets: FrameBatch, head: NDArray[np.uint32]) -> NDArray[np.uint16]:
        wrapped, count = bool(head[1] & 1), 2 * int(head[2])
        self.note_length(key, count)
        first = _HEAD + _WRAP * wrapped
        samples: NDArray[np.uint16] = cut(packets, 4 * first, 2 * count).view("<u2")
        if not wrapped or not count:
            return samples
        begin = (word_rows(packets, first - 1, 1).astype(np.int64) + 1) % count
        return np.take_along_axis(samples, (begin + np.arange(count)) % count, axis=1)
