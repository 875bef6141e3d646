"""Decoders of FCIO records that ORCA passes on in its packets."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FormatError
from sapwood.fileio.raw.buffer import RawBuffer
from sapwood.fileio.raw.columns import distinct
from sapwood.fileio.raw.decoder import DataDecoder
from sapwood.fileio.raw.fcio.records import (
    CONFIG,
    EVENT,
    EVENT_HEADER,
    FSP_CONFIG,
    FSP_EVENT,
    FSP_STATUS,
    FSP_TAGS,
    SPARSE_EVENT,
    STATUS,
    Incomplete,
    parse_record,
    split_records,
)
from sapwood.fileio.raw.fcio.statedecoder import StateDecoder
from sapwood.fileio.raw.orca.decoder import NO_SETUP, WRONG_RECORD, OrcaDecoder, word_rows
from sapwood.fileio.raw.orca.fciostreams import BODY_BYTES, FCIOStreams, InnerStream
from sapwood.fileio.raw.orca.header import OrcaHeader
from sapwood.streams import FrameBatch

__all__ = [
    "ORFCIOConfigDecoder",
    "ORFCIOEventDecoder",
    "ORFCIOEventHeaderDecoder",
    "ORFCIOStatusDecoder",
]

_Ids = NDArray[np.uint32]


class FCIODecoder(OrcaDecoder):
    """A decoder of packets with FCIO records: it hands these to the decoders of their stream.

    Attributes
    ----------
    tags
        Kinds of records that a packet may hold; the first names the table.
    fsp_tag
        Kind of record of the stream processor that may come before it.
    fsp_key
        Last part of the key of its rows.
    """

    tags: ClassVar[tuple[int, ...]] = ()
    fsp_tag: ClassVar[int] = 0
    fsp_key: ClassVar[str] = ""
    least_words = BODY_BYTES // 4 + 1

    def share(self, shared: dict[str, object]) -> None:
        """Have the streams in common with the other decoders of FCIO records."""
        self._shared = shared

    def set_header(self, header: OrcaHeader) -> None:
        """Find the listeners in the header."""
        super().set_header(header)
        shared: dict[str, Any] = self.__dict__.setdefault("_shared", {})
        self.streams: FCIOStreams = shared.setdefault("fcio", FCIOStreams(header))

    # Keys and columns

    def get_key_lists(self) -> list[list[Any]]:
        """Return a group for every stream, and one for every stream processor."""
        groups = [self._child(one, self.tags[0]).get_key_list() for one in self.streams.in_order()]
        return groups + [[f"swtid_{one}/{self.fsp_key}"] for one in self.streams.with_fsp()]

    def get_max_rows_in_packet(self) -> int:
        """Return the most rows that a record of any stream has."""
        children = [self._child(one, self.tags[0]) for one in self.streams.in_order()]
        return max((one.get_max_rows_in_packet() for one in children), default=1)

    def get_decoded_values(self, key: Any = None) -> Mapping[str, Mapping[str, Any]]:
        """Return the columns of the table of `key`."""
        of_fsp = isinstance(key, str) and key.startswith("swtid_")
        return self.streams.columns_of(self.fsp_tag if of_fsp else self.tags[0], key, self)

    def _child(self, stream: InnerStream, tag: int) -> StateDecoder:
        child = stream.decoder(tag, self)
        vars(child)["_skipped"] = self.skipped  # what it skips, this decoder skips
        return child

    # Decoding

    def decode_batch(
        self, packets: FrameBatch, packet_ids: NDArray[np.uint32], buffers: Mapping[Any, RawBuffer]
    ) -> None:
        """Decode packets of all streams."""
        packets, packet_ids = self.sound(packets, packet_ids)
        if not len(packets):
            return
        number = (word_rows(packets, 2, 1)[:, 0] & 0xFFFF).astype(np.int64)
        known = np.isin(number, list(self.streams.inner))
        packets, packet_ids = self.sift(packets, packet_ids, known, NO_SETUP)
        number = number[known]
        for rows in self._runs(number, buffers):
            stream = self.streams.inner[int(number[rows[0]])]
            whole = len(rows) == len(packets)
            chosen, ids = (packets, packet_ids) if whole else (packets[rows], packet_ids[rows])
            body = FrameBatch(chosen.payload, chosen.start + BODY_BYTES, chosen.size - BODY_BYTES)
            self._decode_records(stream, body, ids, buffers)

    def _runs(
        self, number: NDArray[np.int64], buffers: Mapping[Any, RawBuffer]
    ) -> Iterator[NDArray[np.intp]]:
        """Yield the rows that are decoded at once: of one stream; in order where streams share a table."""
        found = distinct(number).tolist()
        if len(found) < 2:
            if found:
                yield np.arange(len(number))
            return
        homes = [self._homes(self.streams.inner[one], buffers) for one in found]
        if any(a & b for a, b in itertools.combinations(homes, 2)):
            yield from np.split(np.arange(len(number)), np.flatnonzero(np.diff(number)) + 1)
            return
        for one in found:
            yield np.flatnonzero(number == one)

    def _homes(self, stream: InnerStream, buffers: Mapping[Any, RawBuffer]) -> set[int]:
        fcid = stream.state.config.fcid
        keys = [*self._child(stream, self.tags[0]).get_key_list(), f"swtid_{fcid}/{self.fsp_key}"]
        return {id(buffers[key]) for key in keys if key in buffers}

    def _decode_records(
        self, stream: InnerStream, body: FrameBatch, ids: _Ids, buffers: Mapping[Any, RawBuffer]
    ) -> None:
        tag = _tags(body)
        fsp = np.isin(tag, FSP_TAGS)
        if fsp.any():
            body, tag = self._decode_fsp(stream, body, ids, fsp, buffers)
            ids = ids[tag != 0]
            body, tag = body[tag != 0], tag[tag != 0]
        body, ids = self.sift(body, ids, np.isin(tag, self.tags), WRONG_RECORD)
        if len(body):
            self._child(stream, self.tags[0]).decode_batch(body, ids, buffers)

    def _decode_fsp(
        self,
        stream: InnerStream,
        body: FrameBatch,
        ids: _Ids,
        fsp: NDArray[np.bool_],
        buffers: Mapping[Any, RawBuffer],
    ) -> tuple[FrameBatch, NDArray[np.int64]]:
        """Decode the records before the others; return the others, and their tags, 0 for none."""
        stream.has_fsp = True
        skip = np.zeros(len(body), np.int64)
        for row in np.flatnonzero(fsp).tolist():
            try:
                skip[row] = parse_record(body.frame_bytes(row), at_end=True).nbytes
            except Incomplete as error:
                raise FormatError(
                    "A record of the stream processor is cut", seen=int(body.size[row])
                ) from error
        first = FrameBatch(body.payload, body.start[fsp], skip[fsp])
        mine, ids_of = _tags(first) == self.fsp_tag, ids[fsp]
        self._child(stream, self.fsp_tag).decode_batch(first[mine], ids_of[mine], buffers)
        rest = FrameBatch(body.payload, body.start + skip, body.size - skip)
        return rest, _tags(rest)


def _tags(body: FrameBatch) -> NDArray[np.int64]:
    """Return the tag that each packet begins with, 0 where it is empty."""
    tags = np.zeros(len(body), np.int64)
    there = body.size >= 4
    some = body if there.all() else body[there]
    tags[there] = -word_rows(FrameBatch(some.payload, some.start, 4), 0, 1)[:, 0].view("<i4").astype(np.int64)
    return tags


class ORFCIOConfigDecoder(FCIODecoder):
    """Configurations of streams and stream processors, one row each."""

    is_event = False
    reads_ahead = True
    tags = (CONFIG,)
    fsp_tag = FSP_CONFIG
    fsp_key = "config"

    @property
    def lacks_setup(self) -> bool:
        """Whether a stream of the header is not configured yet."""
        return bool(self.streams.missing)

    def look_ahead(self, decoders: list[DataDecoder], packet: NDArray[np.uint8], *, early: bool) -> None:
        """Let the configuration be in force for all decoders."""
        if len(packet) <= BODY_BYTES:
            return
        number = int(packet[8:10].view("<u2")[0])
        too_late = not early and number not in self.streams.inner
        try:
            if self.streams.configure(packet, early=early):
                self.tell(f"FCIO stream {number} is configured anew: its times begin anew")
            elif too_late:
                self.tell(f"FCIO stream {number} is configured too late: there are no tables for its rows")
        except FormatError as error:
            if not early:
                self.tell(f"a configuration of FCIO is ignored: {error}")

    def get_key_lists(self) -> list[list[Any]]:
        """Return a group for all streams, and one for all stream processors."""
        numbers, with_fsp = self.streams.numbers(), self.streams.with_fsp()
        return [[f"fcid_{one}/config" for one in numbers], [f"swtid_{one}/config" for one in with_fsp]]

    def _decode_records(
        self, stream: InnerStream, body: FrameBatch, ids: _Ids, buffers: Mapping[Any, RawBuffer]
    ) -> None:
        for row, packet_id in enumerate(ids.tolist()):
            data = body.frame_bytes(row)
            for at, layout in split_records(data):
                if layout.tag in (CONFIG, FSP_CONFIG):
                    record = FrameBatch(data, np.array([at]), layout.nbytes)
                    number = np.array([packet_id], np.uint32)
                    self._child(stream, layout.tag).decode_batch(record, number, buffers)


class ORFCIOEventDecoder(FCIODecoder):
    """Events, one row per trace; keys as those of FCIO files."""

    shares_state_with = "orca-fcio"
    tags = (EVENT, SPARSE_EVENT)
    fsp_tag = FSP_EVENT
    fsp_key = "event"

    def get_key_aliases(self) -> Mapping[Any, Any]:
        """Return index of a trace -> key, when there is one stream only."""
        streams = self.streams.in_order()
        return self._child(streams[0], EVENT).get_key_aliases() if len(streams) == 1 else {}


class ORFCIOEventHeaderDecoder(FCIODecoder):
    """Headers of events without waveforms, one row each."""

    shares_state_with = "orca-fcio"
    tags = (EVENT_HEADER,)
    fsp_tag = FSP_EVENT
    fsp_key = "evt_hdr"

    def get_key_lists(self) -> list[list[Any]]:
        """Return a group for all streams, and one for all stream processors."""
        numbers, with_fsp = self.streams.numbers(), self.streams.with_fsp()
        return [[f"fcid_{one}/evt_hdr" for one in numbers], [f"swtid_{one}/evt_hdr" for one in with_fsp]]


class ORFCIOStatusDecoder(FCIODecoder):
    """States of cards, one row each, and rates of stream processors."""

    is_event = False
    tags = (STATUS,)
    fsp_tag = FSP_STATUS
    fsp_key = "status"
