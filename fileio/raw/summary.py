"""What a conversion did, and what it lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Summary"]


@dataclass
class Summary:
    """Of one stream, or of several one after the other.

    Parameters
    ----------
    packets
        Packets read.
    rows
        Name of a table, ``file:group/name``, -> rows written to it.
    files
        Name of a file -> bytes; 0 for one that was not written.
    skipped
        Class name of a decoder -> key without a buffer -> rows not kept.
    unknown
        Packets that no decoder is known for: id -> how many.
    garbage
        Class name of a decoder -> packets that could not be decoded.
    resyncs
        How often a stream lost its place and found it again.
    problems
        Damage, one sentence each with file and offset.
    left_out
        What a ``proc_spec`` asks for and could not be done, one sentence each.
    """

    packets: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, dict[Any, int]] = field(default_factory=dict)
    unknown: dict[int | str, int] = field(default_factory=dict)
    garbage: dict[str, int] = field(default_factory=dict)
    resyncs: int = 0
    problems: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def lossless(self) -> bool:
        """Whether everything in the stream arrived in tables."""
        return not (self.skipped or self.unknown or self.garbage or self.resyncs or self.problems)

    def add(self, other: Summary) -> None:
        """Add what another stream brought."""
        self.packets += other.packets
        self.resyncs += other.resyncs
        self.problems += other.problems
        self.left_out += other.left_out
        self.files.update(other.files)
        for mine, theirs in ((self.rows, other.rows), (self.garbage, other.garbage)):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count
        for name_, count in other.unknown.items():
            self.unknown[name_] = self.unknown.get(name_, 0) + count
        for decoder, counts in other.skipped.items():
            known = self.skipped.setdefault(decoder, {})
            for key, count in counts.items():
                known[key] = known.get(key, 0) + count

    def losses(self) -> Iterator[str]:
        """Yield a sentence for each kind of loss."""
        for decoder, counts in self.skipped.items():
            shown = ", ".join(map(str, list(counts)[:10])) + (", ..." if len(counts) > 10 else "")
            yield f"{decoder}: {sum(counts.values())} rows skipped, their keys have no buffer: {shown}"
        for name, count in self.unknown.items():
            yield f"{_packets(count)} without a decoder: {name}"
        for decoder, count in self.garbage.items():
            yield f"{decoder}: {_packets(count)} could not be decoded"
        if self.resyncs:
            yield f"the stream was searched for the next packet {self.resyncs} times"
        yield from self.left_out
        yield from self.problems


def _packets(count: int) -> str:
    return f"{count} packet" if count == 1 else f"{count} packets"
