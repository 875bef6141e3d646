from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapwood.errors import VariableError
from sapwood.memory import (
    BFloat16,
    BFloat16BE,
    Bool,
    Double,
    DoubleBE,
    Fixed,
    Float,
    Float4,
    Float4BE,
    Float6,
    Float6BE,
    Float8,
    Float8BE,
    Float16,
    Float16BE,
    FloatBE,
    Int,
    IntBE,
    Model,
    String,
    TensorFloat32,
    TensorFloat32BE,
    UFixed,
    UInt,
    UIntBE,
    UIntReversed,
)

NAN, INF = math.nan, math.inf
SMALL = [
    (Float16(16), Float16BE(16)),
    (BFloat16(16), BFloat16BE(16)),
    (TensorFloat32(32), TensorFloat32BE(32)),
    (Float8(8), Float8BE(8)),
    (Float6(8), Float6BE(8)),
    (Float4(8), Float4BE(8)),
]


@pytest.mark.parametrize(
    ("model", "value", "text", "back"),
    [
        (UIntBE(16), 0x1234, "12 34", None),
        (UIntBE(24), 0x123456, "12 34 56", None),
        (UIntReversed(12), 1, "00 08", None),
        (UIntReversed(12), 0xABC, "d5 03", None),
        (UIntReversed(8), 0x13, "c8", None),
        (Int(12), -1, "ff 0f", None),
        (Int(12), -2048, "00 08", None),
        (IntBE(16), -2, "ff fe", None),
        (Float(32), 1.5, "00 00 c0 3f", None),
        (FloatBE(32), 1.5, "3f c0 00 00", None),
        (Double(64), 1.5, "00 00 00 00 00 00 f8 3f", None),
        (DoubleBE(64), 1.5, "3f f8 00 00 00 00 00 00", None),
        (Float16(16), 0.1, "66 2e", 0.0999755859375),
        (Float16(16), 1e-7, "01 00", 2.0**-24),
        (Float16(16), 2.0**-25, "00 00", 0.0),
        (Float16(16), -65504.0, "ff fb", None),
        (BFloat16(16), 0.1, "cc 3d", 0.099609375),
        (TensorFloat32(32), 0.1, "00 c0 cc 3d", 0.0999755859375),
        (Float8(8), 0.1, "1c", 0.09375),
        (Float8(8), 448.0, "7e", None),
        (Float8(8), 2.0**-9, "01", None),
        (Float8(8), -1e9, "fe", -448.0),
        (Float8(8), -INF, "fe", -448.0),
        (Float6(8), 28.0, "1f", None),
        (Float6(8), 0.0625, "01", None),
        (Float6(8), -INF, "3f", -28.0),
        (Float6(8), NAN, "1f", 28.0),
        (Float4(8), 1.5, "03", None),
        (Float4(8), 5.9, "06", 4.0),
        (Float4(8), -100.0, "0f", -6.0),
        (Float4(8), NAN, "07", 6.0),
        (Float4(8), 0.4, "00", 0.0),
        (Fixed(16, 8), -1.5, "80 fe", None),
        (Fixed(16, 8), 0.002, "01 00", 0.00390625),
        (UFixed(8, 4), 15.9375, "ff", None),
        (UInt(100), 2**99 + 5, "05" + " 00" * 11 + " 08", None),
        (Int(80), -3, "fd" + " ff" * 9, None),
        (Bool(1), True, "01", None),
        (String(48), "abc", "61 62 63 00 00 00", None),
        (String(32), "abcdef", "61 62 63 00", "abc"),
    ],
)
def test_known_bytes(model, value, text, back) -> None:
    data = model.toBytes(value)
    assert bytes(data).hex(" ") == text
    assert model.fromBytes(data) == (value if back is None else back)


@pytest.mark.parametrize(
    ("model", "name", "number", "kind", "low", "high"),
    [
        (UInt(12), "UInt12", 2, "uint16", 0, 4095),
        (UIntBE(16), "UIntBE16", 2, "uint16", 0, 65535),
        (Int(64), "Int64", 3, "int64", -(2**63), 2**63 - 1),
        (IntBE(24), "IntBE24", 3, "int32", -(2**23), 2**23 - 1),
        (Bool(1), "Bool", 4, "bool", 0, 1),
        (Float(32), "Float32", 6, "float32", -3.4e38, 3.4e38),
        (FloatBE(32), "FloatBE32", 6, "float32", -3.4e38, 3.4e38),
        (Double(64), "Double64", 7, "float64", -INF, INF),
        (Float16(16), "Float16", 10, "float16", -65504, 65504),
        (BFloat16(16), "BFloat16", 12, "float32", -3.3895313892515355e38, 3.3895313892515355e38),
        (TensorFloat32(32), "TensorFloat32", 13, "float32", -3.4011621342146535e38, 3.4011621342146535e38),
        (Float8(8), "Float8", 11, "float32", -448, 448),
        (Float6(8), "Float6", 14, "float32", -28, 28),
        (Float4(8), "Float4", 15, "float32", -6, 6),
        (Fixed(16, 8), "Fixed_16_8", 8, "float64", -128.0, 127.99609375),
        (UFixed(16, 8), "UFixed_16_8", 9, "float64", 0, 255.99609375),
    ],
)
def test_metadata(model, name, number, kind, low, high) -> None:
    assert (model.name, model.modelId, model.ndType) == (name, number, np.dtype(kind))
    assert (model.minValue(), model.maxValue()) == (low, high)


def test_string_has_no_range_and_no_arrays() -> None:
    model = String(72)
    assert (model.name, model.modelId, model.minValue(), model.ndType) == ("String(9)", 5, None, None)


def test_equal_arguments_give_the_same_model() -> None:
    assert UInt(32) is UInt(bitSize=32)
    assert Fixed(16, 8) is Fixed(binPoint=8, bitSize=16)
    assert Bool() is Bool(1)
    assert Fixed(16, 8) is not Fixed(16, 7)
    assert UInt(32) is not Int(32)


@pytest.mark.parametrize(
    "make", [lambda: UInt(0), lambda: Float(16), lambda: String(7), lambda: Bool(2), lambda: Fixed(65, 0)]
)
def test_illegal_widths_are_refused(make) -> None:
    with pytest.raises(VariableError, match="is invalid"):
        make()


@pytest.mark.parametrize("small", SMALL, ids=lambda pair: pair[0].name)
def test_small_floats_keep_every_code(small) -> None:
    little, big = small
    bits = min(little.bitSize, {"Float6": 6, "Float4": 4}.get(little.name, 16))
    if little.name == "TensorFloat32":
        codes = range(0, 1 << 32, 1 << 20)
    else:
        codes = range(0, 1 << bits, 1 if bits <= 8 else 37)
    for code in codes:
        value = little.decode(code)
        if not math.isnan(value):
            assert little.encode(value) == code
            assert big.toBytes(value) == bytes(little.toBytes(value))[::-1]
            assert big.fromBytes(big.toBytes(value)) == value


def test_small_floats_without_number() -> None:
    assert math.isnan(Float8(8).decode(0xFF))
    assert Float8(8).encode(NAN) == 0x7F
    assert math.isnan(BFloat16(16).decode(BFloat16(16).encode(NAN)))
    assert math.isnan(TensorFloat32(32).decode(TensorFloat32(32).encode(NAN)))
    only_low_bits = np.array([0x7F800001], np.uint32).view(np.float32)
    for model in (BFloat16(16), TensorFloat32(32)):
        assert np.isnan(model.decodeArray(model.encodeArray(only_low_bits)))
    assert BFloat16(16).decode(BFloat16(16).encode(-INF)) == -INF
    assert Float6(8).decode(0xDF) == 28.0


@given(st.floats(allow_nan=False, width=32))
def test_truncation_is_toward_zero_and_monotonic(value: float) -> None:
    for model, _ in SMALL:
        stored = model.decode(model.encode(value))
        assert abs(stored) <= abs(value)
        assert math.copysign(1, stored) == math.copysign(1, value)


@given(st.data())
@pytest.mark.parametrize("kind", [UInt, UIntBE, UIntReversed, Int, IntBE])
def test_integers_round_trip_at_any_width(kind, data) -> None:
    model = kind(data.draw(st.integers(1, 130)))
    value = data.draw(st.integers(model.minValue(), model.maxValue()))
    raw = model.encode(value)
    assert 0 <= raw <= model.mask
    assert model.decode(raw) == value
    assert model.fromBytes(model.toBytes(value)) == value


@given(st.data())
@pytest.mark.parametrize("kind", [UInt, UIntBE, Int, IntBE])
def test_arrays_encode_like_single_values(kind, data) -> None:
    model = kind(data.draw(st.integers(1, 80)))
    values = data.draw(st.lists(st.integers(model.minValue(), model.maxValue()), min_size=1, max_size=5))
    raw = model.encodeArray(model.normalizeArray(values))
    assert [int(one) & model.mask for one in raw] == [model.encode(value) for value in values]
    if model.bitSize <= 64:
        raw = raw & raw.dtype.type(model.mask)
    assert model.decodeArray(raw).tolist() == values


@pytest.mark.parametrize(
    "model",
    [Float(32), FloatBE(32), Double(64), DoubleBE(64), Fixed(20, 7), UFixed(64, 3), Bool(1)]
    + [m for p in SMALL for m in p],
    ids=lambda m: m.name,
)
def test_arrays_of_reals_encode_like_single_values(model) -> None:
    values = [0, 1, 0.5, 2.25, 3] if model.pytype is float else [0, 1, True, False]
    raw = model.encodeArray(model.normalizeArray(values))
    assert [int(one) & model.mask for one in raw] == [
        model.encode(model.normalize(value)) for value in values
    ]
    decoded = model.decodeArray(raw)
    assert decoded.dtype == model.ndType
    assert decoded.tolist() == [model.decode(model.encode(model.normalize(value))) for value in values]


@given(st.floats(-(2.0**15), 2.0**15 - 1), st.integers(0, 16))
def test_fixed_rounds_to_the_nearest_step_halves_away_from_zero(value: float, point: int) -> None:
    model = Fixed(32, point)
    scaled = abs(value) * 2**point
    steps = math.floor(scaled) + (1 if scaled - math.floor(scaled) >= 0.5 else 0)
    assert model.decode(model.encode(value)) == math.copysign(steps, value) / 2**point
    assert model.encodeArray(np.array([value]))[0] == model.encode(value)


def test_fixed_saturates_where_floats_cannot_tell_its_limit() -> None:
    model = Fixed(64, 0)
    assert model.encode(model.maxValue()) == 2**63 - 1
    assert model.encodeArray(np.array([model.maxValue(), model.minValue()])).tolist() == [2**63 - 1, 2**63]
    with pytest.raises(ValueError, match="NaN"):
        Fixed(16, 8).encodeArray(np.array([NAN]))
    with pytest.raises(ValueError, match="NaN"):
        Fixed(16, 8).encode(NAN)


@pytest.mark.parametrize(
    "value", [7, True, np.int64(7), np.uint8(7), np.int8(7), 7.0, np.float32(7), np.bool_(True), np.array(7)]
)
@pytest.mark.parametrize("model", [UInt(8), Int(8)])
def test_integers_accept_what_is_lossless(model, value) -> None:
    found = model.normalize(value)
    assert type(found) is int
    assert found == value


@pytest.mark.parametrize("value", [1.5, NAN, INF, "7", None, [1], np.float64(0.1)])
def test_integers_refuse_the_rest(value) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError)):
        UInt(8).normalize(value)


@pytest.mark.parametrize("value", [1, 1.0, True, np.float64(1), np.float32(1), np.int16(1), np.array(1.0)])
def test_reals_accept_numbers_and_refuse_text(value) -> None:
    assert type(Float(32).normalize(value)) is float
    for bad in ("1", 1j, None, [1.0]):
        with pytest.raises(TypeError):
            Double(64).normalize(bad)


@pytest.mark.parametrize(
    "values",
    [
        np.array([1, 2], np.int64),
        np.array([1, 2], np.uint64),
        np.array([1.0, 2.0]),
        [1, 2],
        [np.int8(1), 2.0],
    ],
)
def test_integer_arrays_accept_what_is_lossless(values) -> None:
    for model in (UInt(16), Int(16), UIntBE(16)):
        assert model.decodeArray(model.encodeArray(model.normalizeArray(values))).tolist() == [1, 2]


def test_integer_arrays_keep_large_numbers_exact() -> None:
    values = [2**64 - 1, 1, 2**63 + 1]
    assert UInt(64).encodeArray(UInt(64).normalizeArray(values)).tolist() == values
    mixed = Int(64).normalizeArray([2**63 - 1, -(2**63)])
    assert Int(64).decodeArray(Int(64).encodeArray(mixed)).tolist() == [2**63 - 1, -(2**63)]


def test_wide_integers_are_not_cut() -> None:
    with pytest.raises(OverflowError):
        UInt(100).toBytes(2**100)
    with pytest.raises(OverflowError):
        Int(80).toBytes(2**79)


@given(st.text(max_size=12))
def test_strings_keep_a_zero_at_the_end_and_are_cut_at_a_character(text: str) -> None:
    model = String(64)
    data = model.toBytes(text)
    assert len(data) == 8
    assert data[-1] == 0
    assert text.partition("\0")[0].startswith(model.fromBytes(data))


def test_strings_that_are_no_utf8_read_with_replacements() -> None:
    assert String(32).fromBytes(b"a\xff\x00z") == "a\ufffd"


def test_from_string() -> None:
    assert UInt(8).fromString("0x10") == 16
    assert Int(8).fromString("-3") == -3
    assert Float(32).fromString("1.5") == 1.5
    assert Fixed(16, 8).fromString("0.25") == 0.25
    assert Bool(1).fromString("True") is True
    assert Bool(1).fromString("False") is False
    assert String(8).fromString("x") == "x"


def test_a_model_of_ones_own() -> None:
    class Gray(Model):
        pytype = int

        def toBytes(self, value):
            return (value ^ value >> 1).to_bytes(self.bytes, "little")

        def fromBytes(self, data):
            raw, value = int.from_bytes(data, "little"), 0
            while raw:
                value ^= raw
                raw >>= 1
            return value

    model = Gray(10)
    assert model is Gray(10)
    assert (model.name, model.modelId, model.endianness) == ("Gray10", 0, "little")
    assert [model.decode(model.encode(value)) for value in range(1024)] == list(range(1024))
