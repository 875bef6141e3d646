"""Decoders of what a FlashCam listener in ORCA says about its set-up and the state of its cards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.lh5 import RaggedBlock
from sapwood.fileio.raw.buffer import RawBuffer
from sapwood.fileio.raw.decoder import DataDecoder
from sapwood.fileio.raw.orca.decoder import WRONG_SIZE, OrcaDecoder
from sapwood.streams import FrameBatch

__all__ = ["ORFlashCamListenerConfigDecoder", "ORFlashCamListenerStatusDecoder"]

_VECTORS = "array<1>{array<1>{real}}"

_CONFIG_FIELDS = (
    "streamid",
    "nadcs",
    "ntriggers",
    "nsamples",
    "adcbits",
    "sumlength",
    "blprecision",
    "mastercards",
    "triggercards",
    "adccards",
    "gps",
)
_CONFIG_WORDS = 13  # up to the map of channels


def _vector(dtype: str, **facts: Any) -> dict[str, Any]:
    return {"dtype": dtype, "datatype": _VECTORS, **facts}


class ORFlashCamListenerConfigDecoder(OrcaDecoder):
    """Set-up of a listener: settings, map of the channels, revisions and ids of the boards."""

    is_event = False
    reads_ahead = True
    least_words = _CONFIG_WORDS
    decoded_values: Mapping[str, Mapping[str, Any]] = {
        "packet_id": {"dtype": "uint32"},
        "packet_len": {"dtype": "uint32"},
        "readout_id": {"dtype": "uint16"},
        "fcid": {"dtype": "uint16"},
        **{name: {"dtype": "int32"} for name in _CONFIG_FIELDS},
        "ch_board_id": _vector("uint16"),
        "ch_inputnum": _vector("uint16"),
        "board_rev": _vector("uint8"),
        "board_uid": _vector("uint64"),
    }

    def look_ahead(self, decoders: list[DataDecoder], packet: NDArray[np.uint8], *, early: bool) -> None:
        """Tell the decoders of waveforms how long these are and where channels lie."""
        words = packet.view("<u4")
        if not self._is_whole(words):
            return
        row = self._row(words)
        for decoder in decoders:
            configure = getattr(decoder, "configure", None)
            if configure is not None:
                configure(int(row["fcid"]), row)

    def decode_batch(
        self, packets: FrameBatch, packet_ids: NDArray[np.uint32], buffers: Mapping[Any, RawBuffer]
    ) -> None:
        """Decode packets one by one: there are few."""
        packets, packet_ids = self.sound(packets, packet_ids)
        whole = np.array(
            [self._is_whole(packets.frame_bytes(row).view("<u4")) for row in range(len(packets))], bool
        )
        packets, packet_ids = self.sift(packets, packet_ids, whole, WRONG_SIZE)
        rows = []
        for index, packet_id in enumerate(packet_ids.tolist()):
            words = packets.frame_bytes(index).view("<u4")
            rows.append({"packet_id": packet_id, "packet_len": len(words)} | self._row(words))
        if rows:
            self._put(None, as_block(self.decoded_values, rows), buffers, rows=len(rows))

    @staticmethod
    def _is_whole(words: NDArray[np.uint32]) -> bool:
        return len(words) >= _CONFIG_WORDS and _CONFIG_WORDS + int(words[3]) <= len(words)

    @staticmethod
    def _row(words: NDArray[np.uint32]) -> dict[str, Any]:
        row: dict[str, Any] = {"readout_id": int(words[1]) >> 16, "fcid": int(words[1]) & 0xFFFF}
        row |= zip(_CONFIG_FIELDS, words[2:_CONFIG_WORDS].view("<i4").tolist(), strict=True)
        end = _CONFIG_WORDS + row["nadcs"]
        channels = words[_CONFIG_WORDS:end]
        row["ch_board_id"], row["ch_inputnum"] = channels >> 16, channels & 0xFFFF
        cards = max(row["adccards"], 0)
        revisions = words[end : end + -(-cards // 4)]
        uids = words[end + len(revisions) : end + len(revisions) + 2 * cards].astype(np.uint64)
        uids = uids[: len(uids) // 2 * 2].reshape(-1, 2)
        row["board_rev"] = np.frombuffer(revisions.tobytes(), np.uint8)[:cards]
        row["board_uid"] = uids[:, 0] << np.uint64(32) | uids[:, 1]
        return row


def as_block(declared: Mapping[str, Mapping[str, Any]], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return rows, each a dictionary, as columns: arrays, and `RaggedBlock` where vectors are declared."""
    block: dict[str, Any] = {}
    for name, facts in declared.items():
        dtype, values = np.dtype(facts["dtype"]), [row[name] for row in rows]
        if facts.get("datatype") == _VECTORS:
            flat = np.concatenate(values).astype(dtype)
            block[name] = RaggedBlock(flat, np.array([len(value) for value in values], np.int64))
        else:
            block[name] = np.array(values).astype(dtype)
    return block


_CARD_COUNTERS = {  # column -> word of a card's status
    "card_id": 0,
    "card_status": 1,
    "card_eventnumber": 2,
    "card_pps_count": 3,
    "card_clock_tick_count": 4,
    "card_max_clock_ticks": 5,
    "card_n_env_vals": 6,
    "card_n_cti_links": 7,
    "card_n_link_states": 8,
    "card_n_errors_tot": 10,
    "card_n_env_errors": 11,
    "card_n_cti_errors": 12,
    "card_n_link_errors": 13,
}
_CARD_SLICES = {  # column -> words of a card's status
    "card_n_other_errors": (14, 19),
    "card_temps": (19, 24),
    "card_voltages": (24, 30),
    "card_main_current": (30, 31),
    "card_humidity": (31, 32),
}
_CARD_COUNTED = {  # column -> column that counts them, first word of a card, the count's zero, most
    "card_adc_temps": ("card_n_env_vals", 32, 13, 16),
    "card_cti_links": ("card_n_cti_links", 35, 0, 4),
    "card_link_states": ("card_n_link_states", 39, 0, 256),
}
_CARD_WORDS = 39  # up to the states of links
_STATUS_WORDS = 15  # up to the first card


class ORFlashCamListenerStatusDecoder(OrcaDecoder):
    """State of all cards of a listener, one row a packet: vectors run over the cards.

    Of each card there are 5 temperatures, 6 voltages and 5 other errors, and as many temperatures
    of its daughter cards, links and states of links as its counts say (the first 13 of
    ``card_n_env_vals`` are in columns of their own).
    """

    is_event = False
    least_words = _STATUS_WORDS
    decoded_values: Mapping[str, Mapping[str, Any]] = {
        "packet_id": {"dtype": "uint32"},
        "readout_id": {"dtype": "uint16"},
        "fcid": {"dtype": "uint16"},
        "status": {"dtype": "int32"},
        "statustime": {"dtype": "float64", "units": "s"},
        "cputime": {"dtype": "float64", "units": "s"},
        "startoffset": {"dtype": "float64", "units": "s"},
        "n_cards": {"dtype": "int32"},
        "card_data_size": {"dtype": "int32"},
        **{name: _vector("uint32") for name in _CARD_COUNTERS},
        "card_n_other_errors": _vector("uint32"),
        "card_temps": _vector("int32", units="mC"),
        "card_voltages": _vector("int32", units="mV"),
        "card_main_current": _vector("int32", units="mA"),
        "card_humidity": _vector("int32", units="o/oo"),
        "card_adc_temps": _vector("int32", units="mC"),
        "card_cti_links": _vector("uint32"),
        "card_link_states": _vector("uint32"),
    }

    def decode_batch(
        self, packets: FrameBatch, packet_ids: NDArray[np.uint32], buffers: Mapping[Any, RawBuffer]
    ) -> None:
        """Decode packets one by one, their cards at once."""
        packets, packet_ids = self.sound(packets, packet_ids)
        whole = np.array(
            [self._is_whole(packets.frame_bytes(row).view("<u4")) for row in range(len(packets))], bool
        )
        packets, packet_ids = self.sift(packets, packet_ids, whole, WRONG_SIZE)
        rows = [
            {"packet_id": packet_id} | self._row(packets.frame_bytes(index).view("<u4"))
            for index, packet_id in enumerate(packet_ids.tolist())
        ]
        if rows:
            self._put(None, as_block(self.decoded_values, rows), buffers, rows=len(rows))

    @staticmethod
    def _is_whole(words: NDArray[np.uint32]) -> bool:
        cards, size = int(words[13]), int(words[14])
        return (not cards or size >= _CARD_WORDS) and _STATUS_WORDS + cards * size <= len(words)

    @staticmethod
    def _row(words: NDArray[np.uint32]) -> dict[str, Any]:
        signed = words[:_STATUS_WORDS].view("<i4").tolist()
        n_cards, size = signed[13], signed[14]
        width = size if n_cards else _CARD_WORDS
        cards = words[_STATUS_WORDS : _STATUS_WORDS + n_cards * width].reshape(n_cards, width)
        row: dict[str, Any] = {
            "readout_id": int(words[1]) >> 16,
            "fcid": int(words[1]) & 0xFFFF,
            "status": signed[2],
            "statustime": signed[3] + 1e-6 * signed[4],
            "cputime": signed[5] + 1e-6 * signed[6],
            "startoffset": signed[8] + 1e-6 * signed[9],
            "n_cards": n_cards,
            "card_data_size": size,
        }
        row |= {name: cards[:, word] for name, word in _CARD_COUNTERS.items()}
        row |= {name: cards[:, a:b].reshape(-1) for name, (a, b) in _CARD_SLICES.items()}
        for name, (counter, first, zero, most) in _CARD_COUNTED.items():
            counts = np.clip(row[counter].astype(np.int64) - zero, 0, min(most - zero, size - first))
            part = cards[:, first : first + most - zero]
            row[name] = part[np.arange(part.shape[1]) < counts[:, None]]
        return row
