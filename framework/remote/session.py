"""One client connection as the service sees it."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from sapwood.remote.access import Role
from sapwood.remote.subscription import Subscription

__all__ = ["Session"]


class Session:
    """Who is asking, what it may do, what it subscribed to.

    Made by `Service.login`; handed to `Service.handle` with each request.

    Parameters
    ----------
    role
        What the client may do.
    name
        What the client calls itself, for the audit log.
    on_updates
        Called, from the tree's update thread, when values wait for this session. It must not block.
    """

    __slots__ = ("id", "name", "on_updates", "paths", "role", "subscription")

    def __init__(self, role: Role, name: str, on_updates: Callable[[], None]) -> None:
        self.id = secrets.token_hex(4)
        self.role = role
        self.name = name
        self.on_updates = on_updates
        self.subscription: Subscription | None = None
        self.paths: dict[str, frozenset[str]] = {}  # what was asked for -> the variables it means

    def __str__(self) -> str:
        return f"{self.name or 'client'}#{self.id} ({self.role.name})"
