"""Closures that read and stage one value in the image of a block."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sapwood.memory.model import Model

if TYPE_CHECKING:
    from sapwood.memory.field import Field

__all__ = ["raw_value", "scalar_getter", "scalar_setter"]

Getter = Callable[..., Any]
Setter = Callable[..., None]
_CONVERSION = (TypeError, ValueError, OverflowError)


def _whole_at(field: Field) -> tuple[struct.Struct, int] | None:
    """Return how ``struct`` finds the value, and at which byte; None where it cannot."""
    code, pieces = field.spec.model.struct_format(), field.pieces
    if code is None or len(pieces) > 1 or pieces[0][0] & 7:
        return None
    return _struct(code), pieces[0][0] >> 3


_struct = functools.cache(struct.Struct)


def scalar_getter(field: Field) -> Getter:
    """Return the function that gets the value of `field`."""
    image, model, pieces = field.block.image, field.spec.model, field.pieces
    whole = _whole_at(field)
    if whole is not None:
        unpack, start = whole[0].unpack_from, whole[1]
        return lambda index=-1: unpack(image, start)[0]
    if len(pieces) == 1:
        return _bits_getter(image, model, pieces[0][0])
    return _pieces_getter(image, model, pieces)


def scalar_setter(field: Field) -> tuple[Setter, Setter]:
    """Return the functions that stage and check a value of `field`."""
    whole = _whole_at(field)
    if whole is not None:
        return _whole_setter(field, *whole)
    return _bits_setter(field, _bits_store(field.block.image, field.pieces))


def _staged_range(field: Field) -> tuple[int, int]:
    """Return the bytes that setting `field` marks as staged: of read-only variables none."""
    if field.spec.mode == "RO":
        return field.block.size, 0
    return field.low, field.high


def _fitting(field: Field) -> Callable[[Any], Any]:
    """Return the function that brings a value to the type of the model, within the limits."""
    model = field.spec.model
    minimum, maximum = field.spec.limits()
    bounded = minimum is not None and maximum is not None
    kind = model.pytype

    def fit(value: Any) -> Any:
        try:
            if type(value) is not kind:
                value = model.normalize(value)
            outside = bounded and (value < minimum or value > maximum)
        except _CONVERSION as problem:
            raise field.unfit(value, problem) from problem
        if outside:
            raise field.out_of_range(value, minimum, maximum)
        return value

    return fit


def raw_value(field: Field) -> Callable[[Any], int]:
    """Return the function that checks one value (of an array: one element) and gives its raw integer."""
    fit, encode = _fitting(field), field.spec.model.encode

    def raw_of(value: Any) -> int:
        fitting = fit(value)
        try:
            return encode(fitting)
        except _CONVERSION as problem:
            raise field.unfit(value, problem) from problem

    return raw_of


def _whole_setter(field: Field, form: struct.Struct, start: int) -> tuple[Setter, Setter]:
    """Return the functions that stage and check a value that ``struct`` finds at byte `start`."""
    block = field.block
    low, high = _staged_range(field)
    lock, image, model = block.lock, block.image, field.spec.model
    minimum, maximum = field.spec.limits()
    kind, fit = model.pytype, _fitting(field)
    pack = form.pack_into

    def stage(value: Any, index: int = -1) -> None:
        if type(value) is not kind or value < minimum or value > maximum:
            value = fit(value)
        with lock:
            pack(image, start, value)
            if low < block.stagedLow:
                block.stagedLow = low
            if high > block.stagedHigh:
                block.stagedHigh = high

    def check(value: Any, index: int = -1) -> None:
        fit(value)

    return stage, check


def _bits_setter(field: Field, store: Callable[[int], None]) -> tuple[Setter, Setter]:
    """Return the functions that stage a value by its raw integer, and that only check it."""
    block, model = field.block, field.spec.model
    low, high = _staged_range(field)
    minimum, maximum = field.spec.limits()
    lock, kind, plain, raw_of = block.lock, model.pytype, model.plain, raw_value(field)

    def check(value: Any, index: int = -1) -> None:
        raw_of(value)

    def stage(value: Any, index: int = -1) -> None:
        simple = plain and type(value) is kind and minimum <= value <= maximum
        raw = value if simple else raw_of(value)
        with lock:
            store(raw)
            if low < block.stagedLow:
                block.stagedLow = low
            if high > block.stagedHigh:
                block.stagedHigh = high

    return stage, check


def _bits_getter(image: bytearray, model: Model, bit: int) -> Getter:
    """Return the function that reads one run of bits."""
    size = model.bitSize
    first, end, shift, mask = bit >> 3, (bit + size + 7) >> 3, bit & 7, model.mask
    decode = model.decode
    from_bytes = int.from_bytes
    if end - first == 1 and model.plain:
        return lambda index=-1: image[first] >> shift & mask
    if end - first == 1:
        return lambda index=-1: decode(image[first] >> shift & mask)
    if model.plain:
        return lambda index=-1: from_bytes(image[first:end], "little") >> shift & mask
    return lambda index=-1: decode(from_bytes(image[first:end], "little") >> shift & mask)


def _pieces_getter(image: bytearray, model: Model, pieces: list[tuple[int, int]]) -> Getter:
    """Return the function that joins several runs of bits, least significant first."""
    parts = []
    position = 0
    for bit, size in pieces:
        parts.append((bit >> 3, (bit + size + 7) >> 3, bit & 7, (1 << size) - 1, position))
        position += size

    def get(index: int = -1) -> Any:
        frozen = bytes(image)
        raw = 0
        for first, end, shift, mask, place in parts:
            raw |= (int.from_bytes(frozen[first:end], "little") >> shift & mask) << place
        return model.decode(raw & model.mask)

    return get


def _bits_store(image: bytearray, pieces: list[tuple[int, int]]) -> Callable[[int], None]:
    """Return the function that puts a raw integer into the bits of `pieces`."""
    if len(pieces) > 1:
        stores = []
        position = 0
        for piece in pieces:
            stores.append((_bits_store(image, [piece]), position, (1 << piece[1]) - 1))
            position += piece[1]

        def store_pieces(raw: int) -> None:
            for store, place, mask in stores:
                store(raw >> place & mask)

        return store_pieces
    bit, size = pieces[0]
    first, end, shift = bit >> 3, (bit + size + 7) >> 3, bit & 7
    width = end - first
    kept = (1 << 8 * width) - 1 ^ (1 << size) - 1 << shift
    if width == 1:

        def store_byte(raw: int) -> None:
            image[first] = image[first] & kept | raw << shift

        return store_byte

    def store(raw: int) -> None:
        word = int.from_bytes(image[first:end], "little") & kept | raw << shift
        image[first:end] = word.to_bytes(width, "little")

    return store
