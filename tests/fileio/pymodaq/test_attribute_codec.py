"""Attribute texts and rows of strings: both ways, and never evaluated."""

from __future__ import annotations

import datetime
import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapwood.fileio.pymodaq.codec import decode, encode, is_plain_text
from sapwood.fileio.pymodaq.enums import DataDim, DataType, SaveType, capitalize, enum_checker
from sapwood.fileio.pymodaq.pickles import decode_row, encode_row

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary(),
    st.datetimes(), st.dates(), st.times(), st.complex_numbers(allow_nan=False, allow_infinity=False),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(VALUES)
def test_values_come_back(value) -> None:
    seen = decode(encode(value))
    assert seen == value
    assert type(seen) is type(value)


@given(st.text())
def test_any_text_decodes_to_something(text) -> None:
    decode(text)
    decode(json.dumps({"module": "builtins", "type": "str", "data": text}))
    assert decode(text) == text or not is_plain_text(text)


def form(kind: str, data: str) -> str:
    return json.dumps({"module": "x", "type": kind, "data": data})


def test_texts_are_those_of_the_peer() -> None:
    assert encode(5) == '{"module": "builtins", "type": "int", "data": "5"}'
    assert encode((3, 2)) == '{"module": "builtins", "type": "tuple", "data": "(3, 2)"}'
    assert encode(b"\0") == '{"module": "builtins", "type": "bytes", "data": "b\'\\\\x00\'"}'
    assert encode(np.float64(0.5)) == encode(0.5)
    assert encode(DataType.data) == encode("data")
    assert (encode(None), encode(float("nan")), encode(float("-inf"))) == ("null", "NaN", "-Infinity")


@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [
        ("NoneType", "None", None),
        ("dict", "{'k': 1}", {"k": 1}),
        ("complex", "(1+2j)", 1 + 2j),
        ("int64", "np.int64(3)", 3),
        ("int64", "3", 3),
        ("float32", "np.float32(0.5)", 0.5),
        ("float", "inf", float("inf")),
        ("float", "-inf", float("-inf")),
        ("bool_", "np.True_", True),
        ("list", "[np.float64(0.5), nan]", None),
        ("datetime", "datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc)",
         datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC)),
    ],
)  # fmt: skip
def test_what_the_peer_cannot_decode(kind, data, value) -> None:
    seen = decode(form(kind, data))
    if kind == "list":
        assert seen[0] == 0.5
        assert np.isnan(seen[1])
    else:
        assert seen == value


def test_arrays() -> None:
    seen = decode(form("ndarray", "array([[0., 1.]], dtype=float32)"))
    assert seen.dtype == np.float32
    assert seen.tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize(
    "data",
    [
        "__import__('os').system('touch evaluated')", "open('evaluated', 'w')", "9 ** 9 ** 9",
        "[1] * 10 ** 10", "-" * 10_000 + "1", "1+" * 10_000 + "1", "a." * 10_000 + "b", "[" * 90 + "]" * 90,
        "np.bytes_(10 ** 9)", "np.bytes_(1000000000)", "().__class__", "lambda: 1", "f'{1}'", "(" * 5000, "x",
        "array([1], [2], [3])", "datetime.datetime(99999, 1, 1)", "{**{}}", "{[]: 1}", "1" * 5000,
    ],
)  # fmt: skip
def test_nothing_is_evaluated(data, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert decode(form("str", data)) == {"module": "x", "type": "str", "data": data}
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "value"),
    [("mV", "mV"), ("1", 1), ("1.5", 1.5), ("true", True), ("null", None), ("[1, 2]", [1, 2]), ('"q"', "q"),
     (b"bytes", "bytes"), ('{"a": 1}', {"a": 1}), ("[" * 100_000, "[" * 100_000)],
)  # fmt: skip
def test_texts_of_other_programs(text, value) -> None:
    assert decode(text) == value


@given(st.text() | st.binary() | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False))
def test_rows_of_strings(value) -> None:
    assert pickle.loads(encode_row(value)) == value  # noqa: S301  # our own bytes
    assert decode_row(encode_row(value)) == value
    if isinstance(value, str):
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            assert decode_row(pickle.dumps(value, protocol)) == value


def test_the_bytes_of_a_row() -> None:
    assert encode_row("abc").hex() == "80049507000000000000008c03616263942e"


class Evil:
    def __reduce__(self):
        return (open, ("evaluated", "w"))


@pytest.mark.parametrize("value", [[1, 2], {"a": 1}, Evil(), range(3)])
def test_other_rows_stay_bytes(value, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    row = pickle.dumps(value)
    assert decode_row(row) == row
    assert not list(tmp_path.iterdir())
    with pytest.raises(TypeError, match="row of a string array"):
        encode_row(value)


@given(st.binary())
def test_any_row_decodes(row) -> None:
    decode_row(row)
    for code in b"\x8c\x8d\x8eXCB\x8aGJKM\x80\x95":
        decode_row(bytes([code]) + row)


def test_enumerations() -> None:
    assert SaveType.scan == "scan"
    assert SaveType.scan != "Scan"
    assert {SaveType.scan: 1}["scan"] == 1
    assert DataType.to_dict()["error"] == "ErrorBar"
    assert DataType.to_dict_value()["EnlData"] == "data_enlargeable"
    assert DataDim.Data0D < "data1d" < DataDim.Data2D <= DataDim.Data2D
    assert enum_checker(DataDim, "DATAnd") is DataDim.DataND
    for wrong in (1, None, "nothing"):
        with pytest.raises(ValueError, match=f"{wrong} is an invalid"):
            enum_checker(SaveType, wrong)
    assert (capitalize("aBC"), capitalize("")) == ("ABC", "")
