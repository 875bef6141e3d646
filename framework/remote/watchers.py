"""Hand the tree's updates to the sessions that subscribed to them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sapwood.remote.directory import Directory
from sapwood.remote.session import Session
from sapwood.remote.subscription import Subscription

__all__ = ["Watchers"]

_log = logging.getLogger("sapwood.remote.service")


class Watchers:
    """Which sessions want the updates of which variables.

    Parameters
    ----------
    root
        The tree; a batch listener is added to it with the first subscription.
    directory
        Its nodes.
    """

    def __init__(self, root: Any, directory: Directory) -> None:
        self._root = root
        self._directory = directory
        self._lock = threading.Lock()
        self._sessions: dict[str, tuple[Session, ...]] = {}  # by the path of a variable
        self._listening = False

    def subscribe(self, session: Session, paths: Iterable[str], limit: int, *, now: bool = False) -> int:
        """Let the updates of `paths` wait in ``session.subscription``.

        Parameters
        ----------
        paths
            Variables, devices (all below) or patterns with ``*``.
        limit
            Values that may wait before older ones are dropped and counted.
        now
            Offer the current values, too, without reading hardware.

        Returns
        -------
        int
            Number of variables these paths mean.

        Raises
        ------
        UnknownNode
            A path means nothing; none of them is subscribed.
        """
        wanted = {path: self._directory.match(path) for path in paths}
        variables = frozenset[str]().union(*wanted.values())
        with self._lock:
            subscription = session.subscription
            if subscription is None:
                subscription = session.subscription = Subscription(limit, session.on_updates)
            subscription.limit = limit
            session.paths.update(wanted)
            for path in variables:
                known = self._sessions.get(path, ())
                if session not in known:
                    self._sessions[path] = (*known, session)
            start = not self._listening
            self._listening = True
        if start:
            self._root.addBatchListener(self._deliver)
        if now:
            subscription.offer_current(self._current(variables))
        return len(variables)

    def _current(self, variables: Iterable[str]) -> Iterator[tuple[str, Any]]:
        for path in variables:
            node = self._directory.find(path)
            if node is None:
                continue
            try:
                value = node.getVariableValue(read=False)
            except Exception:  # noqa: BLE001  # a variable's own function may raise anything; the others are still wanted
                _log.warning("no current value of %s", path, exc_info=True)
                continue
            yield path, value

    def unsubscribe(self, session: Session, paths: Iterable[str]) -> None:
        """End what `subscribe` began for exactly these `paths`; others that mean the same stay."""
        with self._lock:
            dropped = [session.paths.pop(path, frozenset[str]()) for path in paths]
            kept = frozenset[str]().union(*session.paths.values())
            for path in frozenset[str]().union(*dropped) - kept:
                left = tuple(one for one in self._sessions.get(path, ()) if one is not session)
                if left:
                    self._sessions[path] = left
                else:
                    self._sessions.pop(path, None)

    def _deliver(self, batch: Mapping[str, Any]) -> None:
        """Hand a batch of updates to the subscribers; runs in the tree's update thread."""
        offers: dict[Session, list[tuple[str, Any]]] = {}
        for path, value in batch.items():
            for session in self._sessions.get(path, ()):
                if self._directory.find(path) is not None:
                    offers.setdefault(session, []).append((path, value))
        for session, values in offers.items():
            if session.subscription is not None:
                session.subscription.offer(values)

    def close(self) -> None:
        """Stop listening to the tree."""
        if self._listening:
            self._root.delBatchListener(self._deliver)
            self._listening = False
