"""`RssiCore`: handshake, order, losses, busy ends and breaks, over a wire in memory with its own clock."""

from __future__ import annotations

import heapq
import itertools
import json
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sapwood.errors import StreamError
from sapwood.streams import Frame, FrameBatch, Gap
from sapwood.streams.gap import BROKEN
from sapwood.streams.protocols.rssi import RssiCore
from sapwood.streams.protocols.rssiheader import (
    ACK,
    BUSY,
    NULL,
    RST,
    SYN,
    Parameters,
    decode,
    encode,
    encode_run,
    encode_syn,
)

Fate = Callable[[bytes], list[float]]


class Wire:
    """Two ends, segments in flight and a clock; `fate` gives the delays of the copies of a segment.

    With `batched` the ends get in one batch what is sent together, and what arrives together.
    """

    batched = False

    def __init__(self, fate: Fate = lambda segment: [0.001]) -> None:
        self.now = 0.0
        self.fate = fate
        self.ends = RssiCore("client", 1464), RssiCore("server", 1464)
        self.client, self.server = self.ends
        self.received: tuple[list[bytes], list[bytes]] = ([], [])
        self.log: list[tuple[int, bytes]] = []  # sender, segment
        self._flying: list[tuple[float, int, int, bytes]] = []
        self._number = itertools.count()

    def open(self) -> Wire:
        for end in self.ends:
            end.start(self.now)
        self.run(0.01)
        assert self.client.is_open
        assert self.server.is_open
        return self

    def flush(self, at: int) -> None:
        end = self.ends[at]
        end.advance(self.now)
        self.received[at].extend(singly(end.take_received()))
        for segment in singly(end.take_outgoing()):
            self.log.append((at, segment))
            for delay in self.fate(segment):
                heapq.heappush(self._flying, (self.now + delay, next(self._number), 1 - at, segment))

    def run(self, seconds: float) -> None:
        """Let time pass: segments arrive, deadlines are met."""
        end = self.now + seconds
        self.flush(0)
        self.flush(1)
        for _ in range(100_000):
            due = [end, *(core.deadline() for core in self.ends)]
            if self._flying:
                due.append(self._flying[0][0])
            self.now = max(self.now, min(due))
            if self.now >= end:
                return
            touched = {at for at in (0, 1) if self.ends[at].deadline() <= self.now}
            arrived: tuple[list[bytes], list[bytes]] = ([], [])
            while self._flying and self._flying[0][0] <= self.now:
                _, _, at, segment = heapq.heappop(self._flying)
                arrived[at].append(segment)
                touched.add(at)
            for at in touched:
                self.receive(at, arrived[at])
            for at in touched:
                self.flush(at)
        raise AssertionError("the ends are never idle")

    def receive(self, at: int, segments: list[bytes]) -> None:
        if self.batched and segments:
            self.ends[at].receive_batch(FrameBatch.gather(list(map(Frame, segments))), self.now)
        else:
            for segment in segments:
                self.ends[at].receive(segment, self.now)

    def send(self, at: int, *payloads: bytes) -> None:
        if self.batched and payloads:
            self.ends[at].send_batch(FrameBatch.gather(list(map(Frame, payloads))), self.now)
        else:
            for payload in payloads:
                self.ends[at].send(payload, self.now)
        self.flush(at)

    def headers(self, at: int) -> list[tuple[int, int, int]]:
        return [decode(segment)[:3] for sender, segment in self.log if sender == at]


def singly(items: list[Any]) -> Iterator[bytes]:
    """Yield payloads, or segments, that come whole, in two parts or in batches; no gaps."""
    for item in items:
        if isinstance(item, Gap):
            continue
        if isinstance(item, FrameBatch):
            yield from map(bytes, item.frames())
        else:
            yield b"".join(item) if isinstance(item, tuple) else bytes(item)


def numbered(first: int, count: int) -> list[bytes]:
    return [number.to_bytes(4, "big") for number in range(first, first + count)]


def test_the_handshake_gives_the_captured_bytes(golden_rogue: Path) -> None:
    session = json.loads((golden_rogue / "rssi_session.json").read_text())["segments"]
    wire = Wire().open()
    wire.run(0.1)
    payload = bytes.fromhex(session[3]["hex"])[8:]
    wire.send(0, payload)
    wire.run(0.02)
    expected = [(int(one["direction"].startswith("server")), one["hex"]) for one in session[:5]]
    assert [(at, segment.hex()) for at, segment in wire.log] == expected
    assert wire.received[1] == [payload]


def test_the_parameters_of_the_client_count_but_for_smaller_segments() -> None:
    wire = Wire()
    wire.client.local = Parameters(16, 8964, 7, 30, 900, 9, 4)
    wire.open()
    assert wire.client.current == wire.server.current == Parameters(16, 1464, 7, 30, 900, 9, 4)
    assert wire.client.max_payload == 1456


def test_a_client_calls_until_somebody_answers() -> None:
    wire = Wire()
    wire.client.start(0.0)
    wire.run(0.55)
    assert wire.headers(0) == [(SYN, 100, 0)] * 6
    wire.server.start(wire.now)
    wire.run(0.2)
    assert wire.client.is_open


def test_a_lost_answer_is_given_again_without_a_break() -> None:
    answers = itertools.count()

    def fate(segment: bytes) -> list[float]:
        lost = segment[0] == SYN | ACK and next(answers) == 0
        return [] if lost else [0.001]

    wire = Wire(fate)
    for end in wire.ends:
        end.start(0.0)
    wire.run(0.05)
    assert (wire.client.state, wire.server.state) == ("closed", "open")
    wire.run(0.1)
    assert wire.client.is_open
    wire.send(0, b"data")
    wire.run(0.01)
    assert wire.received[1] == [b"data"]
    assert wire.server.counters.down == 0


@pytest.mark.parametrize("batched", [False, True])
def test_numbers_wrap_and_nothing_is_sent_twice_on_a_good_wire(batched: bool) -> None:
    wire = Wire().open()
    wire.batched = batched
    sent = numbered(0, 1000)
    for first in range(0, 1000, 20):
        wire.send(0, *sent[first : first + 20])
        wire.send(1, *sent[first : first + 20])
        wire.run(0.008)
    assert wire.received == (sent, sent)
    assert [end.counters.retransmitted for end in wire.ends] == [0, 0]
    assert [end.counters.dropped for end in wire.ends] == [{}, {}]


def test_a_batch_gives_the_segments_that_single_payloads_give() -> None:
    logs = []
    for batched in (False, True):
        wire = Wire().open()
        wire.batched = batched
        wire.send(1, *numbered(0, 3))
        wire.run(0.05)
        wire.client.set_busy(True)
        wire.send(0, b"1", b"22" * 700, b"333", b"4444")
        logs.append(wire.log)
    assert logs[0] == logs[1]
    assert [flags for flags, *_ in wire.headers(0)[-4:]] == [ACK | BUSY] * 4


def test_a_batch_is_taken_as_its_segments_are_one_by_one() -> None:
    seen = []
    for batched in (False, True):
        wire = Wire().open()
        wire.batched = batched
        wire.send(1, *numbered(0, 2))
        segments = [encode(ACK, 101 + at, 100 + (at > 5)) + bytes([at]) for at in range(8)]
        segments += [encode(ACK, 109 + at, 102) + bytes([8 + at]) for at in range(5)]
        segments[11] = encode(ACK | NULL, 112, 102)
        wire.receive(1, [*segments, segments[12], encode(ACK, 140, 102) + b"far"])
        wire.flush(1)
        seen.append((wire.received[1], wire.log, wire.server.counters, wire.server.under_way))
        assert wire.server.under_way == 0
    assert seen[0] == seen[1]
    assert [payload[0] for payload in seen[0][0]] == [*range(11), 12]
    assert seen[0][2].dropped == {"duplicate": 1, "window": 1}


# Segments: from the last number to the first of these, how many, further acknowledged, flags, payload
Piece = tuple[int, int, int, int, bytes]
PLAIN = st.tuples(
    st.just(1), st.sampled_from([1, 5, 9, 40]), st.sampled_from([0, 0, 1, 3]), st.just(ACK), st.just(b"data")
)
ODD = st.tuples(
    st.sampled_from([1, 1, 1, 0, 2, 3, -1, -20, 40, 128]),
    st.integers(1, 3),
    st.sampled_from([0, 0, 2, 90, 255]),
    st.sampled_from([ACK, ACK, ACK | BUSY, ACK | NULL, ACK | RST, 0]),
    st.sampled_from([b"data", b"more data", b""]),
)


def late(ahead: int, behind: int) -> list[list[Piece]]:
    """Return a batch of segments that come too early, then one from the missing one on."""
    missing = [(-ahead, behind, 0, ACK, b"data"), (ahead + 2 - behind, 1, 0, ACK, b"next")]
    return [[(2, ahead, 0, ACK, b"data")], missing]


BATCHES = st.lists(
    st.lists(PLAIN | PLAIN | ODD, min_size=1, max_size=4).map(lambda pieces: [pieces])
    | st.builds(late, st.integers(1, 6), st.integers(1, 6)),
    min_size=1,
    max_size=16,
).map(lambda groups: list(itertools.chain.from_iterable(groups)))


@settings(max_examples=200, deadline=None)
@given(BATCHES, st.integers(0, 3))
def test_any_batches_are_taken_as_their_segments_are_one_by_one(
    batches: list[list[Piece]], busy: int
) -> None:
    seen = []
    for batched in (False, True):
        wire = Wire().open()
        wire.batched = batched
        number, acknowledged, log = 100, 100, []
        for turn, pieces in enumerate(batches):
            if wire.server.room > 4:
                wire.send(1, *numbered(turn, 4))
            segments = []
            for step, count, further, flags, payload in pieces:
                number, acknowledged = number + step - 1, acknowledged + further
                for _ in range(count):
                    number += 1
                    segments.append(encode(flags, number & 0xFF, acknowledged & 0xFF) + payload)
            wire.receive(1, segments)
            wire.server.set_busy(bool(busy and turn % (busy + 1) == busy))
            log.append(wire.server.deadline())
            wire.flush(1)
            log.append((wire.server.state, wire.server.under_way, wire.server.lost, wire.server.deadline()))
        seen.append((wire.received[1], wire.log, wire.server.counters, log))
    assert seen[0] == seen[1]


def test_headers_of_a_run_are_those_of_its_segments() -> None:
    for flags, first, count, acknowledge in ((ACK, 0, 256, 3), (ACK | BUSY, 200, 127, 255), (ACK, 255, 2, 0)):
        run = encode_run(flags, first, count, acknowledge)
        assert run.tobytes() == b"".join(
            encode(flags, (first + at) & 0xFF, acknowledge) for at in range(count)
        )


def test_no_part_of_a_batch_is_sent_when_it_does_not_fit() -> None:
    wire = Wire().open()
    for payloads in ([b"1", b""], [b"1", bytes(1457)], [b"1"] * 33):
        with pytest.raises(StreamError, match=r"room|fit"):
            wire.client.send_batch(FrameBatch.gather(list(map(Frame, payloads))), wire.now)
    assert wire.client.under_way == 0
    assert wire.client.take_outgoing() == []


def test_the_window_bounds_what_is_under_way() -> None:
    wire = Wire().open()
    wire.send(0, *numbered(0, 32))
    assert (wire.client.room, wire.client.under_way) == (0, 32)
    with pytest.raises(StreamError, match="no room"):
        wire.client.send(b"more", wire.now)
    wire.run(0.01)
    assert (wire.client.room, wire.client.under_way) == (32, 0)


@pytest.mark.parametrize("size", [0, 1457])
def test_payloads_that_do_not_fit_are_refused(size: int) -> None:
    wire = Wire().open()
    with pytest.raises(StreamError, match=f"1..1456 bytes, seen {size} bytes"):
        wire.client.send(bytes(size), wire.now)
    wire.client.send(bytes(1456), wire.now)


def test_an_acknowledge_comes_at_once_for_two_segments_and_late_for_one() -> None:
    wire = Wire().open()
    wire.run(0.01)
    wire.log.clear()
    wire.send(0, b"1")
    wire.run(0.0055)
    assert wire.headers(1) == []
    wire.run(0.001)
    assert wire.headers(1) == [(ACK, 101, 101)]
    wire.send(0, b"2", b"3")
    wire.run(0.0015)
    assert wire.headers(1)[1:] == [(ACK, 101, 103)]


def test_a_lost_segment_is_sent_again_as_soon_as_others_pass_it() -> None:
    lose = {b"\x00\x00\x00\x03", b"\x00\x00\x00\x07"}
    wire = Wire().open()

    def fate(segment: bytes) -> list[float]:
        lost = segment[8:] in lose
        lose.discard(segment[8:])
        return [] if lost else [0.001]

    wire.fate = fate
    wire.send(0, *numbered(0, 12))
    wire.run(0.0085)
    assert wire.received[1] == numbered(0, 12)
    assert wire.client.counters.retransmitted == 2
    assert wire.now < 0.02


def test_the_last_segment_is_sent_again_after_its_time() -> None:
    wire = Wire().open()
    wire.fate = lambda segment: []
    wire.send(0, b"last")
    wire.fate = lambda segment: [0.001]
    wire.run(0.019)
    assert wire.received[1] == []
    wire.run(0.003)
    assert wire.received[1] == [b"last"]


def test_an_idle_link_is_kept_alive_from_both_ends() -> None:
    wire = Wire().open()
    wire.log.clear()
    wire.run(10)
    for at in (0, 1):
        nulls = [header for header in wire.headers(at) if header[0] & NULL]
        assert 25 <= len(nulls) <= 31
        assert [header[1] for header in nulls] == [(101 + count) & 0xFF for count in range(len(nulls))]
    assert [end.counters.down for end in wire.ends] == [0, 0]
    assert wire.received == ([], [])


def test_a_busy_end_freezes_its_acknowledge_and_goes_on_later() -> None:
    wire = Wire().open()
    wire.server.set_busy(True)
    wire.send(0, *numbered(0, 10))
    wire.run(30)
    assert wire.received[1] == numbered(0, 10)
    assert wire.client.remote_busy
    assert wire.client.under_way == 10
    assert all(header[2] == 100 for header in wire.headers(1)[1:])
    assert any(header[0] & BUSY for header in wire.headers(1))
    assert wire.client.counters.down == 0
    assert wire.client.counters.retransmitted < 400  # probes, not one each 20 ms
    wire.server.set_busy(False)
    wire.run(0.01)
    assert (wire.client.remote_busy, wire.client.under_way) == (False, 0)
    assert (wire.client.counters.remote_busy, wire.server.counters.local_busy) == (1, 1)
    assert wire.received[1] == numbered(0, 10)


def test_what_was_lost_meanwhile_is_sent_again_when_an_end_is_busy_no_more() -> None:
    wire = Wire().open()
    wire.server.set_busy(True)
    wire.send(0, b"1")
    wire.run(0.1)
    good, wire.fate = wire.fate, lambda segment: []
    wire.send(0, b"2")
    wire.fate = good
    wire.server.set_busy(False)
    wire.run(0.03)
    assert wire.received[1] == [b"1", b"2"]


def test_an_answer_to_a_call_of_a_broken_link_opens_nothing() -> None:
    wire = Wire().open()
    answer = next(segment for at, segment in wire.log if at == 1)
    wire.client.receive(encode(RST, 101, 100), wire.now)
    wire.client.receive(answer, wire.now)
    assert wire.client.state == "closed"
    assert wire.client.counters.dropped == {"closed": 1}


def test_a_busy_end_that_is_gone_is_noticed() -> None:
    wire = Wire().open()
    wire.server.set_busy(True)
    wire.send(0, b"1")
    wire.run(0.01)
    wire.fate = lambda segment: []
    wire.run(20)
    assert wire.client.counters.down == 1


def test_a_dead_wire_breaks_the_link_and_it_comes_back() -> None:
    wire = Wire().open()
    good, wire.fate = wire.fate, lambda segment: []
    wire.send(0, *numbered(0, 3))
    wire.run(0.29)
    assert wire.client.is_open
    wire.run(0.2)
    assert not wire.client.is_open
    assert (wire.client.counters.down, wire.client.lost, wire.client.lost_bytes) == (1, 3, 12)
    assert wire.client.counters.retransmitted == 3 * 14
    wire.fate = good
    wire.run(1)
    assert wire.client.is_open
    wire.send(0, b"again")
    wire.run(0.01)
    assert wire.received[1] == [b"again"]


def test_a_stop_tells_the_other_end() -> None:
    wire = Wire().open()
    wire.client.stop()
    wire.flush(0)
    assert wire.headers(0)[-1] == (RST, 101, 100)
    wire.run(0.01)
    assert (wire.client.state, wire.server.state) == ("stopped", "closed")
    assert wire.headers(1)[-1] == (RST, 101, 100)
    assert wire.server.counters.down == 1
    wire.run(1)
    assert len(wire.log) == 5
    wire.client.start(wire.now)
    wire.run(0.01)
    assert wire.client.is_open


def test_a_client_that_starts_anew_breaks_the_old_link() -> None:
    wire = Wire().open()
    wire.send(0, b"1")
    wire.run(0.01)
    wire.ends = RssiCore("client", 1464), wire.server
    wire.ends[0].start(wire.now)
    wire.run(0.2)
    assert [end.state for end in wire.ends] == ["open", "open"]
    assert wire.server.counters.down == 1


def test_a_server_whose_link_broke_tells_a_client_that_does_not_know() -> None:
    wire = Wire().open()
    wire.server.set_busy(True)
    wire.send(0, b"1")
    wire.run(0.01)
    wire.fate = lambda segment: []
    wire.run(1)
    assert (wire.client.state, wire.server.state) == ("open", "closed")
    wire.fate = lambda segment: [0.001]
    wire.run(1.3)
    assert (wire.client.state, wire.server.state) == ("open", "open")
    assert wire.client.counters.down == 1


def test_what_arrived_before_a_break_is_handed_over() -> None:
    wire = Wire().open()
    wire.server.receive(encode(ACK, 101, 100) + b"data", wire.now)
    wire.server.receive(encode(RST, 102, 100), wire.now)
    assert (wire.server.state, wire.server.closed_at) == ("closed", wire.now)
    wire.server.receive(encode_syn(SYN, 100, 0, Parameters()), wire.now)
    wire.server.receive(encode(ACK, 101, 100) + b"new", wire.now)
    old, gap, new = wire.server.take_received()
    assert (bytes(old), gap, bytes(new)) == (b"data", Gap(None, 0, 0, BROKEN), b"new")
    wire.server.stop()
    assert wire.server.take_received() == []  # an end that is wanted is no break
    assert wire.server.closed_at == -math.inf


@pytest.mark.parametrize("busy", [False, True])
def test_a_reset_acknowledges_what_had_arrived(busy: bool) -> None:
    wire = Wire().open()
    wire.server.set_busy(busy)
    wire.send(0, b"1")
    wire.run(0.002)
    assert wire.client.under_way == 1
    wire.server.stop()
    wire.flush(1)
    wire.run(0.002)
    assert (wire.client.state, wire.client.lost, wire.client.counters.down) == ("closed", 0, 1)


def test_a_reset_by_an_end_that_knows_of_no_link_acknowledges_nothing() -> None:
    wire = Wire().open()
    wire.server.receive(encode(RST, 101, 100), wire.now)
    wire.server.take_outgoing()
    for number in range(31):
        wire.send(0, bytes([number]))
    wire.run(0.003)
    assert wire.headers(1)[-1][0] == RST
    assert wire.client.lost == 31


def test_segments_that_do_not_belong_are_counted() -> None:
    wire = Wire().open()
    server = wire.server
    server.receive(b"\x40\x08", 0.1)
    server.receive(bytes(8), 0.1)
    server.receive(encode(ACK, 200, 100) + b"far", 0.1)
    server.receive(encode(ACK, 101, 100) + b"one", 0.1)
    server.receive(encode(ACK, 101, 100) + b"one", 0.1)
    server.stop()
    server.receive(encode(ACK, 102, 100) + b"two", 0.1)
    assert server.counters.dropped == {"header": 2, "window": 1, "duplicate": 1, "closed": 1}
    assert [bytes(payload) for payload in server.take_received()] == [b"one"]


@given(st.lists(st.binary(max_size=40), max_size=20), st.sampled_from(["client", "server"]))
def test_any_bytes_are_taken(segments: list[bytes], role: str) -> None:
    wire = Wire().open()
    end = wire.ends[role == "server"]
    for segment in segments:
        end.receive(segment, 0.1)
        end.advance(0.1)
    assert end.deadline() > 0.1


FLAGS = st.sampled_from([ACK, ACK | NULL, ACK | BUSY, RST, ACK | RST])
BYTE = st.integers(0, 255)


@given(st.lists(st.tuples(FLAGS, BYTE, BYTE, st.binary(max_size=3)), max_size=60))
def test_any_headers_are_taken_in_bounded_memory(segments: list[tuple[int, int, int, bytes]]) -> None:
    wire = Wire().open()
    wire.server.set_busy(True)
    for flags, sequence, acknowledge, payload in segments:
        wire.server.receive(encode(flags, sequence, acknowledge) + payload, 0.1)
        wire.server.advance(0.1)
    assert len(wire.server.take_received()) <= wire.server.current.max_buffers
    assert len(wire.server.take_outgoing()) <= 2 * len(segments) + 1


class BadWire(RuleBasedStateMachine):
    """Both ends send over a wire that loses, doubles, delays and reorders; nothing may show above it."""

    losses = (0.0, 0.05, 0.3)

    @initialize(
        seed=st.integers(0, 1 << 32),
        loss=st.sampled_from(losses),
        double=st.sampled_from([0.0, 0.2]),
        jitter=st.sampled_from([0.0, 0.0005, 0.004]),
        buffers=st.integers(1, 32),
        batched=st.booleans(),
    )
    def begin(
        self, seed: int, loss: float, double: float, jitter: float, buffers: int, batched: bool
    ) -> None:
        chance = random.Random(seed)

        def fate(segment: bytes) -> list[float]:
            copies = 0 if chance.random() < loss else 1 + (chance.random() < double)
            return [0.001 + chance.random() * jitter for _ in range(copies)]

        self.wire = Wire()
        self.wire.batched = batched
        self.wire.client.local = Parameters(max_buffers=buffers, max_retran=60)
        self.wire.open()
        self.wire.fate = fate
        self.sent: tuple[list[bytes], list[bytes]] = ([], [])

    @rule(at=st.integers(0, 1), count=st.integers(1, 40))
    def send(self, at: int, count: int) -> None:
        payloads = numbered(len(self.sent[at]), min(count, self.wire.ends[at].room))
        self.sent[at].extend(payloads)
        self.wire.send(at, *payloads)

    @rule(seconds=st.floats(0, 0.05))
    def wait(self, seconds: float) -> None:
        self.wire.run(seconds)

    @rule(at=st.integers(0, 1), busy=st.booleans())
    def set_busy(self, at: int, busy: bool) -> None:
        self.wire.ends[at].set_busy(busy)
        self.wire.flush(at)

    @precondition(lambda self: hasattr(self, "wire"))
    @invariant()
    def in_order_and_once(self) -> None:
        for at in (0, 1):
            received = self.wire.received[1 - at]
            assert received == self.sent[at][: len(received)]

    @precondition(lambda self: hasattr(self, "wire"))
    @invariant()
    def never_more_than_the_window(self) -> None:
        assert all(end.under_way <= end.current.max_buffers for end in self.wire.ends)

    def teardown(self) -> None:
        if hasattr(self, "wire"):
            for end in self.wire.ends:
                end.set_busy(False)
            self.wire.run(20)
            assert [end.counters.down for end in self.wire.ends] == [0, 0]
            assert self.wire.received == (self.sent[1], self.sent[0])


class BreakingWire(BadWire):
    """The wire also goes dead and ends stop; what is missing was counted as lost."""

    @rule(seconds=st.floats(0.1, 3))
    def cut(self, seconds: float) -> None:
        fate, self.wire.fate = self.wire.fate, lambda segment: []
        self.wire.run(seconds)
        self.wire.fate = fate

    @rule(at=st.integers(0, 1))
    def restart(self, at: int) -> None:
        end = self.wire.ends[at]
        end.stop()
        self.wire.flush(at)
        self.wire.run(0.15)
        end.start(self.wire.now)

    @precondition(lambda self: hasattr(self, "wire"))
    @invariant()
    def in_order_and_once(self) -> None:
        for at in (0, 1):
            numbers = [int.from_bytes(payload, "big") for payload in self.wire.received[1 - at]]
            assert numbers == sorted(set(numbers))

    def teardown(self) -> None:
        if hasattr(self, "wire"):
            for end in self.wire.ends:
                end.set_busy(False)
            self.wire.run(30)
            assert all(end.is_open for end in self.wire.ends)
            for at in (0, 1):
                missing = len(self.sent[at]) - len(self.wire.received[1 - at])
                assert 0 <= missing <= self.wire.ends[at].lost


TestBadWire = BadWire.TestCase
TestBadWire.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestBreakingWire = BreakingWire.TestCase
TestBreakingWire.settings = settings(max_examples=100, stateful_step_count=20, deadline=None)


def test_a_stopped_end_has_no_deadline() -> None:
    assert RssiCore("client", 100).deadline() == math.inf
