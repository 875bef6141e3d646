"""Roles, tokens, addresses of this machine, and the folder that file names may not leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sapwood.errors import AccessDenied, RemoteError
from sapwood.remote.access import Role, confined, is_loopback, role_of_token


@pytest.mark.parametrize(
    "name", ["", "a.dat", "sub/a.dat", "./a", "sub/../a", "a,b.yml", "x..y", None, ["a", "b/c"]]
)
def test_names_inside_the_folder_are_accepted(tmp_path: Path, name: Any) -> None:
    confined(name, tmp_path, "Top.File")


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "..",
        "../a",
        "sub/../../a",
        "~/a",
        "~root",
        "a\0b",
        "a,/etc/passwd",
        "a, ../b",
        " /etc/passwd",
        ["a", "/b"],
        b"/etc/passwd",
        3,
        True,
        {"a": 1},
        Path("/etc"),
        [b"a"],
        "x" * 300 + "/../../" + "y" * 5000,
    ],
    ids=repr,
)
def test_names_that_leave_the_folder_are_refused(tmp_path: Path, name: Any) -> None:
    with pytest.raises(AccessDenied) as caught:
        confined(name, tmp_path, "Top.File")
    assert caught.value.path == "Top.File"


def test_links_are_followed(tmp_path: Path) -> None:
    base = tmp_path / "data"
    base.mkdir()
    (base / "inside").symlink_to(base)
    (base / "outside").symlink_to(tmp_path)
    (base / "loop").symlink_to(base / "loop")
    confined("inside/a", base, "p")
    for name in ("outside/a", "outside", "loop/a"):
        with pytest.raises(AccessDenied):
            confined(name, base, "p")


def test_a_folder_reached_by_a_link_is_itself_no_escape(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    confined("a", tmp_path / "link", "p")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"])
def test_addresses_of_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "*", "", "192.168.1.1", "example.org", "localhost.example.org", "::"]
)
def test_addresses_that_others_reach(host: str) -> None:
    assert not is_loopback(host)


def test_a_token_gives_its_role() -> None:
    tokens = {"a": Role.viewer, "b": Role.expert}
    assert role_of_token(tokens, "a") is Role.viewer
    assert role_of_token(tokens, "b") is Role.expert
    for wrong in ("", "ab", None, 3, "\udcff", b"a"):
        with pytest.raises(AccessDenied):
            role_of_token(tokens, wrong)


def test_an_unknown_role_names_those_there_are() -> None:
    with pytest.raises(RemoteError, match="viewer, operator, expert"):
        Role.parse("admin")
