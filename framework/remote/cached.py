"""Values of many variables as the server holds them, though some of them fail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sapwood.errors import RemoteError, RemoteTimeout, SapwoodError

if TYPE_CHECKING:
    from sapwood.remote.client import RemoteClient

__all__ = ["cached"]


def cached(client: RemoteClient, paths: Sequence[str]) -> list[tuple[Any, str]]:
    """Return value and text of each variable; of one that fails None and the error.

    The hardware is not read.

    Raises
    ------
    RemoteError
        The server does not answer.
    """
    try:
        return _ask(client, paths)
    except SapwoodError as error:
        if type(error) is RemoteError or isinstance(error, RemoteTimeout):
            raise
        if len(paths) == 1:
            return [(None, f"<{error}>")]
    return [pair for path in paths for pair in cached(client, [path])]


def _ask(client: RemoteClient, paths: Sequence[str]) -> list[tuple[Any, str]]:
    values = client.getMany(paths, read=False)
    texts = client.getMany(paths, read=False, disp=True)
    return list(zip(values, texts, strict=True))
