"""Closures that read and stage one value in the image of a block."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sapwood.errors import VariableError
from sapwood.memory.model import Model

if TYPE_CHECKING:
    from sapwood.memory.field import Field

__all__ = ["scalar_codec"]

Getter = Callable[..., Any]
Setter = Callable[..., None]
_CONVERSION = (TypeError, ValueError, OverflowError)


def scalar_codec(field: Field) -> tuple[Getter, Setter]:
    """Return the functions that get and stage the value of `field`."""
    image, model, pieces = field.block.image, field.spec.model, field.pieces
    code = model.struct_format()
    if code is not None and len(pieces) == 1 and not pieces[0][0] & 7:
        return _whole(field, struct.Struct(code), pieces[0][0] >> 3)
    get = (
        _bits_getter(image, model, pieces[0][0]) if len(pieces) == 1 else _pieces_getter(image, model, pieces)
    )
    return get, _setter(field, _bits_store(image, pieces))


def _staged_range(field: Field) -> tuple[int, int]:
    """Return the bytes that setting `field` marks as staged: of read-only variables none."""
    if field.spec.mode == "RO":
        return field.block.size, 0
    return field.low, field.high


def _whole(field: Field, form: struct.Struct, start: int) -> tuple[Getter, Setter]:
    """Return the functions for a value that ``struct`` finds at byte `start`."""
    block = field.block
    low, high = _staged_range(field)
    lock, image, model = block.lock, block.image, field.spec.model
    minimum, maximum = field.spec.limits()
    kind = model.pytype
    unpack, pack = form.unpack_from, form.pack_into

    def get(index: int = -1) -> Any:
        return unpack(image, start)[0]

    def stage(value: Any, index: int = -1) -> None:
        if type(value) is not kind:
            try:
                value = model.normalize(value)
            except _CONVERSION as problem:
                raise field.unfit(value, problem) from problem
        if value < minimum or value > maximum:
            raise field.out_of_range(value, minimum, maximum)
        with lock:
            pack(image, start, value)
            if low < block.stagedLow:
                block.stagedLow = low
            if high > block.stagedHigh:
                block.stagedHigh = high

    return get, stage


def _setter(field: Field, store: Callable[[int], None]) -> Setter:
    """Return the function that stages a value by its raw integer."""
    block = field.block
    low, high = _staged_range(field)
    lock, model = block.lock, field.spec.model
    minimum, maximum = field.spec.limits()
    bounded = minimum is not None and maximum is not None
    kind, encode = model.pytype, model.encode

    def stage(value: Any, index: int = -1) -> None:
        try:
            if type(value) is not kind:
                value = model.normalize(value)
            if bounded and (value < minimum or value > maximum):
                raise field.out_of_range(value, minimum, maximum)
            raw = encode(value)
        except _CONVERSION as problem:
            if isinstance(problem, VariableError):
                raise
            raise field.unfit(value, problem) from problem
        with lock:
            store(raw)
            if low < block.stagedLow:
                block.stagedLow = low
            if high > block.stagedHigh:
                block.stagedHigh = high

    return stage


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
