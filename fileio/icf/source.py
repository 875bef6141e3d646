"""An open container file: its header, its index, and its runs as blocks of objects."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from sapwood.fileio.formats import PathLike
from sapwood.fileio.icf import protocol0, protocol1
from sapwood.fileio.icf.block import Block
from sapwood.fileio.icf.compressors import by_id
from sapwood.fileio.icf.errors import ClosedFile, MissingFile
from sapwood.fileio.icf.layout import HEADER_BYTES, MAX_EXTENSION, parse_header
from sapwood.fileio.icf.runs import Index
from sapwood.fileio.mapped import MappedFile
from sapwood.fileio.workers import WORKERS, ahead

__all__ = ["CACHE_BYTES", "Source"]

CACHE_BYTES = 64 << 20


class Source:
    """A container file, mapped at the size it has.

    Parameters
    ----------
    path
        The file.
    recover
        Search for whole bunches where the index is damaged, instead of raising.
    cache_bytes
        Blocks kept for random access, bytes.
    limit
        Look at so many bytes of the file only; for protocol 0.

    Raises
    ------
    MissingFile
        (A `FileNotFoundError`) when it is not there.
    NotIcf, UnknownId
        When it is no container file that can be read.
    DamagedFile
        When the index is damaged and `recover` is off.
    """

    def __init__(
        self,
        path: PathLike,
        *,
        recover: bool = False,
        cache_bytes: int = CACHE_BYTES,
        limit: int | None = None,
    ) -> None:
        self.path = os.fspath(path)
        self._cache_bytes = cache_bytes
        self._cached = 0
        self._cache: OrderedDict[int, Block] = OrderedDict()
        self._lock = threading.Lock()
        self._open = True
        self._map = self._mapped(limit)
        self._begin(recover)

    def _mapped(self, limit: int | None = None) -> MappedFile:
        if not os.path.exists(self.path):
            raise MissingFile(f"There is no file {self.path}", file=self.path)
        return MappedFile(self.path, None if limit is None else min(limit, os.path.getsize(self.path)))

    def _begin(self, recover: bool) -> None:
        data = self._map.data
        head = data[: HEADER_BYTES + MAX_EXTENSION].tobytes()
        self.header = parse_header(head, self.path, self._map.size)
        self.compressor = by_id(self.header.compressor, self.path)
        self.index = self._indexed(self.header.nbytes, recover)
        self._map.release(0, self._map.size)

    def _indexed(self, start: int, recover: bool) -> Index:
        """Return the index of the bytes from `start` on, where a run begins."""
        data, begin = self._map.data, self.header.nbytes
        if self.header.version == 0:
            return protocol0.index(data, start, self.path, self._map.release)
        try:
            return protocol1.index(data, begin, self.path, start=start)
        except RuntimeError:
            if not recover:
                raise
        stored = self.compressor.inflate is None
        return protocol1.recovered(data, begin, self.path, start=start, stored=stored)

    @property
    def size(self) -> int:
        """Bytes of the file when it was looked at last."""
        return self.index.size

    @property
    def compressed(self) -> bool:
        """Runs must be expanded before objects can be taken from them."""
        return self.compressor.inflate is not None

    @property
    def map(self) -> MappedFile:
        """The mapped file.

        Raises
        ------
        ClosedFile
            (A `ValueError`) after `close`.
        """
        if not self._open:
            raise ClosedFile("The reader is closed", file=self.path)
        return self._map

    def payload_bytes(self) -> int:
        """Return the bytes of all objects together, expanded; reads no object."""
        data = self.map.data
        if self.header.version == 0:
            return sum(run.data_bytes for run in self.index.runs)
        total = sum(protocol1.payload_bytes(data, run) for run in self.index.runs)
        self.map.release(0, self.map.size)
        return total

    def reload(self) -> None:
        """Take in what was written to the file since; what is only half written stays out.

        A file that was replaced, or cut, is read anew from its beginning.
        """
        self.map  # noqa: B018  # must be open
        fresh = self._mapped()
        known = self.index.end
        length = self.header.nbytes
        same = fresh.size >= known and bytes(fresh.data[:length]) == bytes(self._map.data[:length])
        self._map.close()
        self._map = fresh
        if not same:
            self._forget()
            self._begin(recover=True)
        elif fresh.size != self.index.size or self.index.tail is not None:
            self.index = self.index.extended(self._indexed(known, recover=True))

    def _forget(self) -> None:
        with self._lock:
            self._cache.clear()
            self._cached = 0

    def load(self, run: int) -> Block:
        """Return run number `run`, read anew.

        Raises
        ------
        DamagedFile
            When it cannot be expanded or its tables do not fit.
        """
        mapped = self.map
        if self.header.version == 0:
            return protocol0.load(mapped.data, self.index.runs[run])
        return protocol1.load(mapped.data, self.index.runs[run], self.compressor, self.path)

    def block(self, run: int) -> Block:
        """Return run number `run`, from the cache when it is there."""
        with self._lock:
            block = self._cache.get(run)
            if block is not None:
                self._cache.move_to_end(run)
                return block
        block = self.load(run)
        self._keep(run, block)
        return block

    def _keep(self, run: int, block: Block) -> None:
        with self._lock:
            if run in self._cache or block.nbytes > self._cache_bytes:
                return
            self._cache[run] = block
            self._cached += block.nbytes
            while self._cached > self._cache_bytes:
                _, oldest = self._cache.popitem(last=False)
                self._cached -= oldest.nbytes

    def blocks(self, runs: Sequence[int], *, keep: bool = False) -> Iterator[tuple[int, Block | Exception]]:
        """Yield each of `runs` with its block, or why it cannot be read, in order.

        Compressed runs are expanded ahead, on several cores, within the memory of the cache;
        `keep` puts them into the cache.
        """
        load = partial(_tried, self.block if keep else self._cached_or_loaded)
        depth = min(2 * WORKERS, self._cache_bytes // (8 * max(self.index.largest, 1)))
        if not self.compressed or depth < 1 or len(runs) < 2:
            yield from zip(runs, map(load, runs), strict=True)
            return
        yield from zip(runs, ahead((partial(load, run) for run in runs), depth), strict=True)

    def release(self, first: int, last: int) -> None:
        """Tell the system that the file's bytes of runs `first` to `last` are done with."""
        runs = self.index.runs
        self.map.release(runs[first].begin, runs[last].end)

    def _cached_or_loaded(self, run: int) -> Block:
        with self._lock:
            block = self._cache.get(run)
        return self.load(run) if block is None else block

    def close(self) -> None:
        """Let go of the file; arrays over it stay valid."""
        self._open = False
        self._forget()
        self._map.close()


def _tried(load: Callable[[int], Block], run: int) -> Block | Exception:
    try:
        return load(run)
    except Exception as error:  # noqa: BLE001  # handed over: it concerns this run alone
        return error
