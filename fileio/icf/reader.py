"""Read container files object by object, under the names of SSDAQ, and as batches."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.formats import CHUNK_BYTES, PathLike
from sapwood.fileio.icf.block import Block
from sapwood.fileio.icf.errors import ChecksumError, NoSuchObject, TornObject
from sapwood.fileio.icf.selection import picked
from sapwood.fileio.icf.source import CACHE_BYTES, Source

if TYPE_CHECKING:
    from typing import Self

    from sapwood.streams import FrameBatch

__all__ = ["RawObjectReaderBase"]


class RawObjectReaderBase:
    """The objects of an indexed container file, each checked against its checksum.

    Objects have numbers from 0; ``reader[number]``, slices, lists, NumPy integers and arrays pick
    them, ``len`` counts them, iteration yields all from the first one on and moves nothing.
    `read` has a position of its own. `read_at`, indexing and iteration may be used by several threads.

    Parameters
    ----------
    filename
        The file.
    recover
        Read what is whole in a file that is cut, padded, damaged or just being written, instead
        of raising; `problems` then tells what was left out.
    cache_bytes
        Memory for bunches kept for random access.

    Raises
    ------
    MissingFile
        (A `FileNotFoundError`) when it is not there.
    NotIcf
        (A `TypeError` and `ValueError`) when it is no container file.
    UnknownId
        (A `KeyError`) for an unknown protocol or compressor.
    DamagedFile
        (A `RuntimeError`) when its index is damaged and `recover` is off.
    """

    def __init__(self, filename: PathLike, *, recover: bool = False, cache_bytes: int = CACHE_BYTES) -> None:
        self._source = Source(filename, recover=recover, cache_bytes=cache_bytes)
        self._recover = recover
        self.filename = self._source.path
        self._moving = self._source.header.version == 0  # read_at moves the position, as SSDAQ's does
        self._stream: Iterator[tuple[int, Block | Exception]] | None = None
        self._current: tuple[int, Block | Exception, list[bytes]] | None = None
        self._file: BinaryIO | None = None
        self._seek(0)

    # What the file is

    @property
    def file(self) -> BinaryIO:
        """The file, open for reading apart from the reader: its position is its own."""
        self._source.map  # noqa: B018  # must be open
        if self._file is None:
            self._file = open(self.filename, "rb")  # noqa: SIM115  # closed with the reader
        return self._file

    @property
    def n_entries(self) -> int:
        """Number of whole objects in the file."""
        return self._source.index.count

    def __len__(self) -> int:
        return self._source.index.count

    @property
    def filesize(self) -> int:
        """Bytes of the file when it was opened or reloaded."""
        return self._source.size

    @property
    def timestamp(self) -> datetime:
        """When the file was created, local time without zone; the epoch for protocol 0.

        `datetime.max` for a time that a datetime cannot hold.
        """
        try:
            return datetime.fromtimestamp(self._source.header.created)
        except (OverflowError, OSError, ValueError):
            return datetime.max

    @property
    def version(self) -> int:
        """The protocol, 0 or 1."""
        return self._source.header.version

    @property
    def fhead(self) -> int:
        """The first 8 bytes of the file as a number: the free field of protocol 0."""
        return self._source.header.custom

    @property
    def header_ext(self) -> bytes:
        """The extension of the header; empty for protocol 0."""
        return self._source.header.extension

    @property
    def marker_ext(self) -> str:
        """The extension of the marker; empty for protocol 0."""
        return self._source.header.marker_text

    @property
    def compressor(self) -> str | None:
        """Name of the compressor, None for stored objects."""
        return self._source.compressor.name

    @property
    def metadata(self) -> dict[str, Any]:
        """What the header says beside its fixed fields; empty for protocol 0."""
        if self.version == 0:
            return {}
        return {
            "marker_ext": self.marker_ext,
            "header_ext": self.header_ext,
            "compressor": self.compressor,
        }

    @property
    def n_bunches(self) -> int:
        """Bunches of protocol 1; of protocol 0 the runs of objects that are read together."""
        return len(self._source.index.runs)

    @property
    def torn_bytes(self) -> int:
        """Bytes that belong to no whole object or bunch."""
        return self._source.index.torn

    def problems(self) -> list[str]:
        """Return what is wrong with the index, one sentence each; objects are checked when read."""
        return list(self._source.index.problems)

    def __str__(self) -> str:
        facts = {
            "file": self.filename,
            "protocol": self.version,
            "created": self.timestamp.isoformat(" ") if self.version else "not recorded",
            "compressor": self.compressor or "none",
            "objects": self.n_entries,
            "bunches" if self.version else "runs": self.n_bunches,
            "size": f"{self.filesize} bytes",
        }
        facts.update(self.metadata)
        return "\n".join(f"{name + ':':16}{value}" for name, value in facts.items())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.filename!r}, {self.n_entries} objects)"

    # One by one

    def _decode(self, data: bytes) -> Any:
        """Turn the bytes of an object into what the reader returns; here the bytes."""
        return data

    _decoding = False  # a subclass that decodes sets this

    def read(self) -> Any:
        """Return the next object.

        At the end, None for protocol 0; the position stays, so that reading goes on after `reload`.

        Raises
        ------
        IndexError
            At the end, for protocol 1.
        ChecksumError
            When the object is damaged; the next call returns the one behind it.
        TornObject
            (An `IndexError`) where the last object of a file of protocol 0 is cut.
        """
        for data in self._ahead:
            return self._decode(data) if self._decoding else data
        return self._read_on()

    def _seek(self, number: int) -> None:
        self._ahead: Iterator[bytes] = iter(())
        self._ahead_end = number  # number of the object behind those that are ready

    def _position(self) -> int:
        return self._ahead_end - operator.length_hint(self._ahead)

    def _read_on(self) -> Any:
        number = self._ahead_end
        self._source.map  # noqa: B018  # must be open
        index = self._source.index
        if number >= index.count:
            if self._moving:
                self._check_tail(number)
                return None
            raise self._none_such(number)
        run = index.locate(number)
        self._ahead_end = number + 1  # where to go on when this one is damaged
        block, objects = self._streamed(run)
        row = number - index.first[run]
        bad = block.bad
        later = bad[bad >= row]
        if len(later) and later[0] == row:
            raise self._damaged(number, run)
        stop = int(later[0]) if len(later) else len(block)
        self._ahead = iter(objects[row:stop])
        self._ahead_end = index.first[run] + stop
        return self.read()

    def _streamed(self, run: int) -> tuple[Block, list[bytes]]:
        """Return run `run`, with the ones behind it being made ready where they are compressed."""
        if self._current is None or self._current[0] != run:
            follows = self._current is not None and self._current[0] == run - 1
            stream = self._stream if follows else None
            if stream is None:  # the first one is made alone: maybe nothing behind it is wanted
                last = len(self._source.index.runs) if follows else run + 1
                stream = self._source.blocks(range(run, last))
            self._stream = stream if follows else None
            _, block = next(stream)
            self._current = (run, block, block.objects() if isinstance(block, Block) else [])
        _, block, objects = self._current
        if isinstance(block, Exception):
            raise block
        return block, objects

    def resetfp(self) -> None:
        """Let `read` begin with the first object again."""
        self._seek(0)

    def read_at(self, ind: int) -> Any:
        """Return object number `ind`; negative numbers count from the end.

        Raises
        ------
        IndexError
            When there is no such object.
        ChecksumError
            When it is damaged.
        TypeError
            When `ind` is no integer.
        """
        number = self._number(operator.index(ind))
        data = self._one(number)
        if self._moving:
            self._seek(number + 1)
        return self._decode(data)

    def _number(self, given: int) -> int:
        count = self._source.index.count
        number = given + count if given < 0 else given
        if 0 <= number < count:
            return number
        self._check_tail(given)
        raise self._none_such(given)

    def _one(self, number: int) -> bytes:
        index = self._source.index
        run = index.locate(number)
        data, whole = self._source.block(run).object(number - index.first[run])
        if not whole:
            raise self._damaged(number, run)
        return data

    def _none_such(self, number: int) -> NoSuchObject:
        return NoSuchObject(
            f"The requested file object ({number}) is out of range",
            file=self.filename,
            expected=f"{self._source.index.count} objects",
        )

    def _check_tail(self, number: int) -> None:
        """Raise when the object behind the last one was begun."""
        index = self._source.index
        if number == index.count and index.tail is not None and not self._recover:
            raise TornObject(
                f"The requested file object ({number}) is out of range: {index.tail}",
                file=self.filename,
                offset=index.end,
            )

    def _damaged(self, number: int, run: int) -> ChecksumError:
        return ChecksumError(
            f"Object {number} is damaged: its checksum does not match",
            file=self.filename,
            offset=self._source.index.runs[run].begin,
        )

    # Many

    def __getitem__(self, key: Any) -> Any:
        """Return one object, or the list of those that a slice, list or array of integers picks."""
        if isinstance(key, slice):
            return self._picked(range(*key.indices(len(self))))
        if isinstance(key, (list, np.ndarray)) and np.ndim(key) > 0:
            return self._picked(self._numbers(key))
        if isinstance(key, np.ndarray):
            key = key.item()
        return self.read_at(key)

    def _numbers(self, key: Sequence[int] | NDArray[Any]) -> NDArray[np.int64]:
        given = np.asarray(key)
        if given.ndim != 1 or (given.size and given.dtype.kind not in "iub"):
            raise TypeError(f"Objects are picked by a list of integers, not by {key!r}")
        if given.dtype.kind == "b":
            if len(given) != len(self):
                raise self._none_such(len(given))
            return np.flatnonzero(given)
        count = len(self)
        numbers = np.where(given < 0, given + count, given).astype(np.int64)
        outside = (numbers < 0) | (numbers >= count)
        if outside.any():
            self._number(int(given[outside.argmax()]))
        return numbers

    def _picked(self, numbers: range | NDArray[np.int64]) -> list[Any]:
        """Return objects by their numbers; each bunch is looked at once."""
        self._source.map  # noqa: B018  # must be open
        found = picked(self._source, np.asarray(numbers, np.int64), self._damaged)
        return list(map(self._decode, found)) if self._decoding else found

    def __iter__(self) -> Iterator[Any]:
        """Yield all objects from the first one on; the position of `read` stays.

        Raises
        ------
        ChecksumError
            Where an object is damaged.
        """
        self._source.map  # noqa: B018  # must be open
        objects = chain.from_iterable(self._lists())
        return map(self._decode, objects) if self._decoding else objects

    def _lists(self) -> Iterator[list[bytes]]:
        index = self._source.index
        for run, block in self._source.blocks(range(len(index.runs))):
            if isinstance(block, Exception):
                raise block
            objects = block.objects()
            bad = block.bad
            if len(bad):
                yield objects[: bad[0]]
                raise self._damaged(index.first[run] + int(bad[0]), run)
            yield objects
        self._check_tail(index.count)

    def readobjects(self) -> Iterator[Any]:
        """Begin anew and yield all objects, moving the position of `read`."""
        self.resetfp()
        for _ in range(len(self)):
            yield self.read()

    def batches(self, *, nbytes: int = CHUNK_BYTES, skip_damaged: bool = False) -> Iterator[FrameBatch]:
        """Yield all objects as frames, from about `nbytes` of them at a time, checksums verified.

        Payloads are mapped where the file is not compressed.

        Parameters
        ----------
        skip_damaged
            Leave damaged objects out instead of raising.

        Raises
        ------
        ChecksumError
            Where an object is damaged.
        """
        from sapwood.fileio.icf.batches import batches_of

        yield from batches_of(self._source, nbytes, None if skip_damaged else self._damaged)

    # The file

    def reload(self) -> None:
        """Take in what was written to the file since it was opened or reloaded.

        The position of `read` stays. What is only half written is left out, until the next time.
        """
        position = self._position()
        self._source.reload()
        self._stream = self._current = None
        self._seek(min(position, len(self)))

    def close(self) -> None:
        """Let go of the file; reading afterwards raises `ClosedFile`, a `ValueError`."""
        self._seek(self._position())
        self._stream = self._current = None
        if self._file is not None:
            self._file.close()
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
