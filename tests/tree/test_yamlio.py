"""YAML text: lossless, safe."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sapwood.errors import ConfigError
from sapwood.tree import dataToYaml, dictUpdate, keyValueUpdate, yamlToData, yamlUpdate
from sapwood.tree.yamlio import float_text, quoted, scalar_text

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


@given(st.floats())
def test_floats_are_lossless_plain_yaml_floats(value: float) -> None:
    back = yaml.safe_load(float_text(value))
    assert type(back) is float
    assert back == value or (math.isnan(back) and math.isnan(value))


@given(st.text())
def test_any_text_survives(text: str) -> None:
    if any(0xD800 <= ord(char) < 0xE000 for char in text):
        return
    assert yamlToData(f"key: {quoted(text)}\n") == {"key": text}


@pytest.mark.parametrize(
    "text",
    ["", " a", "a ", "yes", "On", "null", "~", "0x10", "1e3", "1.5", "- a", "a: b", "a #b", "2020-01-01", "'",
     '"', "two\nlines", "tab\t", "a,b", "[1]", "{a", "&x", "*x", "!t", "%", "@", "`", "=", "<<", "é", "\x7f"],
)  # fmt: skip
def test_dangerous_text_is_quoted(text: str) -> None:
    assert yamlToData(f"k: {quoted(text)}") == {"k": text}
    assert yaml.safe_load(f"k: {quoted(text)}") == {"k": text}


def test_plain_text_stays_plain() -> None:
    assert quoted("Zero") == "Zero"
    assert quoted("a b/c.dat") == "a b/c.dat"
    assert scalar_text(np.float32(0.5)) == "0.5"
    assert scalar_text(1e-7) == "1.0e-07"
    assert scalar_text(np.True_) == "True"


@given(
    st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)
)
def test_nested_data_survives(data: Any) -> None:
    assert yamlToData(dataToYaml({"data": data})) == {"data": data}


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.getpid []",
        "a: !!python/name:os.system",
        "a: !include other.yml",
        "a: [1",
        "a: b: c",
        "a: !unknown 1",
    ],
)
def test_unsafe_or_broken_text_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        yamlToData(text)


def test_dates_stay_text_and_merges_work() -> None:
    assert yamlToData("d: 2020-01-01") == {"d": "2020-01-01"}
    assert yamlToData("base: &b {x: 1, y: 2}\nmore: {<<: *b, y: 3}")["more"] == {"x": 1, "y": 3}
    assert list(yamlToData("b: 1\na: 2")) == ["b", "a"]


def test_includes_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "main.yml").write_text("a: !include sub/inner.yml\n")
    (tmp_path / "sub" / "inner.yml").write_text("b: !include leaf.yml\n")
    (tmp_path / "sub" / "leaf.yml").write_text("c: 1\n")
    assert yamlToData(fName=str(tmp_path / "main.yml")) == {"a": {"b": {"c": 1}}}
    (tmp_path / "sub" / "leaf.yml").write_text("d: !include inner.yml\n")
    with pytest.raises(ConfigError, match="includes itself"):
        yamlToData(fName=str(tmp_path / "main.yml"))
    (tmp_path / "bad.yml").write_bytes(b"a: \xff")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        yamlToData(fName=str(tmp_path / "bad.yml"))


def test_merging() -> None:
    data: dict[str, Any] = {"a": {"b": 1, "c": 2}}
    dictUpdate(data, {"a": {"b": 3}, "d": 4})
    yamlUpdate(data, "a: {c: 5}")
    keyValueUpdate(data, "a.x.y", 6)
    assert data == {"a": {"b": 3, "c": 5, "x": {"y": 6}}, "d": 4}
