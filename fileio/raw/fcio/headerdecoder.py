"""Headers of events: a row for every record, with vectors of what belongs to traces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.lh5 import RaggedBlock
from sapwood.fileio.raw.buffer import RawBuffer
from sapwood.fileio.raw.fcio.columns import HEADER_COLUMNS
from sapwood.fileio.raw.fcio.events import Events
from sapwood.fileio.raw.fcio.statedecoder import StateDecoder
from sapwood.streams import FrameBatch

__all__ = ["FCEventHeaderDecoder"]


class FCEventHeaderDecoder(StateDecoder):
    """Table ``FCEventHeader``, key ``fcid_<n>/evt_hdr``."""

    columns = HEADER_COLUMNS
    shares_state_with = "fcio-events"

    def get_key_lists(self) -> list[list[Any]]:
        """Return the one key."""
        return [[f"fcid_{self.config.fcid}/evt_hdr"]]

    def decode_batch(
        self, packets: FrameBatch, packet_ids: NDArray[np.uint32], buffers: Mapping[Any, RawBuffer]
    ) -> None:
        """Add a row for each record."""
        events = Events(self.state, packets)
        config = events.config
        event, trace = events.rows()
        times = self.state.times.advance(events.times, event, trace)
        headers = np.zeros((len(trace), 2), np.uint16)
        for group in events.groups:
            headers[events.places(group)] = group.samples(0).reshape(-1, 2)
        baseline, energy = events.energies(headers)
        vectors: dict[str, NDArray[Any]] = {
            "board_id": config.board_id[trace],
            "fc_input": config.fc_input[trace],
            "tracelist": trace,
            "baseline": baseline,
            "daqenergy": energy,
            "runtime": times.runtime / 1e9,
            "lifetime": (times.runtime - times.deadtime) / 1e9,
            "deadtime": times.deadtime / 1e9,
            "deadinterval_nsec": times.deadinterval,
        }
        numbers = {
            **events.numbers,
            "packet_id": packet_ids,
            "fcid": np.full(len(packets), config.fcid),
        }
        block: dict[str, Any] = {
            name: values.astype(HEADER_COLUMNS[name]["dtype"]) for name, values in numbers.items()
        }
        block |= {
            name: RaggedBlock(values.astype(HEADER_COLUMNS[name]["dtype"]), events.count)
            for name, values in vectors.items()
        }
        self.deliver(np.full(len(packets), f"fcid_{config.fcid}/evt_hdr"), block, buffers)
