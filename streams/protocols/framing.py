"""Where frames begin and end in a stream of bytes: rules without a socket.

A rule looks at bytes that begin at the boundary of a frame (or at bytes to be skipped) and tells the
frames that are whole. `Framer` keeps what is not whole yet and makes batches.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import ProtocolError, StreamError

__all__ = ["Delimited", "FixedSize", "Found", "Framing", "LengthPrefix", "SyncWord"]

_WIDTHS = (1, 2, 3, 4, 8)
_RUN = 8  # frames of one size in a row from which a look at many is quicker than steps


class Found(NamedTuple):
    """What a rule found in its bytes.

    Attributes
    ----------
    start, size
        Payloads of whole frames, i8[n].
    used
        Bytes that are done with; the rest is to be shown again, with more behind it.
    skipped
        Bytes that belong to no frame: pairs (frames found before, bytes), in order.
    scanned
        Bytes after `used` that need no second look.
    """

    start: NDArray[np.int64]
    size: NDArray[np.int64]
    used: int
    skipped: tuple[tuple[int, int], ...] = ()
    scanned: int = 0


class Framing(Protocol):
    """A rule of framing."""

    def find(self, data: NDArray[np.uint8], most: int, scanned: int, before: int = 0) -> Found:
        """Return the frames in `data`, u1[n].

        Parameters
        ----------
        most
            Payload bytes that a frame may have.
        scanned
            Bytes at the beginning that a call before found nothing in.
        before
            Bytes of the first frame that were given up already, as it is too large.

        Raises
        ------
        ProtocolError
            When the stream cannot be followed any further.
        """
        ...

    def largest(self, most: int) -> int:
        """Return the bytes that may have to wait for a frame of `most` payload bytes to be whole."""
        ...


class FixedSize:
    """Every frame has `size` bytes."""

    def __init__(self, size: int) -> None:
        if size < 1:
            raise StreamError("No such frame size", expected="1 byte or more", seen=size)
        self._size = size

    def find(self, data: NDArray[np.uint8], most: int, scanned: int, before: int = 0) -> Found:
        """Return the frames in `data`; see `Framing`."""
        size = self._size
        if size > most:
            raise ProtocolError(
                "A frame is too large", expected=f"at most {most} bytes", seen=f"{size} bytes"
            )
        count = len(data) // size
        return Found(np.arange(count, dtype=np.int64) * size, np.full(count, size, np.int64), count * size)

    def largest(self, most: int) -> int:
        """Return the size."""
        return self._size


class _Lengths:
    """A number in each header that tells where the next header is."""

    def __init__(
        self,
        width: int,
        byteorder: Literal["little", "big"],
        offset: int,
        whole: int | None,
        inclusive: bool,
        mark: int = 0,
    ) -> None:
        known = width in _WIDTHS and byteorder in ("little", "big") and offset >= 0
        header = offset + width if known and whole is None else whole or 0
        if not known or header < offset + width:
            raise StreamError(
                "No such length field", expected=f"{_WIDTHS} bytes, little or big, within the header",
                seen=f"{width!r} bytes, {byteorder}, at {offset} of a header of {header}",
            )  # fmt: skip
        self.width, self.order, self.offset, self.header = width, byteorder, offset, header
        self.extra = 0 if inclusive else header  # from the number to the bytes of header and payload

        self.read = self._reader(mark)
        """Returns the first `mark` bytes, and the number, of the header at a place of a buffer."""

    def _reader(self, mark: int) -> Callable[[memoryview, int], tuple[bytes, int]]:
        codes = {1: "B", 2: "H", 4: "I", 8: "Q"}
        if self.width in codes:
            order = "<" if self.order == "little" else ">"
            return struct.Struct(f"{order}{mark}s{self.offset - mark}x{codes[self.width]}").unpack_from

        def read(view: memoryview, position: int) -> tuple[bytes, int]:
            begin = position + self.offset
            number = int.from_bytes(view[begin : begin + self.width], self.order)
            return bytes(view[position : position + mark]), number

        return read

    def run(self, data: NDArray[np.uint8], position: int, pitch: int, same: bytes) -> int:
        """Return how many frames of `pitch` bytes follow each other from `position` on.

        Their length fields are those of the first, and all begin with `same`.
        """
        most, begin, done, block = (len(data) - position) // pitch, self.offset, 1, 64
        first = data[position : position + pitch]
        mark = np.frombuffer(same, np.uint8)
        while done < most:
            stop = min(done + block, most)
            rows = data[position + done * pitch : position + stop * pitch].reshape(stop - done, pitch)
            good = (rows[:, begin : begin + self.width] == first[begin : begin + self.width]).all(axis=1)
            if same:
                good &= (rows[:, : len(same)] == mark).all(axis=1)
            if not good.all():
                return done + int(good.argmin())
            done, block = stop, block * 4
        return done


class LengthPrefix:
    """A number before each payload tells its length.

    Parameters
    ----------
    width
        Bytes of the number: 1, 2, 3, 4 or 8.
    byteorder
        ``little`` or ``big``.
    offset
        Bytes of the header before the number.
    header
        Bytes of the whole header; None = up to the end of the number.
    inclusive
        The number counts the header too.
    keep
        The header is part of the frame.
    """

    def __init__(
        self,
        width: int = 4,
        byteorder: Literal["little", "big"] = "little",
        *,
        offset: int = 0,
        header: int | None = None,
        inclusive: bool = False,
        keep: bool = False,
    ) -> None:
        self._field = _Lengths(width, byteorder, offset, header, inclusive)
        self._keep = keep

    def find(self, data: NDArray[np.uint8], most: int, scanned: int, before: int = 0) -> Found:
        """Return the frames in `data`; see `Framing`. Without a mark a bad length ends the stream."""
        field, view, end = self._field, data.data, len(data)
        read, extra, header, largest = field.read, field.extra, field.header, most + field.header
        starts: list[int] = []
        sizes: list[int] = []
        position, equal, last = 0, 0, -1
        while position + header <= end:
            pitch = read(view, position)[1] + extra
            if not header <= pitch <= largest:
                if starts:
                    break  # what is whole goes first
                raise ProtocolError(
                    "The length of a frame is impossible", seen=f"{pitch} bytes, header included",
                    expected=f"{header}..{largest} bytes",
                )  # fmt: skip
            if position + pitch > end:
                break
            equal = equal + 1 if pitch == last else 0
            last = pitch
            if equal < _RUN:
                starts.append(position)
                sizes.append(pitch)
                position += pitch
                continue
            count = field.run(data, position, pitch, b"")
            starts.extend(range(position, position + count * pitch, pitch))
            sizes.extend([pitch] * count)
            position += count * pitch
        return Found(*_payloads(starts, sizes, 0 if self._keep else field.header), position)

    def largest(self, most: int) -> int:
        """Return the bytes of header and payload."""
        return most + self._field.header


class SyncWord:
    """Each frame begins with a mark, and has its length in a header behind it.

    After damage the next mark with a possible length is looked for; what is skipped is reported.
    Frames are the bytes from the mark on.

    Parameters
    ----------
    sync
        The mark.
    width, byteorder, offset, header, inclusive
        As of `LengthPrefix`, `offset` and `header` counted from the mark; by default the number follows
        the mark.
    keep
        Mark and header are part of the frame.
    """

    def __init__(
        self,
        sync: bytes,
        width: int = 4,
        byteorder: Literal["little", "big"] = "little",
        *,
        offset: int | None = None,
        header: int | None = None,
        inclusive: bool = False,
        keep: bool = True,
    ) -> None:
        if not sync:
            raise StreamError("A sync word has a byte at least", seen="none")
        place = len(sync) if offset is None else offset
        if place < len(sync):
            raise StreamError("The length lies in the sync word", expected=f">= {len(sync)}", seen=place)
        self._sync = bytes(sync)
        self._field = _Lengths(width, byteorder, place, header, inclusive, len(sync))
        self._keep = keep

    def find(self, data: NDArray[np.uint8], most: int, scanned: int, before: int = 0) -> Found:
        """Return the frames in `data`; see `Framing`."""
        field, view, end, sync = self._field, data.data, len(data), self._sync
        raw: bytes | None = None
        starts: list[int] = []
        sizes: list[int] = []
        skipped: list[tuple[int, int]] = []
        read, extra, header, largest = field.read, field.extra, field.header, most + field.header
        position, equal, last = 0, 0, -1
        while position + header <= end:
            mark, pitch = read(view, position)
            pitch += extra
            if mark != sync or not header <= pitch <= largest:
                raw = data.tobytes() if raw is None else raw
                found = _next_mark(raw, sync, position + 1)
                skipped.append((len(starts), found - position))
                position = found
                continue
            if position + pitch > end:
                break
            equal = equal + 1 if pitch == last else 0
            last = pitch
            if equal < _RUN:
                starts.append(position)
                sizes.append(pitch)
                position += pitch
                continue
            count = field.run(data, position, pitch, sync)
            starts.extend(range(position, position + count * pitch, pitch))
            sizes.extend([pitch] * count)
            position += count * pitch
        payloads = _payloads(starts, sizes, 0 if self._keep else field.header)
        return Found(*payloads, position, _joined(skipped))

    def largest(self, most: int) -> int:
        """Return the bytes of mark, header and payload."""
        return most + self._field.header


class Delimited:
    """Each frame ends with a delimiter, a line for example.

    A frame that grows beyond the bound is skipped, up to its delimiter, and reported.

    Parameters
    ----------
    delimiter
        One byte or more.
    keep
        The delimiter is part of the frame.
    """

    def __init__(self, delimiter: bytes = b"\n", *, keep: bool = False) -> None:
        if not delimiter:
            raise StreamError("A delimiter has a byte at least", seen="none")
        self._delimiter, self._keep = bytes(delimiter), keep
        self._pattern = re.compile(re.escape(self._delimiter))

    def find(self, data: NDArray[np.uint8], most: int, scanned: int, before: int = 0) -> Found:
        """Return the frames in `data`; see `Framing`."""
        width = len(self._delimiter)
        if width == 1:
            marks = np.flatnonzero(data[scanned:] == self._delimiter[0]) + scanned
        else:
            marks = np.fromiter(
                (match.start() for match in self._pattern.finditer(data.data, scanned)), np.int64
            )
        ends = marks + width
        start = np.concatenate((np.zeros(min(len(ends), 1), np.int64), ends[:-1]))
        size = marks - start
        if len(size):
            size[0] += before
        used = int(ends[-1]) if len(ends) else 0
        skipped: list[tuple[int, int]] = []
        large = size > most
        if large.any():
            places = np.cumsum(~large)
            lost = size[large] + width
            skipped = list(zip(places[large].tolist(), lost.tolist(), strict=True))
            start, size = start[~large], size[~large]
        if self._keep:
            size = size + width
        return Found(start, size, used, tuple(skipped), max(len(data) - used - width + 1, 0))

    def largest(self, most: int) -> int:
        """Return the bytes of payload and delimiter."""
        return most + len(self._delimiter)


def _payloads(
    starts: list[int], sizes: list[int], header: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.array(starts, np.int64) + header, np.array(sizes, np.int64) - header


def _next_mark(raw: bytes, sync: bytes, begin: int) -> int:
    """Return where the next mark, or a part of one at the end, begins."""
    found = raw.find(sync, begin)
    if found >= 0:
        return found
    for part in range(min(len(sync) - 1, len(raw) - begin), 0, -1):
        if raw.endswith(sync[:part]):
            return len(raw) - part
    return len(raw)


def _joined(skipped: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Join what was skipped at one place."""
    found: list[tuple[int, int]] = []
    for place, nbytes in skipped:
        if found and found[-1][0] == place:
            found[-1] = place, found[-1][1] + nbytes
        else:
            found.append((place, nbytes))
    return tuple(found)
