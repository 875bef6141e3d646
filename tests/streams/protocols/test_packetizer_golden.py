"""Packets captured from the peer: read, and made again byte by byte."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from sapwood.fileio import open as open_recording
from sapwood.streams import Frame, FrameBatch
from sapwood.streams.protocols.packetizer_v1 import DecoderV1, EncoderV1
from sapwood.streams.protocols.packetizer_v2 import DecoderV2, EncoderV2

CAPTURES = ["packetizer_v1", "packetizer_v1_nossi", "packetizer_v2_crc", "packetizer_v2_nocrc",
            "packetizer_v2_interleaved"]  # fmt: skip
CAPTURED = {"packetizer_v2_interleaved": "packetizer_v2_crc"}  # the same packets in another order


@pytest.fixture(params=CAPTURES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def packets(golden_rogue: Any, name: str) -> FrameBatch:
    with open_recording(golden_rogue / f"{name}.dat") as reader:
        return reader.read().compact()


@pytest.fixture
def known(rogue_manifest: dict[str, Any], name: str) -> dict[str, Any]:
    return rogue_manifest[f"{name}.dat"]


def decoder(params: dict[str, Any]) -> Any:
    ssi = params.get("enSsi", True)
    return DecoderV1(ssi) if params["version"] == 1 else DecoderV2(params.get("enIbCrc", True), ssi)


def frames_of(events: list[Any]) -> dict[str, list[list[Any]]]:
    found: dict[str, list[list[Any]]] = {}
    for dest, event in events:
        for frame in [event] if isinstance(event, Frame) else event.frames():
            row = [frame.size, frame.getFirstUser(), frame.getLastUser(), frame.error,
                   hashlib.sha256(bytes(frame)).hexdigest()]  # fmt: skip
            found.setdefault(str(dest), []).append(row)
    return found


def test_read_one_by_one(packets: FrameBatch, known: dict[str, Any]) -> None:
    reader = decoder(known["params"])
    events = [event for packet in packets.frames() for event in reader.frame(packet)]
    assert frames_of(events) == known["expect"]["decoded"]
    assert sum(reader.dropped.values()) == known["expect"]["drop_count"]


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5, 6, 100])
def test_read_in_batches(packets: FrameBatch, known: dict[str, Any], cut: int) -> None:
    reader = decoder(known["params"])
    batches = [packets[at : at + cut] for at in range(0, len(packets), cut)]
    events = [event for batch in batches for event in reader.batch(batch)]
    assert frames_of(events) == known["expect"]["decoded"]
    assert not reader.dropped


@pytest.mark.parametrize("way", ["frame", "batch"])
def test_made_again(
    packets: FrameBatch, known: dict[str, Any], name: str, way: str, rogue_manifest: dict[str, Any]
) -> None:
    params = rogue_manifest[f"{CAPTURED.get(name, name)}.dat"]["params"]
    ssi, limit = params["enSsi"], params["transport_buffer_bytes"]
    encoder: Any = EncoderV1(ssi) if params["version"] == 1 else EncoderV2(params["enObCrc"], ssi)
    payloads = _payloads(packets, params["version"])
    made: list[bytes] = []
    for sent in params["app_frames"]:
        frame = Frame(payloads[sent["dest"]].pop(0), flags=sent["flags"])
        assert frame.size == sent["length"]
        out = encoder.frame(frame, sent["dest"], limit) if way == "frame" else encoder.batch(
            FrameBatch.gather([frame]), sent["dest"], limit)  # fmt: skip
        made += [bytes(one) for one in ([out] if isinstance(out, Frame) else out.frames())]
    captured = [bytes(packet) for packet in packets.frames()]
    if name in CAPTURED:
        captured.sort(), made.sort()  # type: ignore[func-returns-value]
    assert len(made) == len(captured)
    for ours, theirs in zip(made, captured, strict=True):
        if params["version"] == 2 and theirs[-6] < 8 and any(theirs[-16 + theirs[-6] : -8]):
            pad = slice(-16 + theirs[-6], -8)  # the peer sends whatever was in its buffer
            assert (ours[: pad.start], ours[-8:-4]) == (theirs[: pad.start], theirs[-8:-4])
        else:
            assert ours == theirs


def _payloads(packets: FrameBatch, version: int) -> dict[int, list[bytes]]:
    reader: Any = DecoderV1(False) if version == 1 else DecoderV2(False, False)
    found: dict[int, list[bytes]] = {}
    for packet in packets.frames():
        for dest, frame in reader.frame(packet):
            found.setdefault(dest, []).append(bytes(frame))
    return found


def test_padding_is_zero() -> None:
    packet = EncoderV2(False, False).frame(Frame(b"abc"), 1, 64)
    assert isinstance(packet, Frame)
    batch = EncoderV2(False, False).batch(FrameBatch.gather([Frame(b"abc")]), 1, 64)
    assert bytes(packet)[11:16] == bytes(5)
    assert np.array_equal(batch.payload, packet.payload)
