"""Values on the wire: what goes in comes out, and nothing else gets in."""

from __future__ import annotations

import enum
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sapwood.errors import ProtocolError, RemoteError
from sapwood.remote import codec

_DTYPES = st.sampled_from(
    [
        "|b1",
        "|i1",
        "|u1",
        "<i2",
        ">i2",
        "<u4",
        ">u4",
        "<i8",
        "<u8",
        "<f2",
        "<f4",
        ">f8",
        "<c8",
        "<c16",
        "|S3",
        "<U4",
        "<M8[ns]",
    ]
)
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**200), 2**200)
    | st.floats()
    | st.text()
    | st.binary(max_size=50)
    | st.complex_numbers()
    | _DTYPES.flatmap(
        lambda code: hnp.arrays(code, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    )
)
_KEYS = st.text() | st.integers() | st.booleans() | st.tuples(st.integers(), st.text()) | st.just("$a")
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(_KEYS, inner, max_size=4)
        | st.sets(st.integers() | st.text(), max_size=4)
    ),
    max_leaves=20,
)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, (np.ndarray, np.generic)):
        if not one.shape and one.dtype.kind in "SU":  # becomes plain text or bytes
            return bool(type(other) is type(one.item()) and one.item() == other)
        if not one.shape:  # becomes a scalar, which has the machine's byte order
            native = one.dtype.newbyteorder("=")
            return other.dtype == native and one.astype(native).tobytes() == other.tobytes()
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, complex):
        return same(one.real, other.real) and same(one.imag, other.imag)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return [*one] == [*other] and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


def through(value: object) -> object:
    buffers: list[bytes] = []
    return codec.load(codec.dump(value, buffers), buffers)


@given(_VALUES)
def test_every_value_survives(value: object) -> None:
    assert same(value, through(value))


@given(_VALUES)
def test_the_text_is_strict_json(value: object) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    json.loads(codec.dump(value, []), parse_constant=refuse)


def test_forms_are_those_of_the_protocol() -> None:
    buffers: list[bytes] = []
    value = {"a": np.arange(3, dtype="<u4"), "b": b"xy", "i": 2**70, "f": math.inf, "t": (1, 2), "d": {1: 2}}
    assert json.loads(codec.dump(value, buffers)) == {
        "a": {"$a": [0, "<u4", [3]]},
        "b": {"$b": 1},
        "i": {"$i": hex(2**70)},
        "f": {"$f": "inf"},
        "t": {"$t": [1, 2]},
        "d": {"$d": [[1, 2]]},
    }
    assert buffers == [np.arange(3, dtype="<u4").tobytes(), b"xy"]


def test_numpy_scalars_and_strided_arrays_keep_their_type() -> None:
    assert isinstance(through(np.float32(1.5)), np.float32)
    strided = np.arange(12, dtype=">u2").reshape(3, 4)[::2, ::-1]
    assert same(strided, through(strided))


def test_arrays_that_arrive_can_be_changed() -> None:
    array = through(np.zeros(3))
    assert isinstance(array, np.ndarray)
    array[0] = 1


def test_members_of_an_enum_travel_as_numbers() -> None:
    class Color(enum.IntEnum):
        red = 3

    assert type(through(Color.red)) is int


@pytest.mark.parametrize(
    "value", [object(), print, np.array([object()]), np.zeros(2, "u4,f4"), {"x": [{1: object()}]}]
)
def test_other_objects_are_refused(value: object) -> None:
    with pytest.raises(RemoteError, match="cannot be sent"):
        codec.dump(value, [])


def test_depth_is_bounded_both_ways() -> None:
    value: list[Any] = []
    for _ in range(codec.MAX_DEPTH + 1):
        value = [value]
    with pytest.raises(RemoteError, match="nested"):
        codec.dump(value, [])
    for depth in (60, 900, 100_000):
        with pytest.raises(ProtocolError, match="nested"):
            codec.load(b"[" * depth + b"]" * depth)
        with pytest.raises(ProtocolError):
            codec.load(b'{"$t":[' * depth + b"]}" * depth)


def test_a_loop_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(RemoteError, match="nested"):
        codec.dump(loop, [])


def test_the_number_of_buffers_is_bounded_both_ways() -> None:
    with pytest.raises(RemoteError, match="too many"):
        codec.dump([b""] * (codec.MAX_BUFFERS + 1), [])
    with pytest.raises(ProtocolError, match="too many"):
        codec.load(b"1", [b""] * (codec.MAX_BUFFERS + 1))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b"{",
        b"nan",
        b"NaN",
        b"[NaN]",
        b"-Infinity",
        b"\xff\xfe",
        b"1 2",
        b'{"a":}',
        b"'x'",
        b'{"$a":[0,"<u4",[2]]}',
        b'{"$a":[1,"<u4",[1]]}',
        b'{"$a":[-1,"<u4",[1]]}',
        b'{"$a":[true,"|u1",[4]]}',
        b'{"$a":[0,"|O",[1]]}',
        b'{"$a":[0,"O",[]]}',
        b'{"$a":[0,"<u4",[-1]]}',
        b'{"$a":[0,"<u4",[1.0]]}',
        b'{"$a":[0,"<u4",[0,99999999999999999999]]}',
        b'{"$a":[0,"V4",[1]]}',
        b'{"$a":[0,"<u4,<f4",[1]]}',
        b'{"$a":[0,"<U0",[1]]}',
        b'{"$a":[0,"<U1",[1]]}',
        b'{"$a":[0,"<U999999999999",[1]]}',
        b'{"$a":[0]}',
        b'{"$a":7}',
        b'{"$a":[0,"<u4",' + b"[" * 40 + b"]" * 40 + b"]}",
        b'{"$a":[0,"<u4",[' + b"1," * 70 + b"1]]}",
        b'{"$b":9}',
        b'{"$b":"x"}',
        b'{"$b":null}',
        b'{"$b":[0]}',
        b'{"$i":12}',
        b'{"$i":"zz"}',
        b'{"$f":"1"}',
        b'{"$f":1}',
        b'{"$f":[]}',
        b'{"$c":[1]}',
        b'{"$c":"ab"}',
        b'{"$t":3}',
        b'{"$t":{"0":1}}',
        b'{"$s":[[1]]}',
        b'{"$s":{}}',
        b'{"$d":[[1]]}',
        b'{"$d":[[[1],2]]}',
        b'{"$d":{"a":1}}',
        b'{"$x":1}',
        b'{"$":1}',
        b'{"$eval":"1"}',
        b"1" * 5000,
    ],
)
def test_malformed_text_is_one_error(text: bytes) -> None:
    with pytest.raises(ProtocolError):
        codec.load(text, [b"\xff\xff\xff\xff"])


@given(st.binary(max_size=200), st.lists(st.binary(max_size=20), max_size=3))
def test_garbage_gives_a_value_or_a_protocol_error(raw: bytes, buffers: list[bytes]) -> None:
    try:
        codec.load(raw, buffers)
    except ProtocolError:
        return


@given(_VALUES, st.data())
def test_damaged_text_gives_a_value_or_a_protocol_error(value: object, data: st.DataObject) -> None:
    buffers: list[bytes] = []
    raw = bytearray(codec.dump(value, buffers))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] = data.draw(st.integers(0, 255))
    try:
        codec.load(bytes(raw), buffers[: data.draw(st.integers(0, len(buffers)))])
    except ProtocolError:
        return
