"""The event builder as a device of the tree."""

from __future__ import annotations

from functools import partial
from typing import Any

from sapwood import streams
from sapwood.devices.polled import add_polled
from sapwood.devices.stage import StageDevice
from sapwood.streams import StreamEnd
from sapwood.tree import LocalCommand

__all__ = ["EventBuilder"]

_COUNTS = {
    "Complete": "Events passed on complete",
    "Incomplete": "Events passed on with members missing",
    "Late": "Frames that came after their event was passed on",
    "Duplicate": "Frames of a channel that their event had one of already",
    "Unkeyed": "Frames without a key",
}


class EventBuilder(StageDevice):
    """Joins frames of several channels to events; see `sapwood.streams.EventBuilder`.

    Parameters
    ----------
    key, window, timeout, channels
        Of the stage.
    options
        Further options of the stage, such as ``ordered`` or ``keys``.
    """

    def __init__(
        self,
        *,
        key: Any,
        channels: Any,
        window: int = 0,
        timeout: float = 1.0,
        options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self._builder = streams.EventBuilder(key, window, timeout, channels=channels, **(options or {}))
        self._before = dict.fromkeys(_COUNTS, 0)
        super().__init__(self._builder, **kwargs)
        self._add_setting("Window", "How far the keys of one event may differ", window)
        self._add_setting("Timeout", "After which an event is passed on as it is", float(timeout), units="s")
        add_polled(self, "Size", "Frames held now", self._builder.size)
        for name, description in _COUNTS.items():
            add_polled(self, name, description, partial(self._event_count, name))
        flush, reset = "Pass on what waits", "Pass on what waits, trigger numbers begin again"
        self.add(LocalCommand(name="Flush", description=flush, function=self._builder.flush))
        self.add(LocalCommand(name="Restart", description=reset, function=self._builder.reset))

    def getChannel(self, channel: int) -> StreamEnd:
        """Return an input whose frames count as those of `channel`, whatever theirs is."""
        return self._builder.getChannel(channel)

    def _event_count(self, name: str) -> int:
        return int(getattr(self._builder, name.lower())) - self._before[name]

    def countReset(self) -> None:
        """Let the counters start again from zero."""
        self._before = {name: getattr(self._builder, name.lower()) for name in _COUNTS}
        super().countReset()
