"""Header of a llamaDAQ file: the configuration of its channels, and the layout of their events."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.raw.errors import BadStreamError

__all__ = ["MAGIC", "Channel", "Layout", "LlamaConfig", "channel_id", "is_llama", "read_config"]

MAGIC = 0x4972414C
_HEADER = np.dtype(
    [
        ("magic", "<u4"),
        ("version_patch", "<u2"),
        ("version_minor", "<u2"),
        ("version_major", "<u2"),
        ("length_econf", "<u2"),
        ("number_chOpen", "<u4"),
    ]
)
_WORDS = (
    "format_bits",
    "sample_start_index",
    "sample_pretrigger",
    "avg_sample_pretrigger",
    "avg_mode",
    "sample_length",
    "avg_sample_length",
    "maw_buffer_length",
    "event_length",
    "event_header_length",
    "accum6_offset",
    "accum2_offset",
    "maw3_offset",
    "energy_offset",
)
_CHANNEL = np.dtype(
    [
        ("fadc_index", "<u4"),
        ("channel_index", "<u4"),
        ("flags", "<u4"),
        ("adc_offset", "<u4"),
        ("sample_freq", "<f8"),
        ("gain", "<f8"),
        *((name, "<u4") for name in _WORDS),
    ]
)
_MOST_CHANNELS = 1 << 12  # what the id of an event can tell apart
_BLOCKS = (7, 2, 3, 2)  # words of the optional blocks, by format bit
_RAW_ONLY, _AVERAGED_FOLLOWS = 0xE, 0xA
_MOST_AVERAGED_WORDS = (1 << 16) - 1
_MOST_WORDS = 1 << 24  # of an event: the memory of a channel


def channel_id(fadc: Any, channel: Any) -> Any:
    """Return the id of a channel, which is its key; of numbers or arrays of them."""
    return (fadc << 4) + channel


class Channel:
    """Configuration of a channel.

    Parameters
    ----------
    record
        Its 88 bytes, as a record.

    Attributes
    ----------
    id
        Its key.
    settings
        What the header table shows, by name.
    """

    def __init__(self, record: Any) -> None:
        self.id = channel_id(int(record["fadc_index"]), int(record["channel_index"]))
        self.settings: dict[str, Any] = {"14_bit_flag": np.uint32(int(record["flags"]) & 1)}
        for name in ("adc_offset", "sample_freq", "gain", *_WORDS):
            self.settings[name] = record[name]

    def __getitem__(self, name: str) -> int:
        return int(self.settings[name])

    @property
    def dt(self) -> float:
        """Time between samples, ns."""
        return 1000 / float(self.settings["sample_freq"])

    @property
    def dt_averaged(self) -> float:
        """Time between averaged samples, ns."""
        return float(self.dt * 2 ** (self["avg_mode"] + 1))

    @property
    def t0(self) -> float:
        """Begin of the waveform, ns from the trigger."""
        return (self["sample_start_index"] - self["sample_pretrigger"]) * self.dt

    @property
    def t0_averaged(self) -> float:
        """Begin of the averaged waveform, ns from the trigger, at an average counter of 0."""
        return -self["sample_pretrigger"] * self.dt - self["avg_sample_pretrigger"] * self.dt_averaged

    @cached_property
    def layout(self) -> Layout:
        """Where things are in an event."""
        averaged = self["avg_sample_length"] if self["avg_mode"] else 0
        return Layout(self["format_bits"] & 0xF, self["sample_length"], averaged, self["event_length"])

    @property
    def group(self) -> tuple[Any, ...]:
        """Channels that have the same may share a table."""
        return self["sample_length"], self["avg_sample_length"], self["avg_mode"], self["format_bits"]


@dataclass(frozen=True)
class Layout:
    """Words of an event.

    Parameters
    ----------
    format_bits
        Which blocks there are.
    samples, averaged
        Numbers of samples.
    words
        Of a whole event.
    """

    format_bits: int
    samples: int
    averaged: int
    words: int

    def block(self, bit: int) -> int:
        """Return the word at which the block of a format bit begins."""
        return 2 + sum(words for index, words in enumerate(_BLOCKS[:bit]) if self.has(index))

    def has(self, bit: int) -> bool:
        """Tell whether there is the block of a format bit."""
        return bool(self.format_bits >> bit & 1)

    @cached_property
    def length_word(self) -> int:
        """Number of the word with the number of samples."""
        return self.block(len(_BLOCKS))

    @cached_property
    def head(self) -> int:
        """Words before the samples."""
        return self.length_word + (2 if self.averaged else 1)

    @property
    def needed(self) -> int:
        """Words that all parts take."""
        return self.head + self.samples // 2 + self.averaged // 2

    def makes_sense(self, heads: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Tell which events agree with the layout, from their first words, shape (n, at least `head`)."""
        kind = _AVERAGED_FOLLOWS if self.averaged else _RAW_ONLY
        good = (heads[:, 0] & 0xF) == self.format_bits
        length = heads[:, self.length_word]
        good &= (length & 0xFBFFFFFF) == (kind << 28 | self.samples // 2)  # all but the status bit
        if self.averaged:
            good &= (heads[:, self.length_word + 1] & 0xF000FFFF) == (_RAW_ONLY << 28 | self.averaged // 2)
        return np.asarray(good)


@dataclass(frozen=True)
class LlamaConfig:
    """What the header says.

    Parameters
    ----------
    version
        Names and numbers for the header table.
    channels
        By id, in the order of the file.
    nbytes
        Of the header.
    start
        When the run began, Unix time (s), 0 = unknown.
    """

    version: dict[str, Any]
    channels: dict[int, Channel]
    nbytes: int
    start: float = 0.0


def is_llama(data: NDArray[np.uint8]) -> bool:
    """Tell whether a file with these first bytes is one of llamaDAQ."""
    return data[:4].tobytes() == MAGIC.to_bytes(4, "little")


def read_config(data: NDArray[np.uint8], name: str, start: float) -> LlamaConfig:
    """Return what the header at the begin of `data` says; of `name` and `start` see `LlamaConfig`.

    Raises
    ------
    BadStreamError
        When it makes no sense.
    """
    if not is_llama(data):
        raise BadStreamError(
            "wrong file type", file=name, offset=0, expected=f"{MAGIC:#x}", seen=data[:4].tobytes().hex()
        )
    if len(data) < _HEADER.itemsize:
        raise BadStreamError(
            "The header is cut", file=name, offset=len(data), expected=f"{_HEADER.itemsize} bytes"
        )
    header = data[: _HEADER.itemsize].view(_HEADER)[0]
    if header["length_econf"] != _CHANNEL.itemsize:
        raise BadStreamError(
            "Configurations of channels have an unknown size",
            file=name,
            offset=10,
            expected=_CHANNEL.itemsize,
            seen=int(header["length_econf"]),
        )
    count = int(header["number_chOpen"])
    nbytes = _HEADER.itemsize + count * _CHANNEL.itemsize
    if not 0 < count <= _MOST_CHANNELS or nbytes > len(data):
        raise BadStreamError(
            "The header is cut, or its number of channels is wrong",
            file=name,
            offset=12,
            expected=f"1..{_MOST_CHANNELS} channels, {nbytes} bytes",
            seen=f"{count} channels, {len(data)} bytes",
        )
    version = {field: header[field] for field in _HEADER.names[1:]}  # type: ignore[index]  # it has names
    return LlamaConfig(version, _channels(data[_HEADER.itemsize : nbytes], name), nbytes, start)


def _channels(data: NDArray[np.uint8], name: str) -> dict[int, Channel]:
    channels: dict[int, Channel] = {}
    for index, record in enumerate(data.view(_CHANNEL)):
        channel, offset = Channel(record), _HEADER.itemsize + index * _CHANNEL.itemsize
        if channel.id in channels:
            raise BadStreamError(
                "A channel is configured twice", file=name, offset=offset, seen=f"id {channel.id}"
            )
        _check(channel, name, offset)
        channels[channel.id] = channel
    return channels


def _check(channel: Channel, name: str, offset: int) -> None:
    """Refuse a configuration with which events cannot be read."""
    layout, frequency = channel.layout, float(channel.settings["sample_freq"])
    if not math.isfinite(frequency) or not 1e-6 <= frequency <= 1e6:
        raise BadStreamError(
            "A sampling rate makes no sense", file=name, offset=offset, expected="MHz", seen=frequency
        )
    if not 0 <= channel.id < _MOST_CHANNELS or channel["avg_mode"] > 32:
        raise BadStreamError("A channel makes no sense", file=name, offset=offset, seen=f"id {channel.id}")
    if (
        layout.samples % 2
        or layout.averaged % 2
        or layout.words > _MOST_WORDS
        or layout.averaged // 2 > _MOST_AVERAGED_WORDS
        or layout.needed > layout.words
    ):
        raise BadStreamError(
            "The parts of an event do not fit its length",
            file=name,
            offset=offset,
            expected=f"{layout.needed}..{_MOST_WORDS} words",
            seen=f"{layout.words} words",
        )
