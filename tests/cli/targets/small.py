"""Roots for the tests of the command line."""

import resource
import signal
import time
from typing import Any

from sapwood.devices import FrontEndBoard, RunControl, StreamVariable, StreamWriter
from sapwood.tree import LocalCommand, LocalVariable, Root

NOT_A_ROOT = 3


class Small(Root):
    """A board that sends at once, a recorder, some variables."""

    def __init__(self) -> None:
        super().__init__(name="Top", pollEn=False)
        self.add(FrontEndBoard(name="Board", channels=2))
        self.add(StreamWriter(name="Writer", configStream={255: StreamVariable(root=self)}))
        for number in range(2):
            self.Board.application(number) >> self.Writer.getChannel(number)
        self.add(
            LocalVariable(
                name="Temp",
                value=21.5,
                units="degC",
                disp="{:.2f}",
                minimum=-50.0,
                maximum=99.0,
                highWarning=30.0,
                highAlarm=40.0,
            )
        )
        self.add(LocalVariable(name="Level", value=1))
        self.add(LocalVariable(name="Serial", value="abc", mode="RO"))
        self.add(LocalVariable(name="Shy", value=5, hidden=True))
        self.add(LocalCommand(name="Double", value=1, function=lambda arg: arg * 2))
        self.add(LocalVariable(name="Slept", value=0))
        self.add(LocalCommand(name="Sleep", value=1.0, function=self._sleep))
        self.add(LocalCommand(name="Explode", function=lambda: 1 / 0))

    def _sleep(self, arg: float) -> None:
        time.sleep(arg)
        self.Slept += 1


class Controlled(Small):
    """Its runs are numbered."""

    def __init__(self) -> None:
        super().__init__()
        self.add(RunControl(name="Run", recorders="all", sources="all"))


class TwoWriters(Small):
    """Two recorders."""

    def __init__(self) -> None:
        super().__init__()
        self.add(StreamWriter(name="Second"))
        self.Board.application(0) >> self.Second.getChannel(0)


class NoWriter(Root):
    """No recorder."""


class Picky(Small):
    """Cannot be made without an argument."""

    def __init__(self, name: str) -> None:
        super().__init__()


class Broken(Small):
    """Fails when it is made."""

    def __init__(self) -> None:
        raise RuntimeError("the crate is off")


def small_disk() -> Any:
    """Return a root whose files cannot grow beyond 200 kB; meant for a process of its own."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    return Small()


def nothing() -> None:
    """Return no root."""
