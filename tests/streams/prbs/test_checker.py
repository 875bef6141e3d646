"""The receive rules: examples of each, and both paths against a model that goes frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood.streams import Frame, FrameBatch
from sapwood.streams.prbs import DEFAULT_TAPS, CheckResult, Generator, PrbsChecker, check, generate

Model = Callable[..., bytes]


def make(seqs: list[int], size: int = 64, width: int = 32) -> list[bytearray]:
    return [bytearray(generate(width, DEFAULT_TAPS, seq, 1, size)[0]) for seq in seqs]


def batch_of(payloads: list[bytearray], errors: list[int] | None = None) -> FrameBatch:
    sizes = np.array([len(payload) for payload in payloads])
    return FrameBatch(b"".join(payloads), np.cumsum(sizes) - sizes, sizes, error=errors or 0)


def one_by_one(checker: PrbsChecker, batch: FrameBatch) -> CheckResult:
    total = CheckResult()
    for frame in batch.frames():
        found = checker.check_frame(frame.buffer, frame.error)
        if found is None:
            total.good += 1
            total.bytes += frame.size
        else:
            assert len(found.problems) == found.bad == 1
            total.add(found)
    return replace(total, next_seq=checker.expected, problems=[])


def both(batch: FrameBatch, **options: int) -> CheckResult:
    """Check by both paths, which must agree."""
    result = PrbsChecker(**options).check(batch)
    assert one_by_one(PrbsChecker(**options), batch) == replace(result, problems=[])
    return result


def test_a_right_run_is_good() -> None:
    result = both(batch_of(make([5, 6, 7, 8])))
    assert result == CheckResult(good=4, bytes=256, next_seq=9)


def test_a_fresh_checker_accepts_any_first_number_and_zero_restarts() -> None:
    assert both(batch_of(make([77, 78, 0, 1, 2]))).good == 5


def test_the_wrapped_number_is_in_sequence() -> None:
    result = both(batch_of(make([2**32 - 2, 2**32 - 1, 0, 1])))
    assert (result.good, result.next_seq) == (4, 2)


def test_an_error_byte_costs_the_next_frame_too() -> None:
    result = both(batch_of(make([1, 2, 3, 4]), [0, 0x80, 0, 0]))
    assert (result.good, result.frame_errors, result.seq_errors, result.lost_frames) == (2, 1, 1, 1)
    assert "error 0x80" in result.problems[0]


def test_a_bad_size_leaves_the_expected_number() -> None:
    payloads = make([1, 2, 3])
    payloads[1] = payloads[1][:62]
    payloads.append(bytearray(8))
    result = both(batch_of(payloads))
    assert (result.good, result.size_errors, result.seq_errors, result.next_seq) == (1, 2, 1, 4)


def test_a_bad_length_word_is_counted_before_the_sequence() -> None:
    payloads = make([1, 2, 9])
    payloads[1][4:8] = (16).to_bytes(4, "little")
    payloads[2][4:8] = (14).to_bytes(4, "little")
    result = both(batch_of(payloads))
    assert (result.good, result.length_errors, result.seq_errors, result.lost_frames) == (1, 2, 0, 0)
    assert result.problems[0] == "Frame 2: length word 16, expected 15"
    assert result.next_seq == 10


def test_a_length_word_is_not_taken_modulo_32_bits() -> None:
    payloads = make([1])
    payloads[0][4:8] = ((1 << 30) + 15).to_bytes(4, "little")
    for check_payload in (True, False):
        assert both(batch_of(payloads), check_payload=check_payload).length_errors == 1


def test_a_gap_costs_one_error_and_tells_what_is_lost() -> None:
    result = both(batch_of(make([1, 2, 10, 11, 3, 4])))
    assert (result.good, result.seq_errors, result.lost_frames) == (4, 2, 7)
    assert result.problems[0] == "Frame 10: sequence number 10, expected 3"


def test_a_wrong_word_is_named_and_its_bits_counted() -> None:
    payloads = make([1, 1000, 1001])[1:]
    payloads[1][14 * 4] ^= 0x81
    payloads[1][15 * 4 + 3] ^= 0x01
    result = both(batch_of(payloads))
    assert (result.good, result.payload_errors, result.bit_errors) == (1, 1, 3)
    want = generate(32, DEFAULT_TAPS, 1001, 1, 64)[0, 56:60].tobytes()
    assert (
        f"Frame 1001: word 14 of 16 is {payloads[1][56:60].hex(' ')}, expected {want.hex(' ')}"
        in (result.problems[0])
    )


def test_without_payload_check_words_may_be_anything() -> None:
    batch = FrameBatch.from_rows(generate(32, DEFAULT_TAPS, 3, 20, 40, sendCount=True))
    assert check(batch, check_payload=False).good == 20
    assert one_by_one(PrbsChecker(check_payload=False), batch).good == 20
    assert check(batch).payload_errors == 20


def test_a_restart_in_the_middle_of_a_sequence() -> None:
    assert both(batch_of(make([5, 6, 0, 1])), expected=5).good == 4
    assert both(batch_of(make([5, 6])), expected=9).seq_errors == 1


def test_the_sequence_goes_on_across_batches_and_frames() -> None:
    checker, generator = PrbsChecker(64), Generator(64)
    for count, size in [(3, 240), (1, 24), (50, 8000), (2, 240)]:
        assert checker.check(FrameBatch.from_rows(generator.frames(count, size))).good == count
        assert checker.check_frame(generator.frame(size)) is None
    assert checker.expected == generator.seq == 60


def test_an_empty_batch_changes_nothing() -> None:
    checker = PrbsChecker(expected=4)
    assert checker.check(FrameBatch.empty()) == CheckResult(next_seq=4)


def test_frames_between_other_bytes() -> None:
    rows = np.zeros((30, 8 + 1000 + 3), np.uint8)
    rows[:, 8:1008] = generate(32, DEFAULT_TAPS, 6, 30, 1000)
    batch = FrameBatch(rows, np.arange(30) * 1011 + 8, 1000)
    assert both(batch).good == 30
    assert both(batch[::-1]).seq_errors == 29
    assert both(batch[[0, 1, 4, 5, 9]]).lost_frames == 5


def test_problems_are_bounded() -> None:
    result = check(FrameBatch.from_rows(np.ones((500, 64), np.uint8)))
    assert result.bad == 500
    assert 0 < len(result.problems) <= 8


def test_state_for_many_sizes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sapwood.streams.prbs.checker._KEPT_BYTES", 10_000)
    checker, generator = PrbsChecker(), Generator()
    for size in range(2000, 4000, 100):
        assert checker.check_frame(generator.frame(size)) is None
        assert checker.held_bytes <= 20_000


def slow_check(payloads: list[bytearray], errors: list[int], width: int, model: Model) -> tuple[int, ...]:
    """The rules of the peer's checker, one frame after the other."""
    unit, expected = width // 8, 0
    counts = dict.fromkeys(("good", "bytes", "frame", "size", "length", "seq", "payload"), 0)
    for payload, error in zip(payloads, errors, strict=True):
        size = len(payload)
        if error:
            counts["frame"] += 1
            continue
        if size % unit or size < 3 * unit:
            counts["size"] += 1
            continue
        seq, wanted = int.from_bytes(payload[:4], "little"), expected
        expected = (seq + 1) % 2**32
        if (int.from_bytes(payload[unit : unit + 4], "little") + 1) * unit != size:
            counts["length"] += 1
        elif seq and wanted and seq != wanted:
            counts["seq"] += 1
        elif bytes(payload) != model(width, DEFAULT_TAPS, seq, size):
            counts["payload"] += 1
        else:
            counts["good"] += 1
            counts["bytes"] += size
    return (*counts.values(), expected)


DAMAGE = st.sampled_from(["none"] * 4 + ["error", "cut", "seq", "length", "payload", "lose", "zero"])


@settings(max_examples=150, deadline=None)
@given(
    width=st.sampled_from([32, 64, 128, 512]),
    start=st.sampled_from([0, 1, 1000, 2**32 - 3]),
    frames=st.lists(st.tuples(st.integers(3, 12), DAMAGE, st.integers(0, 10**6)), min_size=1, max_size=25),
    uniform=st.booleans(),
)
def test_both_paths_equal_the_rules_on_damaged_streams(
    width: int,
    start: int,
    frames: list[tuple[int, str, int]],
    uniform: bool,
    reference_frame: Model,
) -> None:
    unit, seq = width // 8, start
    payloads, errors = [], []
    for words, damage, pick in frames:
        size = unit * (5 if uniform else words)
        seq = (seq + (damage == "lose") * (pick % 5)) % 2**32 if damage != "zero" else 0
        payload = bytearray(generate(width, DEFAULT_TAPS, seq, 1, size)[0])
        seq = (seq + 1) % 2**32
        if damage == "cut":
            del payload[pick % size :]
        elif damage in ("seq", "length"):
            payload[(0 if damage == "seq" else unit) + pick % 4] ^= 1 << pick % 8
        elif damage == "payload":
            payload[2 * unit + pick % (size - 2 * unit)] ^= 1 << pick % 8
        payloads.append(payload)
        errors.append(pick % 255 + 1 if damage == "error" else 0)
    result = both(batch_of(payloads, errors), width=width)
    found = (
        result.good,
        result.bytes,
        result.frame_errors,
        result.size_errors,
        result.length_errors,
        result.seq_errors,
        result.payload_errors,
        result.next_seq,
    )
    assert found == slow_check(payloads, errors, width, reference_frame)
    assert result.bad == len(payloads) - result.good == sum(found[2:7])


def test_a_frame_of_any_buffer_type() -> None:
    payload = bytes(generate(32, DEFAULT_TAPS, 3, 1, 64)[0])
    for kind in (bytes, bytearray, memoryview, lambda data: np.frombuffer(data, np.uint8)):
        checker = PrbsChecker()
        assert checker.check_frame(kind(payload)) is None
        assert checker.check_frame(Frame(kind(payload)).buffer).seq_errors == 1
