"""ORCA streams made to order."""

from __future__ import annotations

import plistlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

RUN, FLASHCAM, CONFIG, STATUS, OLD_FLASHCAM = 0x80000, 0xC0000, 0x100000, 0x140000, 0x180000
SIS3302, SIS3316, OTHER = 0x1C0000, 0x200000, 0x240000
FCIO_CONFIG, FCIO_EVENT, FCIO_HEADER, FCIO_STATUS = 0x280000, 0x2C0000, 0x300000, 0x340000
SHORT = 0xA4000000  # a record of one word

DECODERS = {
    RUN: "ORRunDecoderForRun",
    FLASHCAM: "ORFlashCamADCWaveformDecoder",
    OLD_FLASHCAM: "ORFlashCamWaveformDecoder",
    CONFIG: "ORFlashCamListenerConfigDecoder",
    STATUS: "ORFlashCamListenerStatusDecoder",
    SIS3302: "ORSIS3302DecoderForEnergy",
    SIS3316: "ORSIS3316WaveformDecoder",
    OTHER: "ORSomethingElseDecoder",
    SHORT: "ORBlinkDecoder",
    FCIO_CONFIG: "ORFCIOConfigDecoder",
    FCIO_EVENT: "ORFCIOEventDecoder",
    FCIO_HEADER: "ORFCIOEventHeaderDecoder",
    FCIO_STATUS: "ORFCIOStatusDecoder",
}
LISTENER = "ORFlashCamListenerModel"


def packet(data_id: int, words: Iterable[int] | np.ndarray[Any, Any], *, extended: bool = False) -> bytes:
    """Return a packet with the words after word 0 (and 1, when extended)."""
    body = np.asarray(list(words) if not isinstance(words, np.ndarray) else words).astype("<u4").tobytes()
    if extended:
        return np.array([data_id, 2 + len(body) // 4], "<u4").tobytes() + body
    return np.array([data_id + 1 + len(body) // 4], "<u4").tobytes() + body


def header(tree: Mapping[str, Any]) -> bytes:
    """Return the packet of a header with this content."""
    return xml_header(plistlib.dumps(dict(tree)))


def xml_header(xml: bytes) -> bytes:
    """Return the packet of a header with this text."""
    body = xml + bytes(-len(xml) % 4)
    return np.array([2 + len(body) // 4, len(xml)], "<u4").tobytes() + body


def tree(
    ids: Sequence[int],
    *,
    cards: Sequence[Mapping[str, Any]] = (),
    listeners: Sequence[int] = (),
    samples: int = 8,
    fsp: bool = False,
) -> dict[str, Any]:
    """Return a header's content: packets of `ids`, cards in crate 0, FlashCam cards read by listeners.

    Cards with a ``CardAddress`` are dealt out to the listeners in turn.
    """
    children: dict[int, list[Any]] = {fcid: [] for fcid in listeners}
    dealt = [card for card in cards if "CardAddress" in card]
    for index, card in enumerate(dealt):
        child = {"crate": 0, "station": card["Card"], "name": card["Class Name"]}
        children[listeners[index % len(listeners)]].append(child)
    return {
        "ObjectInfo": {
            "Crates": [{"CrateNumber": 0, "Cards": [dict(card) for card in cards]}],
            "AuxHw": [
                {"Class Name": LISTENER, "uniqueID": fcid, "eventSamples": samples, "fspEnabled": fsp}
                for fcid in listeners
            ],
            "DataChain": [{"Run Control": {"RunNumber": 17}}],
        },
        "ReadoutDescription": [
            {"name": LISTENER, "uniqueID": fcid, "children": children[fcid]} for fcid in listeners
        ],
        "dataDescription": {
            f"Model{index}": {"Record": {"dataId": data_id, "decoder": DECODERS[data_id], "variable": True}}
            for index, data_id in enumerate(ids)
        },
    }


def run_record(number: int = 17, *, flags: int = 1, subrun: int = 0, time: int = 1_700_000_000) -> bytes:
    """Return a record of a run."""
    return packet(RUN, [subrun << 16 | flags, number, time])


# FlashCam


def flashcam_card(slot: int, address: int, enabled: Sequence[bool] = (True,) * 6) -> dict[str, Any]:
    """Return the settings of a card."""
    return {
        "Class Name": "ORFlashCamADCModel",
        "Card": slot,
        "CardAddress": address,
        "Enabled": list(enabled),
    }


def flashcam(
    slot: int,
    address: int,
    channel: int,
    fc_input: int,
    samples: np.ndarray[Any, Any],
    *,
    old: bool = False,
    times: Sequence[int] = tuple(range(1, 17)),
    baseline: int = 100,
    energy: int = 200,
    event_type: int = 1,
) -> bytes:
    """Return a trace as ORCA packs it; `times` are the words from the time offsets to maxticks."""
    board = (address << 4 & 0xFFF) << 10
    place = slot << 22 | board & 0x003FC000 | fc_input << (9 if old else 10) | channel
    words = [3 << 28 | 17 << 22 | len(samples) << 6 | event_type, place, *times, energy << 16 | baseline]
    body = samples.astype("<u2").tobytes()
    body += bytes(-len(body) % 4)
    return packet(OLD_FLASHCAM if old else FLASHCAM, words + np.frombuffer(body, "<u4").tolist())


def listener_config(
    fcid: int,
    channels: Sequence[tuple[int, int]],
    samples: int,
    *,
    gps: int = 0,
    revisions: Sequence[int] = (),
    uids: Sequence[int] = (),
) -> bytes:
    """Return the set-up of a listener with (board, input) of each channel."""
    cards = len(revisions)
    words = [1 << 16 | fcid, 5, len(channels), 0, samples, 16, 1, 1, 0, 0, cards, gps]
    words += [board << 16 | number for board, number in channels]
    packed = bytes(revisions) + bytes(-cards % 4)
    words += np.frombuffer(packed, "<u4").tolist()
    for uid in uids:
        words += [uid >> 32, uid & 0xFFFFFFFF]
    return packet(CONFIG, words)


def listener_status(fcid: int, cards: Sequence[np.ndarray[Any, Any]]) -> bytes:
    """Return the state of cards, each given by its words."""
    times = [7, 250_000, 1_700_000_000, 500_000, 0, 3, 4, 0, 0, 0]
    words = [1 << 16 | fcid, 1, *times, len(cards), len(cards[0]) if cards else 0]
    return packet(STATUS, np.concatenate([np.array(words, np.int64), *cards]))


def card_state(number: int, *, daughters: int = 2, ctis: int = 1, links: int = 3) -> np.ndarray[Any, Any]:
    """Return the words of a card's state, each its own index plus 1000 times `number`, but the counts."""
    words = np.arange(295) + 1000 * number
    words[6:9] = 13 + daughters, ctis, links
    return words


# Struck


def sis3302_card(slot: int, internal: int, external: int, lengths: Sequence[int]) -> dict[str, Any]:
    """Return the settings of a card."""
    return {
        "Class Name": "ORSIS3302Model",
        "Card": slot,
        "internalTriggerEnabledMask": internal,
        "externalTriggerEnabledMask": external,
        "sampleLengths": list(lengths),
    }


def sis3302(
    slot: int,
    channel: int,
    time: int,
    samples: np.ndarray[Any, Any],
    *,
    wrap: int | None = None,
    energies: Sequence[int] = (),
    trailer: int = 0xDEADBEEF,
) -> bytes:
    """Return a trigger; `wrap` is the index of the last sample in a buffer that was filled in a circle."""
    words = [slot << 16 | channel << 8 | (wrap is not None), len(samples) // 2, len(energies)]
    words += [time >> 32 << 16, time & 0xFFFFFFFF]
    if wrap is not None:
        words += [0, wrap]
    words += np.ascontiguousarray(samples, "<u2").view("<u4").tolist()
    return packet(SIS3302, [*words, *energies, 500 + channel, 400 + channel, 0, trailer])


def sis3316_card(slot: int, mask: int, length: int) -> dict[str, Any]:
    """Return the settings of a card."""
    return {"Class Name": "ORSIS3316Model", "Card": slot, "enabledMask": mask, "rawDataBufferLen": length}


def sis3316_event(channel: int, time: int, samples: np.ndarray[Any, Any], bits: int = 0xF) -> list[int]:
    """Return the words of an event with the fields that `bits` name."""
    words = [time >> 32 << 16 | channel << 4 | bits, time & 0xFFFFFFFF]
    if bits & 1:
        words += [9 << 16 | 777, 0xA5 << 24 | 1, 2, 3, 4, 5, 6]
    if bits & 2:
        words += [7, 8]
    if bits & 4:
        words += [71, 72, 73]
    if bits & 8:
        words += [81, 82]
    return [*words, 0xE << 28 | len(samples) // 2, *np.ascontiguousarray(samples, "<u2").view("<u4").tolist()]


def sis3316(slot: int, channel: int, events: Sequence[Sequence[int]], *, crate: int = 0) -> bytes:
    """Return a packet of events of one length."""
    words = [
        crate << 21 | slot << 16 | channel << 8,
        len(events),
        len(events[0]) if events else 0,
        1,
        0,
        0,
        0,
        0,
        0,
    ]
    return packet(SIS3316, words + [word for event in events for word in event])


# FCIO in packets


def record(tag: int, *frames: Any) -> bytes:
    """Return an FCIO record; frames are bytes, a number, or an array of i4."""
    data = np.array([-tag], "<i4").tobytes()
    for frame in frames:
        body = frame if isinstance(frame, bytes) else np.atleast_1d(frame).astype("<i4").tobytes()
        data += np.array([len(body)], "<i4").tobytes() + body
    return data


def inside(data_id: int, fcid: int, records: bytes) -> bytes:
    """Return the packet of FCIO records of a stream."""
    body = records + bytes(-len(records) % 4)
    words = np.array([data_id, 3 + len(body) // 4, 1 << 16 | fcid], "<u4")
    return words.tobytes() + body


def fcio_config(
    fcid: int,
    channels: Sequence[tuple[int, int]],
    samples: int = 8,
    *,
    adcbits: int = 16,
    gps: int = 0,
    adccards: int = 2,
    before: bytes = b"",
) -> bytes:
    """Return the packet of a configuration with (card, input) of each trace, `before` it other records."""
    preamble = np.array([-1_000_000_001], "<i4").tobytes() + b"FlashCamV1".ljust(64, b"\0")
    numbers = [len(channels), 0, samples, 1, 1, adcbits, 1, 0, adccards, gps]
    tracemap = np.array([card << 16 | number for card, number in channels])
    return inside(FCIO_CONFIG, fcid, preamble + before + record(1, *numbers, tracemap, 1 << 16 | fcid))


def _times(number: int, ticks: int) -> tuple[Any, Any, Any]:
    return (
        np.arange(10),
        np.array([number, 3, ticks, 249_999_999, *[0] * 6]),
        np.array([0, 0, 0, 50, 7, 0, 2]),
    )


def fcio_event(fcid: int, number: int, traces: np.ndarray[Any, Any], *, before: bytes = b"") -> bytes:
    """Return the packet of an event; `traces` has two header words and the samples of every trace."""
    offsets, stamp, dead = _times(number, 1000 * number)
    body = record(3, 1, bytes(4), offsets, stamp, traces.astype("<u2").tobytes(), dead)
    return inside(FCIO_EVENT, fcid, before + body)


def fcio_sparse(
    fcid: int, number: int, listed: Sequence[int], traces: np.ndarray[Any, Any], *, before: bytes = b""
) -> bytes:
    """Return the packet of an event of some traces."""
    offsets, stamp, dead = _times(number, 1000 * number)
    frames = [trace.astype("<u2").tobytes() for trace in traces]
    names = np.array(listed, "<u2").tobytes()
    body = record(6, 11, bytes(4), offsets, stamp, dead, len(listed), names, *frames)
    return inside(FCIO_EVENT, fcid, before + body)


def fcio_header(fcid: int, number: int, listed: Sequence[int], *, before: bytes = b"") -> bytes:
    """Return the packet of an event without waveforms; baseline 10 and energy 20 times the trace."""
    offsets, stamp, dead = _times(number, 1000 * number)
    names = np.array(listed, "<u2")
    headers = np.stack([10 * names, 20 * names], axis=1).astype("<u2")
    body = record(7, 1, bytes(4), offsets, stamp, dead, names.tobytes(), headers.tobytes())
    return inside(FCIO_HEADER, fcid, before + body)


def fcio_status(fcid: int, cards: Sequence[int], *, before: bytes = b"") -> bytes:
    """Return the packet of the state of cards."""
    states = []
    for number in cards:
        state = card_state(1)
        state[0] = number
        states.append(state.astype("<u4").tobytes())
    clock = np.array([7, 250_000, 1_700_000_000, 500_000, 0, 3, 4, 0, 0, 0])
    return inside(FCIO_STATUS, fcid, before + record(4, 1, clock, len(cards), 1180, *states))


def fsp_event(multiplicity: int) -> bytes:
    """Return a record of the stream processor about the event that follows."""
    hwm = np.array([multiplicity], "<i4").tobytes() + bytes(8)
    empty = [b""] * 6
    return record(9, bytes(24), bytes(32), 0, hwm, bytes(20), *empty)


def fsp_status(runtime: float) -> bytes:
    """Return a record of the stream processor's rates."""
    return record(10, np.array([0, 0, 0, runtime, *[0] * 10], "<f8").tobytes())


def fsp_config(traces: int) -> bytes:
    """Return a stream processor's configuration; arrays have one element per trace, or per other thing."""
    floats = np.arange(traces, dtype="<f4").tobytes()
    numbers = np.arange(traces, dtype="<i4")
    trace_map = [1, numbers, numbers - 1, b"".join(b"ch%06d" % number for number in range(traces))]
    thresholds = (100 + numbers).astype("<u2").tobytes()
    wide = [np.array([number], "<i8").tobytes() for number in range(20)]
    general = [2, np.array([3, 4]), 5, *(np.array([value], "<f4").tobytes() for value in (6, 7, 8))]
    general += [
        np.array([9, 10], "<f4").tobytes(),
        bytes(range(24)),
        *wide[1:5],
        *wide[5:8],
        np.array([1, 0]),
    ]
    wps = [1, 2, 3, 4, np.array([5.5], "<f4").tobytes(), floats, floats, floats, numbers, 6, 7]
    wps += [numbers + step for step in range(4)]
    return record(
        8, *general, 11, *wide[8:10], *trace_map, thresholds, *trace_map, thresholds, *trace_map, *wps
    )
