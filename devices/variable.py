"""The values of a tree as a stream: full dumps on request, updates as they happen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sapwood.streams import Frame, Master
from sapwood.tree.yamlio import dataToYaml

if TYPE_CHECKING:
    from sapwood.tree import Root, VariableValue

__all__ = ["StreamVariable", "Variable"]

CLOCK_NAMES = ("Time", "LocalTime")


class Variable(Master):
    """Stream master that sends the variables of a tree as YAML text.

    `streamYaml` sends the whole tree as one frame. After each batch of updates of the root a
    frame with a flat mapping ``full.path: value`` follows. Frames have channel, flags and error
    0. The root's clock (`Time`, `LocalTime`) and variables made with ``noUpdateRecord=True``, such
    as a recorder's own counters, are left out of updates, not of dumps. Nothing is serialised
    while no slave is linked.

    Parameters
    ----------
    root
        The tree; it need not have started.
    incGroups, excGroups
        Only variables in one of `incGroups` (None: all) and in none of `excGroups`.
    """

    def __init__(
        self,
        root: Root,
        incGroups: str | Sequence[str] | None = None,
        excGroups: str | Sequence[str] | None = ("NoStream",),
    ) -> None:
        super().__init__()
        self._root = root
        self._incGroups = _as_list(incGroups)
        self._excGroups = _as_list(excGroups)
        root.addBatchListener(self._updated)

    def streamYaml(self) -> None:
        """Send the whole tree, without reading the hardware."""
        if not self._slaveCount():
            return
        text = self._root.getYaml(
            readFirst=False, modes=["RW", "RO", "WO"], incGroups=self._incGroups, excGroups=self._excGroups
        )
        self._sendText(text.rstrip("\n") + "\n\n")

    def _updated(self, batch: dict[str, VariableValue]) -> None:
        """Send one batch of updates."""
        if not self._slaveCount():
            return
        wanted = {path: value for path, value in sorted(batch.items()) if self._wants(path)}
        if wanted:
            self._sendText(dataToYaml(wanted))

    def _wants(self, path: str) -> bool:
        node = self._root.getNode(path)
        if node is None or node.isCommand or node.getExtraAttribute("noUpdateRecord"):
            return False
        if node.parent is self._root and node.name in CLOCK_NAMES:
            return False
        return bool(node.filterByGroup(self._incGroups, self._excGroups))

    def _sendText(self, text: str) -> None:
        self._sendFrame(Frame(text.encode()))


def _as_list(groups: str | Sequence[str] | None) -> list[str] | None:
    if groups is None:
        return None
    return [groups] if isinstance(groups, str) else list(groups)


StreamVariable = Variable
