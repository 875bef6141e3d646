"""Where the fields of a hit lie, for each chip, and how they become columns or single values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.apx.errors import ApxError

__all__ = [
    "IDLE",
    "LAYOUT_3",
    "LAYOUT_4",
    "LAYOUT_QUAD",
    "PADDING",
    "ROLLOVER",
    "HitColumn",
    "HitLayout",
    "reverse_bits",
]

IDLE, PADDING = 0xBC, 0xFF
ROLLOVER = 1 << 17  # of the time stamps of AstroPix 4, ticks

ReadoutId, WallTime, Order = "readout_id", "timestamp", "decoding_order"  # columns the host adds

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))

Get = Callable[[str], Any]  # the value of a column: a number, or an array


def reverse_bits(data: bytes) -> bytes:
    """Return `data` with the order of the bits in each byte reversed."""
    return data.translate(_REVERSED)


@dataclass(frozen=True, slots=True)
class HitColumn:
    """One column: bits of the hit, a value of the host, or derived from other columns.

    Parameters
    ----------
    bits
        First and last bit; bit 0 is the most significant one of byte 0.
    host
        Which value of the host.
    derive
        Called with a function that gives other columns; works on numbers and on arrays.
    little
        The bits are whole bytes, the least significant one first.
    """

    name: str
    dtype: str
    bits: tuple[int, int] | None = None
    host: str = ""
    derive: Callable[[Get], Any] | None = None
    unit: str = ""
    little: bool = False


@dataclass(frozen=True)
class HitLayout:
    """The layout of a hit.

    Parameters
    ----------
    name
        Of the class of hits.
    size
        Bytes.
    columns
        In the order of tables.
    start_mask, start_value
        A byte b of the wire begins a hit when ``b & start_mask == start_value``; 0xFF never does.
    reversed
        The bits of each byte are reversed on the wire.
    raises_late
        Strict decoding fails where the peer's released decoder fails; the one for AstroPix 3
        stops quietly in some of these places.
    """

    name: str
    size: int
    columns: tuple[HitColumn, ...]
    start_mask: int = 0
    start_value: int = 0
    reversed: bool = True
    raises_late: bool = True

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of all columns, in order."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def by_name(self) -> dict[str, HitColumn]:
        """Columns by name."""
        return {column.name: column for column in self.columns}

    @cached_property
    def is_start(self) -> bytes:
        """For each byte 1 when it begins a hit, else 0."""
        return bytes(b != PADDING and b & self.start_mask == self.start_value for b in range(256))

    @cached_property
    def starts(self) -> frozenset[int]:
        """The bytes that begin a hit."""
        return frozenset(byte for byte in range(256) if self.is_start[byte])

    def select(self, names: Sequence[str] | None) -> tuple[str, ...]:
        """Return `names`, checked, or the names of all columns.

        Raises
        ------
        ApxError
            For an unknown name, a name given twice, or a plain string.
        """
        if names is None:
            return self.names
        if isinstance(names, str):
            raise ApxError("Column names must be a list", seen=repr(names))
        chosen = tuple(names)
        unknown = [name for name in chosen if name not in self.by_name]
        if unknown:
            raise ApxError(
                f"{self.name} has no column {', '.join(map(str, unknown))}", expected=", ".join(self.names)
            )
        if len(set(chosen)) < len(chosen):
            raise ApxError("A column is named twice", seen=", ".join(chosen))
        return chosen

    def values(self, data: bytes, readout_id: int, timestamp: int, order: int) -> dict[str, Any]:
        """Return all columns of one hit as numbers; `data` is in logical bit order."""
        word = int.from_bytes(data, "big")
        top = 8 * self.size - 1
        found: dict[str, Any] = {}
        host = {ReadoutId: readout_id, WallTime: timestamp, Order: order}
        for column in self.columns:
            if column.bits is not None:
                first, last = column.bits
                value = word >> (top - last) & ((1 << (last - first + 1)) - 1)
                if column.little:
                    value = int.from_bytes(value.to_bytes((last - first + 1) // 8, "big"), "little")
                found[column.name] = value
            elif column.derive is not None:
                found[column.name] = column.derive(found.__getitem__)
            else:
                found[column.name] = host[column.host]
        return found

    def arrays(
        self,
        data: NDArray[np.uint8],
        host: Mapping[str, NDArray[Any]],
        names: Sequence[str] | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Return the columns `names` of many hits.

        Parameters
        ----------
        data
            u1, shape (n, size), in logical bit order.
        host
            The columns of the host: ``readout_id``, ``timestamp``, ``decoding_order``, shape (n,);
            they keep their types.
        names
            All columns when left out.
        """
        get = _Arrays(self, data, host)
        return {name: get(name) for name in self.select(names)}

    def dtype(self, names: Sequence[str] | None = None, order: str = "u1") -> np.dtype[Any]:
        """Return the packed little-endian type of a row; `order` is the type of ``decoding_order``."""
        chosen = [self.by_name[name] for name in self.select(names)]
        fields = [(one.name, order if one.host == Order else one.dtype) for one in chosen]
        return np.dtype([(name, f"<{kind}") for name, kind in fields])


class _Arrays:
    """Columns of many hits, made when they are asked for.

    An object and no closure: one that refers to itself keeps its arrays until the garbage collector
    comes by.
    """

    def __init__(self, layout: HitLayout, data: NDArray[np.uint8], host: Mapping[str, NDArray[Any]]) -> None:
        self.layout, self.data, self.host = layout, data, host
        self.made: dict[str, NDArray[Any]] = {}

    def __call__(self, name: str) -> NDArray[Any]:
        """Return a column."""
        if name not in self.made:
            self.made[name] = self._make(self.layout.by_name[name])
        return self.made[name]

    def _make(self, column: HitColumn) -> NDArray[Any]:
        if column.bits is not None:
            bits = _bits(self.data, *column.bits, np.dtype(column.dtype))
            return bits.byteswap() if column.little else bits
        if column.derive is not None:
            return np.asarray(column.derive(self)).astype(column.dtype, copy=False)
        return self.host[column.host]


def _bits(data: NDArray[np.uint8], first: int, last: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return bits `first` to `last` of each row as a number, from the bytes that hold them."""
    begin, end = first // 8, last // 8 + 1
    shift = 8 * end - 1 - last
    mask = (1 << (last - first + 1)) - 1
    if end - begin == 1:
        column = data[:, begin]
        out = column >> np.uint8(shift) if shift else column
        return (out & np.uint8(mask)).astype(dtype, copy=False)
    word = data[:, begin].astype(np.uint32)
    for at in range(begin + 1, end):
        word <<= np.uint32(8)
        word |= data[:, at]
    if shift:
        word >>= np.uint32(shift)
    word &= np.uint32(mask)
    return word.astype(dtype, copy=False)


@cache
def _gray_table() -> NDArray[np.uint32]:
    values = np.arange(ROLLOVER, dtype=np.uint32)
    for shift in (16, 8, 4, 2, 1):
        values ^= values >> np.uint32(shift)
    return values


def gray_to_binary(coarse: Any, fine: Any) -> Any:
    """Return the ticks of a stamp: coarse (14 bits) and fine (3 bits) are one Gray-coded word."""
    if isinstance(coarse, int):
        word = coarse << 3 | fine
        for shift in (16, 8, 4, 2, 1):
            word ^= word >> shift
        return word
    return _gray_table()[coarse.astype(np.uint32) << np.uint32(3) | fine]


def _second_stamp(get: Get) -> Any:
    second, first = gray_to_binary(get("ts_coarse2"), get("ts_fine2")), get("ts_dec1")
    if isinstance(second, int):
        return second + ROLLOVER * (second < first)
    return second + np.uint32(ROLLOVER) * (second < first)


def _v3_tot(get: Get) -> Any:
    msb = get("tot_msb")
    return (msb if isinstance(msb, int) else msb.astype(np.uint16)) * 256 + get("tot_lsb")


def _v3_time(get: Get) -> Any:
    total = get("tot_dec")
    return total / 200 if isinstance(total, int) else (total / 200).astype(np.float32)


LAYOUT_4 = HitLayout(
    "AstroPix4Hit",
    8,
    (
        HitColumn("chip_id", "u1", (0, 4)),
        HitColumn("payload", "u1", (5, 7)),
        HitColumn("readout_id", "u4", host=ReadoutId),
        HitColumn("timestamp", "u8", host=WallTime, unit="ns"),
        HitColumn("decoding_order", "u1", host=Order),
        HitColumn("row", "u1", (8, 12)),
        HitColumn("column", "u1", (13, 17)),
        HitColumn("ts_neg1", "u1", (18, 18)),
        HitColumn("ts_coarse1", "u2", (19, 32)),
        HitColumn("ts_fine1", "u1", (33, 35)),
        HitColumn("ts_tdc1", "u1", (36, 40)),
        HitColumn("ts_neg2", "u1", (41, 41)),
        HitColumn("ts_coarse2", "u2", (42, 55)),
        HitColumn("ts_fine2", "u1", (56, 58)),
        HitColumn("ts_tdc2", "u1", (59, 63)),
        HitColumn("ts_dec1", "u4", derive=lambda get: gray_to_binary(get("ts_coarse1"), get("ts_fine1"))),
        HitColumn("ts_dec2", "u4", derive=_second_stamp),
        HitColumn("tot_us", "f8", derive=lambda get: (get("ts_dec2") - get("ts_dec1")) / 20, unit="us"),
    ),
    start_mask=0xE0,
    start_value=0xE0,
)


def _v3_fields(base: int) -> tuple[HitColumn, ...]:
    """Return the fields of a half hit whose first bit is bit `base`, but for chip and payload."""
    return (
        HitColumn("column", "u1", (base + 8, base + 8)),
        HitColumn("location", "u1", (base + 10, base + 15)),
        HitColumn("chip_timestamp", "u1", (base + 16, base + 23)),
        HitColumn("tot_msb", "u1", (base + 28, base + 31)),
        HitColumn("tot_lsb", "u1", (base + 32, base + 39)),
        HitColumn("tot_dec", "u2", derive=_v3_tot),
        HitColumn("tot_us", "f4", derive=_v3_time, unit="us"),
    )


def _v3_head(base: int) -> tuple[HitColumn, ...]:
    return (
        HitColumn("chip_id", "u1", (base, base + 4)),
        HitColumn("payload", "u1", (base + 5, base + 7)),
        HitColumn("readout_id", "u4", host=ReadoutId),
        HitColumn("wall_timestamp", "u8", host=WallTime, unit="ns"),
        HitColumn("decoding_order", "u1", host=Order),
    )


LAYOUT_3 = HitLayout(
    "AstroPix3Hit",
    5,
    _v3_head(0) + _v3_fields(0),
    start_mask=0xE0,
    start_value=0x20,
    raises_late=False,
)


LAYOUT_QUAD = HitLayout(
    "AstroPix3QuadChipHit",
    11,
    (
        *_v3_head(16),
        HitColumn("layer", "u1", (8, 15)),
        *_v3_fields(16),
        HitColumn("fpga_ts", "u4", (56, 87), little=True),
    ),
    reversed=False,
)
