"""Updates on the client's side: decoded, then handed to those who listen."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from sapwood.errors import ProtocolError

__all__ = ["Dispatcher", "LinkMonitor", "LossMonitor", "RemoteValue", "VarListener"]

_log = logging.getLogger("sapwood.remote.client")


class RemoteValue:
    """What a variable held at one moment, as listeners of a client receive it.

    Attributes
    ----------
    value
        The native value; None when it has no form on the wire.
    valueDisp
        The value as text.
    severity, status
        State of its alarm.
    time
        When the server took the snapshot (s since 1970).
    """

    __slots__ = ("_text", "severity", "status", "time", "value")

    def __init__(self, value: Any, text: str | None, severity: str, status: str, time: float) -> None:
        self.value = value
        self._text = text
        self.severity = severity
        self.status = status
        self.time = time

    @property
    def valueDisp(self) -> str:  # noqa: N802  # the name of the tree
        """The value as text; for arrays, which come without text, NumPy's."""
        return str(self.value) if self._text is None else self._text

    def __repr__(self) -> str:
        return f"RemoteValue({self.value!r}, {self.valueDisp!r}, {self.severity}, {self.status}, {self.time})"


VarListener = Callable[[str, RemoteValue], Any]
LinkMonitor = Callable[[bool], Any]
LossMonitor = Callable[[int], Any]


class Dispatcher:
    """Who listens to what in one client; called by its listener thread, changed from any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of_path: dict[str, tuple[VarListener, ...]] = {}
        self._of_all: tuple[VarListener, ...] = ()
        self._link_monitors: tuple[LinkMonitor, ...] = ()
        self._loss_monitors: tuple[LossMonitor, ...] = ()
        self.lost = 0  # updates the server dropped since the start

    # ---- who listens

    def add(self, listener: VarListener, path: str | None = None) -> bool:
        """Let `listener` have the updates of `path`, or of all; whether it is the first one."""
        with self._lock:
            known = self._of_all if path is None else self._of_path.get(path, ())
            if listener not in known:
                self._store(path, (*known, listener))
            return not known

    def remove(self, listener: VarListener, path: str | None = None) -> bool:
        """Undo `add`; whether it was the last one."""
        with self._lock:
            known = self._of_all if path is None else self._of_path.get(path, ())
            left = tuple(one for one in known if one != listener)
            self._store(path, left)
            return bool(known) and not left

    def _store(self, path: str | None, listeners: tuple[VarListener, ...]) -> None:
        if path is None:
            self._of_all = listeners
        elif listeners:
            self._of_path[path] = listeners
        else:
            self._of_path.pop(path, None)

    def add_link_monitor(self, monitor: LinkMonitor) -> None:
        """Call ``monitor(linked)`` when the link is lost or found."""
        with self._lock:
            self._link_monitors = (*self._link_monitors, monitor)

    def remove_link_monitor(self, monitor: LinkMonitor) -> None:
        """Undo `add_link_monitor`."""
        with self._lock:
            self._link_monitors = tuple(one for one in self._link_monitors if one != monitor)

    def add_loss_monitor(self, monitor: LossMonitor) -> None:
        """Call ``monitor(count)`` when the server has dropped `count` updates."""
        with self._lock:
            self._loss_monitors = (*self._loss_monitors, monitor)

    # ---- what came

    def deliver(self, message: dict[str, Any]) -> None:
        """Hand the updates of one push to the listeners.

        Raises
        ------
        ProtocolError
            The push is malformed.
        """
        try:
            lost = int(message["lost"])
            batches = [message["values"], *message.get("then", ())]
            updates = [(path, RemoteValue(*row)) for batch in batches for path, row in batch.items()]
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise ProtocolError(f"malformed push: {problem!r}", seen=repr(message)[:80]) from None
        if lost:
            self.lost += lost
            for monitor in self._loss_monitors:
                _call(monitor, lost)
        for path, value in updates:
            for listener in self._of_path.get(path, ()):
                _call(listener, path, value)
            for listener in self._of_all:
                _call(listener, path, value)

    def linked(self, linked: bool) -> None:
        """Tell the link monitors."""
        for monitor in self._link_monitors:
            _call(monitor, linked)


def _call(function: Callable[..., Any], *arguments: Any) -> None:
    try:
        function(*arguments)
    except Exception:  # noqa: BLE001  # a user's callback; the others must still be called
        _log.exception("the listener %r failed", function)
