"""What the decoders of Struck digitisers in ORCA share: channels, and lengths of their waveforms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from sapwood.fileio.raw.orca.decoder import OrcaDecoder
from sapwood.fileio.raw.orca.header import OrcaHeader

__all__ = ["StruckDecoder", "channel_key", "mask_bits"]


def channel_key(crate: Any, card: Any, channel: Any) -> Any:
    """Return the key of a channel; of numbers or arrays of them."""
    return (crate << 9) + ((card & 0x1F) << 4) + (channel & 0xF)


class StruckDecoder(OrcaDecoder):
    """Waveforms of Struck cards; one table per channel.

    A subclass says which cards and which of their channels there are, and the columns apart from
    the waveform.
    """

    card_class: ClassVar[str] = ""
    columns: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    dt: ClassVar[float] = 1.0

    def set_header(self, header: OrcaHeader) -> None:
        """Find out which channels are read out and how long their waveforms are."""
        super().set_header(header)
        self.lengths: dict[int, int] = {}
        for crate, cards in sorted(header.get_object_info(self.card_class).items()):
            for card, settings in sorted(cards.items()):
                for channel, length in self.channels(settings).items():
                    self.lengths[channel_key(crate, card, channel)] = length

    def channels(self, settings: Mapping[str, Any]) -> dict[int, int]:
        """Return channel -> samples of a waveform, of the channels that a card reads out."""
        raise NotImplementedError

    def get_key_lists(self) -> list[list[Any]]:
        """Return one group per channel."""
        return [[key] for key in self.lengths]

    def get_decoded_values(self, key: Any = None) -> Mapping[str, Mapping[str, Any]]:
        """Return the columns; the waveform has the length stated for the channel `key`."""
        length = self.lengths.get(key, 0) if key is not None else max(self.lengths.values(), default=0)
        facts = {"dtype": "uint16", "datatype": "waveform", "wf_len": length}
        return {**self.columns, "waveform": {**facts, "dt": self.dt, "dt_units": "ns", "t0_units": "ns"}}

    def note_length(self, key: int, seen: int) -> None:
        """Note once that waveforms of a channel have another length than the header says."""
        noted: set[int] = self.__dict__.setdefault("_noted", set())
        if key not in noted and seen != self.lengths.get(key, seen):
            noted.add(key)
            self.tell(
                f"{type(self).__name__}: waveforms of channel {key} have {seen} samples, "
                f"the header says {self.lengths[key]}: they are cut or filled up"
            )


def mask_bits(mask: Any, count: int) -> list[int]:
    """Return the bits set among the lowest `count`; none when `mask` is no number."""
    return [bit for bit in range(count) if isinstance(mask, int) and mask >> bit & 1]
