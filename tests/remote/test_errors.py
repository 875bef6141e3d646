"""Errors over the wire: the same class with the same facts on the other side."""

from __future__ import annotations

import json
from typing import Any

import pytest

import sapwood.errors
from sapwood.errors import (
    BusError,
    FileError,
    NodeError,
    SapwoodError,
    ServerFailure,
    UnknownNode,
    VerifyError,
)
from sapwood.remote.errors import pack_error, unpack_error

CLASSES = [
    getattr(sapwood.errors, name)
    for name in sapwood.errors.__all__
    if isinstance(getattr(sapwood.errors, name), type)
]
FACTS: dict[str, Any] = {
    "path": "Top.X",
    "expected": "1",
    "seen": 2.5,
    "waited_s": 0.25,
    "hint": "Try again.",
}


def through(error: BaseException) -> SapwoodError:
    return unpack_error(json.loads(json.dumps(pack_error(error))))


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_each_class_keeps_its_facts(kind: type[SapwoodError]) -> None:
    facts = dict(FACTS)
    if issubclass(kind, UnknownNode):
        facts["near"] = ["Top.Y"]
    if issubclass(kind, BusError):
        facts |= {"address": 0x40, "id": 7}
    if issubclass(kind, FileError):
        facts |= {"file": "a.dat", "offset": 12}
    error = kind("it failed", **facts)
    found = through(error)
    assert type(found) is kind
    assert str(found) == str(error)
    assert {name: getattr(found, name) for name in facts} == facts


def test_several_failures_stay_several() -> None:
    error = NodeError("two of three failed", problems=[VerifyError("byte 3", address=8), "plain text"])
    found = through(error)
    assert str(found) == str(error)
    assert isinstance(found.problems[0], VerifyError)
    assert found.problems[0].address == 8


def test_a_subclass_becomes_its_public_base() -> None:
    class SpecialError(VerifyError):
        pass

    assert type(through(SpecialError("x"))) is VerifyError


def test_errors_of_user_code_become_server_failures() -> None:
    found = through(KeyError("k"))
    assert type(found) is ServerFailure
    assert "KeyError: 'k'" in str(found)


@pytest.mark.parametrize(
    "facts",
    [
        {"type": "Brandnew", "text": "x"},
        {},
        None,
        3,
        {"type": 7},
        {"type": "SapwoodError.__init__"},
        {"type": "combine"},
    ],
)
def test_unknown_types_become_server_failures(facts: Any) -> None:
    assert type(unpack_error(facts)) is ServerFailure


def test_problems_inside_problems_end() -> None:
    error = NodeError("0")
    for level in range(50):
        error = NodeError(str(level), problems=[error] * 2)
    assert len(json.dumps(pack_error(error))) < 10_000
    looped = NodeError("loop")
    looped.problems = [looped] * 1000
    assert len(pack_error(looped)["problems"]) == 100
