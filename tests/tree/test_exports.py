"""Public names, and what importing costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import sapwood
import sapwood.tree


def test_tree_names_are_there() -> None:
    assert len(set(sapwood.tree.__all__)) == len(sapwood.tree.__all__)
    assert all(hasattr(sapwood.tree, name) for name in sapwood.tree.__all__)


def test_package_names() -> None:
    assert len(set(sapwood.__all__)) == len(sapwood.__all__)
    assert set(sapwood.tree.__all__) <= set(sapwood.__all__)
    for name in sapwood.__all__:
        assert getattr(sapwood, name) is not None
    assert sapwood.Root is sapwood.tree.Root
    assert "RemoteServer" in dir(sapwood)
    with pytest.raises(AttributeError, match="module 'sapwood' has no attribute 'Nope'"):
        _ = sapwood.Nope


def test_import_is_light() -> None:
    heavy = ("yaml", "zmq", "numpy", "sapwood.tree")
    code = f"import sys, sapwood; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
