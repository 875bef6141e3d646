"""Slow-signal packets as modules send them by UDP, and readouts made of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import ProtocolError
from sapwood.fileio.icf.readout import MODULES, PIXELS, SSReadout

__all__ = ["ReadoutBuilder", "SourcePacket", "counts_to_mv", "module_number"]

MV_PER_COUNT = 0.0763
_TOP_BIT = 0x8000
_HALF = np.dtype([("tack", ">u8"), ("counts", ">u2", (PIXELS // 2,))])
_REPETITION_BYTES = 2 * _HALF.itemsize


def counts_to_mv(counts: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Return millivolts of ADC counts: they are signed numbers with an offset."""
    return (counts ^ np.uint16(_TOP_BIT)).astype(np.float64) * MV_PER_COUNT


def module_number(address: str, *, relaxed: bool = False) -> int:
    """Return the number of the module that sends from the IPv4 `address`: its last part modulo 100.

    Parameters
    ----------
    relaxed
        Take numbers above 31 modulo 32 instead of raising.

    Raises
    ------
    ProtocolError
        (A `RuntimeError` and `ValueError`) for an address of no module.
    """
    last = address.rpartition(".")[2]
    if not last.isdecimal():
        raise ProtocolError("The address is no IPv4 address", seen=address)
    number = int(last) % 100
    if number < MODULES:
        return number
    if not relaxed:
        raise ProtocolError("No module sends from this address", expected="module 0 to 31", seen=address)
    return number % MODULES


class SourcePacket(NamedTuple):
    """One UDP packet: values of all pixels of a module, once or several times.

    Parameters
    ----------
    tack
        ns, u8, shape (k, 2): of pixels 0 to 31 and 32 to 63.
    counts
        u2, shape (k, 64).
    """

    tack: NDArray[np.uint64]
    counts: NDArray[np.uint16]

    @classmethod
    def unpack(cls, data: bytes) -> SourcePacket:
        """Return the packet that `data` holds.

        Raises
        ------
        ProtocolError
            (A `ValueError`) when its length is no multiple of 144 bytes.
        """
        if not data or len(data) % _REPETITION_BYTES:
            raise ProtocolError(
                "A slow-signal packet has a wrong length",
                expected=f"a multiple of {_REPETITION_BYTES} bytes", seen=f"{len(data)} bytes",
            )  # fmt: skip
        halves = np.frombuffer(data, _HALF).reshape(-1, 2)
        counts = halves["counts"].astype(np.uint16).reshape(-1, PIXELS)
        return cls(halves["tack"].astype(np.uint64), counts)

    def pack(self) -> bytes:
        """Return the bytes of the packet."""
        halves = np.empty((len(self.tack), 2), _HALF)
        halves["tack"] = self.tack
        halves["counts"] = np.reshape(self.counts, (-1, 2, PIXELS // 2))
        return halves.tobytes()


@dataclass(slots=True)
class _Open:
    """A readout whose packets are still coming."""

    tack: int
    earliest_ns: int
    data: NDArray[np.float64] = field(default_factory=lambda: np.full((MODULES, PIXELS), np.nan))
    tacks: dict[int, int] = field(default_factory=dict)  # module -> TACK
    halves: set[tuple[int, int]] = field(default_factory=set)


class ReadoutBuilder:
    """Puts packets of many modules together to readouts, numbered from 1, in the order of their TACK.

    Values whose TACKs lie within `readout_tw` of the first one belong together. A readout is done
    when all modules are there, or when one comes that is `hold_ns` younger.

    Parameters
    ----------
    readout_tw
        ns.
    modules
        Those that are expected.
    hold_ns
        How long a readout waits for missing modules, ns of TACK.
    relaxed
        See `module_number`.
    most_open
        Readouts that wait at once.
    """

    def __init__(
        self,
        readout_tw: float = 1e5,
        *,
        modules: Iterable[int] = range(MODULES),
        hold_ns: int = 1_000_000_000,
        relaxed: bool = False,
        most_open: int = 64,
    ) -> None:
        self._window = readout_tw
        self._halves = {(module, half) for module in modules for half in (0, 1)}
        self._hold = hold_ns
        self._relaxed = relaxed
        self._most = most_open
        self._open: list[_Open] = []
        self._newest = 0
        self._number = 0
        self.skipped = 0  # packets of a wrong length, and values that came too late

    def add(self, data: bytes, address: str, arrival_ns: int) -> list[SSReadout]:
        """Take a packet that came from `address` at `arrival_ns` (Unix, UTC); return readouts now done.

        A packet of a wrong length is counted in `skipped`.

        Raises
        ------
        ProtocolError
            (A `RuntimeError`) for an address of no module.
        """
        module = module_number(address, relaxed=self._relaxed)
        try:
            packet = SourcePacket.unpack(data)
        except ProtocolError:
            self.skipped += 1
            return []
        values = counts_to_mv(packet.counts)
        first = int(packet.tack[0, 0])
        for tacks, row in zip(packet.tack.tolist(), values, strict=True):
            for half, tack in enumerate(tacks):
                self._put(module, half, tack, arrival_ns + tack - first, row)
        return self._done()

    def _put(self, module: int, half: int, tack: int, arrival_ns: int, row: NDArray[np.float64]) -> None:
        readout = self._readout(tack, arrival_ns)
        if readout is None:
            self.skipped += 1
            return
        pixels = slice(half * PIXELS // 2, (half + 1) * PIXELS // 2)
        readout.data[module, pixels] = row[pixels]
        readout.tacks.setdefault(module, tack)
        readout.halves.add((module, half))
        readout.earliest_ns = min(readout.earliest_ns, arrival_ns)
        self._newest = max(self._newest, tack)

    def _readout(self, tack: int, arrival_ns: int) -> _Open | None:
        for readout in reversed(self._open):
            if abs(tack - readout.tack) <= self._window:
                return readout
        if tack < self._newest - self._hold:
            return None
        self._open.append(_Open(tack, arrival_ns))
        self._open.sort(key=lambda readout: readout.tack)
        return self._open[-1] if self._open[-1].tack == tack else self._find(tack)

    def _find(self, tack: int) -> _Open:
        return next(readout for readout in self._open if readout.tack == tack)

    def _done(self) -> list[SSReadout]:
        done = []
        while self._open and (
            self._open[0].halves >= self._halves
            or self._open[0].tack < self._newest - self._hold
            or len(self._open) > self._most
        ):
            done.append(self._made(self._open.pop(0)))
        return done

    def _made(self, readout: _Open) -> SSReadout:
        self._number += 1
        seconds, nanoseconds = divmod(max(readout.earliest_ns, 0), 1_000_000_000)
        time = readout.tacks[min(readout.tacks)]
        return SSReadout(self._number, time, readout.data, seconds, nanoseconds)

    def flush(self) -> list[SSReadout]:
        """Return all readouts that still wait, as they are."""
        done = [self._made(readout) for readout in self._open]
        self._open = []
        return done
