"""Functions receive the parameters they name, and no others."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from sapwood.tree.callbacks import adapt, functionWrapper

KNOWN = ("dev", "var", "read", "wait")


def by_keyword(*, read: Any, dev: Any) -> Any:
    return dev, read


class Owner:
    def method(self, var: Any, read: Any) -> Any:
        return var, read


CASES = [
    (lambda: "none", "none"),
    (lambda read: read, "R"),
    (lambda var, read: (var, read), ("V", "R")),
    (lambda read, dev: (dev, read), ("D", "R")),
    (lambda dev, var, read, wait: (dev, var, read, wait), ("D", "V", "R", "W")),
    (lambda read, x=3: (read, x), ("R", 3)),
    (lambda x=3, read=None: (read, x), ("R", 3)),
    (lambda check: check, "W"),
    (lambda *args, **kwargs: (args, kwargs), ((), {})),
    (by_keyword, ("D", "R")),
    (Owner().method, ("V", "R")),
    (functools.partial(by_keyword, dev=1), ("D", "R")),
    (dict, {}),
]


@pytest.mark.parametrize(("function", "want"), CASES)
def test_adapt(function: Any, want: Any) -> None:
    assert adapt(function, KNOWN, {"check": "wait"})("D", "V", "R", "W") == want


def test_function_wrapper() -> None:
    assert functionWrapper(lambda arg: arg, ["dev", "arg"])(dev=1, arg=2) == 2
    assert functionWrapper(None, ["arg"])(arg=2) is None
    assert functionWrapper(by_keyword, ["dev", "read"])(dev=1, read=2) == (1, 2)
