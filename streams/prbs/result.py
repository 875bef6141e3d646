"""What a PRBS check found."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["CheckResult"]

_MAX_PROBLEMS = 8


@dataclass(slots=True)
class CheckResult:
    """Outcome of checking some frames; every bad frame counts under exactly one cause.

    Attributes
    ----------
    good, bad
        Frames right and wrong.
    bytes
        Payload bytes of the good frames.
    next_seq
        Sequence number expected next; 0 accepts any.
    frame_errors
        Frames whose error byte was set.
    size_errors
        Frames that are not whole words, or fewer than three.
    length_errors
        Frames whose length word disagrees with their size.
    seq_errors
        Frames out of sequence.
    payload_errors
        Frames with a wrong word.
    lost_frames
        Sequence numbers skipped, those of frames with a set error byte or a bad size among them.
    bit_errors
        Wrong bits in the payloads of `payload_errors`.
    problems
        One line for each of the first bad frames.
    """

    good: int = 0
    bad: int = 0
    bytes: int = 0
    next_seq: int = 0
    frame_errors: int = 0
    size_errors: int = 0
    length_errors: int = 0
    seq_errors: int = 0
    payload_errors: int = 0
    lost_frames: int = 0
    bit_errors: int = 0
    problems: list[str] = field(default_factory=list)

    def note(self, problem: str) -> None:
        """Keep `problem` when it is among the first."""
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(problem)

    def add(self, other: CheckResult) -> None:
        """Add what `other` found, after this; of the problems the first are kept."""
        self.good += other.good
        self.bad += other.bad
        self.bytes += other.bytes
        self.next_seq = other.next_seq
        self.frame_errors += other.frame_errors
        self.size_errors += other.size_errors
        self.length_errors += other.length_errors
        self.seq_errors += other.seq_errors
        self.payload_errors += other.payload_errors
        self.lost_frames += other.lost_frames
        self.bit_errors += other.bit_errors
        for problem in other.problems:
            self.note(problem)
