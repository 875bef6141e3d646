"""Recordings of frames as raw streams: each frame is a packet for a decoder that the user names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio import registry
from sapwood.fileio.formats import Reader
from sapwood.fileio.raw.declared import CONFIG_CHANNEL, DeclaredDecoder, decoder_table, load_decoder
from sapwood.fileio.raw.packetstreamer import PacketStreamer
from sapwood.fileio.raw.source import Source
from sapwood.fileio.raw.streamer import PacketBlock, PacketStream
from sapwood.fileio.raw.streams import StreamType, register_stream
from sapwood.streams import FrameBatch

__all__ = ["FrameStream", "RecordingStream", "declare_decoders"]


class _Recording:
    """A recording in the place of the bytes of a stream."""

    def __init__(self, source: Source) -> None:
        source.close()
        self.name = source.name
        self.offset = 0
        self.problems: list[str] = []
        self.reader: Reader = registry.open(source.name)

    def peek(self, nbytes: int, least: int | None = None) -> NDArray[np.uint8]:
        """Return nothing: frames are read by `reader`."""
        return np.empty(0, np.uint8)

    def advance(self, nbytes: int) -> None:
        """Count bytes that were read."""
        self.offset += nbytes

    def close(self) -> None:
        """Close the recording."""
        self.reader.close()


class FrameStream(PacketStream):
    """Frames as packets, by channel.

    Frames with an error, and those of channels without a decoder, are left out and counted.

    Parameters
    ----------
    source
        Stands for where the frames come from.
    channels
        Whose frames each decoder gets, see `DeclaredDecoder`.
    """

    def __init__(self, source: Source, channels: Iterable[int | None]) -> None:
        super().__init__(source)
        self._table = np.array(decoder_table(channels), np.int8)
        self._next_id = 0

    def block_of(self, batch: FrameBatch) -> PacketBlock:
        """Return frames with their decoders."""
        self.source.advance(batch.nbytes)
        block = PacketBlock(batch, self._homes(batch), self._next_id)
        self._next_id += len(batch)
        return block

    def _homes(self, batch: FrameBatch) -> NDArray[np.int8]:
        homes = self._table[batch.channel]
        bad = batch.error != 0
        if bad.any():
            self.count_unknown("frames with an error", int(np.count_nonzero(bad)))
            homes[bad] = -1
        lost = np.bincount(batch.channel[(homes < 0) & ~bad], minlength=1)
        for channel in np.flatnonzero(lost).tolist():
            if channel != CONFIG_CHANNEL:
                self.count_unknown(f"channel {channel}", int(lost[channel]))
        return homes


class RecordingStream(FrameStream):
    """The frames of a recording, in any format that `sapwood.fileio.open` reads frames of.

    Parameters
    ----------
    source
        The file.
    decoders
        Which class decodes which channel.
    """

    def __init__(self, source: Source, decoders: Sequence[DeclaredDecoder]) -> None:
        self._recording = _Recording(source)
        super().__init__(self._recording, [one.channel for one in decoders])
        self._declared = decoders
        self._batches: Iterator[FrameBatch] | None = None
        self._rest: FrameBatch | None = None

    def begin(self) -> None:
        """Make the decoders; there is no header."""
        self.decoders = [load_decoder(one) for one in self._declared]

    def next_block(self, nbytes: int, packets: int) -> PacketBlock | None:
        """Return the next frames."""
        if self._batches is None:
            self._batches = self._recording.reader.batches(nbytes=max(nbytes, 1))
        batch = self._rest if self._rest is not None else next(self._batches, None)
        if batch is None:
            self.problems.extend(self._recording.reader.problems())
            return None
        self._rest = batch[packets:] if len(batch) > packets else None
        return self.block_of(batch[:packets])


def declare_decoders(decoders: Iterable[str]) -> str:
    """Let the classes named decode recordings; return the stream type to read them with.

    Their modules are imported when a stream is opened. A name is never taken from a recording: only
    from the caller.

    Parameters
    ----------
    decoders
        ``module:Class`` for all channels, ``3=module:Class`` for channel 3.

    Raises
    ------
    OutSpecError
        When one is of another form, or a channel has two.
    """
    declared = [DeclaredDecoder.parse(one) for one in decoders]
    decoder_table(one.channel for one in declared)
    name = f"Recording({', '.join(map(str, declared))})"
    make = partial(PacketStreamer, partial(RecordingStream, decoders=declared))
    register_stream(StreamType(name, make, recognise=lambda head: False))
    return name
