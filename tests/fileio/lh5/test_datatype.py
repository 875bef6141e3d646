"""The texts of the attribute ``datatype``."""

from __future__ import annotations

import numpy as np
import pytest

from sapwood.fileio.lh5 import LH5EncodeError, UnknownDatatypeError, datatype
from sapwood.fileio.lh5.datatype import Datatype, element_of, form, form_fields, parse

TEXTS = {
    "real": Datatype(datatype.SCALAR, (), "real"),
    "string": Datatype(datatype.SCALAR, (), "string"),
    "array<1>{real}": Datatype(datatype.ARRAY, (1,), "real"),
    "array<3>{bool}": Datatype(datatype.ARRAY, (3,), "bool"),
    "array<1>{detectorid}": Datatype(datatype.DETECTOR_IDS, (1,), "detectorid"),
    "fixedsize_array<1>{real}": Datatype(datatype.FIXED_SIZE, (1,), "real"),
    "array_of_equalsized_arrays<1,1>{real}": Datatype(datatype.EQUAL_SIZED, (1, 1), "real"),
    "array<1>{array<1>{real}}": Datatype(datatype.VECTORS, (1,), "array<1>{real}"),
    "array<1>{array<1>{array<1>{real}}}": Datatype(datatype.VECTORS, (1,), "array<1>{array<1>{real}}"),
    "array<1>{encoded_array<1>{real}}": Datatype(datatype.ENCODED_VECTORS, (1,), "real"),
    "array_of_encoded_equalsized_arrays<1,1>{real}": Datatype(datatype.ENCODED_ARRAYS, (1, 1), "real"),
}


@pytest.mark.parametrize("text", TEXTS)
def test_there_and_back(text: str) -> None:
    found = parse(text)
    assert found == TEXTS[text]
    assert form(found.kind, found.element, found.dims) == text


def test_fields() -> None:
    assert parse("table{a,b}") == Datatype(datatype.TABLE, fields=("a", "b"))
    assert parse("struct{}") == Datatype(datatype.STRUCT)
    assert parse("view{slices}").kind == datatype.VIEW
    for order in ("binning,weights,isdensity", "isdensity,binning,weights"):
        assert parse(f"struct{{{order}}}").kind == datatype.HISTOGRAM
    assert form_fields(datatype.TABLE, ["b", "B", "a"]) == "table{B,a,b}"


@pytest.mark.parametrize(
    "text", ["", "reals", "array{real}", "array<1>{real} ", "array<1>{real}\n", "table{a", "x" * 9999]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UnknownDatatypeError, match="unknown datatype"):
        parse(text)
    assert issubclass(UnknownDatatypeError, RuntimeError)


@pytest.mark.parametrize("name", ["a,b", "a{", "", "a/b"])
def test_names_that_a_list_cannot_hold(name: str) -> None:
    with pytest.raises(LH5EncodeError, match="name of a field"):
        form_fields(datatype.STRUCT, [name])


def test_elements() -> None:
    kinds = {
        "?": "bool",
        "u2": "real",
        "f4": "real",
        "c8": "complex",
        "S3": "string",
        "U3": "string",
        "O": "string",
    }
    assert {code: element_of(np.dtype(code)) for code in kinds} == kinds
    with pytest.raises(LH5EncodeError):
        element_of(np.dtype("M8[ns]"))
