"""Remote control of a tree: service, wire protocol, ZeroMQ server and client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sapwood.extras import lazy_exports

if TYPE_CHECKING:
    from sapwood.remote.access import Role
    from sapwood.remote.client import RemoteClient
    from sapwood.remote.server import RemoteServer
    from sapwood.remote.service import Service

__all__ = ["RemoteClient", "RemoteServer", "Role", "Service"]

__getattr__ = lazy_exports(
    __name__,
    {
        "RemoteClient": "sapwood.remote.client",
        "RemoteServer": "sapwood.remote.server",
        "Role": "sapwood.remote.access",
        "Service": "sapwood.remote.service",
    },
)
