"""Events: a row for every trace, with its waveform."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FormatError
from sapwood.fileio.raw.buffer import RawBuffer
from sapwood.fileio.raw.fcio.columns import EVENT_COLUMNS
from sapwood.fileio.raw.fcio.events import EventGroup, Events
from sapwood.fileio.raw.fcio.statedecoder import StateDecoder
from sapwood.streams import FrameBatch

__all__ = ["FCEventDecoder"]


class FCEventDecoder(StateDecoder):
    """Table ``FCEvent``, keys ``fcid * 1_000_000 + card * 100 + input``; the index of a trace is an alias."""

    shares_state_with = "fcio-events"

    def get_key_lists(self) -> list[list[Any]]:
        """Return the keys of all traces: they share a table."""
        return [list(dict.fromkeys(self.config.keys.tolist()))]

    def get_key_aliases(self) -> Mapping[Any, Any]:
        """Return index of the trace -> key."""
        return dict(enumerate(self.config.keys.tolist()))

    def get_max_rows_in_packet(self) -> int:
        """Return the number of traces."""
        return max(1, self.config.traces)

    def get_decoded_values(self, key: Any = None) -> Mapping[str, Mapping[str, Any]]:
        """Return the columns; the waveform is as long as the configuration says."""
        waveform = {
            "dtype": "uint16",
            "datatype": "waveform",
            "wf_len": self.config.nsamples,
            "dt": self.config.dt_ns,
            "dt_units": "ns",
            "t0_units": "ns",
        }
        return {**EVENT_COLUMNS, "waveform": waveform}

    def decode_batch(
        self, packets: FrameBatch, packet_ids: NDArray[np.uint32], buffers: Mapping[Any, RawBuffer]
    ) -> None:
        """Add the rows of Event and SparseEvent records."""
        config = self.state.config
        if config.nsamples != self.config.nsamples:
            raise FormatError(
                "Waveforms have another length since the configuration changed",
                expected=self.config.nsamples,
                seen=config.nsamples,
            )
        events = Events(self.state, packets)
        event, trace = events.rows()
        times = self.state.times.advance(events.times, event, trace)
        per_row: dict[str, NDArray[Any]] = {
            "runtime": times.runtime / 1e9,
            "lifetime": (times.runtime - times.deadtime) / 1e9,
            "deadtime": times.deadtime / 1e9,
            "deadinterval_nsec": times.deadinterval,
        }
        numbers = {**events.numbers, "packet_id": packet_ids}
        if len(events.groups) == 1 and events.groups[0].same_traces():
            self._deliver_grid(events, per_row, numbers, buffers)
        else:
            self._deliver_rows(events, per_row, {k: v[event] for k, v in numbers.items()}, trace, buffers)

    def _deliver_grid(
        self,
        events: Events,
        per_row: Mapping[str, NDArray[Any]],
        numbers: Mapping[str, NDArray[Any]],
        buffers: Mapping[Any, RawBuffer],
    ) -> None:
        """Deliver events that all have the same traces: nothing is copied but into the buffers."""
        (group,) = events.groups
        shape = group.traces.shape
        if not shape[1]:
            return
        samples = group.samples(events.config.nsamples)
        block = {name: values.reshape(shape) for name, values in per_row.items()}
        block |= {
            name: np.broadcast_to(_fitted(name, values)[:, np.newaxis], shape)
            for name, values in numbers.items()
        }
        block |= {
            name: np.broadcast_to(values[group.traces[0]], shape)
            for name, values in self._of_traces(events).items()
        }
        block["baseline"], block["daqenergy"] = events.energies(samples[..., :2])
        waveform = self._waveform(samples[..., 2:])
        keys = events.config.keys[group.traces[0]].tolist()
        self.deliver_grid(keys, {**block, "waveform": waveform}, buffers)

    def _deliver_rows(
        self,
        events: Events,
        per_row: Mapping[str, NDArray[Any]],
        numbers: Mapping[str, NDArray[Any]],
        trace: NDArray[np.int64],
        buffers: Mapping[Any, RawBuffer],
    ) -> None:
        """Deliver events of any traces."""
        samples = self._gathered(events, len(trace))
        block = {**per_row, **{name: _fitted(name, values) for name, values in numbers.items()}}
        block |= {name: values[trace] for name, values in self._of_traces(events).items()}
        block["baseline"], block["daqenergy"] = events.energies(samples[:, :2])
        waveform = self._waveform(samples[:, 2:])
        self.deliver(events.config.keys[trace], {**block, "waveform": waveform}, buffers)

    @staticmethod
    def _gathered(events: Events, rows: int) -> NDArray[np.uint16]:
        width = events.config.nsamples + 2
        groups: list[tuple[EventGroup, NDArray[np.uint16]]] = [
            (group, group.samples(events.config.nsamples)) for group in events.groups
        ]
        if len(groups) == 1:
            return groups[0][1].reshape(rows, width)
        out = np.empty((rows, width), np.uint16)
        for group, samples in groups:
            out[events.places(group)] = samples.reshape(-1, width)
        return out

    @staticmethod
    def _of_traces(events: Events) -> dict[str, NDArray[Any]]:
        """Return columns that only depend on the trace, shape (traces,)."""
        config = events.config
        return {
            "board_id": config.board_id,
            "fc_input": config.fc_input,
            "channel": np.arange(config.traces, dtype=np.uint16),
            "fcid": np.full(config.traces, config.fcid, np.uint16),
        }

    def _waveform(self, values: NDArray[np.uint16]) -> dict[str, NDArray[Any]]:
        shape = values.shape[:-1]
        return {
            "t0": np.broadcast_to(np.float32(0), shape),
            "dt": np.broadcast_to(np.float32(self.config.dt_ns), shape),
            "values": values,
        }


def _fitted(name: str, values: NDArray[Any]) -> NDArray[Any]:
    """Return numbers in the type of their column; as in C, what is too large wraps."""
    return values.astype(EVENT_COLUMNS[name]["dtype"])
