"""Stream ends that reach beyond the process: sockets and replayed files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sapwood.extras import lazy_exports

if TYPE_CHECKING:
    from sapwood.streams.transports.tcp import TcpClient, TcpCore, TcpServer

__all__ = ["TcpClient", "TcpCore", "TcpServer"]

__getattr__ = lazy_exports(
    __name__,
    {
        "TcpClient": "sapwood.streams.transports.tcp",
        "TcpCore": "sapwood.streams.transports.tcp",
        "TcpServer": "sapwood.streams.transports.tcp",
    },
)
