"""The ``datatype`` attribute: text such as ``array<1>{real}`` to its parts, and back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np

from sapwood.fileio.lh5.errors import LH5EncodeError, UnknownDatatypeError

__all__ = [
    "ARRAY",
    "DETECTOR_IDS",
    "ENCODED_ARRAYS",
    "ENCODED_VECTORS",
    "EQUAL_SIZED",
    "FIXED_SIZE",
    "HISTOGRAM",
    "SCALAR",
    "STRUCT",
    "TABLE",
    "VECTORS",
    "VIEW",
    "Datatype",
    "element_of",
    "form",
    "form_fields",
    "parse",
]

SCALAR = "scalar"
ARRAY = "array"
FIXED_SIZE = "fixedsize_array"
EQUAL_SIZED = "array_of_equalsized_arrays"
ENCODED_ARRAYS = "array_of_encoded_equalsized_arrays"
VECTORS = "vector_of_vectors"
ENCODED_VECTORS = "vector_of_encoded_vectors"
DETECTOR_IDS = "array_of_detectorids"
HISTOGRAM = "histogram"
STRUCT = "struct"
TABLE = "table"
VIEW = "view"

_ELEMENTS = {"b": "bool", "i": "real", "u": "real", "f": "real", "c": "complex", "V": "blob"}
_NOT_IN_NAMES = re.compile("[{}/]")
_STRINGS = "SUTO"  # O: h5py's strings of variable length
_HISTOGRAM_FIELDS = {"binning", "weights", "isdensity"}
_DIMS = r"<(\d{1,4}(?:,\d{1,4})*)>"
_PATTERNS = (
    (SCALAR, r"()(real|bool|complex|string)"),
    (ENCODED_VECTORS, rf"array{_DIMS}\{{encoded_array<1>\{{(.+)\}}\}}"),
    (VECTORS, rf"array{_DIMS}\{{(array<\d{{1,4}}>\{{.+\}})\}}"),
    (DETECTOR_IDS, rf"array{_DIMS}\{{(detectorid)\}}"),
    (ARRAY, rf"array{_DIMS}\{{([^{{}}]+|enum\{{[^{{}}]*\}})\}}"),
    (FIXED_SIZE, rf"fixedsize_array{_DIMS}\{{([^{{}}]+)\}}"),
    (EQUAL_SIZED, rf"array_of_equalsized_arrays{_DIMS}\{{([^{{}}]+)\}}"),
    (ENCODED_ARRAYS, rf"array_of_encoded_equalsized_arrays{_DIMS}\{{([^{{}}]+)\}}"),
    (VIEW, r"view\{()(.*)\}"),
    (STRUCT, r"struct\{()(.*)\}"),
    (TABLE, r"table\{()(.*)\}"),
)


class Datatype(NamedTuple):
    """What a ``datatype`` attribute says.

    Parameters
    ----------
    kind
        One of the names of this module, for example `TABLE`.
    dims
        The numbers between ``<`` and ``>``.
    element
        ``real``, ``bool``, ``complex``, ``string``, ``blob``; of vectors of vectors the datatype
        of one row.
    fields
        Of a struct or table.
    """

    kind: str
    dims: tuple[int, ...] = ()
    element: str = ""
    fields: tuple[str, ...] = ()


@lru_cache(maxsize=1024)
def parse(text: str) -> Datatype:
    """Return what `text` says.

    Raises
    ------
    UnknownDatatypeError
        When it is none of LH5's.
    """
    for kind, pattern in _patterns():
        match = pattern.fullmatch(text)
        if match is None:
            continue
        dims = tuple(int(number) for number in match[1].split(",")) if match[1] else ()
        if kind not in (STRUCT, TABLE, VIEW):
            return Datatype(kind, dims, match[2])
        fields = tuple(name for name in match[2].split(",") if name)
        if kind == STRUCT and set(fields) == _HISTOGRAM_FIELDS:
            kind = HISTOGRAM
        return Datatype(kind, fields=fields)
    raise UnknownDatatypeError(f"unknown datatype {text[:200]!r}")


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    return [(kind, re.compile(pattern)) for kind, pattern in _PATTERNS]


def form(kind: str, element: str, dims: Iterable[int] = ()) -> str:
    """Return the text for `kind` (not for structs, see `form_fields`) with `element` and `dims`."""
    sizes = ",".join(str(number) for number in dims) or "1"
    if kind == SCALAR:
        return element
    if kind in (VECTORS, DETECTOR_IDS):
        return f"array<{sizes}>{{{element}}}"
    if kind == ENCODED_VECTORS:
        return f"array<{sizes}>{{encoded_array<1>{{{element}}}}}"
    return f"{kind}<{sizes}>{{{element}}}"


def form_fields(kind: str, names: Iterable[str]) -> str:
    """Return the text for a struct, table or view of these members.

    Raises
    ------
    LH5EncodeError
        For a name that a list of fields cannot hold.
    """
    fields = sorted(names)
    text = ",".join(fields)
    if text.count(",") >= max(1, len(fields)) or not all(fields) or _NOT_IN_NAMES.search(text):
        bad = next(name for name in fields if not name or "," in name or _NOT_IN_NAMES.search(name))
        raise LH5EncodeError(
            f"{bad!r} cannot be the name of a field", expected="text without comma, brace and slash"
        )
    return f"{kind}{{{text}}}"


def element_of(dtype: np.dtype[Any]) -> str:
    """Return LH5's name for the elements of an array of `dtype`.

    Raises
    ------
    LH5EncodeError
        When it has none.
    """
    if dtype.kind in _STRINGS:
        return "string"
    found = _ELEMENTS.get(dtype.kind)
    if found is None:
        raise LH5EncodeError(f"Arrays of {dtype} have no LH5 datatype", expected="numbers, bools or text")
    return found
