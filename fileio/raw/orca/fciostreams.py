"""FCIO streams inside ORCA packets: one per listener, each with its state and decoders of records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FormatError
from sapwood.fileio.raw.fcio.config import FCIOConfig, FCIOState
from sapwood.fileio.raw.fcio.configdecoder import FCConfigDecoder
from sapwood.fileio.raw.fcio.eventdecoder import FCEventDecoder
from sapwood.fileio.raw.fcio.fspdecoders import FSPConfigDecoder, FSPEventDecoder, FSPStatusDecoder
from sapwood.fileio.raw.fcio.headerdecoder import FCEventHeaderDecoder
from sapwood.fileio.raw.fcio.records import (
    CONFIG,
    EVENT,
    EVENT_HEADER,
    FSP_CONFIG,
    FSP_EVENT,
    FSP_STATUS,
    SPARSE_EVENT,
    STATUS,
    split_records,
)
from sapwood.fileio.raw.fcio.statedecoder import StateDecoder
from sapwood.fileio.raw.fcio.statusdecoder import FCStatusDecoder
from sapwood.fileio.raw.orca.cards import find_listeners
from sapwood.fileio.raw.orca.header import OrcaHeader

__all__ = ["BODY_BYTES", "DECODERS", "FCIOStreams", "InnerStream"]

BODY_BYTES = 12  # before the records: id, length, number of the stream

DECODERS: Mapping[int, type[StateDecoder]] = {
    CONFIG: FCConfigDecoder,
    EVENT: FCEventDecoder,
    SPARSE_EVENT: FCEventDecoder,
    EVENT_HEADER: FCEventHeaderDecoder,
    STATUS: FCStatusDecoder,
    FSP_CONFIG: FSPConfigDecoder,
    FSP_EVENT: FSPEventDecoder,
    FSP_STATUS: FSPStatusDecoder,
}


@dataclass
class InnerStream:
    """One stream.

    Attributes
    ----------
    state
        Its configuration and times.
    has_fsp
        Whether a stream processor takes part.
    reached
        Whether its first configuration was reached, not only seen ahead.
    """

    state: FCIOState
    has_fsp: bool
    reached: bool = False
    _made: dict[object, StateDecoder] = field(default_factory=dict)

    def decoder(self, tag: int, owner: object) -> StateDecoder:
        """Return the decoder of records with `tag` that works for `owner`, always the same."""
        kind = DECODERS[tag]
        place = (kind, id(owner))
        if place not in self._made:
            self._made[place] = kind(self.state)
        return self._made[place]


class FCIOStreams:
    """The streams of all listeners.

    Parameters
    ----------
    header
        Names the listeners.

    Attributes
    ----------
    inner
        Number of the stream -> it, once its configuration is known.
    """

    def __init__(self, header: OrcaHeader) -> None:
        self._listed = {one.fcid: one.has_fsp for one in find_listeners(header)}
        self.inner: dict[int, InnerStream] = {}

    def numbers(self) -> list[int]:
        """Return the numbers of all streams: those of the header first."""
        return list(dict.fromkeys([*self._listed, *self.inner]))

    @property
    def missing(self) -> set[int]:
        """Numbers of the streams of the header whose configuration is not known."""
        return self._listed.keys() - self.inner.keys()

    def with_fsp(self) -> list[int]:
        """Return the numbers of the streams that have a stream processor."""
        return [
            one
            for one in self.numbers()
            if self._listed.get(one, False) or (one in self.inner and self.inner[one].has_fsp)
        ]

    def in_order(self) -> list[InnerStream]:
        """Return the streams whose configuration is known, in the order of `numbers`."""
        return [self.inner[one] for one in self.numbers() if one in self.inner]

    def configure(self, packet: NDArray[np.uint8], *, early: bool) -> bool:
        """Take over a packet of configuration; return whether it changes a stream that had one.

        Parameters
        ----------
        packet
            Whole, as it is in the ORCA stream.
        early
            Whether it is seen before its turn: then it counts only if nothing is known yet.

        Raises
        ------
        FormatError
            When it makes no sense.
        """
        number = int(packet[8:10].view("<u2")[0])
        body = packet[BODY_BYTES:]
        records = {layout.tag: (at, layout) for at, layout in split_records(body)}
        if CONFIG not in records:
            raise FormatError(f"Missing record in FCIO stream {number}.", expected="a Config record")
        at, layout = records[CONFIG]
        known = self.inner.get(number)
        if known is None:
            config = FCIOConfig.parse(body[at:], layout)
            state = FCIOState(config)
            self.inner[number] = InnerStream(state, FSP_CONFIG in records, reached=not early)
        elif not early and known.reached:
            known.state.switch(FCIOConfig.parse(body[at:], layout))
            return True
        elif not early:
            known.reached = True
        return False

    def columns_of(self, tag: int, key: Any, owner: object) -> Mapping[str, Mapping[str, Any]]:
        """Return the columns of rows with `key`, as the decoder of its stream declares them."""
        kind = DECODERS[tag]
        for stream in self.in_order():
            decoder = stream.decoder(tag, owner)
            if key is None or key in decoder.get_key_list():
                return decoder.get_decoded_values(key)
        for stream in self.in_order():
            return stream.decoder(tag, owner).get_decoded_values(key)
        return {} if kind is FCEventDecoder else kind.columns
