"""``sapwood board``: an emulated front-end board on the network."""

from __future__ import annotations

import click

from sapwood.cli.signals import stop_request

__all__ = ["board"]

HOST = "127.0.0.1"


@click.command(short_help="Serve an emulated board on UDP until Ctrl-C.")
@click.option(
    "--port", default=8192, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one."
)
@click.option("--channels", default=4, show_default=True, type=click.IntRange(1, 64), help="How many it has.")
@click.option("--for", "seconds", type=click.FloatRange(min=0), help="Stop after so many seconds.")
def board(port: int, channels: int, seconds: float | None) -> None:
    """Serve an emulated front-end board on this machine, as firmware on a network does.

    It speaks UDP, RSSI and packetizer V2: registers by SRP V3 on TDEST 0, channel n on TDEST n + 1.
    examples/wire_root.py is a tree that drives it. Ctrl-C or SIGTERM stops it.
    """
    from sapwood.devices import FrontEndFirmware
    from sapwood.devices.board.wire import FrontEndWire

    with stop_request() as stop:
        wire = FrontEndWire(FrontEndFirmware(channels), port, HOST)
        wire._start()
        try:
            click.echo(f"Front-end board with {channels} channels at {HOST}:{wire.port}   (Ctrl-C stops)")
            stop.wait(seconds)
        finally:
            wire._stop()
    click.echo(f"Stopped the board, {wire.dropped} frames dropped.")
