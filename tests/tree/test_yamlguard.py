"""Hostile YAML ends in an error that names the line, never in a crash of the interpreter."""

from __future__ import annotations

import contextlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapwood.errors import ConfigError
from sapwood.tree import Root, load_registers, yamlToData
from sapwood.tree.yamlguard import MAX_DEPTH


def laughs(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


HOSTILE = {
    "flow": "[" * 100_000,
    "flow mappings": "{a: " * 100_000,
    "closed": "[" * 5_000 + "]" * 5_000,
    "one line": "- " * 100_000 + "x",
    "complex keys": "? " * 100_000 + "x",
    "indented": "\n".join(" " * n + f"k{n}:" for n in range(2_000)),
    "properties": "!!seq\n" + "- &a " * 2_000 + "x",
    "of itself": "a: &a [*a]",
    "of itself, deeper": "a: &a {b: [1, {c: *a}]}",
    "many aliases": laughs(12),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("load", [yamlToData, load_registers])
def test_hostile_text_is_refused(name: str, load: object) -> None:
    with pytest.raises(ConfigError):
        load(HOSTILE[name] + "\n")  # type: ignore[operator]  # either function


@pytest.mark.parametrize("text", ["a: !!int x", "a: !!timestamp z", "a: !!float 1,2.5", "a: !foo 1"])
def test_values_that_do_not_fit_their_tag_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="not valid YAML"):
        yamlToData(text)


def test_the_line_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nests too deep, in line 3 .*expected at most"):
        yamlToData("a: 1\nb: 2\nc: " + "[" * 200)


def test_a_root_refuses_hostile_settings_and_lives_on() -> None:
    with Root(name="Top", pollEn=False) as top:
        for text in HOSTILE.values():
            with pytest.raises(ConfigError):
                top.SetYamlConfig(text)
        top.SetYamlConfig("Top:\n  ForceWrite: True\n")
        assert top.ForceWrite.get() is True


def test_honest_text_passes() -> None:
    deep = "".join(" " * n + f"k{n}:\n" for n in range(MAX_DEPTH - 2))
    assert yamlToData(deep)["k0"]["k1"] is not None
    flat = "\n".join(f"k{n}: [1, 2, 3]" for n in range(1000))
    assert len(yamlToData(flat)) == 1000
    merged = yamlToData("base: &b {x: 1, y: 2}\none: {<<: *b, y: 3}\ntwo: *b")
    assert merged == {"base": {"x": 1, "y": 2}, "one": {"x": 1, "y": 3}, "two": {"x": 1, "y": 2}}


@given(st.text(alphabet="[]{}&*ab:-? \n!,'\"|>#%", max_size=200), st.integers(0, 3))
def test_any_text_gives_data_or_the_documented_error(text: str, seed: int) -> None:
    words = text.split(" ")
    random.Random(seed).shuffle(words)
    with contextlib.suppress(ConfigError):
        yamlToData(" ".join(words))
