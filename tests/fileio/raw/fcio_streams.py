"""FCIO streams made for tests: records built frame by frame."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import numpy as np

PREAMBLE = struct.pack("<i64s", -1_000_000_001, b"FlashCamV1")
CONFIG, EVENT, STATUS, SPARSE, HEADER = 1, 3, 4, 6, 7
FSP_CONFIG, FSP_EVENT, FSP_STATUS = 8, 9, 10


def record(tag: int, *frames: bytes) -> bytes:
    """A tag and its frames."""
    return struct.pack("<i", -tag) + b"".join(struct.pack("<i", len(one)) + one for one in frames)


def ints(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}i", *values)


def config(
    adcs: int = 3,
    samples: int = 4,
    *,
    triggers: int = 0,
    blprecision: int = 1,
    sumlength: int = 1,
    adcbits: int = 16,
    masters: int = 1,
    triggercards: int = 0,
    cards: int = 1,
    gps: int = 0,
    streamid: int | None = 1,
    tracemap: Sequence[int] | None = None,
) -> bytes:
    """A Config record; without `streamid` it lacks that frame, with an empty `tracemap` both."""
    numbers = (adcs, triggers, samples, blprecision, sumlength, adcbits, masters, triggercards, cards, gps)
    frames = [ints(one) for one in numbers]
    words = [528 << 16 | one for one in range(adcs + triggers)] if tracemap is None else tracemap
    if len(words):
        frames.append(struct.pack(f"<{len(words)}I", *words))
    if streamid is not None and len(words):
        frames.append(ints(streamid))
    return record(CONFIG, *frames)


def _times(number: int, pps: int, ticks: int, offset: Sequence[int] | None) -> tuple[bytes, bytes]:
    return (
        ints(*(offset or (1_600_000_000, 250_000, 37, 5, 5, 0, 0))),
        ints(number, pps, ticks, 249_999_999),
    )


def event(
    traces: np.ndarray,
    number: int = 0,
    pps: int = 1,
    ticks: int = 100,
    dead: Sequence[int] = (0, 0, 0, 0, 249_999_999),
    kind: int = 1,
    offset: Sequence[int] | None = None,
) -> bytes:
    """An Event record; `traces` has shape (traces, 2 + samples): baseline, energy, samples."""
    return record(
        EVENT,
        ints(kind),
        struct.pack("<f", 0),
        *_times(number, pps, ticks, offset),
        np.ascontiguousarray(traces, "<u2").tobytes(),
        ints(*dead),
    )


def sparse(
    listed: Sequence[int],
    traces: np.ndarray,
    number: int = 0,
    pps: int = 1,
    ticks: int = 100,
    dead: Sequence[int] = (0, 0, 0, 0, 249_999_999, 0, 3),
    kind: int = 1,
    offset: Sequence[int] | None = None,
) -> bytes:
    """A SparseEvent record of the traces `listed`."""
    return record(
        SPARSE,
        ints(kind),
        struct.pack("<f", 0),
        *_times(number, pps, ticks, offset),
        ints(*dead),
        ints(len(listed)),
        np.array(listed, "<u2").tobytes(),
        *(np.ascontiguousarray(one, "<u2").tobytes() for one in traces),
    )


def header(
    listed: Sequence[int],
    energies: np.ndarray,
    number: int = 0,
    pps: int = 1,
    ticks: int = 100,
    dead: Sequence[int] = (0, 0, 0, 0, 249_999_999, 0, 3),
    kind: int = 1,
    offset: Sequence[int] | None = None,
) -> bytes:
    """An EventHeader record; `energies` has shape (len(listed), 2)."""
    return record(
        HEADER,
        ints(kind),
        struct.pack("<f", 0),
        *_times(number, pps, ticks, offset),
        ints(*dead),
        np.array(listed, "<u2").tobytes(),
        np.ascontiguousarray(energies, "<u2").tobytes(),
    )


def card(reqid: int, pps: int = 3, ticks: int = 50, numenv: int = 15) -> bytes:
    """A card's state, 1,180 bytes."""
    words = [reqid, 1, 7, pps, ticks, 99, numenv, 2, 3, 0, 21, 22, 23, 24, 31, 32, 33, 34, 35]
    return struct.pack("<19I", *words) + ints(*range(100, 116)) + struct.pack("<260I", *range(260))


def status(cards: Iterable[bytes], ok: int = 1) -> bytes:
    """A Status record."""
    listed = list(cards)
    clock = ints(3, 4, 1_700_000_003, 5, 0, 1, 422_131, 0, 0, 0)
    return record(STATUS, ints(ok), clock, ints(len(listed)), ints(1180), *listed)


def waves(traces: int, samples: int, seed: int = 0) -> np.ndarray:
    """Samples of an event: shape (traces, 2 + samples)."""
    return np.random.default_rng(seed).integers(0, 1 << 16, (traces, 2 + samples), np.uint16)


def stream(*records: bytes) -> bytes:
    """A whole stream."""
    return PREAMBLE + b"".join(records)
