"""Settings as XML, read and written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapwood.errors import FormatError
from sapwood.fileio.pymodaq.data_settings import (
    EMPTY,
    Setting,
    settings_from_dict,
    settings_from_xml,
    settings_to_xml,
)
from sapwood.fileio.pymodaq.loader import DataLoader

XML = (
    '<All_settings type="group"><main type="group" title="Main" visible="1" readonly="0">'
    '<gain type="int" title="Gain" limits="[0, 9]">3</gain><time type="float" suffix="s">0.5</time>'
    '<on type="bool">1</on><name type="str">x &lt; y</name><kind type="list">str(\'a\')</kind>'
    '<odd type="int">many</odd></main></All_settings>'
)


def test_values_have_the_type_of_their_parameter() -> None:
    tree = settings_from_xml(XML)
    assert tree.to_dict() == {
        "main": {"gain": 3, "time": 0.5, "on": True, "name": "x < y", "kind": "a", "odd": "many"}
    }
    assert tree["main", "gain"] == 3
    assert tree.child("main").options == {"visible": True, "readonly": False}
    assert tree.child("main", "gain").options == {"limits": "[0, 9]"}
    with pytest.raises(KeyError):
        tree.child("nothing")


def test_what_is_written_is_read_back() -> None:
    tree = settings_from_xml(XML)
    assert settings_from_xml(settings_to_xml(tree)) == tree
    assert settings_from_xml(EMPTY).to_dict() == {}


texts = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"]), max_size=20).filter(
    lambda text: "\ufffe" not in text and "\uffff" not in text
)
values = st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), texts)


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "c_1"]), st.one_of(values, st.dictionaries(st.just("d"), values))
    )
)
def test_dictionaries_come_back(values: dict[str, object]) -> None:
    assert settings_from_xml(settings_to_xml(values)).to_dict() == values


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        "<a>",
        "",
        "<a>&b;</a>",
        b"\xff\x00",
        "<a>" * 1000 + "</a>" * 1000,
    ],
)
def test_other_texts_are_refused(text: str | bytes) -> None:
    with pytest.raises(FormatError):
        settings_from_xml(text)


def test_nothing_is_evaluated() -> None:
    tree = settings_from_xml("<a><b type=\"list\">str(__import__('os'))</b></a>")
    assert tree["b"] == "str(__import__('os'))"
    with pytest.raises(FormatError):
        settings_to_xml(Setting("a b"))
    assert settings_from_dict({"a": 1}).child("a").type == "int"


def test_settings_of_the_peers_files_are_read(golden_pymodaq: Path) -> None:
    with DataLoader(golden_pymodaq / "scan2d_h5py.h5") as loader:
        tree = settings_from_xml(loader.get_node("/RawData/Scan000").attrs["settings"])
    assert tree["settings", "gain"] == 3
    assert tree["settings", "label"] == "x < y"
