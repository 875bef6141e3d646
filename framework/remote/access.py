"""Who may do what: roles, tokens, and the folder that file names from clients may not leave."""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
from collections.abc import Iterable, Mapping
from enum import IntEnum
from pathlib import Path

from sapwood.errors import AccessDenied, RemoteError

__all__ = ["Role", "confined", "is_loopback", "role_of_token"]


class Role(IntEnum):
    """What a client may do; each role may do what the ones before it may."""

    viewer = 1  # read, list, subscribe
    operator = 2  # set variables, call commands
    expert = 3  # the same for nodes in the group `Expert`

    @classmethod
    def parse(cls, role: Role | str) -> Role:
        """Return the role of this name."""
        if isinstance(role, Role):
            return role
        try:
            return cls[role]
        except KeyError:
            raise RemoteError("unknown role", expected=", ".join(cls.__members__), seen=role) from None


def is_loopback(host: str) -> bool:
    """Whether `host` (a name or an address) is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def role_of_token(tokens: Mapping[str, Role], token: object) -> Role:
    """Return the role that `token` gives; every known token is compared in constant time.

    Raises
    ------
    AccessDenied
        The token is not known.
    """
    seen = token.encode("utf-8", "replace") if isinstance(token, str) else b""
    found = [role for known, role in tokens.items() if hmac.compare_digest(known.encode(), seen)]
    if not found:
        raise AccessDenied("the server does not know this token", expected="a token of this server")
    return max(found)


def confined(names: object, folder: Path, path: str) -> None:
    """Check that `names`, a file name or several, stay inside `folder`.

    A text may hold several names joined by commas; each of them is checked, and the whole text too.
    Symbolic links are followed.

    Raises
    ------
    AccessDenied
        A name is absolute, leaves the folder, or is neither text nor a list of texts.
    """
    if names is None:
        return
    if isinstance(names, str):
        _check_names({names, *names.split(",")}, folder, path)
    elif isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names):
        for name in names:
            confined(name, folder, path)
    else:
        raise AccessDenied(
            "a file name must be text", path=path, expected="a relative file name", seen=type(names).__name__
        )


def _check_names(names: Iterable[str], folder: Path, path: str) -> None:
    base = folder.resolve()
    for name in names:
        bare = name.strip()
        if not bare:
            continue
        if not _is_inside(base, bare):
            raise AccessDenied(
                "file name leaves the data folder",
                path=path,
                expected="a name inside the data folder",
                seen=name,
            )


def _is_inside(base: Path, name: str) -> bool:
    if "\0" in name or name.startswith("~") or Path(name).is_absolute():
        return False
    path = base / name
    try:
        with contextlib.suppress(FileNotFoundError):  # the rest of such a name holds no links
            path.resolve(strict=True)
        return path.resolve().is_relative_to(base)
    except (OSError, RuntimeError):  # a loop of links, a name too long for the disk
        return False
