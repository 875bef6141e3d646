"""Files of CoMPASS and llamaDAQ made from the description of the formats, and a plain driver of streams."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sapwood.fileio.raw.buffer import RawBuffer
from sapwood.fileio.raw.compass import CompassStream
from sapwood.fileio.raw.llama import LlamaStream
from sapwood.fileio.raw.source import FileSource
from sapwood.fileio.raw.streamer import PacketStream


class Decoded:
    """All tables of a stream, `blocks` bytes at a time."""

    def __init__(self, stream: PacketStream, nbytes: int = 1 << 20, packets: int = 1 << 20) -> None:
        self.stream = stream
        block: Any = stream.begin()
        self.buffers: dict[str, RawBuffer] = {}
        keyed = [self._buffers(decoder) for decoder in stream.decoders]
        self.blocks = 0
        while block is not None:
            ids = block.packet_ids()
            for index, decoder in enumerate(stream.decoders):
                rows = np.flatnonzero(block.decoder == index)
                if len(rows):
                    decoder.decode_batch(block.packets[rows], ids[rows], keyed[index])
            self.blocks += 1
            block = stream.next_block(nbytes, packets)

    def _buffers(self, decoder: Any) -> dict[Any, RawBuffer]:
        keyed = {}
        for index, keys in enumerate(decoder.get_key_lists()):
            name = f"{type(decoder).__name__}{index or ''}"
            buffer = self.buffers[name] = RawBuffer(decoder.make_lgdo(keys[0], 16), keys, out_name=name)
            keyed |= dict.fromkeys(keys, buffer)
        return keyed

    def __getitem__(self, name: str) -> Any:
        """Return the column `Decoder.column` of the rows there are, or a table itself."""
        table, _, column = name.partition(".")
        buffer = self.buffers[table]
        return buffer.lgdo[column].nda[: buffer.loc] if column else buffer.lgdo

    def rows(self, table: str) -> int:
        return self.buffers[table].loc


def compass_event(
    bits: int,
    board: int = 0,
    channel: int = 0,
    time: int = 0,
    samples: Sequence[int] = (),
    energy: int = 100,
    calibrated: float = 1.5,
    short: int = 50,
    flags: int = 0x4000,
) -> bytes:
    data = struct.pack("<HHQ", board, channel, time)
    data += struct.pack("<H", energy) if bits & 1 else b""
    data += struct.pack("<d", calibrated) if bits & 2 else b""
    data += struct.pack("<H", short) if bits & 4 else b""
    data += struct.pack("<I", flags)
    if bits & 8:
        data += struct.pack(f"<BI{len(samples)}H", 1, len(samples), *samples)
    return data


class Compass:
    """Writes and reads CoMPASS files."""

    event = staticmethod(compass_event)

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, bits: int, events: Iterable[Mapping[str, Any]], *, header: bool = True) -> Path:
        path = self.folder / "run.BIN"
        data = b"".join(compass_event(bits, **event) for event in events)
        path.write_bytes((bytes([bits | 0xE0, 0xCA]) if header else b"") + data)
        return path

    def settings(self, *boards: str) -> Path:
        path = self.folder / "settings.xml"
        path.write_text(f"<?xml version='1.0'?><configuration>{''.join(boards)}</configuration>")
        return path

    @staticmethod
    def board(
        model: str = "DT5730", length: str | None = "16.0", extra: str = "", channels: Iterable[int] = (0, 1)
    ) -> str:
        entry = "<entry><key>{}</key><value><value>{}</value></value></entry>"
        lines = entry.format("SRV_PARAM_RECLEN", length) if length is not None else ""
        lines += entry.format("SRV_PARAM_CH_ENABLED", "true")
        inner = "".join(f"<channel><index>{channel}</index><values/></channel>" for channel in channels)
        return (
            f"<board><modelName>{model}</modelName><adcBitCount>14</adcBitCount>{extra}"
            f"<parameters>{lines}</parameters>{inner}</board>"
        )

    @staticmethod
    def read(path: Path, config: Path | None = None, **options: Any) -> Decoded:
        return Decoded(CompassStream(FileSource(path), config), **options)


def llama_channel(
    fadc: int = 0,
    channel: int = 0,
    freq: float = 250.0,
    bits: int = 3,
    start: int = 10,
    pretrigger: int = 20,
    averaged_pretrigger: int = 3,
    mode: int = 1,
    samples: int = 8,
    averaged: int = 4,
    extra_words: int = 0,
    **other: int,
) -> bytes:
    words = llama_words(bits, samples, averaged if mode else 0) + extra_words
    head = struct.pack("<4I2d", fadc, channel, 3, 8191, freq, 0.5)
    numbers = [
        bits,
        start,
        pretrigger,
        averaged_pretrigger,
        mode,
        samples,
        averaged,
        0,
        words,
        13,
        2,
        9,
        11,
        11,
    ]
    if "words" in other:
        numbers[8] = other["words"]
    return head + struct.pack("<14I", *numbers)


def llama_words(bits: int, samples: int, averaged: int) -> int:
    blocks = sum(words for bit, words in enumerate((7, 2, 3, 2)) if bits >> bit & 1)
    return 2 + blocks + 1 + (averaged > 0) + samples // 2 + averaged // 2


def llama_event(
    number: int,
    ticks: int,
    bits: int = 3,
    samples: Sequence[int] = range(8),
    averaged: Sequence[int] = range(4),
    status: int = 0,
    counter: int = 0,
) -> bytes:
    words = [bits | number << 4 | (ticks >> 32) << 16, ticks & 0xFFFFFFFF]
    if bits & 1:
        words += [7 | 9 << 16, 0xAB << 24 | 0xFFFFFE, 1002, 1003, 1004, 1005, 1006]
    words += [1007, 1008] if bits & 2 else []
    words += [21, 22, 23] if bits & 4 else []
    words += [31, 32] if bits & 8 else []
    words.append((0xA if len(averaged) else 0xE) << 28 | status << 26 | len(samples) // 2)
    if len(averaged):
        words.append(0xE << 28 | counter << 16 | len(averaged) // 2)
    return struct.pack(f"<{len(words)}I", *words) + np.array([*samples, *averaged], "<u2").tobytes()


class Llama:
    """Writes and reads llamaDAQ files."""

    channel = staticmethod(llama_channel)
    event = staticmethod(llama_event)

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(
        self,
        channels: Sequence[bytes],
        events: Iterable[bytes],
        name: str = "20240102-030405.bin",
        magic: int = 0x4972414C,
        size: int = 88,
    ) -> Path:
        path = self.folder / name
        header = struct.pack("<I4HI", magic, 1, 2, 3, size, len(channels))
        path.write_bytes(header + b"".join(channels) + b"".join(events))
        return path

    @staticmethod
    def read(path: Path, timezone: str = "UTC", **options: Any) -> Decoded:
        return Decoded(LlamaStream(FileSource(path), timezone), **options)


@pytest.fixture
def compass(tmp_path: Path) -> Compass:
    return Compass(tmp_path)


@pytest.fixture
def llama(tmp_path: Path) -> Llama:
    return Llama(tmp_path)


@pytest.fixture
def damaged(tmp_path: Path) -> Callable[[Path, bytes], Path]:
    """Write a damaged copy of a file."""

    def write(path: Path, data: bytes) -> Path:
        copy = tmp_path / "damaged" / path.name
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(data)
        return copy

    return write
