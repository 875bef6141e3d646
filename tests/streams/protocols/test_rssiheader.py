"""Headers of RSSI segments: the captured session, both ways, and refused bytes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapwood.errors import ProtocolError, StreamError
from sapwood.streams.protocols.rssiheader import (
    ACK,
    BUSY,
    NULL,
    RST,
    SYN,
    Parameters,
    decode,
    encode,
    encode_syn,
)

BYTE = st.integers(0, 255)
PARAMETERS = st.builds(
    Parameters,
    st.integers(1, 255),
    st.integers(9, 65535),
    *[st.integers(1, 65535)] * 3,
    *[st.integers(1, 255)] * 2,
)


@pytest.fixture
def session(golden_rogue: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((golden_rogue / "rssi_session.json").read_text())["segments"]
    return found


def test_the_captured_session_decodes(session: list[dict[str, Any]], rogue_manifest: dict[str, Any]) -> None:
    expect = rogue_manifest["rssi_session.json"]["expect"]
    assert len(session) == expect["segments"]
    payloads = []
    for segment in session:
        data, fields = bytes.fromhex(segment["hex"]), segment["fields"]
        header = decode(data)
        flags = {"syn": SYN, "ack": ACK, "rst": RST, "nul": NULL, "busy": BUSY}
        assert {name: int(bool(header.flags & bit)) for name, bit in flags.items()} == {
            name: fields[name] for name in flags
        }
        assert (header.sequence, header.acknowledge, header.size) == (
            fields["seq"],
            fields["ackn"],
            fields["header_len"],
        )
        assert len(data) - header.size == fields["data_len"]
        if fields["data_len"]:
            payloads.append(data[header.size :])
    assert [hashlib.sha256(payload).hexdigest() for payload in payloads] == expect["data_sha256"]
    agreed, syn = expect["negotiated"], decode(bytes.fromhex(session[1]["hex"])).parameters
    assert syn == Parameters(
        agreed["maxBuffers"], agreed["server_max_segment"], agreed["cumAckTout"], agreed["retranTout"],
        agreed["nullTout"], agreed["maxRetran"], agreed["maxCumAck"],
    )  # fmt: skip


def test_the_captured_headers_are_encoded_byte_by_byte(session: list[dict[str, Any]]) -> None:
    for segment in session:
        data = bytes.fromhex(segment["hex"])
        header = decode(data)
        numbers = header.flags, header.sequence, header.acknowledge
        if header.parameters is None:
            assert encode(*numbers) == data[: header.size]
        else:
            assert encode_syn(*numbers, header.parameters) == data[: header.size]


@given(st.integers(0, 127), BYTE, BYTE)
def test_plain_headers_come_back(flags: int, sequence: int, acknowledge: int) -> None:
    header = decode(encode(flags, sequence, acknowledge) + b"payload")
    assert header == (flags, sequence, acknowledge, None)


@given(st.integers(0, 127), BYTE, BYTE, PARAMETERS)
def test_syn_headers_come_back(flags: int, sequence: int, acknowledge: int, parameters: Parameters) -> None:
    header = decode(encode_syn(flags, sequence, acknowledge, parameters))
    assert header == (flags | SYN, sequence, acknowledge, parameters)


@given(st.data())
def test_one_changed_bit_is_noticed(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([encode(ACK, 1, 2), encode_syn(ACK, 100, 0, Parameters())]))
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    damaged = bytearray(whole)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ProtocolError):
        decode(damaged)


@given(st.binary(max_size=40))
def test_any_bytes_give_a_header_or_a_protocol_error(data: bytes) -> None:
    try:
        header = decode(data)
    except ProtocolError:
        return
    assert header.size <= len(data)


def with_checksum(body: bytes) -> bytes:
    total = sum(int.from_bytes(body[at : at + 2], "big") for at in range(0, 22, 2))
    return body[:22] + (~((total & 0xFFFF) + (total >> 16)) & 0xFFFF).to_bytes(2, "big")


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (4, 0x2C, "version"),
        (5, 0, "max_buffers"),
        (6, 0, None),
        (14, 0, "max_retran"),
        (17, 10, "make no sense"),
    ],
)
def test_parameters_of_a_syn_are_checked(at: int, value: int, message: str | None) -> None:
    body = bytearray(encode_syn(0, 100, 0, Parameters(max_segment=1464)))
    body[at] = value
    if message is None:  # only the upper byte of the segment size: 1464 - 1280
        assert decode(with_checksum(bytes(body))).parameters == Parameters(max_segment=1464 & 0xFF)
        return
    with pytest.raises(ProtocolError, match=message):
        decode(with_checksum(bytes(body)))


def test_times_in_other_units_become_milliseconds() -> None:
    body = bytearray(encode_syn(0, 100, 0, Parameters(retran_tout=20_000, cum_ack_tout=5, null_tout=60_000)))
    body[17] = 6
    assert decode(with_checksum(bytes(body))).parameters == Parameters(
        retran_tout=20, cum_ack_tout=1, null_tout=60
    )


@pytest.mark.parametrize("values", [{"max_buffers": 0}, {"max_retran": 256}, {"null_tout": 65536}])
def test_parameters_have_limits(values: dict[str, int]) -> None:
    with pytest.raises(StreamError, match=next(iter(values))):
        Parameters(**values)
