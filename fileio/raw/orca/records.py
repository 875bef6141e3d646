"""Decoders of the header of a stream and of records about runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.lh5 import Scalar
from sapwood.fileio.raw.buffer import RawBuffer
from sapwood.fileio.raw.orca.decoder import OrcaDecoder, word_rows
from sapwood.streams import FrameBatch

__all__ = ["ORRunDecoderForRun", "OrcaHeaderDecoder"]


class OrcaHeaderDecoder(OrcaDecoder):
    """The header of the stream as one text in JSON."""

    is_event = False

    def make_lgdo(self, key: Any = None, size: int | None = None) -> Any:
        """Return a scalar for the text."""
        return Scalar("")

    def decode_batch(
        self, packets: FrameBatch, packet_ids: NDArray[np.uint32], buffers: Mapping[Any, RawBuffer]
    ) -> None:
        """Put the header that the stream was opened with, whatever the packets hold."""
        for buffer in buffers.values():
            buffer.lgdo.value = self.header.as_json()
            buffer.loc = 1


class ORRunDecoderForRun(OrcaDecoder):
    """Begin, end and heartbeat of runs, one row each."""

    is_event = False
    least_words = 4
    decoded_values: Mapping[str, Mapping[str, Any]] = {
        "subrun_number": {"dtype": "uint16"},
        "runstartorstop": {"dtype": "bool"},
        "quickstartrun": {"dtype": "bool"},
        "remotecontrolrun": {"dtype": "bool"},
        "heartbeatrecord": {"dtype": "bool"},
        "endsubrunrecord": {"dtype": "bool"},
        "startsubrunrecord": {"dtype": "bool"},
        "run_number": {"dtype": "int32"},
        "time": {"dtype": "int32"},
    }
    _FLAGS = (
        "runstartorstop",
        "quickstartrun",
        "remotecontrolrun",
        "heartbeatrecord",
        "endsubrunrecord",
        "startsubrunrecord",
    )

    def decode_batch(
        self, packets: FrameBatch, packet_ids: NDArray[np.uint32], buffers: Mapping[Any, RawBuffer]
    ) -> None:
        """Decode records of 4 words."""
        packets, packet_ids = self.sound(packets, packet_ids)
        if not len(packets):
            return
        words = word_rows(packets, 0, 4)
        block: dict[str, Any] = {name: (words[:, 1] >> bit & 1) != 0 for bit, name in enumerate(self._FLAGS)}
        block["subrun_number"] = (words[:, 1] >> 16).astype(np.uint16)
        block["run_number"] = words[:, 2].astype(np.int32)
        block["time"] = words[:, 3].astype(np.int32)
        self._put(None, block, buffers, rows=len(packets))
