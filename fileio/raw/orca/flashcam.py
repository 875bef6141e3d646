"""Decoders of FlashCam waveforms that ORCA packed itself, one trace a packet."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.raw.buffer import RawBuffer
from sapwood.fileio.raw.columns import distinct, select_rows
from sapwood.fileio.raw.fcio.columns import EVENT_COLUMNS
from sapwood.fileio.raw.orca.cards import Listener, find_listeners, key_of
from sapwood.fileio.raw.orca.decoder import WRONG_SIZE, OrcaDecoder, word_rows
from sapwood.fileio.raw.orca.header import OrcaHeader
from sapwood.fileio.raw.orca.waves import alike, fitted, waveform
from sapwood.fileio.raw.rowbytes import cut
from sapwood.streams import FrameBatch

__all__ = ["ORFlashCamADCWaveformDecoder", "ORFlashCamWaveformDecoder"]

_LOG = logging.getLogger("sapwood.fileio.raw.orca")
_DT = 16.0  # ns
_FIELDS = (  # words after ORCA's own
    "mu_offset_sec",
    "mu_offset_usec",
    "to_master_sec",
    "delta_mu_usec",
    "abs_delta_mu_usec",
    "to_start_sec",
    "to_start_usec",
    "dr_start_pps",
    "dr_start_ticks",
    "dr_stop_pps",
    "dr_stop_ticks",
    "dr_maxticks",
    "eventnumber",
    "ts_pps",
    "ts_ticks",
    "ts_maxticks",
)
_LEAST_FCIO = len(_FIELDS) + 1  # with the word of baseline and energy
_SHORT_COLUMNS = {"event_type": "uint8", "fcid": "uint8", "board_id": "uint16", "fc_input": "uint8"}


class ORFlashCamADCWaveformDecoder(OrcaDecoder):
    """One row per trace: times, baseline and energy of the firmware, the waveform.

    The key is ``fcid * 1000000 + address of the card * 100 + input``, by the crate and slot in
    the packet. All inputs of a listener may share a table.
    """

    least_words = 3
    input_field: ClassVar[tuple[int, int]] = (10, 0xF)  # shift and mask in word 2
    channel_mask: ClassVar[int] = 0x3FF

    def set_header(self, header: OrcaHeader) -> None:
        """Find the listeners, their cards and inputs."""
        super().set_header(header)
        self.listeners = {one.fcid: one for one in find_listeners(header)}
        self.setups: dict[int, Mapping[str, Any]] = {}
        self._places: dict[tuple[int, int], tuple[Listener, int]] = {
            place: (one, address) for one in self.listeners.values() for place, address in one.cards.items()
        }
        self._noted: set[object] = set()
        self._begun: set[int] = set()  # buffers whose waveforms have their length for good

    def configure(self, fcid: int, setup: Mapping[str, Any]) -> None:
        """Take over what a listener says about itself; its word counts more than the header's."""
        self.setups[fcid] = setup
        listener, samples = self.listeners.get(fcid), int(setup["nsamples"])
        if listener is None or not 0 < samples <= 0xFFFF or samples == listener.nsamples:
            return
        _LOG.warning(
            "orca miscalculated nsamples = %d for fcid %d, updating to %d", listener.nsamples, fcid, samples
        )
        listener.nsamples = samples

    def get_key_lists(self) -> list[list[Any]]:
        """Return the enabled inputs, one group per listener."""
        return [list(one.keys) for one in self.listeners.values()]

    def get_decoded_values(self, key: Any = None) -> Mapping[str, Mapping[str, Any]]:
        """Return the columns; waveforms have the length of the listener of `key`."""
        columns = {name: dict(facts) for name, facts in EVENT_COLUMNS.items()}
        columns |= {name: {"dtype": dtype} for name, dtype in _SHORT_COLUMNS.items()}
        columns |= {"crate": {"dtype": "uint8"}, "slot": {"dtype": "uint8"}}
        columns["waveform"] = {
            "dtype": "uint16",
            "datatype": "waveform",
            "wf_len": self._samples_of(key),
            "dt": _DT,
            "dt_units": "ns",
            "t0_units": "ns",
        }
        return columns

    def _samples_of(self, key: Any) -> int:
        chosen = self.listeners.get(key // 1_000_000) if isinstance(key, int) else None
        if chosen is not None:
            return chosen.nsamples
        return max((one.nsamples for one in self.listeners.values()), default=0)

    def decode_batch(
        self, packets: FrameBatch, packet_ids: NDArray[np.uint32], buffers: Mapping[Any, RawBuffer]
    ) -> None:
        """Decode packets of all inputs."""
        packets, packet_ids = self.sound(packets, packet_ids)
        layout = _layout(packets)
        good = (layout[:, 0] >= self.least_words) & (layout[:, 1] >= _LEAST_FCIO)
        good &= 4 * (layout[:, 0] + layout[:, 1]) + 2 * layout[:, 2] <= packets.size
        packets, packet_ids = self.sift(packets, packet_ids, good, WRONG_SIZE)
        layout = layout[good]
        if not len(packets):
            return
        keys, block = self._columns(packets, layout)
        block["packet_id"] = packet_ids
        self._resize(keys, buffers)
        self._deliver_waves(keys, block, packets, layout, buffers)

    # Columns

    def _columns(
        self, packets: FrameBatch, layout: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], dict[str, Any]]:
        word = word_rows(packets, 1, 2).astype(np.int64)
        fields = np.empty((len(packets), _LEAST_FCIO), np.int32)
        for rows in alike(layout[:, 0], layout[:, 1]):
            first, end = int(layout[rows[0], 0]), int(layout[rows[0], :2].sum())
            chosen = packets if len(rows) == len(packets) else packets[rows]
            fields[rows, :-1] = word_rows(chosen, first, len(_FIELDS)).view("<i4")
            fields[rows, -1] = word_rows(chosen, end - 1, 1)[:, 0].view("<i4")
        block: dict[str, Any] = {name: fields[:, index] for index, name in enumerate(_FIELDS)}
        last = fields[:, -1].view(np.uint32)
        block |= {"baseline": last.astype(np.uint16), "daqenergy": (last >> 16).astype(np.uint16)}
        shift, mask = self.input_field
        block |= {
            "event_type": (word[:, 0] & 0x1F).astype(np.uint8),
            "crate": (word[:, 1] >> 27).astype(np.uint8),
            "slot": (word[:, 1] >> 22 & 0x1F).astype(np.uint8),
            "fc_input": (word[:, 1] >> shift & mask).astype(np.uint8),
            "channel": (word[:, 1] & self.channel_mask).astype(np.uint16),
        }
        keys = self._place(word[:, 1], block)
        self._times(block)
        return keys, block

    def _place(self, word: NDArray[np.int64], block: dict[str, Any]) -> NDArray[np.int64]:
        """Add the columns of listener and card; return the keys."""
        rows = len(word)
        fcid, board, inputs = (np.zeros(rows, np.int64) for _ in range(3))
        gps = np.zeros(rows, bool)
        inside = word >> 22
        for place in distinct(inside).tolist():
            here = np.flatnonzero(inside == place)
            value = (word[here] & 0x003FC000) >> 10
            found = self._places.get((place >> 5, place & 0x1F))
            if found is None:
                self._note(("place", place), f"no card in crate {place >> 5}, slot {place & 0x1F}")
                board[here] = value >> 4
                continue
            listener, address = found
            if (value != address << 4 & 0xFFF).any():
                self._note(("board", place), f"packets of card {address} have another board number")
            fcid[here], board[here], inputs[here] = listener.fcid, address, len(listener.keys)
            gps[here] = bool(self.setups.get(listener.fcid, {}).get("gps", 0))
        keys: NDArray[np.int64] = key_of(fcid, board, block["fc_input"].astype(np.int64))
        block |= {"fcid": fcid.astype(np.uint8), "dr_ch_len": inputs.astype(np.uint16)}
        block |= {"board_id": self._boards(fcid, board, block), "gps": gps}
        return keys

    def _boards(
        self, fcid: NDArray[np.int64], board: NDArray[np.int64], block: Mapping[str, Any]
    ) -> NDArray[np.uint16]:
        """Return the boards by the listeners' own maps of channels, where there are any."""
        out = board.astype(np.uint16)
        for number, setup in self.setups.items():
            rows = np.flatnonzero((fcid == number) & (block["channel"] < len(setup["ch_board_id"])))
            channel = block["channel"][rows]
            mapped, inputs = setup["ch_board_id"][channel], setup["ch_inputnum"][channel]
            if ((mapped != board[rows]) | (inputs != block["fc_input"][rows])).any():
                self._note(("map", number), f"cards or inputs differ from the map of listener {number}")
            out[rows] = mapped
        return out

    @staticmethod
    def _times(block: dict[str, Any]) -> None:
        """Add the columns of times, and those that a packet says nothing about."""
        rows = len(block["ts_pps"])
        gps = block.pop("gps")
        with np.errstate(divide="ignore", invalid="ignore"):
            runtime = block["ts_pps"] + block["ts_ticks"] / (block["ts_maxticks"].astype(np.int64) + 1)
            dead = (block["dr_stop_pps"].astype(np.int64) - block["dr_start_pps"]).astype(np.float64)
            ticks = block["dr_stop_ticks"].astype(np.int64) - block["dr_start_ticks"]
            dead += np.where(ticks == 0, 0.0, ticks / block["dr_maxticks"])
        offset = block["mu_offset_sec"] + 1e-6 * block["mu_offset_usec"]
        block |= {
            "runtime": runtime,
            "timestamp": runtime + np.where(gps, block["to_master_sec"], offset),
            "deadtime": dead,
            "lifetime": np.zeros(rows),
            "deadinterval_nsec": np.zeros(rows, np.int64),
            "numtraces": np.ones(rows, np.int32),
            "dr_ch_idx": np.zeros(rows, np.uint16),
        }

    # Waveforms

    def _resize(self, keys: NDArray[np.int64], buffers: Mapping[Any, RawBuffer]) -> None:
        """Give waveforms the length of their listener, in buffers where nothing was put yet."""
        for key in distinct(keys).tolist():
            home, samples = buffers.get(key), self._samples_of(key)
            if home is None or not samples or home.lgdo["waveform"].wf_len == samples:
                continue
            if id(home) not in self._begun and not home.loc:
                home.lgdo["waveform"].resize_wf_len(samples)
            else:
                self._note(("length", key), f"waveforms of input {key} are cut or filled up")
        self._begun.update(id(home) for home in buffers.values())

    def _deliver_waves(
        self,
        keys: NDArray[np.int64],
        block: dict[str, Any],
        packets: FrameBatch,
        layout: NDArray[np.int64],
        buffers: Mapping[Any, RawBuffer],
    ) -> None:
        found, which = np.unique(keys, return_inverse=True)
        homes = [buffers.get(key) for key in found.tolist()]
        lengths = [-1 if home is None else home.lgdo["waveform"].wf_len for home in homes]
        by_row = np.array(lengths, np.int64)[which.reshape(-1)]
        for length in dict.fromkeys(lengths):
            rows = np.flatnonzero(by_row == length)
            if length < 0:  # nobody wants them: they are only counted
                self.deliver(keys[rows], {}, {})
                continue
            whole = len(rows) == len(keys)
            part = block if whole else select_rows(block, rows)
            samples = _samples(packets if whole else packets[rows], layout[rows], length)
            self.deliver(keys[rows], part | {"waveform": waveform(samples, _DT)}, buffers)

    def _note(self, what: object, text: str) -> None:
        if what not in self._noted:
            self._noted.add(what)
            self.tell(f"{type(self).__name__}: {text}")


class ORFlashCamWaveformDecoder(ORFlashCamADCWaveformDecoder):
    """Traces as older versions of ORCA packed them: the input has five bits, the channel nine."""

    input_field = (9, 0x1F)
    channel_mask = 0x1FF


def _layout(packets: FrameBatch) -> NDArray[np.int64]:
    """Return words of ORCA, words of FlashCam and samples of every packet, shape (n, 3)."""
    if not len(packets):
        return np.empty((0, 3), np.int64)
    word = word_rows(packets, 1, 1)[:, 0].astype(np.int64)
    return np.stack([word >> 28, word >> 22 & 0x3F, word >> 6 & 0xFFFF], axis=1)


def _samples(packets: FrameBatch, layout: NDArray[np.int64], length: int) -> NDArray[np.uint16]:
    """Return waveforms of one length, shape (n, length); a view where possible."""
    groups = alike(*layout.T)
    out = None if len(groups) == 1 else np.zeros((len(packets), length), np.uint16)
    for rows in groups:
        first, count = int(layout[rows[0], :2].sum()), int(layout[rows[0], 2])
        chosen = packets if out is None else packets[rows]
        part: NDArray[np.uint16] = fitted(cut(chosen, 4 * first, 2 * count).view("<u2"), length)
        if out is None:
            return part
        out[rows] = part
    return np.zeros((0, length), np.uint16) if out is None else out
