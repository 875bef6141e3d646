"""FlashCam cards and listeners in the header of an ORCA stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sapwood.errors import FormatError
from sapwood.fileio.raw.orca.header import OrcaHeader

__all__ = ["LISTENER", "Listener", "find_listeners", "key_of"]

LISTENER = "ORFlashCamListenerModel"
_CARDS = ["ORFlashCamADCModel", "ORFlashCamADCStdModel"]
_MOST_SAMPLES = 0xFFFF


def key_of(fcid: Any, board_id: Any, fc_input: Any) -> Any:
    """Return the key of an input; of numbers or arrays of them."""
    return fcid * 1_000_000 + board_id * 100 + fc_input


@dataclass(slots=True)
class Listener:
    """A process that reads FlashCam cards.

    Attributes
    ----------
    fcid
        Its number.
    nsamples
        Samples of a waveform, as ORCA reckoned them.
    has_fsp
        Whether it has a stream processor.
    cards
        (crate, slot) -> address, of the cards that it reads.
    keys
        Of the inputs that are enabled, card by card.
    """

    fcid: int
    nsamples: int
    has_fsp: bool
    cards: dict[tuple[int, int], int] = field(default_factory=dict)
    keys: list[int] = field(default_factory=list)


def find_listeners(header: OrcaHeader) -> list[Listener]:
    """Return the listeners that are read out, in the order of the header.

    Raises
    ------
    FormatError
        When a listener has the number 0, which no key can hold.
    """
    cards = header.get_object_info(_CARDS)
    found: dict[int, Listener] = {}
    for task in header.get_readout_info(LISTENER):
        fcid = task.get("uniqueID")
        if not isinstance(fcid, int) or not 0 < fcid <= 0xFFFF:
            raise FormatError("A FlashCam listener has no usable number", expected="1..65535", seen=fcid)
        listener = found.setdefault(fcid, _listener(header, fcid))
        children = task.get("children")
        for child in children if isinstance(children, list) else []:
            if isinstance(child, dict) and child.get("name") in _CARDS:
                _add_card(listener, cards, child)
    return list(found.values())


def _listener(header: OrcaHeader, fcid: int) -> Listener:
    settings = next(iter(header.get_auxhw_info(LISTENER, fcid)), {})
    samples = settings.get("eventSamples", 0)
    if not isinstance(samples, int) or not 0 <= samples <= _MOST_SAMPLES:
        raise FormatError(
            f"Listener {fcid} has an impossible eventSamples", expected=f"0..{_MOST_SAMPLES}", seen=samples
        )
    return Listener(fcid, samples, bool(settings.get("fspEnabled", False)))


def _add_card(listener: Listener, cards: dict[int, dict[int, dict[str, Any]]], child: dict[str, Any]) -> None:
    crate, slot = child.get("crate"), child.get("station")
    if not isinstance(crate, int) or not isinstance(slot, int):
        return
    card = cards.get(crate, {}).get(slot, {})
    address, enabled = card.get("CardAddress"), card.get("Enabled")
    if not isinstance(address, int) or not 0 <= address <= 0xFFFF:
        return
    listener.cards[crate, slot] = address
    for number, flag in enumerate(enabled if isinstance(enabled, list) else []):
        if flag:
            listener.keys.append(key_of(listener.fcid, address, number))
