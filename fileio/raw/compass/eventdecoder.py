"""The table ``CompassEvent``: one row per event."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.raw.buffer import RawBuffer
from sapwood.fileio.raw.columns import distinct
from sapwood.fileio.raw.compass.layout import EventLayout
from sapwood.fileio.raw.decoder import DataDecoder
from sapwood.fileio.raw.rowbytes import cut, structured
from sapwood.streams import FrameBatch

__all__ = ["OTHER_LENGTH", "CompassEventDecoder", "Digitiser", "channel_key"]

OTHER_LENGTH = 2  # garbage: a waveform longer than those of its board

_COLUMNS: dict[str, dict[str, Any]] = {
    "packet_id": {"dtype": "uint32"},
    "board": {"dtype": "uint32"},
    "channel": {"dtype": "uint32"},
    "timestamp": {"dtype": "float64", "units": "ps"},
    "timestamp_ps": {"dtype": "uint64", "units": "ps"},
    "energy": {"dtype": "uint32"},
    "energy_short": {"dtype": "uint32"},
    "energy_calibrated": {"dtype": "float64"},
    "flags": {"dtype": "uint32"},
    "num_samples": {"dtype": "int64"},
}
_CHANNEL_MASK = 0x1FF


def channel_key(board: Any, channel: Any) -> Any:
    """Return the key of a channel; of numbers or arrays of them."""
    return (board << 9) + (channel & _CHANNEL_MASK)


class Digitiser:
    """What is known of a board.

    Parameters
    ----------
    samples
        Of a waveform.
    dt
        Time between samples, ns; NaN when unknown.
    """

    def __init__(self, samples: int, dt: float = math.nan) -> None:
        self.samples, self.dt = samples, dt


class CompassEventDecoder(DataDecoder):
    """Makes rows of events.

    What the file has no field for is 0 (``energy``, ``energy_short``) or NaN
    (``energy_calibrated``, and ``dt`` when the board is not known). A waveform shorter than those of
    its board is filled up with zeros, ``num_samples`` tells its length; a longer one goes to the garbage.

    Parameters
    ----------
    layout
        Of the events.
    boards
        By number.
    keys
        Of the channels; other rows are skipped.
    """

    def __init__(self, layout: EventLayout, boards: Mapping[int, Digitiser], keys: list[int]) -> None:
        super().__init__()
        self._layout, self._keys = layout, keys
        count = max(boards, default=0) + 1
        self._samples = np.zeros(count, np.int64)
        self._dt = np.full(count, np.nan, np.float32)
        for number, board in boards.items():
            self._samples[number], self._dt[number] = board.samples, board.dt

    def get_key_lists(self) -> list[list[Any]]:
        """Return one group for each length of waveforms."""
        groups: dict[int, list[Any]] = {}
        for key in self._keys:
            groups.setdefault(int(self._samples[key >> 9]), []).append(key)
        return list(groups.values())

    def get_decoded_values(self, key: Any = None) -> Mapping[str, Mapping[str, Any]]:
        """Return the columns of rows of a channel; without waveforms there is no such column."""
        samples = self._length(self._keys[0] if key is None else key)
        if not samples:
            return _COLUMNS
        times = {"dt": 0, "dt_units": "ns", "t0_units": "ns"}
        return {
            **_COLUMNS,
            "waveform": {"dtype": "uint16", "datatype": "waveform", "wf_len": samples, **times},
        }

    def _length(self, key: int) -> int:
        board = key >> 9
        return int(self._samples[board]) if board < len(self._samples) else 0

    def decode_batch(
        self, packets: FrameBatch, packet_ids: NDArray[np.uint32], buffers: Mapping[Any, RawBuffer]
    ) -> None:
        """Decode events, by length of the waveforms of their boards."""
        events = structured(cut(packets, 0, self._layout.head), self._layout.dtype)
        boards = np.minimum(events["board"], len(self._samples))
        expected = np.append(self._samples, 0)[boards]
        for samples in distinct(expected).tolist():
            mine = expected == samples
            if mine.all():
                self._decode(packets, packet_ids, events, samples, buffers)
                return
            rows = np.flatnonzero(mine)
            self._decode(packets[rows], packet_ids[rows], events[rows], samples, buffers)

    def _decode(
        self,
        packets: FrameBatch,
        packet_ids: NDArray[np.uint32],
        events: NDArray[Any],
        expected: int,
        buffers: Mapping[Any, RawBuffer],
    ) -> None:
        """Decode events of boards whose waveforms have `expected` samples."""
        counts = self._counts(events)
        long = counts > expected
        if long.any():
            for row in np.flatnonzero(long).tolist():
                self.put_in_garbage(packets.frame_bytes(row), int(packet_ids[row]), OTHER_LENGTH)
            good = np.flatnonzero(~long)
            packets, packet_ids, events, counts = packets[good], packet_ids[good], events[good], counts[good]
        block = self._scalars(events, packet_ids)
        block["num_samples"] = counts
        if expected:
            block["waveform"] = self._waveforms(packets, events, counts, expected)
        self.deliver(channel_key(events["board"].astype(np.int64), events["channel"]), block, buffers)

    def _counts(self, events: NDArray[Any]) -> NDArray[np.int64]:
        if self._layout.waveform:
            return events["samples"].astype(np.int64)
        return np.zeros(len(events), np.int64)

    def _scalars(self, events: NDArray[Any], packet_ids: NDArray[np.uint32]) -> dict[str, Any]:
        layout, rows = self._layout, len(events)
        zeros = np.broadcast_to(np.uint32(0), rows)
        return {
            "packet_id": packet_ids,
            "board": events["board"],
            "channel": events["channel"],
            "timestamp": events["timestamp"],
            "timestamp_ps": events["timestamp"],
            "energy": events["energy"] if layout.energy else zeros,
            "energy_short": events["energy_short"] if layout.short else zeros,
            "energy_calibrated": (
                events["energy_calibrated"] if layout.calibrated else np.broadcast_to(np.nan, rows)
            ),
            "flags": events["flags"],
        }

    def _waveforms(
        self, packets: FrameBatch, events: NDArray[Any], counts: NDArray[np.int64], expected: int
    ) -> dict[str, Any]:
        head = self._layout.head
        boards = np.minimum(events["board"], len(self._dt))
        values: NDArray[np.uint16]
        if (counts == expected).all():
            samples = cut(packets, head, 2 * expected)
            values = np.ascontiguousarray(samples).view("<u2")
        else:
            values = np.zeros((len(packets), expected), np.uint16)
            for row, count in enumerate(counts.tolist()):
                values[row, :count] = packets.frame_bytes(row)[head : head + 2 * count].view("<u2")
        return {
            "t0": np.broadcast_to(np.float32(0), len(packets)),
            "dt": np.append(self._dt, np.float32(np.nan))[boards],
            "values": values,
        }
