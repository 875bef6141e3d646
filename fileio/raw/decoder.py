"""Base of decoders: packets of one kind become rows of a table with declared columns."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.raw.buffer import RawBuffer, RawBufferList
from sapwood.fileio.raw.columns import make_table, select_rows
from sapwood.streams import FrameBatch

__all__ = ["DataDecoder", "Key"]

Key = Hashable  # int, str or None: names the rows that belong into one buffer


class DataDecoder:
    """Turns packets into rows.

    A subclass declares its columns, by `decoded_values` or `get_decoded_values`, and overrides
    `decode_batch` (many packets at once; what is fast) or `decode_packet` (one; what is short).

    A column is declared as ``name: {"dtype": "uint32", "units": "ns", ...}``, with optional
    ``datatype``: ``waveform`` (with ``t0_units, dt, dt_units, wf_len``),
    ``array_of_equalsized_arrays<1,1>{real}`` (with ``length``) or ``array<1>{array<1>{real}}``.
    Other entries become attributes of the column.
    """

    decoded_values: Mapping[str, Mapping[str, Any]] = {}

    def get_key_lists(self) -> list[list[Any]]:
        """Return groups of keys; the keys of a group may share a table."""
        return [[None]]

    def get_decoded_values(self, key: Any = None) -> Mapping[str, Mapping[str, Any]]:
        """Return the columns of rows with `key`."""
        return self.decoded_values

    def get_max_rows_in_packet(self) -> int:
        """Return the most rows that one packet adds to a buffer."""
        return 1

    def make_lgdo(self, key: Any = None, size: int | None = None) -> Any:
        """Return an empty table for rows with `key`, with room for `size` rows."""
        return make_table(self.get_decoded_values(key), size or 0)

    def decode_batch(
        self, packets: FrameBatch, packet_ids: NDArray[np.uint32], buffers: Mapping[Any, RawBuffer]
    ) -> None:
        """Decode packets in order and `deliver` their rows.

        Parameters
        ----------
        packets
            Whole packets, as views of the stream; `FrameBatch.rows` gives those of one size as
            a matrix of bytes.
        packet_ids
            Number of each packet in the stream.
        buffers
            Key -> buffer.
        """
        for row, packet_id in enumerate(packet_ids.tolist()):
            self.decode_packet(packets.frame_bytes(row), buffers, packet_id)

    def decode_packet(
        self, packet: NDArray[np.uint8], evt_rbkd: Mapping[Any, RawBuffer] | RawBufferList, packet_id: int
    ) -> bool:
        """Decode one packet; return whether any buffer is full."""
        buffers = evt_rbkd.get_keyed_dict() if isinstance(evt_rbkd, RawBufferList) else evt_rbkd
        if type(self).decode_batch is DataDecoder.decode_batch:
            raise NotImplementedError(f"{type(self).__name__} has neither decode_batch nor decode_packet")
        batch = FrameBatch(packet, np.zeros(1, np.int64), np.array([len(packet)], np.int64))
        self.decode_batch(batch, np.array([packet_id], np.uint32), buffers)
        return any(buffer.is_full() for buffer in buffers.values())

    def deliver(
        self,
        keys: NDArray[Any] | Sequence[Any] | Key,
        block: Mapping[str, Any],
        buffers: Mapping[Any, RawBuffer],
    ) -> None:
        """Append rows to the buffers that their keys lead to; rows of other keys are counted as skipped.

        Parameters
        ----------
        keys
            One key for all rows, or the key of each row, shape (n,).
        block
            For every column an array of shape (n, ...), a `RaggedBlock`, or a mapping for a waveform.
        buffers
            Key -> buffer.
        """
        if not isinstance(keys, np.ndarray):
            self._put(keys, block, buffers)
            return
        if not len(keys):
            return
        found = np.unique(keys).tolist()
        homes = [buffers.get(key) for key in found]
        if all(home is homes[0] for home in homes):  # all rows go into one table
            self._put(found[0], block, buffers, rows=len(keys))
            return
        for home in {id(one): one for one in homes if one is not None}.values():
            mine = [key for key, one in zip(found, homes, strict=True) if one is home]
            home.put(select_rows(block, np.flatnonzero(np.isin(keys, mine))))
        for key, one in zip(found, homes, strict=True):
            if one is None:
                self.skip(key, int(np.count_nonzero(keys == key)))

    def _put(
        self, key: Any, block: Mapping[str, Any], buffers: Mapping[Any, RawBuffer], rows: int = 1
    ) -> None:
        buffer = buffers.get(key)
        if buffer is None:
            self.skip(key, rows)
        else:
            buffer.put(block)

    @property
    def skipped(self) -> dict[Any, int]:
        """Rows whose key has no buffer, by key."""
        counts: dict[Any, int] = self.__dict__.setdefault("_skipped", {})
        return counts

    def skip(self, key: Any, rows: int) -> None:
        """Count rows that nobody wants."""
        self.skipped[key] = self.skipped.get(key, 0) + rows
