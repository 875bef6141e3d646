"""``sapwood demo``: a whole acquisition on this machine, then proof that what it recorded is right."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sapwood.cli.failure import Failure
from sapwood.cli.output import console, facts, human_bytes, human_count, json_option, print_json, table
from sapwood.cli.progress import progress
from sapwood.cli.recording import Recording
from sapwood.cli.signals import StopRequest, stop_request
from sapwood.cli.wiredemo import WireDemo, board_process
from sapwood.errors import RecordingExists

if TYPE_CHECKING:
    from sapwood.cli.check import ChannelCheck, Sent
    from sapwood.tree import Root

__all__ = ["demo", "demo_root"]

CHANNELS = (  # pattern, frames/s, bytes a frame: 50 MB/s together
    ("PRBS", 4000, 10_000),
    ("Counter", 2000, 4_000),
    ("Waveform", 1000, 2_000),
)
WIRE_SLOWER = 2.5  # over the network
OWN_BOARD = "own"
CONFIG_CHANNEL = 255
BUFFER_BYTES = 1 << 20
ATTEMPTS = 3  # at a file name


def demo_root() -> Root:
    """Return a root with a front-end board of three channels, and a recorder linked to them."""
    from sapwood.devices import FrontEndBoard, StreamVariable, StreamWriter
    from sapwood.tree import Root

    root = Root(name="Demo", pollEn=False)
    board = FrontEndBoard(name="Board", channels=len(CHANNELS))
    writer = StreamWriter(
        name="Writer", bufferSize=BUFFER_BYTES, configStream={CONFIG_CHANNEL: StreamVariable(root=root)}
    )
    root.add([board, writer])
    for number in range(len(CHANNELS)):
        board.Ch[number] >> writer.getChannel(number)
    return root


def _checked_address(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """Return `value`, HOST:PORT."""
    if value in (None, OWN_BOARD):
        return value
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise click.BadParameter(f"{value!r} is not HOST:PORT")
    return value


@click.command(short_help="Record an emulated board, check every word of the file.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=5.0,
    show_default=True,
    help="How long to record.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default="sapwood-demo",
    show_default=True,
    help="Folder of the data file; made when it is not there.",
)
@click.option(
    "--wire",
    is_flag=False,
    flag_value=OWN_BOARD,
    metavar="[HOST:PORT]",
    callback=_checked_address,
    help="Over UDP: a board in a process of its own, or the one that serves there.",
)
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="Seconds that a board at HOST:PORT has to answer.",
)
@json_option
def demo(seconds: float, out: Path, wire: str | None, wait: float, as_json: bool) -> None:
    """Record an emulated front-end board, read the file back and check every word of it.

    Three channels (pseudo-random words, a counter, noisy pulses) send 50 MB/s for the time given.
    Each run makes a new file.

    With --wire the board is reached as real firmware is, over UDP, RSSI and packetizer in jumbo
    datagrams, at 20 MB/s; its channel n is then channel n + 1 of the file. A board that serves
    already (sapwood board) is used by one client at a time.
    """
    out.mkdir(parents=True, exist_ok=True)
    with stop_request() as stop:
        if wire is None:
            outcome = _run(demo_root(), out, seconds, stop, quiet=as_json)
        else:
            with board_process(len(CHANNELS)) if wire == OWN_BOARD else nullcontext(wire) as address:
                setup = WireDemo(address, len(CHANNELS), CONFIG_CHANNEL, BUFFER_BYTES, wait)
                outcome = _run(setup.root, out, seconds, stop, setup, quiet=as_json)
    checks, errors, dropped = _check(outcome)
    summary = {
        "file": str(outcome.path),
        "frames": outcome.recording.frames,
        "bytes": outcome.recording.nbytes,
        "seconds": round(outcome.elapsed, 3),
        "rate_mb_s": round(outcome.recording.nbytes / outcome.elapsed / 1e6, 3),
        "errors": errors,
        "dropped": dropped,
    }
    if as_json:
        print_json(summary)
    else:
        _print(summary, checks)
    if outcome.fault is not None:
        raise Failure(f"The recorder failed: {outcome.fault}")
    if errors or dropped:
        raise Failure(f"{outcome.path}: {errors} errors, {dropped} frames dropped")


@dataclass
class _Outcome:
    """A run that is over.

    `sent` is what the board says it sent, by channel of the file, `lost` the frames that it, or
    the network's end here, dropped, `skipped` those that it did not make in time.
    """

    recording: Recording
    path: Path
    elapsed: float
    fault: str | None
    sent: dict[int, Sent]
    lost: int
    skipped: int


def _run(
    root: Any, out: Path, seconds: float, stop: StopRequest, wire: WireDemo | None = None, *, quiet: bool
) -> _Outcome:
    """Take the tree through one run, to its stop."""
    root.dataDir = out.resolve()
    with root:
        if wire is not None:
            wire.prepare()
            if not quiet:
                click.echo(f"Board at {wire.address}, over UDP, RSSI and packetizer")
        path, elapsed, fault = _record(root, seconds, stop, wire, quiet=quiet)
        told = None if wire is None else wire.settle()
    sent, lost, skipped = _told_here(root) if told is None else told
    return _Outcome(Recording(root.Writer), path, elapsed, fault, sent, lost, skipped)


def _told_here(root: Any) -> tuple[dict[int, Sent], int, int]:
    """Return what the board in this process has sent, lost and skipped; it has stopped."""
    from sapwood.cli.check import Sent

    sources = root.Board.firmware.channels
    sent = {
        source.number: Sent(source.settings.pattern.name, source.frames, source.settings.frame_size)
        for source in sources
    }
    return sent, 0, sum(source.skipped for source in sources)


def _record(
    root: Any, seconds: float, stop: StopRequest, wire: WireDemo | None, *, quiet: bool
) -> tuple[Path, float, str | None]:
    """Record for `seconds`; return the file, the seconds it took, and why the recorder failed."""
    slower = 1 if wire is None else WIRE_SLOWER
    for channel, (pattern, rate, size) in zip(root.Board.Ch.values(), CHANNELS, strict=True):
        channel.Pattern.setDisp(pattern)
        channel.Rate.set(int(rate / slower))
        channel.Size.set(size)
    recording = Recording(root.Writer)
    _open_new(root.Writer)
    begin = time.monotonic()
    root.Board.Run.set(True)
    with progress(seconds, quiet=quiet) as show:

        def failed() -> bool:
            show(time.monotonic() - begin, recording.snapshot())
            return recording.state != "Recording" or (wire is not None and wire.trouble is not None)

        stop.wait_until(failed, seconds)
        if wire is not None and wire.trouble is not None:
            raise Failure(wire.trouble)
        root.Board.Run.set(False)
        elapsed = time.monotonic() - begin
        show(elapsed, recording.snapshot())
    fault = None if recording.state == "Recording" else recording.state
    return Path(root.dataPath(root.Writer.DataFile.value())), elapsed, fault


def _open_new(writer: Any) -> None:
    """Open a file of its own name; names tell seconds, so another run may have taken this one's."""
    for attempt in range(ATTEMPTS):
        writer.AutoName()
        try:
            writer.Open()
            return
        except RecordingExists:
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(1.0)


def _check(outcome: _Outcome) -> tuple[dict[int, ChannelCheck], int, int]:
    """Read the file back; return the checks by channel, the errors, and the frames dropped."""
    from sapwood.cli.check import check_recording

    checks, strange = check_recording(outcome.path, outcome.sent, ignore=(CONFIG_CHANNEL,))
    lost = outcome.recording.dropped + outcome.lost
    unexplained = sum(abs(check.missing) for check in checks.values()) - lost
    errors = sum(check.bad for check in checks.values()) + abs(unexplained) + strange
    return checks, errors, lost + outcome.skipped


def _print(summary: dict[str, Any], checks: dict[int, ChannelCheck]) -> None:
    out = console()
    columns = ("Channel", "Pattern", "Sent", "Recorded", "Payload", "Bad", "Checked")
    rows = [
        (
            str(number),
            check.sent.pattern,
            human_count(check.sent.frames),
            human_count(check.frames),
            human_bytes(check.nbytes),
            human_count(check.bad),
            check.note,
        )
        for number, check in checks.items()
    ]
    out.print(table(columns, rows, right=("Sent", "Recorded", "Payload", "Bad")))
    out.print(
        facts(
            [
                ("File", summary["file"]),
                ("Recorded", f"{human_count(summary['frames'])} frames, {human_bytes(summary['bytes'])}"),
                ("Time", f"{summary['seconds']:.1f} s at {summary['rate_mb_s']:.1f} MB/s"),
                ("Errors", human_count(summary["errors"])),
                ("Dropped", human_count(summary["dropped"])),
            ]
        )
    )
    if not summary["errors"] and not summary["dropped"]:
        click.secho("Everything that was sent is in the file, and right.", fg="green")
    click.echo(f"Look into it: sapwood file info {summary['file']}")
