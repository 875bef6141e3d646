"""PRBS generator and checker as devices of the tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from sapwood.devices.polled import add_polled
from sapwood.streams import Master, Prbs, Slave, StreamEnd, connect, drain
from sapwood.streams.prbs.lfsr import check_size
from sapwood.tree import Device, LocalCommand, LocalVariable

__all__ = ["PrbsPair", "PrbsRx", "PrbsTx"]

_Getter = Callable[[], float]


class _PrbsDevice(StreamEnd, Device):
    """What generator and checker share: the `Prbs` object, its width and taps, and counters."""

    def __init__(self, *, width: int | None, taps: Iterable[int] | bytes | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._prbs = Prbs()
        self.addInterface(self._prbs)
        if width is not None:
            self.setWidth(width)
        if taps is not None:
            self.setTaps(taps)

    def setWidth(self, width: int) -> None:
        """Set the word width, bits: a multiple of 32 up to 512."""
        self._prbs.setWidth(width)

    def setTaps(self, taps: Iterable[int] | bytes) -> None:
        """Set the bits fed back, one index each."""
        self._prbs.setTaps(bytes(taps))

    def countReset(self) -> None:
        """Zero the counters."""
        self._prbs.resetCount()
        super().countReset()

    def _add_counts(self, prefix: str, did: str, errors: _Getter, frames: _Getter, nbytes: _Getter) -> None:
        """Add the counters; `did` says what was done with the frames."""
        what = "Errors of the running generator's sinks" if prefix == "tx" else "Bad frames"
        add_polled(self, f"{prefix}Errors", what, errors, typeStr="UInt32")
        add_polled(self, f"{prefix}Count", f"Frames {did}", frames, typeStr="UInt32")
        add_polled(self, f"{prefix}Bytes", "Bytes of these frames", nbytes, units="Bytes")

    def _add_rates(self, prefix: str, did: str, frames: _Getter, nbytes: _Getter) -> None:
        """Add the rates; `did` says what was done with the frames."""
        for name, unit, getter in (("Rate", "Frames", frames), ("Bw", "Bytes", nbytes)):
            options = {"value": 0.0, "typeStr": "Float64", "units": f"{unit}/s", "disp": "{:.3e}"}
            add_polled(self, f"{prefix}{name}", f"{unit} {did} a second", getter, **options)


class PrbsTx(_PrbsDevice):
    """Generator of PRBS frames, on command or by a thread of its own.

    Parameters
    ----------
    width
        Bits of a word, None for 32.
    taps
        Bits fed back, None for 1, 2, 6, 31.
    stream
        Slave to link to at once.
    sendCount
        Send a word count instead of the pseudo-random sequence.
    """

    runSwitch = "txEnable"

    def __init__(
        self,
        *,
        width: int | None = None,
        taps: Iterable[int] | bytes | None = None,
        stream: Any = None,
        sendCount: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(width=width, taps=taps, **kwargs)
        self.sendCount(sendCount)
        self._add_generator()
        self._add_status()
        if stream is not None:
            connect(self, stream)

    def _add_generator(self) -> None:
        prbs = self._prbs
        self.add(
            LocalVariable(
                name="txSize",
                description="Size of a frame",
                mode="RW",
                units="Bytes",
                typeStr="UInt32",
                value=1024,
                localSet=self._setSize,
            )
        )
        self.add(
            LocalVariable(
                name="txPeriod",
                description="Pause after each frame of the running generator",
                mode="RW",
                units="uS",
                typeStr="UInt32",
                value=0,
                localSet=lambda value: prbs.setTxPeriod(value),
            )
        )
        self.add(
            LocalVariable(
                name="txEnable",
                description="Whether the generator runs",
                mode="RW",
                value=False,
                localSet=self._setEnable,
            )
        )
        self.add(
            LocalCommand(
                name="genFrame", description="Send this many frames", value=1, function=self._genFrames
            )
        )

    def _add_status(self) -> None:
        prbs = self._prbs
        self._add_counts("tx", "sent", prbs.getTxErrors, prbs.getTxCount, prbs.getTxBytes)
        self.add(
            LocalVariable(
                name="genPayload",
                description="Whether words after the second carry the sequence",
                mode="RW",
                value=True,
                localSet=lambda value: prbs.genPayload(value),
            )
        )
        self._add_rates("tx", "sent", prbs.getTxRate, prbs.getTxBw)

    def _getStreamMaster(self) -> Master:
        return self._prbs

    def sendCount(self, enable: bool) -> None:
        """Send a word count instead of the sequence when `enable` is true."""
        self._prbs.sendCount(enable)

    def _genFrames(self, arg: int) -> None:
        self._prbs.genFrames(arg, self.txSize.value())

    def _setSize(self, value: int, changed: bool) -> None:
        if changed and self.txEnable.value():
            check_size(value, self._prbs.getWidth())  # refused, it leaves the generator running
            self._prbs.disable()
            self._prbs.enable(value)

    def _setEnable(self, value: bool) -> None:
        if value:
            self._prbs.enable(self.txSize.value())
        else:
            self._prbs.disable()

    def _quiesce(self, deadline: float) -> None:
        """Stop the generator."""
        self._prbs.disable()
        super()._quiesce(deadline)

    def _runDry(self, deadline: float) -> None:
        """Let what was sent drain downstream."""
        if not drain(self._prbs, deadline):
            self._log.warning("Frames are still in queues after the time to quiesce: a sink is too slow")
        super()._runDry(deadline)

    def _stop(self) -> None:
        """Stop the generator."""
        self.txEnable.set(False)
        super()._stop()


_CAUSES = {
    "lost_frames": "Sequence numbers skipped",
    "seq_errors": "Bad frames that were out of sequence",
    "length_errors": "Bad frames whose length word disagreed with their size",
    "payload_errors": "Bad frames with a wrong word",
    "bit_errors": "Wrong bits in these",
}


def _camel(name: str) -> str:
    return name.title().replace("_", "")


class PrbsRx(_PrbsDevice):
    """Checker of PRBS frames; ``rxErrors`` counts all bad ones, further variables tell their causes.

    Parameters
    ----------
    width, taps
        As for `PrbsTx`.
    stream
        Master to link from at once.
    checkPayload
        Compare every word, not only sequence and length.
    """

    def __init__(
        self,
        *,
        width: int | None = None,
        taps: Iterable[int] | bytes | None = None,
        stream: Any = None,
        checkPayload: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(width=width, taps=taps, **kwargs)
        prbs = self._prbs
        self.add(
            LocalVariable(
                name="rxEnable",
                description="While off, incoming frames wait",
                mode="RW",
                value=True,
                localGet=prbs.getRxEnable,
                localSet=lambda value: prbs.setRxEnable(value),
            )
        )
        self._add_counts("rx", "found right", prbs.getRxErrors, prbs.getRxCount, prbs.getRxBytes)
        self._add_rates("rx", "found right", prbs.getRxRate, prbs.getRxBw)
        self.add(
            LocalVariable(
                name="checkPayload",
                description="Whether every word is compared",
                mode="RW",
                value=checkPayload,
                localSet=lambda value: prbs.checkPayload(value),
            )
        )
        prbs.checkPayload(checkPayload)
        for name, description in _CAUSES.items():
            cause = partial(self._cause, name)
            add_polled(self, f"rx{_camel(name)}", description, cause, typeStr="UInt32")
        if stream is not None:
            connect(stream, self)

    def _cause(self, name: str) -> int:
        return int(getattr(self._prbs.getRxTotals(), name))

    def _getStreamSlave(self) -> Slave:
        return self._prbs


class PrbsPair(StreamEnd, Device):
    """A generator `PrbsTx` and a checker `PrbsRx`: ``pair >> x`` sends, ``pair << x`` receives.

    Parameters
    ----------
    width, taps, sendCount
        As for `PrbsTx`; with `sendCount` the checker looks at sequence and length only.
    txStream, rxStream
        Slave to send to and master to receive from, linked at once.
    """

    def __init__(
        self,
        *,
        width: int | None = None,
        taps: Iterable[int] | bytes | None = None,
        sendCount: bool = False,
        txStream: Any = None,
        rxStream: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.add(PrbsTx(name="PrbsTx", width=width, taps=taps, sendCount=sendCount, stream=txStream))
        self.add(PrbsRx(name="PrbsRx", width=width, taps=taps, checkPayload=not sendCount, stream=rxStream))

    def _getStreamMaster(self) -> Master:
        master: Master = self.PrbsTx._getStreamMaster()
        return master

    def _getStreamSlave(self) -> Slave:
        slave: Slave = self.PrbsRx._getStreamSlave()
        return slave

    def setWidth(self, width: int) -> None:
        """Set the word width of both, bits."""
        self.PrbsTx.setWidth(width)
        self.PrbsRx.setWidth(width)

    def setTaps(self, taps: Iterable[int] | bytes) -> None:
        """Set the bits fed back of both."""
        self.PrbsTx.setTaps(taps)
        self.PrbsRx.setTaps(taps)

    def sendCount(self, enable: bool) -> None:
        """Send a word count instead of the sequence when `enable` is true."""
        self.PrbsTx.sendCount(enable)

    setCount = sendCount
