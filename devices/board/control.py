"""Commands in words that set the faults of a board on a network."""

from __future__ import annotations

from collections.abc import Callable

from sapwood.devices.board.wirefaults import Direction, WireFaults
from sapwood.errors import DeviceError

__all__ = ["HELP", "control", "number", "stick"]

WORD = 4

HELP = """\
loss P [in|out]            lose datagrams with probability P (0..1)
reorder P [in|out]         let datagrams come 5 ms late, behind others
duplicate P [in|out]       let datagrams come twice
delay S [in|out]           let all datagrams come S seconds later
seed N                     let the random numbers begin anew
timeout ADDR [COUNT]       answer nothing to accesses of a register
bus-timeout ADDR [COUNT]   answer after a second that the bus timed out
refuse ADDR [COUNT]        answer with an error
stuck ADDR:MASK:VALUE      let the bits of MASK read as those of VALUE; mask 0 frees them
hold                       take no register requests: RSSI gets busy
release                    take them again
slow S                     take S seconds longer for each register request
clear                      no faults any more
status                     what is spoilt, and the drops of each channel
quit                       stop the board"""


def number(text: str) -> int:
    """Return a register address, mask or count; DeviceError when it is none."""
    try:
        value = int(text, 0)
    except ValueError:
        value = -1
    if value < 0:
        raise DeviceError("Not a number", expected="such as 16 or 0x10", seen=text)
    return value


def _real(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DeviceError("Not a number", expected="such as 0.01", seen=text) from None


def stick(faults: WireFaults, text: str) -> None:
    """Let bits of a register be stuck as ``ADDR:MASK:VALUE`` says; DeviceError when it says nothing."""
    parts = text.split(":")
    if len(parts) != 3:
        raise DeviceError("Not a stuck register", expected="ADDR:MASK:VALUE", seen=text)
    address, mask, value = map(number, parts)
    faults.registers.stick(address, high=mask & value, low=mask & ~value)


def _direction(words: list[str]) -> Direction:
    return words[0] if words else "both"  # type: ignore[return-value]  # checked where it is used


def control(faults: WireFaults, line: str) -> str:
    """Do what `line` says (see `HELP`) and return the answer, one line or several.

    ``status`` tells of faults only; ``quit`` is for whoever owns the board.

    Raises
    ------
    DeviceError
        For what is no command, or a value that makes no sense.
    """
    name, *words = line.split()
    simple: dict[str, Callable[[], None]] = {
        "hold": faults.requests.hold,
        "release": faults.requests.release,
        "clear": faults.clear,
    }
    if name == "help":
        return HELP
    if name == "status":
        return _status(faults)
    if name in simple and not words:
        simple[name]()
        return "ok"
    if not words or len(words) > 2:
        raise DeviceError("No such command", expected="one of those that 'help' tells", seen=line)
    _set(faults, name, words)
    return "ok"


def _set(faults: WireFaults, name: str, words: list[str]) -> None:
    """Do a command that has one or two words behind its name."""
    first, *rest = words
    count = number(rest[0]) if rest and name in ("timeout", "bus-timeout", "refuse") else None
    if name in ("loss", "reorder", "duplicate", "delay"):
        changes = {name: _real(first)}
        for one in faults.datagrams(_direction(rest)):
            one.set(**changes)
    elif name == "timeout":
        faults.requests.mute(number(first), WORD, count)
    elif name == "bus-timeout":
        faults.registers.silence(number(first), WORD, count)
    elif name == "refuse":
        faults.registers.refuse("Refused on demand", number(first), WORD, count)
    elif name == "seed" and not rest:
        faults.network(seed=number(first))
    elif name == "stuck" and not rest:
        stick(faults, first)
    elif name == "slow" and not rest:
        faults.requests.slow(_real(first))
    else:
        raise DeviceError("No such command", expected="one of those that 'help' tells", seen=name)


def _status(faults: WireFaults) -> str:
    lines = []
    for direction, one in (("in", faults.inbound), ("out", faults.outbound)):
        settings = one.settings
        lines.append(
            f"{direction}: loss {settings.loss:g}, reorder {settings.reorder:g}, "
            f"duplicate {settings.duplicate:g}, delay {settings.delay:g} s"
        )
    requests = "held" if faults.requests.holding else "taken"
    lines.append(f"requests: {requests}, {faults.requests.pause:g} s slow")
    spoilt = ", ".join(f"{kind} {count}" for kind, count in faults.hits.items())
    return "\n".join([*lines, f"spoilt: {spoilt or 'nothing'}"])
