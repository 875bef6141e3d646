"""``sapwood board``: an emulated front-end board on the network."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sapwood.cli.signals import StopRequest, stop_request
from sapwood.errors import SapwoodError

if TYPE_CHECKING:
    from sapwood.devices.board.wire import FrontEndWire
    from sapwood.devices.board.wirefaults import WireFaults

__all__ = ["READY", "board"]

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

HOST = "127.0.0.1"
STDIN = 0
LONGEST = 1 << 16  # bytes of a line
READY = "Front-end board with"
"""What the line begins with that tells where the board is; ``HOST:PORT`` is its sixth word."""

EPILOG = """\b
--control takes these lines from standard input, answers each with a line, and
stops the board at the end of the input:
\b
"""


def _probability(name: str, what: str) -> Callable[[Decorated], Decorated]:
    return click.option(
        f"--{name}",
        type=click.FloatRange(0, 1),
        is_flag=False,
        flag_value=0.01,
        default=0.0,
        metavar="[P]",
        help=f"{what}, with this probability (0.01).",
    )


def _epilog() -> str:
    from sapwood.devices.board.control import HELP

    return EPILOG + "\n".join(f"  {line}" for line in HELP.splitlines())


class _BoardCommand(click.Command):
    """Adds the control lines to the help, without an import before they are asked for."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.epilog = _epilog()
        super().format_epilog(ctx, formatter)


@click.command(cls=_BoardCommand, short_help="Serve an emulated board on UDP until Ctrl-C.")
@click.option(
    "--port", default=8192, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one."
)
@click.option("--channels", default=4, show_default=True, type=click.IntRange(1, 64), help="How many it has.")
@click.option(
    "--batch",
    type=click.Choice(["none", "v1", "v2"]),
    default="none",
    show_default=True,
    help="Send frames of several channels in super-frames on TDEST 128.",
)
@click.option(
    "--policy",
    type=click.Choice(["drop", "block"]),
    default="drop",
    show_default=True,
    help="What happens to frames that the client does not take in time.",
)
@click.option(
    "--stall",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="Seconds without progress after which the link is closed; 0 = never.",
)
@_probability("loss", "Lose datagrams")
@_probability("reorder", "Let datagrams come out of order")
@_probability("duplicate", "Let datagrams come twice")
@click.option(
    "--delay",
    type=click.FloatRange(0, 60),
    is_flag=False,
    flag_value=0.001,
    default=0.0,
    metavar="[S]",
    help="Let datagrams come later, by so many seconds (0.001).",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of what happens at random.")
@click.option(
    "--stuck", multiple=True, metavar="ADDR:MASK:VALUE", help="Bits that read as VALUE; repeatable."
)
@click.option("--timeout-register", multiple=True, metavar="ADDR", help="Register that does not answer.")
@click.option("--control", "controlled", is_flag=True, help="Take fault commands from standard input.")
@click.option("--for", "seconds", type=click.FloatRange(min=0), help="Stop after so many seconds.")
def board(
    port: int,
    channels: int,
    batch: str,
    policy: str,
    stall: float,
    loss: float,
    reorder: float,
    duplicate: float,
    delay: float,
    seed: int,
    stuck: tuple[str, ...],
    timeout_register: tuple[str, ...],
    controlled: bool,
    seconds: float | None,
) -> None:
    """Serve an emulated front-end board on this machine, as firmware on a network does.

    It speaks UDP, RSSI and packetizer V2: registers by SRP V3 on TDEST 0, channel n on TDEST n + 1,
    super-frames on TDEST 128, messages on TDEST 129; docs/board.md tells all of it.
    examples/wire_root.py is a tree that drives it. Ctrl-C or SIGTERM stops it.
    """
    from sapwood.devices import FrontEndFirmware
    from sapwood.devices.board.wire import FrontEndWire

    wire = FrontEndWire(
        FrontEndFirmware(channels),
        port,
        HOST,
        batch={"none": 0, "v1": 1, "v2": 2}[batch],
        policy="block" if policy == "block" else "drop_new",
        stall=stall,
    )
    _spoil_registers(wire.faults, stuck, timeout_register)
    wire.faults.network(seed=seed, loss=loss, reorder=reorder, duplicate=duplicate, delay=delay)
    with stop_request() as stop:
        wire._start()
        try:
            click.echo(f"{READY} {channels} channels at {HOST}:{wire.port}   (Ctrl-C stops)")
            if controlled:
                threading.Thread(target=_take_orders, args=(wire, stop), name="control", daemon=True).start()
            stop.wait_until(_doorkeeper(wire), seconds)
        finally:
            wire._stop()
        click.echo(f"Stopped the board, {wire.dropped} frames dropped.")


def _doorkeeper(wire: FrontEndWire) -> Callable[[], bool]:
    """Return a function that says on stderr who has come and gone since its last call; it returns False."""
    before, stalls = "", 0

    def look() -> bool:
        nonlocal before, stalls
        now, cut_off = wire.client, wire.stalls > stalls
        if cut_off or now != before:
            if before:
                how = "was cut off, it took nothing" if cut_off else "is gone"
                click.echo(f"Client {before} {how}", err=True)
            if now:
                click.echo(f"Client {now} connected", err=True)
            before, stalls = now, wire.stalls
        return False

    return look


def _spoil_registers(faults: WireFaults, stuck: tuple[str, ...], silent: tuple[str, ...]) -> None:
    """Set the faults of registers that the options name."""
    from sapwood.devices.board.control import number, stick

    try:
        for text in stuck:
            stick(faults, text)
        for text in silent:
            faults.requests.mute(number(text), 4)
    except SapwoodError as error:
        raise click.BadParameter(str(error)) from error


def _take_orders(wire: FrontEndWire, stop: StopRequest) -> None:
    """Do what the lines of standard input say, until there are no more."""
    from sapwood.devices.board.control import control

    for order in _orders():
        if order == "quit":
            break
        if not order:
            continue
        try:
            answer = control(wire.faults, order)
            if order == "status":
                answer = f"{_channels(wire)}\n{answer}"
        except SapwoodError as error:
            answer = f"error: {error}"
        click.echo(answer)
    stop.set()


def _orders() -> Iterator[str]:
    """Yield the lines of standard input; without its lock, which would be held when the process ends."""
    held = b""
    while data := os.read(STDIN, 4096):
        *lines, held = (held + data)[-LONGEST:].split(b"\n")
        for line in lines:
            yield line.decode(errors="replace").strip()


def _channels(wire: FrontEndWire) -> str:
    client = "a client" if wire.isOpen else "no client"
    drops = ", ".join(f"{channel.number}: {channel.dropped}" for channel in wire.firmware.channels)
    return f"link: {client}, {wire.stalls} stalls\ndropped: {drops}"
