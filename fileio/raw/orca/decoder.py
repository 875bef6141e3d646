"""Base of the decoders of ORCA packets: the header they are made from, words of many packets at once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.raw.decoder import DataDecoder
from sapwood.fileio.raw.orca.header import OrcaHeader
from sapwood.fileio.raw.rowbytes import cut
from sapwood.streams import FrameBatch

__all__ = ["NO_SETUP", "TOO_SHORT", "WRONG_RECORD", "WRONG_SIZE", "WRONG_TRAILER", "OrcaDecoder", "word_rows"]

TOO_SHORT = 2  # reasons of garbage: shorter than the fields that it must have,
WRONG_SIZE = 3  # of another size than its fields say,
WRONG_TRAILER = 4  # without the word that must be its last,
_LOG = logging.getLogger("sapwood.fileio.raw.orca")
WRONG_RECORD = 5  # with another record than packets of its id hold,
NO_SETUP = 6  # of a stream whose configuration never came.
_REASONS = {
    WRONG_RECORD: "not the record that it should be",
    NO_SETUP: "of a stream without configuration",
    TOO_SHORT: "too short",
    WRONG_SIZE: "of a size its fields deny",
    WRONG_TRAILER: "without its trailer",
}


def word_rows(packets: FrameBatch, first: int, count: int) -> NDArray[np.uint32]:
    """Return words ``first..first + count`` of every packet, u4, shape (n, count).

    All packets must have them.
    """
    return cut(packets, 4 * first, 4 * count).view("<u4")


class OrcaDecoder(DataDecoder):
    """A decoder of ORCA packets.

    Parameters
    ----------
    header
        Of the stream; `set_header` may give it later.

    Attributes
    ----------
    least_words
        Words that a packet has at least; shorter ones are garbage.
    reads_ahead
        Whether packets of this decoder tell others how to decode, see `look_ahead`.
    tell
        Called with what is odd about the stream, one sentence; the stream keeps it among its problems.
    """

    least_words: ClassVar[int] = 1
    reads_ahead: ClassVar[bool] = False

    def __init__(self, header: OrcaHeader | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tell: Callable[[str], None] = _LOG.warning
        self.header = OrcaHeader()
        if header is not None:
            self.set_header(header)

    def set_header(self, header: OrcaHeader) -> None:
        """Take over the header of a stream."""
        self.header = header

    def share(self, shared: dict[str, object]) -> None:
        """Find, or leave, what the decoders of one stream have in common; called before `set_header`."""

    @property
    def lacks_setup(self) -> bool:
        """Whether packets that the header promises, and tables depend on, are still to be seen ahead."""
        return False

    def look_ahead(self, decoders: list[DataDecoder], packet: NDArray[np.uint8], *, early: bool) -> None:
        """Tell the other decoders of the stream what a packet of this one says, before they go on.

        Parameters
        ----------
        decoders
            All of the stream.
        packet
            Whole.
        early
            Whether it was seen before tables are made; it comes again when it is its turn.
        """

    def sound(
        self, packets: FrameBatch, packet_ids: NDArray[np.uint32]
    ) -> tuple[FrameBatch, NDArray[np.uint32]]:
        """Return the packets that are long enough; the others go into the garbage."""
        return self.sift(packets, packet_ids, packets.size >= 4 * self.least_words, TOO_SHORT)

    def sift(
        self, packets: FrameBatch, packet_ids: NDArray[np.uint32], good: NDArray[np.bool_], code: int
    ) -> tuple[FrameBatch, NDArray[np.uint32]]:
        """Return the packets that are `good`; the others go into the garbage for the reason `code`."""
        if good.all():
            return packets, packet_ids
        for row in np.flatnonzero(~good).tolist():
            packet_id = int(packet_ids[row])
            if not self.garbage.count:
                self.tell(f"{type(self).__name__}: packet {packet_id} is {_REASONS[code]}")
            self.put_in_garbage(packets.frame_bytes(row), packet_id, code)
        return packets[good], packet_ids[good]
