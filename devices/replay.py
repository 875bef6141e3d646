"""Tree-managed replay of recordings of any format that holds frames."""

from __future__ import annotations

from typing import Any

from sapwood.devices.polled import add_polled
from sapwood.fileio.replay import Pace, Replay
from sapwood.streams import Master, StreamEnd, drain
from sapwood.tree import Device, LocalCommand, LocalVariable

__all__ = ["ReplaySource"]

_PACES: tuple[Pace, ...] = ("recorded", "rate", "fast")


class ReplaySource(StreamEnd, Device):
    """Device around a `sapwood.fileio.Replay`: plays `DataFile` into the slaves linked to it.

    Open starts a thread that sends the frames at the pace chosen; `Pause` holds it, `isOpen` turns False
    at the end. Settings count from the next Open on.

    Parameters
    ----------
    pace, speed, rate, loops
        What `Pace`, `Speed`, `Rate` and `Loops` begin with; see `Replay`.
    """

    def __init__(
        self,
        *,
        pace: Pace = "recorded",
        speed: float = 1.0,
        rate: float = 1000.0,
        loops: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._replay = Replay(pace, speed=speed, rate=rate, loops=loops)
        file = "Recording to play; a relative name is below the root's data folder"
        self.add(LocalVariable(name="DataFile", description=file, mode="RW", value="", fileName=True))
        self._add_setting(
            "Pace", "What the frames are timed by", _PACES.index(pace), enum=dict(enumerate(_PACES))
        )
        self._add_setting("Speed", "Factor of the recorded pace", speed, minimum=0.0)
        self._add_setting("Rate", "Frames a second", rate, minimum=0.0, units="Hz")
        self._add_setting("Loops", "Rounds, 0 = until Close", loops, minimum=0)
        self.add(
            LocalVariable(
                name="Pause", description="Send nothing, time stands still", mode="RW", value=False,
                localSet=self._set_pause, localGet=self._replay.isPaused,
            )
        )  # fmt: skip
        self.add(LocalCommand(name="Open", description="Start to play the data file", function=self._open))
        self.add(LocalCommand(name="Close", description="Stop playing", function=self._close))
        self._add_status()

    def _add_setting(self, name: str, description: str, value: Any, **kwargs: Any) -> None:
        self.add(LocalVariable(name=name, description=description, mode="RW", value=value, **kwargs))

    def _add_status(self) -> None:
        replay = self._replay
        add_polled(self, "isOpen", "True while the file plays", replay.isOpen, value=False)
        add_polled(self, "FrameCount", "Frames sent since Open", replay.getFrameCount)
        add_polled(self, "Round", "Rounds begun since Open", lambda: replay.round)
        sent = "Part of this round that is sent, 0 to 1"
        add_polled(self, "Progress", sent, replay.getProgress, value=0.0, typeStr="Float64", disp="{:1.2f}")
        last = "What the file or a sink failed with last, empty when nothing did"
        add_polled(self, "LastError", last, lambda: replay.lastError, value="")

    def _getStreamMaster(self) -> Master:
        return self._replay

    def _set_pause(self, value: bool) -> None:
        if value:
            self._replay.pause()
        else:
            self._replay.resume()

    def _open(self) -> None:
        name = str(self.DataFile.value())
        self._replay.setPace(
            _PACES[int(self.Pace.value())],
            speed=float(self.Speed.value()), rate=float(self.Rate.value()), loops=int(self.Loops.value()),
        )  # fmt: skip
        try:
            self._replay.open(name if self.root is None else str(self.root.dataPath(name)))
        finally:
            self._show()

    def _close(self) -> None:
        self._replay.close()
        self._show()

    def closeWait(self) -> None:
        """Wait until all is sent, then close; returns at once when nothing plays."""
        self._replay.closeWait()
        self._show()

    def _show(self) -> None:
        for name in ("isOpen", "FrameCount", "Round", "Progress", "Pause"):
            self.node(name).get()

    def _quiesce(self, deadline: float) -> None:
        """Stop playing."""
        self._replay.close()
        super()._quiesce(deadline)

    def _runDry(self, deadline: float) -> None:
        """Let what was sent drain downstream."""
        if not drain(self._replay, deadline):
            self._log.warning("Frames are still in queues after the time to quiesce: a sink is too slow")
        super()._runDry(deadline)

    def _stop(self) -> None:
        """Stop playing."""
        self._replay.close()
        super()._stop()
