"""Columns of the tables of FlashCam's stream processor."""

from __future__ import annotations

from typing import Any

__all__ = ["FSP_CONFIG_COLUMNS", "FSP_EVENT_COLUMNS", "FSP_STATUS_COLUMNS", "LABELS"]

_VECTORS = "array<1>{array<1>{real}}"


def _column(dtype: str, **facts: Any) -> dict[str, Any]:
    return {"dtype": dtype, **facts, "description": ""}


def _vector(dtype: str) -> dict[str, Any]:
    return _column(dtype, datatype=_VECTORS)


_TRACEMAP = {
    "tracemap_format": _column("int32"),
    "tracemap_indices": _vector("int32"),
    "tracemap_enabled": _vector("int32"),
}

FSP_CONFIG_COLUMNS: dict[str, dict[str, Any]] = {
    "packet_id": {"dtype": "uint32", "description": "The index of this decoded packet in the file."},
    "buffer_max_states": _column("int32"),
    "buffer_window_nsec": _column("int64"),
    "trg_hwm_min_multiplicity": _column("int32"),
    "trg_hwm_prescale_ratio": _vector("int32"),
    "trg_wps_prescale_ratio": _column("int32"),
    "trg_wps_coincident_sum_threshold": _column("float32"),
    "trg_wps_sum_threshold": _column("float32"),
    "trg_wps_prescale_rate": _column("float32"),
    "trg_hwm_prescale_rate": _vector("float32"),
    "trg_wps_ref_flags_hwm": _column("int64"),
    "trg_wps_ref_flags_ct": _column("int64"),
    "trg_wps_ref_flags_wps": _column("int64"),
    "trg_wps_ref_map_idx": _vector("int32"),
    "trg_enabled_write_flags_trigger": _column("int64"),
    "trg_enabled_write_flags_event": _column("int64"),
    "trg_pre_trigger_window_nsec": _column("int64"),
    "trg_post_trigger_window_nsec": _column("int64"),
    **{f"dsp_wps_{name}": facts for name, facts in _TRACEMAP.items()},
    "dsp_wps_gains": _vector("float32"),
    "dsp_wps_thresholds": _vector("float32"),
    "dsp_wps_lowpass": _vector("float32"),
    "dsp_wps_shaping_widths": _vector("int32"),
    "dsp_wps_margin_front": _vector("int32"),
    "dsp_wps_margin_back": _vector("int32"),
    "dsp_wps_start_sample": _vector("int32"),
    "dsp_wps_stop_sample": _vector("int32"),
    "dsp_wps_dsp_max_margin_front": _column("int32"),
    "dsp_wps_dsp_max_margin_back": _column("int32"),
    "dsp_wps_apply_gain_scaling": _column("int32"),
    "dsp_wps_sum_window_size": _column("int32"),
    "dsp_wps_sum_window_start_sample": _column("int32"),
    "dsp_wps_sum_window_stop_sample": _column("int32"),
    "dsp_wps_sub_event_sum_threshold": _column("float32"),
    **{f"dsp_hwm_{name}": facts for name, facts in _TRACEMAP.items()},
    "dsp_hwm_fpga_energy_threshold_adc": _vector("uint16"),
    **{f"dsp_ct_{name}": facts for name, facts in _TRACEMAP.items()},
    "dsp_ct_thresholds": _vector("uint16"),
}
LABELS = ("dsp_wps_tracemap_label", "dsp_hwm_tracemap_label", "dsp_ct_tracemap_label")

FSP_EVENT_COLUMNS: dict[str, dict[str, Any]] = {
    "packet_id": _column("uint32"),
    "is_written": _column("bool"),
    "is_extended": _column("bool"),
    "is_consecutive": _column("bool"),
    "is_hwm_prescaled": _column("bool"),
    "is_hwm_multiplicity": _column("bool"),
    "is_wps_sum": _column("bool"),
    "is_wps_coincident_sum": _column("bool"),
    "is_wps_prescaled": _column("bool"),
    "is_ct_multiplicity": _column("bool"),
    "obs_wps_sum_value": _column("float32"),
    "obs_wps_sum_offset": _column("int32"),
    "obs_wps_sum_multiplicity": _column("int32"),
    "obs_wps_max_peak_value": _column("float32"),
    "obs_wps_max_peak_offset": _column("int32"),
    "obs_hwm_hw_multiplicity": _column("int32"),
    "obs_hwm_sw_multiplicity": _column("int32"),
    "obs_hwm_max_value": _column("uint16"),
    "obs_hwm_min_value": _column("uint16"),
    "obs_ct_multiplicity": _column("int32"),
    "obs_ct_trace_idx": _vector("int32"),
    "obs_ct_max": _vector("uint16"),
    "obs_ps_hwm_prescaled_trace_idx": _vector("uint16"),
    "obs_evt_nconsecutive": _column("int32"),
}

_RATES = ("dt_rate_read_events", "dt_rate_write_events", "dt_rate_discard_events",
          "avg_rate_read_events", "avg_rate_write_events", "avg_rate_discard_events")  # fmt: skip
_COUNTS = ("n_read_events", "n_written_events", "n_discarded_events",
           "dt_n_read_events", "dt_n_written_events", "dt_n_discarded_events")  # fmt: skip

FSP_STATUS_COLUMNS: dict[str, dict[str, Any]] = {
    "packet_id": {"dtype": "uint32"},
    **{name: {"dtype": "float64"} for name in ("start_time", "log_time", "dt_logtime", "runtime")},
    **{name: {"dtype": "int32"} for name in _COUNTS},
    "dt": {"dtype": "float64"},
    **{name: {"dtype": "float64"} for name in _RATES},
}
