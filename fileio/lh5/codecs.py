"""Codecs of waveforms: which there are, and objects encoded and decoded with them."""

from __future__ import annotations

import ast
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.lh5 import radware, uleb128
from sapwood.fileio.lh5.array import Array, ArrayOfEqualSizedArrays
from sapwood.fileio.lh5.encoded import ArrayOfEncodedEqualSizedArrays, VectorOfEncodedVectors
from sapwood.fileio.lh5.errors import CodecError, LH5EncodeError
from sapwood.fileio.lh5.vectors import RaggedBlock, VectorOfVectors
from sapwood.fileio.workers import ahead

__all__ = ["RadwareSigcompress", "ULEB128ZigZagDiff", "WaveformCodec", "codec_of", "decode", "encode"]

Encoded = ArrayOfEncodedEqualSizedArrays | VectorOfEncodedVectors

_SIZE_LIMIT = 1 << 31  # decoded samples of a row
_EXPRESSION = re.compile(r"\s*(\w+)\s*\((.*)\)\s*", re.DOTALL)
_DROPPED = ("datatype", "compression")


class WaveformCodec:
    """A codec with its parameters; `codec` is its name in files.

    A thread works on about `block_samples` at once, with some 10 bytes of memory for each (ULEB128: 50).
    """

    codec: ClassVar[str]
    block_samples: ClassVar[int]

    def facts(self) -> dict[str, Any]:
        """Return the attributes that describe this codec in a file."""
        return {"codec": self.codec}

    def encode_rows(
        self, values: NDArray[Any], lengths: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return the bytes of all rows and the bytes of each."""
        raise NotImplementedError

    def decode_rows(
        self, data: NDArray[np.uint8], sizes: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        """Return the samples of all rows."""
        raise NotImplementedError


@dataclass(frozen=True)
class RadwareSigcompress(WaveformCodec):
    """Radware's compression, for samples of 16 bits.

    Parameters
    ----------
    codec_shift
        Added to samples before encoding: -32768 for unsigned ones that need all 16 bits.
    """

    codec_shift: float = 0
    codec: ClassVar[str] = "radware_sigcompress"
    block_samples: ClassVar[int] = 1 << 20  # many rows side by side

    def __post_init__(self) -> None:
        if not float(self.codec_shift).is_integer() or abs(self.codec_shift) >= 1 << 31:
            raise LH5EncodeError("The shift must be a whole number", seen=self.codec_shift)

    def facts(self) -> dict[str, Any]:
        """Return the attributes that describe this codec in a file."""
        return {"codec": self.codec, **asdict(self)}

    def encode_rows(
        self, values: NDArray[Any], lengths: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return the bytes of all rows and the bytes of each."""
        return radware.encode_rows(values, lengths, int(self.codec_shift))

    def decode_rows(
        self, data: NDArray[np.uint8], sizes: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        """Return the samples of all rows."""
        return radware.decode_rows(data, sizes, lengths, int(self.codec_shift))


@dataclass(frozen=True)
class ULEB128ZigZagDiff(WaveformCodec):
    """Differences as numbers of as many bytes as they need, for samples of 32 bits."""

    codec: ClassVar[str] = "uleb128_zigzag_diff"
    block_samples: ClassVar[int] = 1 << 17

    def encode_rows(
        self, values: NDArray[Any], lengths: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return the bytes of all rows and the bytes of each."""
        return uleb128.encode_rows(values, lengths)

    def decode_rows(
        self, data: NDArray[np.uint8], sizes: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        """Return the samples of all rows."""
        return uleb128.decode_rows(data, sizes, lengths)


_BY_CLASS: dict[str, Callable[..., WaveformCodec]] = {
    "RadwareSigcompress": RadwareSigcompress,
    "ULEB128ZigZagDiff": ULEB128ZigZagDiff,
}


def codec_of(what: Any) -> WaveformCodec | None:
    """Return the codec that `what` is, names or describes; None when it is about no codec.

    Parameters
    ----------
    what
        A codec, text such as ``RadwareSigcompress(codec_shift=-32768)``, or the attributes of
        encoded data. Other text, such as ``gzip``, is about a filter of HDF5.

    Raises
    ------
    LH5EncodeError
        For text that calls no known codec, or wrongly.
    CodecError
        For attributes of an unknown codec.
    """
    if isinstance(what, WaveformCodec):
        return what
    if isinstance(what, str):
        return _from_text(what) if "(" in what else None
    if not isinstance(what, Mapping) or "codec" not in what:
        return None
    name = what["codec"]
    if name == RadwareSigcompress.codec:
        return RadwareSigcompress(what.get("codec_shift", 0))
    if name == ULEB128ZigZagDiff.codec:
        return ULEB128ZigZagDiff()
    raise CodecError(
        f"The codec {name!r} is not known", expected="radware_sigcompress or uleb128_zigzag_diff"
    )


def _from_text(text: str) -> WaveformCodec:
    match = _EXPRESSION.fullmatch(text)
    kind = _BY_CLASS.get(match[1]) if match else None
    if match is None or kind is None:
        raise LH5EncodeError("invalid WaveformCodec expression", expected=" or ".join(_BY_CLASS), seen=text)
    keywords: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in match[2].split(","))):
        name, sign, value = (side.strip() for side in part.partition("="))
        try:
            keywords[name] = float(ast.literal_eval(value))
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            sign = ""
        if not sign:
            raise LH5EncodeError("invalid WaveformCodec expression", seen=text)
    try:
        return kind(**keywords)
    except TypeError as error:
        raise LH5EncodeError("invalid WaveformCodec expression", seen=text) from error


def encode(
    obj: ArrayOfEqualSizedArrays | VectorOfVectors | NDArray[Any], codec: WaveformCodec | str
) -> Encoded:
    """Return `obj` encoded; its attributes are kept, those of the codec added.

    Parameters
    ----------
    obj
        Integer samples: arrays of equal size, or vectors.
    codec
        A codec, or text such as ``ULEB128ZigZagDiff()``.

    Raises
    ------
    CodecError
        When the samples are not for this codec.
    LH5EncodeError
        When `codec` is none.
    """
    chosen = codec_of(codec)
    if chosen is None:
        raise LH5EncodeError("invalid WaveformCodec expression", seen=codec)
    if isinstance(obj, np.ndarray):
        obj = ArrayOfEqualSizedArrays(nda=obj)
    equal = isinstance(obj, ArrayOfEqualSizedArrays)
    fits = obj.ndim == 2 and isinstance(obj, ArrayOfEqualSizedArrays | VectorOfVectors)
    if not fits or obj.dtype.kind not in "iu":
        raise CodecError("Only rows of integers can be encoded", seen=f"{type(obj).__name__} of {obj.dtype}")
    values, lengths = _rows_of(obj)
    blocks = _blocks(lengths, chosen.block_samples)
    parts = list(ahead(partial(chosen.encode_rows, values[a:b], lengths[i:j]) for i, j, a, b in blocks))
    flat = np.concatenate([part[0] for part in parts] or [np.zeros(0, np.uint8)])
    ends = np.cumsum(np.concatenate([part[1] for part in parts] or [np.zeros(0, np.int64)]))
    data = VectorOfVectors(flattened_data=flat, cumulative_length=_narrow(ends))
    attrs = {name: value for name, value in obj.attrs.items() if name not in _DROPPED}
    attrs |= chosen.facts()
    if equal:
        return ArrayOfEncodedEqualSizedArrays(data, int(obj.shape[1]), attrs)  # type: ignore[union-attr]
    return VectorOfEncodedVectors(data, Array(lengths.astype(np.uint32)), attrs)


def _narrow(ends: NDArray[np.int64]) -> NDArray[Any]:
    """Return `ends` as u4, as others write them, unless they do not fit."""
    return ends.astype(np.uint32) if not len(ends) or ends[-1] < 1 << 32 else ends


def _rows_of(obj: ArrayOfEqualSizedArrays | VectorOfVectors) -> tuple[NDArray[Any], NDArray[np.int64]]:
    if isinstance(obj, VectorOfVectors):
        values, lengths = obj.block()
        return values, np.asarray(lengths, np.int64)
    values = np.ascontiguousarray(obj.nda)
    return values.reshape(-1), np.full(len(values), values.shape[1], np.int64)


def _blocks(lengths: NDArray[np.int64], samples: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield rows i to j and their values a to b, at most `samples` together unless a row is longer."""
    ends = np.cumsum(lengths)
    i = a = 0
    while i < len(lengths):
        j = max(i + 1, int(np.searchsorted(ends, a + samples, side="right")))
        b = int(ends[j - 1])
        yield i, j, a, b
        i, a = j, b


def decode(obj: Encoded, out_buf: Any = None) -> Any:
    """Return the samples of `obj` (i4): arrays of equal size, or vectors.

    Parameters
    ----------
    obj
        Encoded data; its attributes say how.
    out_buf
        An object of the result's kind whose rows are replaced; its type of samples is kept.

    Raises
    ------
    CodecError
        When the bytes are not what the codec makes.
    """
    codec = codec_of(obj.attrs)
    if codec is None:
        raise CodecError("The attribute 'codec' is missing", seen=sorted(obj.attrs))
    lengths = _decoded_lengths(obj)
    data, sizes = obj.encoded_data.block()
    sizes = np.asarray(sizes, np.int64)
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    _refuse_bombs(lengths, sizes)
    samples = np.empty(int(lengths.sum()), np.int32)

    def decode_block(i: int, j: int, a: int, b: int) -> None:
        samples[a:b] = codec.decode_rows(data[bounds[i] : bounds[j]], sizes[i:j], lengths[i:j])

    deque(ahead(partial(decode_block, *block) for block in _blocks(lengths, codec.block_samples)), maxlen=0)
    attrs = {name: value for name, value in obj.attrs.items() if name not in (*_DROPPED, *codec.facts())}
    if isinstance(obj, ArrayOfEncodedEqualSizedArrays):
        shaped = samples.reshape(len(lengths), int(obj.decoded_size.value))
        return _into(out_buf, shaped) or ArrayOfEqualSizedArrays(nda=shaped, attrs=attrs)
    block = RaggedBlock(samples, lengths)
    ends = np.cumsum(lengths)
    return _into(out_buf, block) or VectorOfVectors(
        flattened_data=samples, cumulative_length=ends, attrs=attrs
    )


def _into(buffer: Any, rows: Any) -> Any:
    if buffer is not None:
        buffer.clear()
        buffer.put(0, rows)
    return buffer


def _decoded_lengths(obj: Encoded) -> NDArray[np.int64]:
    if isinstance(obj, VectorOfEncodedVectors):
        return obj.decoded_size.nda.astype(np.int64)
    size = int(obj.decoded_size.value)
    if not 0 <= size < _SIZE_LIMIT:
        raise CodecError("The decoded size makes no sense", seen=size)
    return np.full(len(obj), size, np.int64)


def _refuse_bombs(lengths: NDArray[np.int64], sizes: NDArray[np.int64]) -> None:
    """Make sure that the bytes of a row can hold its samples before memory is taken for them."""
    wrong = np.flatnonzero((lengths < 0) | (lengths > sizes * 64))  # radware needs a bit a sample, at least
    if len(wrong):
        row = int(wrong[0])
        raise CodecError(f"Encoded row {row} cannot hold {int(lengths[row])} samples in {int(sizes[row])} B")
