"""Records of FlashCam's stream processor: its configuration, flags of events, rates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.lh5 import RaggedBlock
from sapwood.fileio.raw.buffer import RawBuffer
from sapwood.fileio.raw.fcio.fspcolumns import (
    FSP_CONFIG_COLUMNS,
    FSP_EVENT_COLUMNS,
    FSP_STATUS_COLUMNS,
    LABELS,
)
from sapwood.fileio.raw.fcio.records import EVENT_HEADER, Layout, by_layout, parse_record, word_at
from sapwood.fileio.raw.fcio.statedecoder import StateDecoder
from sapwood.streams import FrameBatch

__all__ = ["FSPConfigDecoder", "FSPEventDecoder", "FSPStatusDecoder"]

_VECTORS = "array<1>{array<1>{real}}"

# Column -> frame that holds it.
_CONFIG_FRAMES = {
    "trg_hwm_min_multiplicity": 0, "trg_hwm_prescale_ratio": 1, "trg_wps_prescale_ratio": 2,
    "trg_wps_coincident_sum_threshold": 3, "trg_wps_sum_threshold": 4, "trg_wps_prescale_rate": 5,
    "trg_hwm_prescale_rate": 6, "trg_enabled_write_flags_event": 7, "trg_wps_ref_flags_hwm": 12,
    "trg_wps_ref_flags_ct": 13, "trg_wps_ref_flags_wps": 14, "trg_wps_ref_map_idx": 15,
    "buffer_max_states": 16,
    "dsp_hwm_tracemap_format": 19, "dsp_hwm_tracemap_indices": 20, "dsp_hwm_tracemap_enabled": 21,
    "dsp_hwm_tracemap_label": 22, "dsp_hwm_fpga_energy_threshold_adc": 23,
    "dsp_ct_tracemap_format": 24, "dsp_ct_tracemap_indices": 25, "dsp_ct_tracemap_enabled": 26,
    "dsp_ct_tracemap_label": 27, "dsp_ct_thresholds": 28,
    "dsp_wps_tracemap_format": 29, "dsp_wps_tracemap_indices": 30, "dsp_wps_tracemap_enabled": 31,
    "dsp_wps_tracemap_label": 32, "dsp_wps_apply_gain_scaling": 33, "dsp_wps_sum_window_size": 34,
    "dsp_wps_sum_window_start_sample": 35, "dsp_wps_sum_window_stop_sample": 36,
    "dsp_wps_sub_event_sum_threshold": 37, "dsp_wps_gains": 38, "dsp_wps_thresholds": 39,
    "dsp_wps_lowpass": 40, "dsp_wps_shaping_widths": 41, "dsp_wps_dsp_max_margin_front": 42,
    "dsp_wps_dsp_max_margin_back": 43, "dsp_wps_margin_front": 44, "dsp_wps_margin_back": 45,
    "dsp_wps_start_sample": 46, "dsp_wps_stop_sample": 47,
}  # fmt: skip
_WINDOW_FRAMES = {  # column -> frame of the seconds; that of the nanoseconds follows
    "trg_pre_trigger_window_nsec": 8,
    "trg_post_trigger_window_nsec": 10,
    "buffer_window_nsec": 17,
}
_FLAGS_FRAME = 7

_EVENT_FLAGS = {  # column -> byte of the first frame
    "is_consecutive": 0, "is_extended": 1, "is_hwm_multiplicity": 8, "is_hwm_prescaled": 9, "is_wps_sum": 10,
    "is_wps_coincident_sum": 11, "is_wps_prescaled": 12, "is_ct_multiplicity": 13,
}  # fmt: skip
_EVENT_PARTS = {  # column -> frame, byte, type
    "is_written": (0, 16, "<u4"), "obs_evt_nconsecutive": (2, 0, "<i4"),
    "obs_hwm_hw_multiplicity": (3, 0, "<i4"), "obs_hwm_max_value": (3, 4, "<u2"),
    "obs_hwm_min_value": (3, 6, "<u2"), "obs_hwm_sw_multiplicity": (3, 8, "<i4"),
    "obs_wps_sum_value": (4, 0, "<f4"), "obs_wps_sum_offset": (4, 4, "<i4"),
    "obs_wps_sum_multiplicity": (4, 8, "<i4"), "obs_wps_max_peak_value": (4, 12, "<f4"),
    "obs_wps_max_peak_offset": (4, 16, "<i4"),
}  # fmt: skip
_EVENT_VECTORS = {"obs_ct_trace_idx": 5, "obs_ct_max": 6, "obs_ps_hwm_prescaled_trace_idx": 10}

_STATUS = np.dtype(
    [(name, np.dtype(facts["dtype"]).newbyteorder("<")) for name, facts in FSP_STATUS_COLUMNS.items()
     if name != "packet_id"]
)  # fmt: skip


def _part(layout: Layout, rows: NDArray[np.uint8], frame: int, begin: int, dtype: str) -> NDArray[Any]:
    """Return one number of a frame of every record, 0 where the frame is too short; shape (n,)."""
    end = begin + np.dtype(dtype).itemsize
    data = layout.values(rows, frame, "u1")
    if data.shape[1] < end:
        return np.zeros(len(rows), dtype)
    found: NDArray[Any] = data[:, begin:end].view(dtype)[:, 0]
    return found


class FSPConfigDecoder(StateDecoder):
    """Table ``FSPConfig``, key ``swtid_<n>/config``."""

    is_event = False
    columns = FSP_CONFIG_COLUMNS | {
        name: {"dtype": "S8", "datatype": _VECTORS, "description": ""} for name in LABELS
    }

    def get_key_lists(self) -> list[list[Any]]:
        """Return the one key."""
        return [[f"swtid_{self.config.fcid}/config"]]

    def decode_batch(
        self, packets: FrameBatch, packet_ids: NDArray[np.uint32], buffers: Mapping[Any, RawBuffer]
    ) -> None:
        """Add a row for each record."""
        for row, packet_id in enumerate(packet_ids.tolist()):
            data = packets.frame_bytes(row)
            layout, rows = parse_record(data, at_end=True), data[np.newaxis]
            block: dict[str, Any] = {"packet_id": np.array([packet_id], np.uint32)}
            for name, frame in _CONFIG_FRAMES.items():
                block[name] = self._column(name, layout, rows, frame)
            for name, frame in _WINDOW_FRAMES.items():
                seconds, rest = (_part(layout, rows, one, 0, "<i8") for one in (frame, frame + 1))
                block[name] = seconds * 1_000_000_000 + rest
            block["trg_enabled_write_flags_trigger"] = _part(layout, rows, _FLAGS_FRAME, 8, "<i8")
            self.deliver(f"swtid_{self.state.config.fcid}/config", block, buffers)

    def _column(self, name: str, layout: Layout, rows: NDArray[np.uint8], frame: int) -> Any:
        facts = self.columns[name]
        if facts.get("datatype") != _VECTORS:
            return _part(layout, rows, frame, 0, np.dtype(facts["dtype"]).newbyteorder("<").str)
        values = layout.values(rows, frame, facts["dtype"])[0]
        return RaggedBlock(values, np.array([len(values)]))


class FSPEventDecoder(StateDecoder):
    """Table ``FSPEvent``, keys ``swtid_<n>/event`` and ``swtid_<n>/evt_hdr``.

    The key tells the kind of the record that follows in the stream.
    """

    is_event = False
    columns = FSP_EVENT_COLUMNS

    def get_key_lists(self) -> list[list[Any]]:
        """Return both keys: they share a table."""
        fcid = self.config.fcid
        return [[f"swtid_{fcid}/event", f"swtid_{fcid}/evt_hdr"]]

    def decode_batch(
        self, packets: FrameBatch, packet_ids: NDArray[np.uint32], buffers: Mapping[Any, RawBuffer]
    ) -> None:
        """Add a row for each record."""
        numbers: dict[str, NDArray[Any]] = {
            name: np.zeros(len(packets), facts["dtype"])
            for name, facts in FSP_EVENT_COLUMNS.items()
            if facts.get("datatype") != _VECTORS
        }
        vectors: dict[str, list[NDArray[Any]]] = {
            name: [np.zeros(0, FSP_EVENT_COLUMNS[name]["dtype"])] * len(packets) for name in _EVENT_VECTORS
        }
        for layout, index, rows in by_layout(packets):
            for name, byte in _EVENT_FLAGS.items():
                numbers[name][index] = _part(layout, rows, 0, byte, "u1") != 0
            for name, (frame, byte, dtype) in _EVENT_PARTS.items():
                numbers[name][index] = _part(layout, rows, frame, byte, dtype)
            for name, frame in _EVENT_VECTORS.items():
                found = layout.values(rows, frame, np.dtype(FSP_EVENT_COLUMNS[name]["dtype"]).str)
                for place, values in zip(index.tolist(), found, strict=True):
                    vectors[name][place] = values
        numbers["packet_id"] = packet_ids
        block: dict[str, Any] = {**numbers, **{name: _ragged(rows) for name, rows in vectors.items()}}
        block["obs_ct_multiplicity"] = block["obs_ct_trace_idx"].lengths.astype(np.int32)
        self.deliver(self._keys(packets), block, buffers)

    def _keys(self, packets: FrameBatch) -> NDArray[np.str_]:
        fcid = self.state.config.fcid
        after = [word_at(packets.payload, end) for end in (packets.start + packets.size).tolist()]
        return np.array(
            [f"swtid_{fcid}/evt_hdr" if one == -EVENT_HEADER else f"swtid_{fcid}/event" for one in after]
        )


def _ragged(rows: list[NDArray[Any]]) -> RaggedBlock:
    return RaggedBlock(np.concatenate(rows), np.array([len(one) for one in rows], np.int64))


class FSPStatusDecoder(StateDecoder):
    """Table ``FSPStatus``, key ``swtid_<n>/status``."""

    is_event = False
    columns = FSP_STATUS_COLUMNS

    def get_key_lists(self) -> list[list[Any]]:
        """Return the one key."""
        return [[f"swtid_{self.config.fcid}/status"]]

    def decode_batch(
        self, packets: FrameBatch, packet_ids: NDArray[np.uint32], buffers: Mapping[Any, RawBuffer]
    ) -> None:
        """Add a row for each record."""
        found = np.zeros(len(packets), _STATUS)
        raw = found.view(np.uint8).reshape(len(packets), _STATUS.itemsize)
        for layout, index, rows in by_layout(packets):
            data = layout.values(rows, 0, "u1")[:, : _STATUS.itemsize]
            raw[index, : data.shape[1]] = data
        block: dict[str, Any] = {name: found[name] for name in _STATUS.names or ()}
        keys = np.full(len(packets), f"swtid_{self.state.config.fcid}/status")
        self.deliver(keys, {**block, "packet_id": packet_ids}, buffers)
