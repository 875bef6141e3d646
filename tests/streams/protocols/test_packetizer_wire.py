"""Packets over a wire that loses, repeats, reorders and damages them; and any bytes at all."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sapwood.streams import Frame, FrameBatch, Gap
from sapwood.streams.protocols.packetizer_v1 import DecoderV1, EncoderV1
from sapwood.streams.protocols.packetizer_v2 import DecoderV2, EncoderV2

LIMIT = 40  # bytes of a packet: frames of a few dozen bytes take several
VERSIONS = pytest.mark.parametrize("version", [1, 2])


def encoder(version: int, ssi: bool = True) -> Any:
    return EncoderV1(ssi) if version == 1 else EncoderV2(True, ssi)


def decoder(version: int, ssi: bool = True, **bounds: int) -> Any:
    return DecoderV1(ssi, **bounds) if version == 1 else DecoderV2(True, ssi, **bounds)


def packets_of(coder: Any, payload: bytes, dest: int = 0, flags: int = 0, limit: int = LIMIT) -> list[Frame]:
    made = coder.frame(Frame(payload, flags=flags), dest, limit)
    return [made] if isinstance(made, Frame) else list(made.frames())


def feed(reader: Any, packets: list[Frame], way: str) -> list[Any]:
    if way == "batch":
        return list(reader.batch(FrameBatch.gather(packets))) if packets else []
    return [event for packet in packets for event in reader.frame(packet)]


def split_events(events: list[Any]) -> tuple[list[tuple[int, bytes, int, int]], list[tuple[int, Gap]]]:
    frames, gaps = [], []
    for dest, event in events:
        if isinstance(event, Gap):
            gaps.append((dest, event))
        else:
            several = [event] if isinstance(event, Frame) else event.frames()
            frames += [(dest, bytes(frame), frame.flags, frame.error) for frame in several]
    return frames, gaps


@st.composite
def sent_frames(draw: st.DrawFn) -> list[tuple[int, bytes, int]]:
    one = st.tuples(st.sampled_from([0, 1, 255]), st.binary(min_size=1, max_size=130), st.integers(0, 0xFFFF))
    return draw(st.lists(one, max_size=12))


@VERSIONS
@given(frames=sent_frames(), cuts=st.lists(st.integers(1, 9)), limit=st.integers(24, 80), ssi=st.booleans())
@settings(deadline=None, max_examples=60)
def test_what_is_sent_arrives(
    version: int, frames: list[tuple[int, bytes, int]], cuts: list[int], limit: int, ssi: bool
) -> None:
    coder, by_one, by_batch = encoder(version, ssi), decoder(version, ssi), decoder(version, ssi)
    packets = [p for dest, data, flags in frames for p in packets_of(coder, data, dest, flags, limit)]
    assert all(packet.size <= limit for packet in packets)
    mask = 0x7FFF if version == 1 else 0xFFFF
    wanted = [
        (dest, data, flags & mask | (2 if ssi else 0), 0x80 if ssi and flags & 0x100 else 0)
        for dest, data, flags in frames
    ]
    found, gaps = split_events(feed(by_one, packets, "frame"))
    assert (found, gaps) == (wanted, [])
    events, rest = [], packets
    for cut in cuts:
        events += feed(by_batch, rest[:cut], "batch")
        rest = rest[cut:]
    events += feed(by_batch, rest, "batch")
    found, gaps = split_events(events)
    assert gaps == []
    for dest in (0, 1, 255):
        assert [one for one in found if one[0] == dest] == [one for one in wanted if one[0] == dest]
    assert by_batch.received == by_one.received
    assert not by_one.dropped


@VERSIONS
@given(frames=sent_frames(), limit=st.integers(24, 80))
@settings(deadline=None, max_examples=40)
def test_batches_are_sent_as_single_frames_are(
    version: int, frames: list[tuple[int, bytes, int]], limit: int
) -> None:
    single, many = encoder(version), encoder(version)
    for dest in (0, 1, 255):
        mine = [Frame(data, flags=flags) for to, data, flags in frames if to == dest]
        one_by_one = [p for frame in mine for p in packets_of(single, bytes(frame), dest, frame.flags, limit)]
        if mine:
            together = many.batch(FrameBatch.gather(mine), dest, limit)
            assert [bytes(p) for p in together.frames()] == [bytes(p) for p in one_by_one]


class LossyWire(RuleBasedStateMachine):
    """Frames, each with a mark of its own, over a wire with every fault, to readers of both kinds."""

    version = 0

    @initialize(seed=st.integers(0, 1 << 30))
    def begin(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.coder = encoder(self.version)
        self.readers = {"frame": decoder(self.version), "batch": decoder(self.version)}
        self.events: dict[str, list[Any]] = {"frame": [], "batch": []}
        self.sent: list[tuple[int, bytes]] = []
        self.wire: list[bytes] = []
        self.hurt: list[bytes] = []

    @rule(dest=st.integers(0, 2), size=st.integers(1, 120))
    def send(self, dest: int, size: int) -> None:
        mark = len(self.sent).to_bytes(4, "big")
        data = mark + self.random.randbytes(size)
        self.sent.append((dest, data))
        self.wire += [bytes(packet) for packet in packets_of(self.coder, data, dest)]

    @precondition(lambda self: self.wire)
    @rule(where=st.integers(0, 1 << 30))
    def lose(self, where: int) -> None:
        self.wire.pop(where % len(self.wire))

    @precondition(lambda self: self.wire)
    @rule(where=st.integers(0, 1 << 30))
    def repeat(self, where: int) -> None:
        self.wire.insert(where % len(self.wire), self.wire[where % len(self.wire)])

    @precondition(lambda self: len(self.wire) > 1)
    @rule(where=st.integers(0, 1 << 30))
    def swap(self, where: int) -> None:
        at = where % (len(self.wire) - 1)
        self.wire[at], self.wire[at + 1] = self.wire[at + 1], self.wire[at]

    @precondition(lambda self: self.wire and self.version == 2)
    @rule(where=st.integers(0, 1 << 30), bit=st.integers(0, 1 << 30))
    def flip(self, where: int, bit: int) -> None:
        at = where % len(self.wire)
        packet = bytearray(self.wire[at])
        packet[bit // 8 % len(packet)] ^= 1 << bit % 8
        self.wire[at] = bytes(packet)

    @rule()
    def arrive(self) -> None:
        packets = [Frame(packet) for packet in self.wire]
        for way, reader in self.readers.items():
            self.events[way] += feed(reader, packets, way)
        self.wire = []

    @invariant()
    def both_readers_agree(self) -> None:
        if hasattr(self, "readers"):
            one, many = self.readers["frame"], self.readers["batch"]
            assert one.dropped == many.dropped
            assert one.received == many.received
            for dest in range(3):
                assert self.of(dest, "frame") == self.of(dest, "batch")

    def of(self, dest: int, way: str) -> tuple[Any, Any]:
        frames, gaps = split_events([event for event in self.events[way] if event[0] == dest])
        return frames, gaps

    @invariant()
    def nothing_made_up(self) -> None:
        """With checksums, whatever arrives was sent so; without, unless packets of two frames mix."""
        if hasattr(self, "readers") and self.version == 2:
            frames, _ = split_events(self.events["frame"])
            assert {(dest, data) for dest, data, _, _ in frames} <= set(self.sent)

    def teardown(self) -> None:
        """A quiet wire heals: after at most one frame for each TDEST, all arrive again."""
        if not hasattr(self, "readers"):
            return
        self.arrive()
        for dest in range(3):
            self.send(dest, 60)
        self.arrive()
        first = len(self.sent)
        for dest in range(3):
            self.send(dest, 60)
        self.arrive()
        for way in self.readers:
            frames, _ = split_events(self.events[way])
            assert set(self.sent[first:]) <= {(dest, data) for dest, data, _, _ in frames}


class LossyWireV1(LossyWire):
    version = 1


class LossyWireV2(LossyWire):
    version = 2


TestLossyWireV1 = LossyWireV1.TestCase
TestLossyWireV2 = LossyWireV2.TestCase
TestLossyWireV1.settings = TestLossyWireV2.settings = settings(
    deadline=None, max_examples=60, stateful_step_count=25
)


# Any bytes


@st.composite
def odd_packets(draw: st.DrawFn) -> list[Frame]:
    """Bytes, some of them with heads and tails that nearly make sense."""
    zero = st.just(0)
    few, starts = st.integers(0, 2), st.sampled_from([0, 0x80])
    kinds = st.sampled_from([0x00, 0x02, 0x22, 0x10, 0x07])
    head = st.tuples(kinds, zero, few, zero, few, zero, zero, starts)
    tail = st.tuples(st.integers(0, 3), st.integers(0, 1), st.integers(0, 9), zero, zero, zero, zero, starts)
    framed = st.tuples(head, st.binary(max_size=24), tail).map(lambda t: bytes(t[0]) + t[1] + bytes(t[2]))
    body = st.one_of(st.binary(max_size=60), framed)
    one = st.tuples(body, st.sampled_from([0, 0, 0, 0, 1]))
    return [Frame(data, error=error) for data, error in draw(st.lists(one, max_size=20))]


@VERSIONS
@given(packets=odd_packets(), crc=st.booleans())
@settings(deadline=None, max_examples=150)
def test_any_bytes_are_frames_or_counted(version: int, packets: list[Frame], crc: bool) -> None:
    def reader() -> Any:
        return DecoderV1(True, 64) if version == 1 else DecoderV2(crc, True, 64)

    one, many = reader(), reader()
    by_one, by_batch = feed(one, packets, "frame"), feed(many, packets, "batch")
    for dest in range(256):
        assert split_events([e for e in by_one if e[0] == dest]) == split_events(
            [e for e in by_batch if e[0] == dest]
        )
    assert one.dropped == many.dropped
    dropped = sum(one.dropped.values())
    frames, gaps = split_events(by_one)
    assert len(frames) + dropped <= len(packets)
    assert sum(gap.frames for _, gap in gaps) == sum(counts.lost for counts in one.received.values())
    assert one._held <= 64


@VERSIONS
def test_an_endless_frame_is_given_up(version: int) -> None:
    payload = bytes(range(200)) * 50
    for way, step in (("frame", 1), ("batch", 1000), ("batch", 7)):
        reader, coder = decoder(version, limit=1000), encoder(version)
        packets = packets_of(coder, payload)
        events = []
        for at in range(0, len(packets), step):
            events += feed(reader, packets[at : at + step], way)
            assert reader._held <= 1000
        events += feed(reader, packets_of(coder, b"good"), way)
        frames, gaps = split_events(events)
        assert [data for _, data, _, _ in frames] == [b"good"]
        assert [gap.frames for _, gap in gaps] == [1]
        assert reader.dropped["oversize"] == 1
        assert sum(reader.dropped.values()) == len(packets) - 1000 // 24  # bytes of payload in a packet
        assert reader._held == 0


@pytest.mark.parametrize("way", ["frame", "batch"])
@pytest.mark.parametrize("which", [0, 1])
def test_the_start_flag_counts_in_version_2(way: str, which: int) -> None:
    """A packet 0 that does not say it starts a frame, and a later one that says it does."""
    hurt = [bytearray(bytes(packet)) for packet in packets_of(EncoderV2(False, True), bytes(40))]
    hurt[which][7] ^= 0x80
    reader = DecoderV2(False, True)
    frames, gaps = split_events(feed(reader, [Frame(bytes(packet)) for packet in hurt], way))
    assert frames == []
    assert sum(gap.frames for _, gap in gaps) == 1 + which
    assert reader.dropped == {"order": 2 - which}


@pytest.mark.parametrize("way", ["frame", "batch", "in two batches"])
def test_packet_numbers_of_version_2_wrap(way: str) -> None:
    payload = bytes(8) * 65_530 + b"the rest" * 10
    batch = EncoderV2(True, True).batch(FrameBatch.gather([Frame(payload), Frame(b"next")]), 1, 24)
    assert len(batch) == 65_541
    reader = decoder(2)
    if way == "frame":
        events = feed(reader, list(batch.frames()), way)
    else:
        events = []
        for part in [batch] if way == "batch" else [batch[:65_536], batch[65_536:]]:
            events += reader.batch(part)
    frames, _ = split_events(events)
    assert [data for _, data, _, _ in frames] == [payload, b"next"]
    assert not reader.dropped


@pytest.mark.parametrize("repeats", [5, 10], ids=["one packet each", "some in two"])
@pytest.mark.parametrize("way", ["frame", "batch"])
def test_frame_indexes_of_version_1_wrap(way: str, repeats: int) -> None:
    coder, reader = EncoderV1(True), decoder(1)
    frames = [Frame(b"%d" % n * repeats) for n in range(2060)]
    packets: list[Frame] = []
    for half in (frames, frames):
        if way == "frame":
            packets += [packet for frame in half for packet in packets_of(coder, bytes(frame), 0)]
        else:
            packets += coder.batch(FrameBatch.gather(half), 0, LIMIT).frames()
    index = [bytes(packet)[0] >> 4 | bytes(packet)[1] << 4 for packet in packets if not bytes(packet)[2]]
    assert index == [n % 4096 for n in range(4120)]
    found, gaps = split_events(feed(reader, packets, way))
    assert [data for _, data, _, _ in found] == [bytes(frame) for frame in frames] * 2
    assert gaps == []


LOSSES = [  # packets (frame, number) that arrive of frames of 24, 24 and 2 bytes; bytes of each lost frame
    ("a0 a2 c0 c1 c2", [26]),
    ("a0 a2 b1 b2", [26, 24]),  # the last packet ended the frame, so these are of another
    ("a1 c0 c1 c2", [24]),
    ("a1 c0 c1 c2 b1 b2", [24, 24]),  # a good frame between
    ("a1 a2", [24]),  # what follows is not told again
]


@VERSIONS
@pytest.mark.parametrize("way", ["frame", "batch", "batches of one"])
@pytest.mark.parametrize(("arriving", "lost"), LOSSES)
def test_what_is_lost_is_told_once(version: int, way: str, arriving: str, lost: list[int]) -> None:
    coder, reader = encoder(version), decoder(version)
    sent = {name: packets_of(coder, bytes(50)) for name in "abc"}
    wire = [sent[name][int(number)] for name, number in arriving.split()]
    if way == "batches of one":
        events = [event for packet in wire for event in feed(reader, [packet], "batch")]
    else:
        events = feed(reader, wire, way)
    frames, gaps = split_events(events)
    assert len(frames) == ("c2" in arriving)
    assert [(gap.frames, gap.bytes, gap.channel, gap.reason) for _, gap in gaps] == [
        (1, size, 0, "order") for size in lost
    ]
    assert reader.received[0].lost == len(lost)


@VERSIONS
def test_a_sound_batch_stays_a_batch(version: int) -> None:
    """Frames of one packet are views of it; those of several are one batch, but for the one carried over."""
    coder, reader = encoder(version), decoder(version)
    short = coder.batch(FrameBatch.gather([Frame(bytes([n]) * 9) for n in range(20)]), 0, LIMIT)
    [(_, found)] = reader.batch(short)
    assert isinstance(found, FrameBatch)
    assert np.shares_memory(found.payload, short.payload)
    long = coder.batch(FrameBatch.gather([Frame(bytes([n]) * 99) for n in range(20)]), 0, LIMIT)
    whole = reader.batch(long)
    assert [len(event) for _, event in whole if isinstance(event, FrameBatch)] == [20]
    coder = encoder(version)
    long = coder.batch(FrameBatch.gather([Frame(bytes([n]) * 99) for n in range(20)]), 0, LIMIT)
    assert [len(event) for _, event in reader.batch(long[:7])] == [1]
    [(_, carried), (_, rest)] = reader.batch(long[7:])
    assert isinstance(carried, Frame)
    assert isinstance(rest, FrameBatch)
    assert (bytes(carried), len(rest)) == (b"\x01" * 99, 18)
    assert not reader.dropped


@VERSIONS
@pytest.mark.parametrize("way", ["frame", "batch"])
def test_pieces_of_two_frames_do_not_join(version: int, way: str) -> None:
    """The numbers fit, but version 1 tells frames apart by their index, version 2 by the checksum."""
    coder, reader = encoder(version), decoder(version)
    one, two = (packets_of(coder, bytes([n]) * 50) for n in (1, 2))
    frames, gaps = split_events(feed(reader, [one[0], *two[1:]], way))
    assert frames == []
    assert [gap.frames for _, gap in gaps] == [1]
    assert reader.dropped == ({"order": 2} if version == 1 else {"crc": 1, "order": 1})


@VERSIONS
@pytest.mark.parametrize("way", ["frame", "batch", "batches of one"])
def test_the_first_packet_gives_first_user_and_the_last_one_last_user(version: int, way: str) -> None:
    reader = DecoderV1(False) if version == 1 else DecoderV2(False, False)
    wire = []
    for n, packet in enumerate(packets_of(encoder(version), bytes(50))):
        data = bytearray(bytes(packet))
        data[7 if version == 1 else 1] = 0x10 + n  # first-user
        if version == 1:
            data[-1] = data[-1] & 0x80 | 0x20 + n
        else:
            data[-8] = 0x20 + n
        wire.append(Frame(bytes(data)))
    cuts = [[packet] for packet in wire] if way == "batches of one" else [wire]
    events = [event for part in cuts for event in feed(reader, part, way.split()[0].replace("es", ""))]
    frames, _ = split_events(events)
    assert frames == [(0, bytes(50), 0x2210, 0)]


@pytest.mark.parametrize("way", ["frame", "batch", "batches of one"])
def test_the_first_packet_of_version_1_gives_the_destination(way: str) -> None:
    reader, wire = decoder(1), []
    for start, packet in enumerate(
        packets_of(encoder(1), bytes(50), 3) + packets_of(encoder(1), bytes(50), 3)
    ):
        data = bytearray(bytes(packet))
        data[5] += start % 3
        wire.append(Frame(bytes(data)))
    del wire[4]
    cuts = [[packet] for packet in wire] if way == "batches of one" else [wire]
    events = [event for part in cuts for event in feed(reader, part, "frame" if way == "frame" else "batch")]
    frames, gaps = split_events(events)
    assert [(dest, len(data)) for dest, data, _, _ in frames] == [(3, 50)]
    assert [(dest, gap.frames) for dest, gap in gaps] == [(3, 1)]
    assert {dest: (counts.frames, counts.lost) for dest, counts in reader.received.items()} == {3: (1, 1)}


@pytest.mark.parametrize("valid", [0, 9, 255])
@pytest.mark.parametrize("way", ["frame", "batch"])
def test_no_such_count_of_valid_bytes(way: str, valid: int) -> None:
    reader = DecoderV2(False, True)
    good = packets_of(EncoderV2(False, True), bytes(8))
    hurt = bytearray(bytes(good[0]))
    hurt[-6] = valid
    frames, gaps = split_events(feed(reader, [*good, Frame(bytes(hurt)), *good], way))
    assert ([data for _, data, _, _ in frames], gaps) == ([bytes(8)] * 2, [])
    assert reader.dropped == {"valid": 1}


@VERSIONS
@pytest.mark.parametrize("size", [9, 99])
def test_frames_have_no_channel_but_the_time_of_their_first_packet(version: int, size: int) -> None:
    coder, reader = encoder(version), decoder(version)
    packets = coder.batch(FrameBatch.gather([Frame(bytes(size))] * 2), 3, LIMIT)
    per_frame = len(packets) // 2
    times = np.arange(len(packets)) + 100
    [(dest, found)] = reader.batch(packets.replace(channel=7, time=times))
    assert (dest, found.channel.tolist(), found.time.tolist()) == (3, [0, 0], [100, 100 + per_frame])


@VERSIONS
@pytest.mark.parametrize("cut", range(1, 12))
def test_batches_that_end_one_carried_frame_and_begin_another(version: int, cut: int) -> None:
    coder, reader = encoder(version), decoder(version)
    packets = coder.batch(FrameBatch.gather([Frame(bytes([n]) * 60) for n in range(12)]), 0, LIMIT)
    events = [event for at in range(0, len(packets), cut) for event in reader.batch(packets[at : at + cut])]
    frames, gaps = split_events(events)
    assert ([data for _, data, _, _ in frames], gaps) == ([bytes([n]) * 60 for n in range(12)], [])
