"""Walking the readouts of a mapped file as columns; where the chain breaks, finding it again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.apx.readout import HEAD, MARKER
from sapwood.fileio.formats import CHUNK_BYTES
from sapwood.fileio.mapped import MappedFile

__all__ = ["Break", "Records", "find_chain", "walk", "walk_file"]

_WINDOW = 1 << 20  # bytes looked at together when searching
_FIELDS = np.dtype([("marker", "V3"), ("readout_id", "<u4"), ("timestamp", "<u8"), ("size", "<u4")])


@dataclass(frozen=True, slots=True)
class Break:
    """A place where the chain of readouts breaks.

    Parameters
    ----------
    offset
        Byte of the file.
    nbytes
        Bytes that belong to no readout, or that a readout lacks.
    reason
        One sentence.
    cut
        The data of a readout are shorter than its head says; else bytes were passed over.
    at_end
        It reaches the end of the file: what is missing may still come.
    """

    offset: int
    nbytes: int
    reason: str
    cut: bool = False
    at_end: bool = False


@dataclass(slots=True)
class Records:
    """Readouts of a part of a file.

    Parameters
    ----------
    begin, end
        Bytes of the file they come from.
    offset
        i8, shape (n,): where each record begins in the file.
    size
        i8, shape (n,): bytes of data; they begin 19 bytes behind the record's offset.
    readout_id, timestamp
        u4 and u8, shape (n,).
    breaks
        What is damaged.
    """

    begin: int
    end: int
    offset: NDArray[np.int64]
    size: NDArray[np.int64]
    readout_id: NDArray[np.uint32]
    timestamp: NDArray[np.uint64]
    breaks: list[Break] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.offset)


def walk_file(file: MappedFile, begin: int, nbytes: int = CHUNK_BYTES) -> Iterator[Records]:
    """Yield the readouts from byte `begin` on, of about `nbytes` of the file at a time.

    When the next ones are asked for, the pages of the former are released.
    """
    end = file.size
    while begin < end:
        file.check()
        found = walk(file.data, begin, min(begin + nbytes, end))
        yield found
        file.release(begin, found.end)
        begin = found.end


def walk(data: NDArray[np.uint8], begin: int, limit: int) -> Records:
    """Return the readouts that begin in bytes `begin` to `limit` of a file's `data`.

    The last one, and a damaged part, may reach beyond `limit`; `end` says where to go on.
    """
    offset, at = _quick(data, begin, limit)
    offsets, sizes, breaks = [offset], [_sizes(data, offset)], []
    if at < limit:
        slow = _Slow(data, limit)
        at = slow.walk(at)
        offsets.append(np.array(slow.offsets, np.int64))
        sizes.append(np.array(slow.sizes, np.int64))
        breaks = slow.breaks
    every = np.concatenate(offsets)
    heads = _heads(data, every)
    return Records(begin, at, every, np.concatenate(sizes), heads["readout_id"], heads["timestamp"], breaks)


def _heads(data: NDArray[np.uint8], offset: NDArray[np.int64]) -> NDArray[np.void]:
    """Return the fixed parts of the records at `offset`."""
    count = max(len(data) - HEAD.size + 1, 0)
    heads: NDArray[np.void] = np.ndarray((count,), _FIELDS, data, strides=(1,))[offset]
    return heads


def _sizes(data: NDArray[np.uint8], offset: NDArray[np.int64]) -> NDArray[np.int64]:
    sizes: NDArray[np.int64] = _heads(data, offset)["size"].astype(np.int64)
    return sizes


def _markers(data: NDArray[np.uint8], begin: int, limit: int) -> NDArray[np.int64]:
    """Return where markers begin in bytes `begin` to `limit`, those with a whole fixed part behind."""
    last = min(limit, len(data) - HEAD.size + 1)
    if last <= begin:
        return np.empty(0, np.int64)
    at: NDArray[np.int64] = np.flatnonzero(data[begin:last] == MARKER[0]) + begin
    whole: NDArray[np.bool_] = (data[at + 1] == MARKER[1]) & (data[at + 2] == MARKER[2])
    return at[whole]


def _leads_on(data: NDArray[np.uint8], behind: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell for each byte number whether a marker lies there, or it is the end of the file."""
    inside = behind <= len(data) - len(MARKER)
    at = np.where(inside, behind, 0)
    marked: NDArray[np.bool_] = inside.copy()
    if len(data) >= len(MARKER):
        for index, byte in enumerate(MARKER):
            marked &= data[at + index] == byte
    marked |= behind == len(data)
    return marked


def _quick(data: NDArray[np.uint8], begin: int, limit: int) -> tuple[NDArray[np.int64], int]:
    """Return the records that chain from `begin` on as long as no marker lies inside data."""
    at = _markers(data, begin, limit)
    if not len(at) or at[0] != begin:
        return at[:0], begin
    behind = at + HEAD.size + _sizes(data, at)
    right = np.empty(len(at), np.bool_)
    right[:-1] = behind[:-1] == at[1:]
    right[-1:] = _leads_on(data, behind[-1:])
    good = len(at) if right.all() else int(right.argmin())
    return at[:good], int(behind[good - 1]) if good else begin


def find_chain(data: NDArray[np.uint8], begin: int) -> int | None:
    """Return where, from byte `begin` on, a readout begins that another one or the end follows."""
    while begin < len(data):
        at = _markers(data, begin, begin + _WINDOW)
        found = at[_leads_on(data, at + HEAD.size + _sizes(data, at))]
        if len(found):
            return int(found[0])
        begin += _WINDOW
    return None


class _Slow:
    """Walks record by record, through damage."""

    def __init__(self, data: NDArray[np.uint8], limit: int) -> None:
        self.data = data
        self.view = data.data
        self.limit = limit
        self.offsets: list[int] = []
        self.sizes: list[int] = []
        self.breaks: list[Break] = []

    def walk(self, at: int) -> int:
        """Take all records that begin before the limit; return where to go on."""
        end, view = len(self.data), self.view
        while at < self.limit:
            if view[at : at + 3] != MARKER or at + HEAD.size > end:
                at = self._pass_over(at, find_chain(self.data, at + 1))
                continue
            size = HEAD.unpack_from(view, at)[3]
            behind = at + HEAD.size + size
            if behind == end or view[behind : behind + 3] == MARKER:
                self._take(at, size)
                at = behind
            else:
                at = self._take_doubtful(at, behind)
        return at

    def _take(self, at: int, size: int) -> None:
        self.offsets.append(at)
        self.sizes.append(size)

    def _take_doubtful(self, at: int, behind: int) -> int:
        """Take a record that nothing follows where it ends; return where to go on."""
        end = len(self.data)
        begin = at + HEAD.size
        following = find_chain(self.data, at + len(MARKER))
        if following is not None and following < begin:  # no record at all
            return self._pass_over(at, following)
        if following is not None and following < behind:
            self._take(at, following - begin)
            reason = "the length of a readout leads nowhere; its data end where the next one begins"
            self.breaks.append(Break(at, behind - following, reason, cut=True))
            return following
        if behind > end:
            self._take(at, end - begin)
            self.breaks.append(
                Break(at, behind - end, "the last readout is truncated", cut=True, at_end=True)
            )
            return end
        self._take(at, behind - begin)
        return self._pass_over(behind, following)

    def _pass_over(self, at: int, following: int | None) -> int:
        """Note that the bytes up to the next record belong to none; return where that begins."""
        target = len(self.data) if following is None else following
        where = "at the end" if following is None else "between readouts"
        reason = f"{target - at} bytes {where} belong to no readout"
        self.breaks.append(Break(at, target - at, reason, at_end=following is None))
        return target
