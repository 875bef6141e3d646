"""Packets that could not be decoded, kept with the reason."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.lh5 import RaggedBlock, Table
from sapwood.fileio.raw.columns import make_table

__all__ = ["GARBAGE_COLUMNS", "UNDECODABLE", "Garbage"]

UNDECODABLE = 1  # reason: the decoder raised an error

GARBAGE_COLUMNS: dict[str, dict[str, Any]] = {
    "packets": {"dtype": "uint8", "datatype": "array<1>{array<1>{real}}"},
    "packet_id": {"dtype": "uint32"},
    "garbage_code": {"dtype": "uint32"},
}
_KEPT_BYTES = 16 << 20


class Garbage:
    """Undecodable packets of one decoder.

    Attributes
    ----------
    count
        How many there were; those kept in `table` may be fewer.
    """

    def __init__(self) -> None:
        self.count = 0
        self.table: Table = make_table(GARBAGE_COLUMNS, 0)
        self._bytes = 0

    def put(self, packet: Any, packet_id: int, code: int) -> None:
        """Keep a packet, any bytes-like object, as long as all kept take less than 16 MiB."""
        self.count += 1
        data: NDArray[np.uint8] = np.frombuffer(np.ascontiguousarray(_array(packet)), np.uint8)
        if self._bytes + len(data) > _KEPT_BYTES:
            return
        self._bytes += len(data)
        self.table.extend(
            {
                "packets": RaggedBlock(data, np.array([len(data)])),
                "packet_id": np.array([packet_id & 0xFFFFFFFF], np.uint32),
                "garbage_code": np.array([code], np.uint32),
            }
        )

    def clear(self) -> None:
        """Forget the packets kept, not their count."""
        self.table.clear()
        self._bytes = 0


def _array(packet: Any) -> NDArray[Any]:
    if isinstance(packet, np.ndarray):
        return packet
    return np.frombuffer(packet, np.uint8)
