"""The messages of the board in the tree: a log, counters and listeners."""

from __future__ import annotations

import datetime
import logging
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from sapwood.devices.board.messages import Message, Severity, decode
from sapwood.devices.polled import POLL_S, add_polled
from sapwood.errors import LinkError, ProtocolError
from sapwood.streams import Frame, Gap, Slave, StreamEnd, streamConnect
from sapwood.streams.sinkerrors import SinkErrors
from sapwood.tree import Device, LocalCommand, LocalVariable

__all__ = ["FrontEndMessages"]

logger = logging.getLogger("sapwood.devices.FrontEndMessages")

LINES = 100  # of the log
RESTART = 1 << 31  # a jump of the sequence beyond it is a board that began anew


class _Inlet(Slave):
    """The stream end of the log."""

    def __init__(self, take: Callable[[Frame], None]) -> None:
        super().__init__()
        self._take = take

    def _acceptFrame(self, frame: Frame) -> None:
        self._take(frame)

    def _acceptGap(self, gap: Gap) -> None:
        """Nothing: how many messages are missing, the sequence of the next one tells."""


class FrontEndMessages(StreamEnd, Device):
    """Takes the messages of a front end: ``messages >> device``.

    ``Last`` is the newest message, ``Log`` the newest 100, one a line. Listeners get each as a
    `Message`, in the thread that delivers it; what one raises is logged and counted, and the others
    are served. All messages go to the device's logger too, alarms as warnings.

    Parameters
    ----------
    stream
        Stream master of the messages, linked at once; None to link one later.
    """

    def __init__(self, *, stream: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._inlet = _Inlet(self._receive)
        self._listeners: list[Callable[[Message], Any]] = []
        self._lines: deque[str] = deque(maxlen=LINES)
        self._counting = threading.Lock()
        self._counts = dict.fromkeys(("MessageCount", "AlarmCount", "LostCount", "BadCount"), 0)
        self._expected: int | None = None
        self._faults = SinkErrors(logger)
        texts: dict[str, Any] = {"mode": "RO", "value": "", "groups": ["NoConfig", "NoStream"]}
        self.add(LocalVariable(name="Last", description="The newest message", **texts))
        self.add(
            LocalVariable(
                name="Severity",
                description="Of the newest message",
                mode="RO",
                value=0,
                enum={int(one): one.name for one in Severity},
                groups=["NoConfig", "NoStream"],
            )
        )
        self.add(
            LocalVariable(
                name="Log",
                description=f"The newest {LINES} messages, one a line",
                localGet=lambda: "\n".join(self._lines),
                pollInterval=POLL_S,
                **texts,
            )
        )
        for name, description in (
            ("MessageCount", "Messages that came"),
            ("AlarmCount", "Alarms among them"),
            ("LostCount", "Messages that did not arrive"),
            ("BadCount", "Frames that were no message"),
        ):
            add_polled(self, name, description, partial(self._counted, name))
        self.add(LocalCommand(name="ClearLog", description="Empty the log", function=self._lines.clear))
        if stream is not None:
            streamConnect(stream, self._inlet)

    def addListener(self, function: Callable[..., Any]) -> None:
        """Call `function` with each `Message`."""
        self._listeners = [*self._listeners, function]

    def removeListener(self, function: Callable[..., Any]) -> None:
        """Call `function` no more; LinkError when it is no listener."""
        if function not in self._listeners:
            raise LinkError("Not a listener of the messages", path=self.path, seen=repr(function))
        self._listeners = [one for one in self._listeners if one != function]

    @property
    def lastError(self) -> Exception | None:
        """The newest exception of a listener."""
        return self._faults.last

    def _getStreamSlave(self) -> Slave:
        return self._inlet

    def _counted(self, name: str) -> int:
        return self._counts[name]

    def _count(self, name: str, by: int = 1) -> None:
        with self._counting:
            self._counts[name] += by

    def _receive(self, frame: Frame) -> None:
        try:
            message = decode(frame.buffer)
        except ProtocolError as problem:
            self._count("BadCount")
            self._log.warning("%s", problem)
            return
        self._follow(message.sequence)
        self._count("MessageCount")
        self._count("AlarmCount", message.severity is Severity.Alarm)
        line = (
            f"{_clock(message.time)} {message.severity.name} {message.origin} {message.name}: {message.text}"
        )
        self._lines.append(line)
        self._log.log(30 if message.severity is Severity.Alarm else 20, "%s", line)
        if self.running:
            with self.root.updateGroup():
                self.Last.set(line)
                self.Severity.set(int(message.severity))
        for listener in self._listeners:
            try:
                listener(message)
            except Exception as error:  # noqa: BLE001 - listeners are the user's
                self._faults.note(error)

    def _follow(self, sequence: int) -> None:
        """Count the messages between the one before and this one."""
        if self._expected is not None:
            missing = (sequence - self._expected) & 0xFFFFFFFF
            if missing < RESTART:
                self._count("LostCount", missing)
        self._expected = (sequence + 1) & 0xFFFFFFFF

    def countReset(self) -> None:
        """Zero the counters."""
        with self._counting:
            self._counts = dict.fromkeys(self._counts, 0)
        super().countReset()


def _clock(time_ns: int) -> str:
    moment = datetime.datetime.fromtimestamp(time_ns / 1e9, datetime.UTC).astimezone()
    return moment.strftime("%H:%M:%S.%f")[:-3]
