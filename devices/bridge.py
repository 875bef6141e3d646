"""The stream bridge over TCP as a device of the tree."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from sapwood.devices.polled import add_polled
from sapwood.devices.stage import StageDevice
from sapwood.streams.framequeue import QUEUE_BYTES, Policy
from sapwood.streams.transports import TcpClient, TcpCore, TcpServer

__all__ = ["StreamBridge"]


class StreamBridge(StageDevice):
    """One end of a stream bridge: what is linked to it goes to the far end, what comes from there leaves it.

    The ports are taken, or called, when the device is made, and freed when the tree stops: then what
    the far end does not take within a second is dropped.

    Parameters
    ----------
    addr, port
        Interface and lower one of the two ports of the server; ``*`` for all, 0 takes a free pair.
    server
        Wait for far ends; otherwise call the server at `addr`.
    maxDepth, policy, maxBytes
        Of the queue of frames to be sent, as of `sapwood.streams.transports.TcpCore`.
    kwargs
        As for `Device`.

    Raises
    ------
    StreamError
        When a port is taken, or for a bound or policy that makes no sense.
    """

    def __init__(
        self,
        *,
        addr: str,
        port: int,
        server: bool = False,
        maxDepth: int = 0,
        policy: Policy = "block",
        maxBytes: int = QUEUE_BYTES,
        **kwargs: Any,
    ) -> None:
        bridge: TcpCore = (TcpServer if server else TcpClient)(
            addr, port, maxDepth=maxDepth, policy=policy, maxBytes=maxBytes
        )
        self._bridge = bridge
        self._before = 0
        with ExitStack() as undo:
            undo.callback(bridge.close)
            super().__init__(bridge, **kwargs)
            undo.pop_all()
        self._add_setting("Address", "Interface, or host of the server", addr)
        self._add_setting("Port", "Lower one of the two ports", bridge.port)
        self._add_setting("Server", "Whether this end waits to be called", server)
        add_polled(self, "Connected", "Far ends that are there", lambda: bridge.connected)
        add_polled(self, "Agreed", "Whether all of them are Sapwood's", lambda: bridge.agreed, value=False)
        add_polled(self, "Reconnects", "How often a far end came when one had gone", self._reconnects)
        add_polled(self, "Size", "Frames that wait to be sent", bridge.size)
        add_polled(self, "SentCount", "Frames handed to the network since the start", self._sent)
        add_polled(self, "LastError", "What a sink raised last, if any did", self._last_error, value="")

    def _reconnects(self) -> int:
        return self._bridge.reconnects - self._before

    def _sent(self) -> int:
        return self._bridge.flow().passed

    def _last_error(self) -> str:
        error = self._bridge.lastError
        return "" if error is None else f"{type(error).__name__}: {error}"

    def countReset(self) -> None:
        """Let the counters start again from zero."""
        self._before = self._bridge.reconnects
        super().countReset()
