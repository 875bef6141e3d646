"""Base of decoders: packets of one kind become rows of a table with declared columns."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.raw.buffer import RawBuffer, RawBufferList
from sapwood.fileio.raw.columns import distinct, flat_rows, make_table, select_columns, select_rows
from sapwood.fileio.raw.garbage import Garbage
from sapwood.streams import FrameBatch

if TYPE_CHECKING:
    from sapwood.fileio.lh5 import LH5Store

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

    Parameters
    ----------
    garbage_length, packet_size_guess
        Accepted for those used to them: memory is taken when it is needed.

    Attributes
    ----------
    decoded_values
        The columns, see `get_decoded_values`.
    is_event
        Whether packets count as events, which is what ``n_max`` limits; not so for headers,
        configurations and states.
    shares_state_with
        Decoders of a stream that have the same value here see their packets in the order of the
        stream; each of the others sees its own packets of a block at once.
    """

    decoded_values: Mapping[str, Mapping[str, Any]] = {}
    is_event: bool = True
    shares_state_with: Hashable = None

    def __init__(self, garbage_length: int = 256, packet_size_guess: int = 1024) -> None:
        pass

    def get_key_lists(self) -> list[list[Any]]:
        """Return groups of keys; the keys of a group may share a table.

        By default one group: of those of `get_key_list` where that is overridden, else of None.
        """
        if type(self).get_key_list is not DataDecoder.get_key_list:
            return [list(self.get_key_list())]
        return [[None]]

    def get_key_list(self) -> list[Any]:
        """Return all keys."""
        return [key for group in self.get_key_lists() for key in group]

    def get_key_aliases(self) -> Mapping[Any, Any]:
        """Return other names of keys, such as the index of a trace -> its key.

        They count in a list of keys none of which is a key.
        """
        return {}

    def get_decoded_values(self, key: Any = None) -> Mapping[str, Mapping[str, Any]]:
        """Return the columns of rows with `key`."""
        return self.decoded_values

    def get_max_rows_in_packet(self) -> int:
        """Return the most rows that one packet adds to a buffer."""
        return 1

    def make_lgdo(self, key: Any = None, size: int | None = None) -> Any:
        """Return a table for rows with `key` and room for `size` rows.

        It is empty, and grows when rows are put. When the decoder overrides `decode_packet` and not
        `decode_batch`, it has these rows, for such decoders may set elements one by one.
        """
        kind = type(self)
        by_packets = (
            kind.decode_batch is DataDecoder.decode_batch
            and kind.decode_packet is not DataDecoder.decode_packet
        )
        return make_table(self.get_decoded_values(key), size or 0, rows=(size or 0) if by_packets else 0)

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
        self, packet: Any, evt_rbkd: Mapping[Any, RawBuffer] | RawBufferList, packet_id: int
    ) -> bool:
        """Decode one packet, a bytes-like object; return whether any buffer is full."""
        buffers = evt_rbkd.get_keyed_dict() if isinstance(evt_rbkd, RawBufferList) else evt_rbkd
        if type(self).decode_batch is DataDecoder.decode_batch:
            raise NotImplementedError(f"{type(self).__name__} has neither decode_batch nor decode_packet")
        data = np.frombuffer(packet, np.uint8)
        batch = FrameBatch(data, np.zeros(1, np.int64), np.array([len(data)], np.int64))
        self.decode_batch(batch, np.array([packet_id], np.uint32), buffers)
        return any(buffer.is_full() for buffer in buffers.values())

    def deliver(
        self,
        keys: NDArray[Any] | list[Any] | Key,
        block: Mapping[str, Any],
        buffers: Mapping[Any, RawBuffer],
    ) -> None:
        """Append rows to the buffers that their keys lead to; rows of other keys are counted as skipped.

        Parameters
        ----------
        keys
            One key for all rows, or the key of each row, an array of shape (n,) or a list.
        block
            For every column an array of shape (n, ...), a `RaggedBlock`, or a mapping for a waveform.
        buffers
            Key -> buffer.
        """
        if isinstance(keys, list):
            keys = np.asarray(keys)
        if not isinstance(keys, np.ndarray):
            self._put(keys, block, buffers)
            return
        if not len(keys):
            return
        found = distinct(keys).tolist()
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

    def deliver_grid(
        self, keys: Sequence[Any], block: Mapping[str, Any], buffers: Mapping[Any, RawBuffer]
    ) -> None:
        """Append rows that lie in a grid: packet by packet, in each packet a row for every key.

        Parameters
        ----------
        keys
            Of the rows of a packet, m of them.
        block
            For every column an array of shape (n, m, ...), views and broadcasts welcome, or a
            mapping for a waveform.
        buffers
            Key -> buffer.
        """
        homes = [buffers.get(key) for key in keys]
        rows = len(next(iter(block.values()), ()))
        for home in {id(one): one for one in homes if one is not None}.values():
            mine = [column for column, one in enumerate(homes) if one is home]
            home.put(flat_rows(block) if len(mine) == len(homes) else select_columns(block, mine))
        for key, found in zip(keys, homes, strict=True):
            if found is None:
                self.skip(key, rows)

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

    def buffer_is_full(self, rb: RawBuffer) -> bool:
        """Tell whether the rows of another packet may not fit."""
        return len(rb) - rb.loc < self.get_max_rows_in_packet()

    @property
    def garbage(self) -> Garbage:
        """Packets that could not be decoded."""
        kept: Garbage = self.__dict__.setdefault("_garbage", None) or Garbage()
        self._garbage = kept
        return kept

    @property
    def garbage_table(self) -> Any:
        """Table of the packets in `garbage`: columns ``packets``, ``packet_id``, ``garbage_code``."""
        return self.garbage.table

    def put_in_garbage(self, packet: Any, packet_id: int, code: int) -> None:
        """Keep a packet that cannot be decoded.

        Parameters
        ----------
        packet
            Bytes, or an array.
        packet_id
            Its number in the stream.
        code
            The reason, as the decoder numbers them; `UNDECODABLE` when it raised an error.
        """
        self.garbage.put(packet, packet_id, code)

    def write_out_garbage(self, filename: str, group: str = "/", lh5_store: LH5Store | None = None) -> None:
        """Append the packets in `garbage` to the table ``garbage`` in `group` of a file; forget them."""
        from sapwood.fileio.lh5 import LH5Store

        if len(self.garbage.table):
            store = LH5Store() if lh5_store is None else lh5_store
            store.write(self.garbage.table, "garbage", filename, group=group)
            self.garbage.clear()
