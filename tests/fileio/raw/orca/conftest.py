"""ORCA streams made to order, and what becomes of them."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from sapwood.fileio.raw.buffer import RawBuffer
from sapwood.fileio.raw.orca import OrcaStream
from sapwood.fileio.raw.source import ReadingSource


class Decoded:
    """A stream that was decoded to its end, one table per group of keys."""

    def __init__(self, data: bytes, nbytes: int = 1 << 20, packets: int = 1 << 20) -> None:
        file = io.BytesIO(data)
        self.stream = OrcaStream(ReadingSource("made.orca", file.read, file.close))
        self.packets = 0
        first = self.stream.begin()
        self.buffers: dict[str, dict[Any, RawBuffer]] = {}
        for decoder in self.stream.decoders:
            keyed = self.buffers.setdefault(type(decoder).__name__, {})
            for group in decoder.get_key_lists():
                buffer = RawBuffer(decoder.make_lgdo(group[0] if group else None, 4), group)
                keyed.update(dict.fromkeys(group, buffer))
        self._decode(first)
        while (block := self.stream.next_block(nbytes, packets)) is not None:
            assert len(block.packets)
            self._decode(block)

    def _decode(self, block: Any) -> None:
        ids = block.packet_ids()
        assert ids[0] == self.packets
        self.packets += len(block.packets)
        for index, decoder in enumerate(self.stream.decoders):
            rows = np.flatnonzero(block.decoder == index)
            if len(rows):
                decoder.decode_batch(block.packets[rows], ids[rows], self.buffers[type(decoder).__name__])

    @property
    def problems(self) -> list[str]:
        """What was wrong."""
        return self.stream.problems

    def buffer(self, decoder: str, key: Any = None) -> RawBuffer:
        """Return the buffer of a key."""
        return self.buffers[decoder][key]

    def column(self, decoder: str, name: str, key: Any = None) -> Any:
        """Return the values of a column, lists for vectors."""
        buffer = self.buffer(decoder, key)
        column = buffer.lgdo.rows(0, buffer.loc)
        for part in name.split("/"):
            column = column[part]
        if hasattr(column, "nda"):
            return column.nda
        return [np.asarray(row).tolist() for row in column]

    def garbage(self, decoder: str) -> int:
        """Return how many packets a decoder refused."""
        return next(one.garbage.count for one in self.stream.decoders if type(one).__name__ == decoder)


@pytest.fixture(scope="session")
def made() -> ModuleType:
    """The module that makes streams."""
    path = Path(__file__).parents[1] / "orca_streams.py"
    spec = importlib.util.spec_from_file_location("orca_streams", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def decoded() -> type[Decoded]:
    """Decode the bytes of a stream."""
    return Decoded
