"""Every layout of fields in a few words keeps its values, and only its own bits."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapwood.memory import (
    Bool,
    Double,
    Emulate,
    FieldSpec,
    Fixed,
    Float,
    Hub,
    Int,
    IntBE,
    Model,
    String,
    UInt,
    UIntBE,
    UIntReversed,
    build_blocks,
)


def block_of(*specs: FieldSpec):
    hub = Hub()
    hub >> Emulate()
    (block,) = build_blocks(specs, hub, "Top")
    return block


def bits_of(data: bytes | bytearray) -> int:
    return int.from_bytes(data, "little")


@pytest.mark.parametrize("kind", [UInt, UIntBE, UIntReversed, Int, IntBE])
def test_every_place_and_width_in_a_word_and_beyond(kind) -> None:
    chance = random.Random(1)
    for bit in range(17):
        for size in (*range(1, 34), 63, 64, 65, 100):
            model = kind(size)
            field = block_of(FieldSpec("f", "Top.f", [0], [bit], [size], model)).fields[0]
            image = field.block.image
            image[:] = b"\xff" * len(image)
            before = bits_of(image)
            for value in {
                model.minValue(),
                model.maxValue(),
                chance.randint(model.minValue(), model.maxValue()),
            }:
                field.set(value)
                assert field.get() == value
                own = (1 << size) - 1 << bit
                assert bits_of(image) & ~own == before & ~own
                assert (bits_of(image) & own) >> bit == model.encode(value)


@given(
    st.lists(
        st.tuples(st.sampled_from([UInt, Int, UIntBE, IntBE, UIntReversed]), st.integers(1, 70)),
        min_size=1,
        max_size=12,
    ),
    st.randoms(),
)
def test_neighbours_do_not_touch_each_other(parts, chance) -> None:
    specs, bit = [], 0
    for number, (kind, size) in enumerate(parts):
        specs.append(FieldSpec(f"f{number}", f"Top.f{number}", [0], [bit], [size], kind(size)))
        bit += size
    block = block_of(*specs)
    values = {}
    fields = list(block.fields)
    chance.shuffle(fields)
    for field in fields + fields:
        model = field.spec.model
        value = chance.randint(model.minValue(), model.maxValue())
        block.write(field, value)
        values[field.spec.name] = value
        assert {one.spec.name: one.get() for one in block.fields if one.spec.name in values} == values
    block.image[:] = bytes(len(block.image))
    block.startTransaction(1)
    block.waitTransaction()
    assert {field.spec.name: field.get() for field in block.fields} == values


ELEMENTS: list[Model] = [
    UInt(8),
    UInt(16),
    UInt(32),
    UInt(64),
    UInt(12),
    UInt(3),
    UInt(70),
    Int(5),
    Int(16),
    IntBE(16),
    UIntBE(24),
    UIntBE(12),
]


@pytest.mark.parametrize("model", ELEMENTS, ids=lambda model: model.name)
@given(data=st.data())
def test_arrays_keep_their_values_and_the_gaps(model, data) -> None:
    stride = data.draw(
        st.integers(model.bitSize, model.bitSize + 9)
        | st.sampled_from([s for s in (8, 16, 32, 64, 128) if s >= model.bitSize])
    )
    count, bit = data.draw(st.integers(1, 9)), data.draw(st.integers(0, 15) | st.just(32))
    array = FieldSpec(
        "arr", "Top.arr", [0], [bit], [1], model, numValues=count, valueBits=model.bitSize, valueStride=stride
    )
    field = block_of(array).fields[0]
    image = field.block.image
    filler = data.draw(st.sampled_from([0, 0xFF, 0xA5]))
    image[:] = bytes([filler]) * len(image)
    before = bits_of(image)
    numbers = st.integers(model.minValue(), model.maxValue())
    first = data.draw(st.integers(0, count - 1))
    run = data.draw(st.lists(numbers, min_size=1, max_size=count - first))
    expected = field.get().tolist()
    field.set(run, index=first)
    expected[first : first + len(run)] = run
    assert field.get().tolist() == expected
    assert field.get().dtype == model.ndType
    assert [field.get(at) for at in range(count)] == expected
    single = data.draw(numbers)
    field.set(single, index=first)
    assert field.get(first) == single
    own = sum(((1 << model.bitSize) - 1) << bit + at * stride for at in range(first, first + len(run)))
    assert bits_of(image) & ~own == before & ~own


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (Float(32), [1.5, -2.25, 0.0]),
        (Double(64), [1e300, -1.0, float("inf")]),
        (Fixed(12, 4), [1.5, -2.0625, 0.0]),
        (Bool(1), [True, False, True]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_arrays_of_other_models(model, values) -> None:
    for stride in (model.bitSize, model.bitSize + 3, 64):
        spec = FieldSpec(
            "a", "Top.a", [0], [0], [1], model, numValues=3, valueBits=model.bitSize, valueStride=stride
        )
        field = block_of(spec).fields[0]
        field.set(np.array(values))
        assert field.get().tolist() == values
        assert [field.get(at) for at in range(3)] == values
        field.set(values)
        assert field.get().dtype == model.ndType


@pytest.mark.parametrize("bit", [0, 8, 3])
def test_values_that_are_no_integers(bit) -> None:
    cases = [
        (Float(32), 1.5),
        (Double(64), -1e-300),
        (Bool(1), True),
        (String(72), "häuser"),
        (Fixed(13, 5), -3.5),
    ]
    for model, value in cases:
        field = block_of(FieldSpec("f", "Top.f", [0], [bit], [model.bitSize], model)).fields[0]
        field.set(value)
        assert field.get() == value
        assert type(field.get()) is model.pytype


def test_infinite_and_missing_numbers() -> None:
    field = block_of(FieldSpec("f", "Top.f", [0], [0], [32], Float(32))).fields[0]
    field.set(float("nan"))
    assert field.get() != field.get()
    for bad in (float("inf"), -3.5e38):
        with pytest.raises(ValueError, match="Value range error for f"):
            field.set(bad)
    array = block_of(
        FieldSpec("f", "Top.f", [0], [0], [32], Float(32), numValues=3, valueBits=32, valueStride=32)
    ).fields[0]
    with pytest.raises(ValueError, match=r"Value range error for f. Value=inf"):
        array.set([float("nan"), float("inf"), 1.0])
