"""The table ``LLAMAHeader``: version, begin of the run, configuration of every channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.raw.buffer import RawBuffer
from sapwood.fileio.raw.decoder import DataDecoder
from sapwood.fileio.raw.llama.config import LlamaConfig
from sapwood.streams import FrameBatch

__all__ = ["START_ACCURACY_S", "LLAMAHeaderDecoder"]

START_ACCURACY_S = 1.0  # a file name tells seconds


class LLAMAHeaderDecoder(DataDecoder):
    """Gives the header as a struct.

    Parameters
    ----------
    config
        It.
    """

    is_event = False

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self._config = config

    def make_lgdo(self, key: Any = None, size: int | None = None) -> Any:
        """Return the header."""
        from sapwood.fileio.lh5 import Scalar, Struct

        config = self._config
        members: dict[str, Any] = {name: Scalar(value) for name, value in config.version.items()}
        members["initial_timestamp"] = Scalar(config.start)
        members["initial_timestamp_accuracy"] = Scalar(START_ACCURACY_S)
        for number, channel in config.channels.items():
            settings = {name: Scalar(value) for name, value in channel.settings.items()}
            members[f"fch_{number:02d}"] = Struct(settings)
        return Struct(members)

    def decode_batch(
        self, packets: FrameBatch, packet_ids: NDArray[np.uint32], buffers: Mapping[Any, RawBuffer]
    ) -> None:
        """Mark the header as there."""
        buffer = buffers.get(None)
        if buffer is not None:
            buffer.lgdo = self.make_lgdo()
            buffer.loc = 1
