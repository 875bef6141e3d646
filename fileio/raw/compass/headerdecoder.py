"""The table ``CompassHeader``: fields that the file has, boards and channels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.raw.buffer import RawBuffer
from sapwood.fileio.raw.compass.config import Board, CompassConfig
from sapwood.fileio.raw.compass.layout import EventLayout
from sapwood.fileio.raw.decoder import DataDecoder
from sapwood.streams import FrameBatch

__all__ = ["CompassHeaderDecoder"]

_ASSUMED_BOARDS, _ASSUMED_CHANNELS = 2, 8  # what is written of a file without settings


class CompassHeaderDecoder(DataDecoder):
    """Gives the header as a struct.

    Parameters
    ----------
    layout
        Of the events.
    config
        Settings of the run, None when there are none: what they would tell is NaN.
    samples
        Of a waveform, when there are no settings.
    """

    is_event = False

    def __init__(self, layout: EventLayout, config: CompassConfig | None, samples: int) -> None:
        super().__init__()
        self._layout, self._config, self._samples = layout, config, samples

    def make_lgdo(self, key: Any = None, size: int | None = None) -> Any:
        """Return the header."""
        from sapwood.fileio.lh5 import Scalar, Struct

        layout = self._layout
        flags = {
            "energy_channels": layout.energy,
            "energy_calibrated": layout.calibrated,
            "energy_short": layout.short,
            "waveform_samples": layout.waveform,
            "header_present": layout.header,
        }
        members: dict[str, Any] = {name: Scalar(np.int64(value)) for name, value in flags.items()}
        return Struct({"boards": Struct(self._boards()), **members})

    def _boards(self) -> dict[str, Any]:
        if self._config is None:
            return {str(number): _unknown_board(self._samples) for number in range(_ASSUMED_BOARDS)}
        return {str(number): _board(board) for number, board in enumerate(self._config.boards)}

    def decode_batch(
        self, packets: FrameBatch, packet_ids: NDArray[np.uint32], buffers: Mapping[Any, RawBuffer]
    ) -> None:
        """Mark the header as there."""
        buffer = buffers.get(None)
        if buffer is not None:
            buffer.lgdo = self.make_lgdo()
            buffer.loc = 1


def _unknown_board(samples: int) -> Any:
    from sapwood.fileio.lh5 import Scalar, Struct

    unknown = {name: Scalar(math.nan) for name in ("modelName", "adcBitCount", "sample_rate")}
    channels = {str(channel): Scalar(math.nan) for channel in range(_ASSUMED_CHANNELS)}
    return Struct({**unknown, "wf_len": Scalar(float(samples)), "channels": Struct(channels)})


def _board(board: Board) -> Any:
    from sapwood.fileio.lh5 import Scalar, Struct

    channels = {
        str(number): Struct({key: Scalar(value) for key, value in own.items()})
        for number, own in board.channels.items()
        if number in board.enabled
    }
    return Struct(
        {
            "modelName": Scalar(board.model),
            "adcBitCount": Scalar(board.adc_bits),
            "sample_rate": Scalar(board.sample_rate),
            "wf_len": Scalar(float(board.samples)),
            "channels": Struct(channels),
        }
    )
