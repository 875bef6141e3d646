"""The table ``LLAMAEvent``: one row per event of a channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.raw.buffer import RawBuffer
from sapwood.fileio.raw.decoder import DataDecoder
from sapwood.fileio.raw.llama.config import Layout, LlamaConfig
from sapwood.fileio.raw.llama.headerdecoder import START_ACCURACY_S
from sapwood.fileio.raw.rowbytes import cut, first_words
from sapwood.streams import FrameBatch

__all__ = ["NO_SENSE", "LLAMAEventDecoder"]

NO_SENSE = 2  # garbage: the words of the event contradict the configuration of its channel

_COLUMNS: dict[str, dict[str, Any]] = {
    "packet_id": {"dtype": "uint32"},
    "fadc_channel_id": {"dtype": "uint32"},
    "time_since_run_start": {"dtype": "float64", "units": "s"},
    "unixtime": {"dtype": "float64", "units": "s"},
    "unixtime_accuracy": {"dtype": "float64", "units": "s"},
    "fadc_status_bits": {"dtype": "uint32"},
}
_ADC = {"dtype": "uint32", "units": "adc"}
# Columns of the optional blocks, by format bit.
_BLOCKS: tuple[tuple[str, ...], ...] = (
    (
        "wf_max_sample_value",
        "wf_max_sample_idx",
        "info_bits",
        "cumsum_1",
        "cumsum_2",
        "cumsum_3",
        "cumsum_4",
        "cumsum_5",
        "cumsum_6",
    ),
    ("cumsum_7", "cumsum_8"),
    ("maw_max", "maw_before", "maw_after"),
    ("start_energy", "max_energy"),
)
_STATUS_BIT = 26


class LLAMAEventDecoder(DataDecoder):
    """Makes rows of events; their columns follow from the format bits of the channel.

    Parameters
    ----------
    config
        Header of the file.
    """

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self._start = config.start
        self._channels = config.channels
        self._groups: dict[tuple[Any, ...], list[int]] = {}
        for number, channel in config.channels.items():
            self._groups.setdefault(channel.group, []).append(number)

    def get_key_lists(self) -> list[list[Any]]:
        """Return one group for each combination of lengths, averaging and format bits."""
        return [list(keys) for keys in self._groups.values()]

    def get_decoded_values(self, key: Any = None) -> Mapping[str, Mapping[str, Any]]:
        """Return the columns of rows of a channel."""
        channel = self._channels[next(iter(self._channels)) if key is None else key]
        layout, declared = channel.layout, dict(_COLUMNS)
        for bit, names in enumerate(_BLOCKS):
            if layout.has(bit):
                declared |= {name: {"dtype": "uint32"} if name == "info_bits" else _ADC for name in names}
        if layout.samples:
            declared["waveform_windowed"] = _waveform(layout.samples, channel.dt)
        if layout.averaged:
            declared["waveform_presummed"] = _waveform(layout.averaged, channel.dt_averaged)
        return declared

    def decode_batch(
        self, packets: FrameBatch, packet_ids: NDArray[np.uint32], buffers: Mapping[Any, RawBuffer]
    ) -> None:
        """Decode events, group by group."""
        long = packets.size >= 8
        if not long.all():
            self._refuse(packets, packet_ids, np.flatnonzero(~long))
            packets, packet_ids = packets[long], packet_ids[long]
        numbers = (first_words(packets, 1)[:, 0] >> 4 & 0xFFF).astype(np.int64)
        known = np.zeros(len(numbers), np.bool_)
        for keys in self._groups.values():
            mine = np.isin(numbers, keys)
            known |= mine
            if mine.all():
                self._decode(packets, packet_ids, numbers, self._channels[keys[0]].layout, buffers)
            elif mine.any():
                rows = np.flatnonzero(mine)
                layout = self._channels[keys[0]].layout
                self._decode(packets[rows], packet_ids[rows], numbers[rows], layout, buffers)
        self._refuse(packets, packet_ids, np.flatnonzero(~known))

    def _refuse(self, packets: FrameBatch, packet_ids: NDArray[np.uint32], rows: NDArray[np.intp]) -> None:
        for row in rows.tolist():
            self.put_in_garbage(packets.frame_bytes(row), int(packet_ids[row]), NO_SENSE)

    def _decode(
        self,
        packets: FrameBatch,
        packet_ids: NDArray[np.uint32],
        numbers: NDArray[np.int64],
        layout: Layout,
        buffers: Mapping[Any, RawBuffer],
    ) -> None:
        """Decode events of one layout."""
        good = packets.size >= 4 * layout.needed
        if good.all():
            heads = first_words(packets, layout.head)
            good = layout.makes_sense(heads)
        if not good.all():
            self._refuse(packets, packet_ids, np.flatnonzero(~good))
            rows = np.flatnonzero(good)
            if len(rows):
                self._decode(packets[rows], packet_ids[rows], numbers[rows], layout, buffers)
            return
        block = self._scalars(heads, packet_ids, numbers, layout)
        self._add_waveforms(block, packets, heads, numbers, layout)
        self.deliver(numbers, block, buffers)

    def _scalars(
        self,
        heads: NDArray[np.uint32],
        packet_ids: NDArray[np.uint32],
        numbers: NDArray[np.int64],
        layout: Layout,
    ) -> dict[str, Any]:
        ticks = (heads[:, 0].astype(np.uint64) >> np.uint64(16) << np.uint64(32)) | heads[:, 1]
        seconds = ticks * (self._by_channel(numbers, "dt") / 1e9)
        block: dict[str, Any] = {
            "packet_id": packet_ids,
            "fadc_channel_id": numbers,
            "time_since_run_start": seconds,
            "unixtime": seconds + self._start,
            "unixtime_accuracy": np.broadcast_to(START_ACCURACY_S, len(heads)),
            "fadc_status_bits": heads[:, layout.length_word] >> _STATUS_BIT & 1,
        }
        for bit, names in enumerate(_BLOCKS):
            if layout.has(bit):
                first = layout.block(bit)
                if bit == 0:
                    block |= _peaks(heads[:, first], heads[:, first + 1])
                    names, first = names[4:], first + 2
                block |= {name: heads[:, first + index] for index, name in enumerate(names)}
        return block

    def _add_waveforms(
        self,
        block: dict[str, Any],
        packets: FrameBatch,
        heads: NDArray[np.uint32],
        numbers: NDArray[np.int64],
        layout: Layout,
    ) -> None:
        begin = 4 * layout.head
        if layout.samples:
            block["waveform_windowed"] = {
                "t0": self._by_channel(numbers, "t0"),
                "dt": self._by_channel(numbers, "dt"),
                "values": _samples(packets, begin, layout.samples),
            }
        if layout.averaged:
            counter = heads[:, layout.length_word + 1] >> 16 & 0xFF
            t0 = self._by_channel(numbers, "t0_averaged") + counter * self._by_channel(numbers, "dt")
            block["waveform_presummed"] = {
                "t0": t0,
                "dt": self._by_channel(numbers, "dt_averaged"),
                "values": _samples(packets, begin + 2 * layout.samples, layout.averaged),
            }

    def _by_channel(self, numbers: NDArray[np.int64], name: str) -> NDArray[np.float64]:
        """Return what `Channel` has under `name`, for each event."""
        values = np.zeros(1 << 12)
        for number, channel in self._channels.items():
            values[number] = getattr(channel, name)
        return values[numbers]


def _waveform(samples: int, dt: float) -> dict[str, Any]:
    times = {"dt": np.float64(dt), "dt_units": "ns", "t0_units": "ns"}
    return {"dtype": "uint16", "datatype": "waveform", "wf_len": samples, **times}


def _peaks(peak: NDArray[np.uint32], information: NDArray[np.uint32]) -> dict[str, Any]:
    return {
        "wf_max_sample_value": peak & 0xFFFF,
        "wf_max_sample_idx": peak >> 16,
        "info_bits": information >> 24,
        "cumsum_1": information & 0xFFFFFF,
    }


def _samples(packets: FrameBatch, begin: int, count: int) -> NDArray[np.uint16]:
    rows = cut(packets, begin, 2 * count)
    if rows.strides[1] != 1 or rows.strides[0] % 2 or rows.ctypes.data % 2:
        rows = np.ascontiguousarray(rows)
    samples: NDArray[np.uint16] = rows.view("<u2")
    return samples
