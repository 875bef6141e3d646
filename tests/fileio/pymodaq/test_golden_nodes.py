"""Every golden file decodes to what its manifest says, and reading leaves every byte as it is."""

from __future__ import annotations

import ast
import datetime
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sapwood.fileio.pymodaq.codec import decode
from sapwood.fileio.pymodaq.saver import H5SaverLowLevel

FILES = [
    f"{name}_{backend}.h5"
    for name in (
        "attrs", "background", "compressed", "detectors", "empty_scan", "enlargeable", "groups", "scan2d",
        "strings",
    )
    for backend in ("h5py", "tables")
] + ["swmr_finalized_h5py.h5"]  # fmt: skip


@pytest.fixture(scope="module")
def manifest(golden_pymodaq: Path) -> dict[str, Any]:
    files: dict[str, Any] = json.loads((golden_pymodaq / "MANIFEST.json").read_text())["files"]
    return files


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def is_value(seen: Any, stated: list[Any]) -> bool:
    """Compare an attribute with the manifest, which has texts of values."""
    kind, value = stated
    if kind == "dict":  # what the peer cannot decode; we can
        return same(seen, decode(json.dumps(ast.literal_eval(value))))
    if kind == "str":
        return same(seen, value) or same(seen, decode(value))
    if kind == "bytes":
        return seen == bytes.fromhex(value)
    if kind in ("date", "datetime", "time"):
        return isinstance(seen, getattr(datetime, kind)) and repr(seen) == value
    if kind in ("tuple", "list"):
        return seen == ast.literal_eval(value)
    if kind in ("float", "np.float"):
        return float(seen) == float(value)
    return int(seen) == int(value)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return one == other or one != one
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other))
    return type(one) is type(other) and bool(one == other)


def test_the_manifest_names_these_files(manifest) -> None:
    assert sorted(manifest) == sorted(FILES)


@pytest.mark.parametrize("name", FILES)
def test_nodes_and_attributes(golden_pymodaq, manifest, name) -> None:
    path, stated = golden_pymodaq / name, manifest[name]["nodes"]
    before = digest(path)
    saver = H5SaverLowLevel()
    saver.init_file(path, mode="r")
    nodes = {node.path: node for node in saver.walk_nodes("/")}
    assert sorted(nodes) == sorted(stated)
    for where, expected in stated.items():
        node = nodes[where]
        assert type(node).__name__ == expected["wrapper"]
        attributes = node.attrs.to_dict()
        assert sorted(attributes) == sorted(expected["attrs"])
        for key, value in expected["attrs"].items():
            assert is_value(attributes[key], value), (where, key, attributes[key], value)
        check_content(node, expected)
    saver.close_file()
    assert digest(path) == before == manifest[name]["sha256_file"]


def check_content(node: Any, expected: dict[str, Any]) -> None:
    if "strings" in expected:
        assert node.read() == expected["strings"]
    if "sha256" in expected:
        values = np.ascontiguousarray(node.read())
        assert list(values.shape) == expected["shape"] == list(node.shape)
        assert hashlib.sha256(values.tobytes()).hexdigest() == expected["sha256"]
    if "rows" in expected:
        assert [row.tolist() for row in node.read()] == expected["rows"]
        assert len(node) == len(expected["rows"])
