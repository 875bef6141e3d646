"""``sapwood demo``: a whole acquisition on this machine, then proof that what it recorded is right."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sapwood.cli.failure import Failure
from sapwood.cli.output import console, facts, human_bytes, human_count, json_option, print_json, table
from sapwood.cli.progress import progress
from sapwood.cli.recording import Recording
from sapwood.cli.signals import StopRequest, stop_request
from sapwood.errors import RecordingExists

if TYPE_CHECKING:
    from sapwood.cli.check import ChannelCheck
    from sapwood.tree import Root

__all__ = ["demo", "demo_root"]

CHANNELS = (  # pattern, frames/s, bytes a frame: 50 MB/s together
    ("PRBS", 4000, 10_000),
    ("Counter", 2000, 4_000),
    ("Waveform", 1000, 2_000),
)
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
@json_option
def demo(seconds: float, out: Path, as_json: bool) -> None:
    """Record an emulated front-end board, read the file back and check every word of it.

    Three channels (pseudo-random words, a counter, noisy pulses) send 50 MB/s for the time given.
    Each run makes a new file.
    """
    out.mkdir(parents=True, exist_ok=True)
    with stop_request() as stop:
        root = demo_root()
        root.dataDir = out.resolve()
        with root:
            path, elapsed, fault = _record(root, seconds, stop, quiet=as_json)
    checks, errors, dropped = _check(root, path)
    recording = Recording(root.Writer)
    summary = {
        "file": str(path),
        "frames": recording.frames,
        "bytes": recording.nbytes,
        "seconds": round(elapsed, 3),
        "rate_mb_s": round(recording.nbytes / elapsed / 1e6, 3),
        "errors": errors,
        "dropped": dropped,
    }
    if as_json:
        print_json(summary)
    else:
        _print(summary, checks)
    if fault is not None:
        raise Failure(f"The recorder failed: {fault}")
    if errors or dropped:
        raise Failure(f"{path}: {errors} errors, {dropped} frames dropped")


def _record(root: Any, seconds: float, stop: StopRequest, *, quiet: bool) -> tuple[Path, float, str | None]:
    """Record for `seconds`; return the file, the seconds it took, and why the recorder failed."""
    for channel, (pattern, rate, size) in zip(root.Board.Ch.values(), CHANNELS, strict=True):
        channel.Pattern.setDisp(pattern)
        channel.Rate.set(rate)
        channel.Size.set(size)
    recording = Recording(root.Writer)
    _open_new(root.Writer)
    begin = time.monotonic()
    root.Board.Run.set(True)
    with progress(seconds, quiet=quiet) as show:

        def failed() -> bool:
            show(time.monotonic() - begin, recording.snapshot())
            return recording.state != "Recording"

        stop.wait_until(failed, seconds)
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


def _check(root: Any, path: Path) -> tuple[dict[int, ChannelCheck], int, int]:
    """Read the file back; return the checks by channel, the errors, and the frames dropped.

    The root has stopped: the board's counters stand still and the file is closed.
    """
    from sapwood.cli.check import Sent, check_recording

    sources = root.Board.firmware.channels
    sent = {
        source.number: Sent(source.settings.pattern.name, source.frames, source.settings.frame_size)
        for source in sources
    }
    checks, strange = check_recording(path, sent, ignore=(CONFIG_CHANNEL,))
    lost = Recording(root.Writer).dropped
    unexplained = sum(abs(check.missing) for check in checks.values()) - lost
    errors = sum(check.bad for check in checks.values()) + abs(unexplained) + strange
    return checks, errors, lost + sum(source.skipped for source in sources)


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
