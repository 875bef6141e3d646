"""What a field says about values without staging them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapwood.errors import VariableError
from sapwood.memory import Block, Bool, Emulate, FieldSpec, Fixed, Float, Hub, Int, String, UInt, build_blocks

MODELS = [UInt(7), UInt(32), Int(12), Bool(), Float(32), Fixed(8, 4), String(32), UInt(100)]


def field_of(model: Any, **kwargs: Any) -> Any:
    hub = Hub()
    hub._setSlave(Emulate())
    spec = FieldSpec("f", "Top.f", [0], [0], [model.bitSize], model, **kwargs)
    return build_blocks([spec], hub, "Top")[0].fields[0]


def array_of(model: Any, count: int, **kwargs: Any) -> Any:
    bits = model.bitSize
    return field_of(model, numValues=count, valueBits=bits, valueStride=bits, **kwargs)


VALUES = st.one_of(
    st.integers(-(1 << 101), 1 << 101), st.floats(), st.text(max_size=5), st.booleans(), st.none(),
    st.lists(st.integers(-5, 300), max_size=5),
)  # fmt: skip


@given(st.sampled_from(MODELS), VALUES)
def test_check_raises_exactly_what_set_raises(model: Any, value: Any) -> None:
    field = field_of(model)
    before = bytes(field.block.image)
    said, raised = None, None
    try:
        field.check(value)
    except VariableError as error:
        said = str(error)
    assert bytes(field.block.image) == before
    assert not field.block.staged
    try:
        field.set(value)
    except VariableError as error:
        raised = str(error)
    assert said == raised


@given(VALUES, st.integers(0, 6))
def test_check_of_arrays(value: Any, index: int) -> None:
    field = array_of(UInt(8), 4)
    outcomes = []
    for call in (field.check, field.set):
        try:
            call(value, index)
        except VariableError as error:
            outcomes.append(str(error))
        else:
            outcomes.append("")
        if call == field.check:
            assert not field.block.staged
    assert outcomes[0] == outcomes[1]


def test_check_knows_narrower_limits() -> None:
    field = field_of(UInt(8), minimum=3, maximum=5)
    field.check(4)
    with pytest.raises(VariableError, match=r"Value range error for f\. Value=6, Min=3, Max=5"):
        field.check(6)


@given(st.sampled_from(MODELS), st.data())
def test_holds_what_was_set(model: Any, data: st.DataObject) -> None:
    numbers = st.integers(0, 1) if model.pytype is bool else st.integers(0, 7)
    value = data.draw(st.text("abc", max_size=3) if model.pytype is str else numbers)
    field = field_of(model)
    field.set(value)
    assert field.holds(value)
    other = f"{value}x"[-3:] if model.pytype is str else 1 - value if model.pytype is bool else value ^ 1
    assert field.holds(other) == (model.toBytes(other) == model.toBytes(value))


def test_holds_what_the_register_cannot_tell_apart() -> None:
    field = field_of(Float(32))
    field.set(0.1)
    assert field.get() != 0.1
    assert field.holds(0.1)
    assert not field.holds(0.2)


def test_holds_of_arrays() -> None:
    field = array_of(UInt(8), 4)
    field.set([1, 2, 3, 4])
    assert field.holds([1, 2, 3, 4])
    assert field.holds(np.array([3, 4]), 2)
    assert not field.holds([1, 2, 4])
    assert field.holds(2, 1)
    assert not field.holds(2, 0)
    assert field.holds(1)  # a scalar without index is element 0


def test_functions_are_compiled_when_they_are_used() -> None:
    field = field_of(UInt(32))
    with pytest.raises(AttributeError):
        object.__getattribute__(field, "get")
    assert field.get() == 0
    assert object.__getattribute__(field, "get") is field.get
    with pytest.raises(AttributeError, match="no attribute nothing"):
        _ = field.nothing


def test_blocks_have_no_room_for_misspelled_attributes() -> None:
    block = Block("Top.b", 0, 4, Hub())
    with pytest.raises(AttributeError):
        block.enabled = False  # type: ignore[attr-defined]  # that is what is tested


@given(st.integers(1, 70), st.integers(0, 9), st.integers(0, 20), st.data())
def test_one_element_leaves_its_neighbours(bits: int, gap: int, first: int, data: st.DataObject) -> None:
    hub = Hub()
    hub._setSlave(Emulate())
    spec = FieldSpec(
        "f", "Top.f", [0], [first], [0], UInt(bits), numValues=5, valueBits=bits, valueStride=bits + gap
    )
    field = build_blocks([spec], hub, "Top")[0].fields[0]
    values = data.draw(st.lists(st.integers(0, (1 << bits) - 1), min_size=5, max_size=5))
    field.set(values)
    index, value = data.draw(st.integers(0, 4)), data.draw(st.integers(0, (1 << bits) - 1))
    field.block.stagedLow, field.block.stagedHigh = field.block.size, 0
    before = int.from_bytes(field.block.image, "little")
    field.set(value, index)
    values[index] = value
    assert [int(one) for one in field.get()] == values
    assert field.get(index) == value
    place = first + index * (bits + gap)
    changed = before ^ int.from_bytes(field.block.image, "little")
    assert changed >> place < 1 << bits
    assert changed & ((1 << place) - 1) == 0
    assert (field.block.stagedLow, field.block.stagedHigh) == field.span(index)
