from __future__ import annotations

import itertools
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sapwood.fileio
from sapwood.errors import ProtocolError
from sapwood.streams import Frame, Slave
from sapwood.streams.protocols import srpv0, srpv3
from sapwood.streams.protocols.srp import (
    POST,
    READ,
    WRITE,
    Cmd,
    Wire,
    decode_command,
    encode_command,
)

VERSIONS: dict[str, Wire] = {"srpv3.dat": srpv3, "srpv0.dat": srpv0}
HEAD = struct.Struct("<5I")
U32 = st.integers(0, 0xFFFFFFFF)
words = st.integers(1, 512).flatmap(lambda count: st.binary(min_size=4 * count, max_size=4 * count))


def frames(file: Path) -> list[tuple[int, bytes]]:
    """Return (channel, payload) of the records of a recording."""
    with sapwood.fileio.open(file) as reader:
        return [(frame.channel, bytes(frame.buffer)) for frame in reader.read().frames()]


@pytest.fixture(params=list(VERSIONS))
def capture(request: Any, golden_rogue: Path, rogue_manifest: dict[str, Any]) -> tuple[Wire, Any, Any]:
    """A version, the frames the peer made in it, and the accesses they stand for."""
    accesses = rogue_manifest[request.param]["expect"]["transactions"]
    return VERSIONS[request.param], frames(golden_rogue / request.param), accesses


OPCODES = {"read": READ, "verify": READ, "write": WRITE, "post": POST}


def test_the_peers_requests_decode_and_encode_to_the_same_bytes(capture: tuple[Wire, Any, Any]) -> None:
    wire, recorded, accesses = capture
    requests = [payload for channel, payload in recorded if channel == 0]
    assert len(requests) == len(accesses)
    for payload, access in zip(requests, accesses, strict=True):
        request = wire.decode_request(payload)
        opcode = OPCODES[access["op"]]
        if wire is srpv0 and opcode == POST:
            opcode = WRITE
        assert (request.opcode, request.address, request.size) == (opcode, access["address"], access["size"])
        written = bytes.fromhex(access["result_hex"]) if opcode != READ else b""
        assert bytes(request.data) == written
        head = wire.head(opcode, request.id, access["address"], access["size"], srpv3.DEFAULT_TIMEOUT)
        assert wire.encode_request(head, access["size"], written) == payload


def test_the_peers_responses_decode_and_encode_to_the_same_bytes(capture: tuple[Wire, Any, Any]) -> None:
    wire, recorded, accesses = capture
    results = iter(accesses)
    answered = 0
    for (channel, payload), (next_channel, response) in itertools.pairwise(recorded):
        if channel:
            continue
        access = next(results)
        if next_channel != 1:
            assert access["op"] == "post"
            continue
        answered += 1
        request = wire.decode_request(payload)
        data = bytes.fromhex(access["result_hex"])
        assert wire.encode_response(request.head, data, 0) == response
        decoded = wire.decode_response(response)
        assert (decoded.id, bytes(decoded.data), decoded.status) == (request.id, data, 0)
        opcode, size = request.opcode, request.size
        assert decoded.head == wire.head(opcode, request.id, request.address, size, srpv3.DEFAULT_TIMEOUT)
    assert answered >= 5


@pytest.mark.parametrize("wire", VERSIONS.values(), ids=VERSIONS)
@given(opcode=st.sampled_from([READ, WRITE]), id=U32, word=st.integers(0, (1 << 30) - 1), data=words)
def test_whatever_is_encoded_decodes(wire: Wire, opcode: int, id: int, word: int, data: bytes) -> None:
    head = wire.head(opcode, id, 4 * word, len(data), 0x0A)
    written = b"" if opcode == READ else data
    request = wire.decode_request(wire.encode_request(head, len(data), written))
    assert request[:4] == (opcode, id, 4 * word, len(data))
    assert bytes(request.data) == written
    response = wire.decode_response(wire.encode_response(request.head, data, 0x5))
    assert (response.id, response.head, bytes(response.data), response.status) == (id, head, data, 5)


@given(st.binary(min_size=8, max_size=8), st.integers(0, 1 << 64))
def test_version_3_reaches_64_bit_addresses(data: bytes, address: int) -> None:
    head = srpv3.head(POST, 7, address, 8, 1)
    if address > srpv3.MAX_ADDRESS:
        with pytest.raises(ProtocolError, match="out of range"):
            srpv3.encode_request(head, 8, data)
    else:
        assert srpv3.decode_request(srpv3.encode_request(head, 8, data)).address == address


@pytest.mark.parametrize("wire", VERSIONS.values(), ids=VERSIONS)
@given(garbage=st.binary(max_size=80))
def test_decoders_of_garbage_give_an_answer_or_the_documented_error(wire: Wire, garbage: bytes) -> None:
    try:
        request = wire.decode_request(garbage)
    except ProtocolError:
        pass
    else:
        assert 0 < request.size <= wire.MAX_ACCESS
        assert len(request.data) in (0, request.size)
    try:
        response = wire.decode_response(garbage)
    except ProtocolError:
        assert len(garbage) < 24
    else:
        assert len(response.data) < len(garbage)


@given(st.data())
def test_a_damaged_request_never_asks_for_more_than_is_allowed(data: st.DataObject) -> None:
    good = bytearray(srpv3.encode_request(srpv3.head(WRITE, 5, 0x100, 64, 10), 64, bytes(64)))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, 19))] ^= 1 << data.draw(st.integers(0, 7))
    cut = good[: data.draw(st.integers(0, len(good)))]
    for payload in (good, cut):
        try:
            request = srpv3.decode_request(payload)
        except ProtocolError:
            continue
        assert request.opcode == READ or len(request.data) == request.size
        assert request.size <= srpv3.MAX_ACCESS


BAD_V3 = {
    "short": (bytes(19), "20 bytes or more"),
    "version": (HEAD.pack(2, 1, 0, 0, 3), "version 3"),
    "null opcode": (HEAD.pack(0x303, 1, 0, 0, 3), "opcode 0..2"),
    "too large": (HEAD.pack(3, 1, 0, 0, 4099), "up to 4096"),
    "part of a word": (HEAD.pack(3, 1, 0, 0, 5), "multiple of 4"),
    "4 GiB": (HEAD.pack(3, 1, 0, 0, 0xFFFFFFFF), "up to 4096"),
    "read with data": (HEAD.pack(3, 1, 0, 0, 3) + bytes(4), "expected 20 bytes"),
    "write cut": (HEAD.pack(0x103, 1, 0, 0, 7) + bytes(4), "expected 28 bytes"),
}
BAD_V0 = {
    "short": (bytes(12), "16 bytes or more"),
    "part of a word": (bytes(18), "words"),
    "bit 31": (b"\0\0\0\0\0\0\0\x80" + bytes(8), "bit 31"),
    "read too large": (bytes(8) + b"\0\x02\0\0" + bytes(4), "up to 2048"),
    "read with data": (bytes(20), "16 bytes to ask for a read"),
    "write too large": (b"\0\0\0\0\0\0\0\x40" + bytes(2056), "up to 2048"),
}


@pytest.mark.parametrize("case", BAD_V3)
def test_bad_requests_of_version_3_are_refused(case: str) -> None:
    payload, reason = BAD_V3[case]
    with pytest.raises(ProtocolError, match=reason):
        srpv3.decode_request(payload)


@pytest.mark.parametrize("case", BAD_V0)
def test_bad_requests_of_version_0_are_refused(case: str) -> None:
    payload, reason = BAD_V0[case]
    with pytest.raises(ProtocolError, match=reason):
        srpv0.decode_request(payload)


def test_words_out_of_range_are_refused() -> None:
    with pytest.raises(ProtocolError, match="SRPV0 request out of range"):
        srpv0.encode_request(srpv0.head(READ, 1 << 32, 0, 4, 0), 4, b"")


def test_bits_that_belong_to_the_response_are_not_compared() -> None:
    head = srpv3.head(READ, 9, 0x40, 4, 10)
    answer = bytearray(srpv3.encode_response(HEAD.pack(*head), bytes(4), 0))
    answer[1] |= 0x3C
    assert srpv3.decode_response(answer).head == head
    answer[1] |= 0x40
    assert srpv3.decode_response(answer).head != head


def test_a_request_may_ignore_what_the_registers_say() -> None:
    head = bytearray(HEAD.pack(*srpv3.head(READ, 9, 0x40, 4, 10)))
    head[1] |= 0x40
    for status, left in ((srpv3.FAILED, 0), (srpv3.TIMED_OUT, srpv3.TIMED_OUT)):
        answer = srpv3.encode_response(bytes(head), bytes(4), status)
        assert srpv3.decode_response(answer).status == left


@pytest.mark.parametrize(
    ("wire", "status", "text"),
    [
        (srpv3, 0, ""),
        (srpv3, 0x2000, "FPGA register bus lockup detected in hardware. Power cycle required."),
        (srpv3, 0x2100, "FPGA register bus lockup detected in hardware. Power cycle required."),
        (srpv3, 0x0101, "FPGA register bus timeout detected in hardware"),
        (srpv3, 3, "Non zero status message returned on fpga register bus in hardware: 0x3"),
        (srpv0, 0, ""),
        (srpv0, 0x20000, "Axi bus timeout detected in hardware"),
        (srpv0, 0x10000, "Axi bus returned fail status in hardware"),
        (srpv0, 7, "Non zero status message returned on axi bus in hardware: 0x7"),
    ],
)
def test_status_texts(wire: Wire, status: int, text: str) -> None:
    assert wire.STATUS.text(status) == text


@pytest.mark.parametrize("wire", VERSIONS.values(), ids=VERSIONS)
def test_a_status_that_was_told_is_told_again(wire: Wire) -> None:
    told = f"some register: {wire.STATUS.text(wire.TIMED_OUT)}"
    assert wire.STATUS.status(told) == wire.TIMED_OUT
    assert wire.STATUS.status("no such register") not in (0, wire.TIMED_OUT)


# ------------------------------------------------------------ commands


class Kept(Slave):
    def __init__(self) -> None:
        super().__init__()
        self.payloads: list[bytes] = []

    def _acceptFrame(self, frame: Frame) -> None:
        self.payloads.append(bytes(frame.buffer))


def test_commands_are_the_peers(golden_rogue: Path) -> None:
    recorded = [payload for _, payload in frames(golden_rogue / "srp_cmd.dat")]
    kept, cmd = Kept(), Cmd()
    cmd >> kept
    for payload in recorded:
        cmd.sendCmd(*decode_command(payload))
    assert kept.payloads == recorded
    assert [decode_command(payload) for payload in recorded] == [(1, 0), (0x20, 0x12345678)]


@pytest.mark.parametrize(("opcode", "context"), [(256, 0), (-1, 0), (0, 1 << 32), (0, -1)])
def test_commands_out_of_range_are_refused(opcode: int, context: int) -> None:
    with pytest.raises(ProtocolError, match="No such command"):
        encode_command(opcode, context)


@pytest.mark.parametrize(
    "payload", [b"", bytes(15), bytes(17), bytes(15) + b"\1", bytes(5) + b"\1" + bytes(10)]
)
def test_bad_command_frames_are_refused(payload: bytes) -> None:
    with pytest.raises(ProtocolError, match="Bad command frame"):
        decode_command(payload)
