"""Stream ends that reach beyond the process: sockets and replayed files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sapwood.extras import lazy_exports

if TYPE_CHECKING:
    from sapwood.streams.protocols.framing import Delimited, FixedSize, Framing, LengthPrefix, SyncWord
    from sapwood.streams.transports.bytestream import TcpSource
    from sapwood.streams.transports.datagrams import DatagramSource
    from sapwood.streams.transports.tcp import TcpClient, TcpCore, TcpServer

__all__ = [
    "DatagramSource",
    "Delimited",
    "FixedSize",
    "Framing",
    "LengthPrefix",
    "SyncWord",
    "TcpClient",
    "TcpCore",
    "TcpServer",
    "TcpSource",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "DatagramSource": "sapwood.streams.transports.datagrams",
        "Delimited": "sapwood.streams.protocols.framing",
        "FixedSize": "sapwood.streams.protocols.framing",
        "Framing": "sapwood.streams.protocols.framing",
        "LengthPrefix": "sapwood.streams.protocols.framing",
        "SyncWord": "sapwood.streams.protocols.framing",
        "TcpClient": "sapwood.streams.transports.tcp",
        "TcpCore": "sapwood.streams.transports.tcp",
        "TcpServer": "sapwood.streams.transports.tcp",
        "TcpSource": "sapwood.streams.transports.bytestream",
    },
)
