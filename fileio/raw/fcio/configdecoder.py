"""The configuration as a table of one row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.lh5 import RaggedBlock
from sapwood.fileio.raw.buffer import RawBuffer
from sapwood.fileio.raw.fcio.columns import CONFIG_COLUMNS
from sapwood.fileio.raw.fcio.config import FCIOConfig
from sapwood.fileio.raw.fcio.records import parse_record
from sapwood.fileio.raw.fcio.statedecoder import StateDecoder
from sapwood.streams import FrameBatch

__all__ = ["FCConfigDecoder"]


class FCConfigDecoder(StateDecoder):
    """Table ``FCConfig``, key ``fcid_<n>/config``."""

    columns = CONFIG_COLUMNS
    is_event = False

    def get_key_lists(self) -> list[list[Any]]:
        """Return the one key."""
        return [[f"fcid_{self.config.fcid}/config"]]

    def decode_batch(
        self, packets: FrameBatch, packet_ids: NDArray[np.uint32], buffers: Mapping[Any, RawBuffer]
    ) -> None:
        """Add a row for each record."""
        for row, packet_id in enumerate(packet_ids.tolist()):
            data = packets.frame_bytes(row)
            config = FCIOConfig.parse(data, parse_record(data, at_end=True))
            block: dict[str, Any] = {
                name: np.array([getattr(config, name)], facts["dtype"])
                for name, facts in CONFIG_COLUMNS.items()
                if name not in ("packet_id", "tracemap")
            }
            block["packet_id"] = np.array([packet_id], np.uint32)
            block["tracemap"] = RaggedBlock(config.tracemap, np.array([len(config.tracemap)]))
            self.deliver(f"fcid_{config.fcid}/config", block, buffers)
