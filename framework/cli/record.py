"""``sapwood record``: one recording with a root, without a server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sapwood.cli.failure import Failure
from sapwood.cli.output import console, facts, human_bytes, human_count, json_option, print_json
from sapwood.cli.progress import progress
from sapwood.cli.recording import Recording, find_node, find_writer
from sapwood.cli.run import config_option, load_config
from sapwood.cli.signals import StopRequest, stop_request
from sapwood.cli.target import load_root, target_argument
from sapwood.errors import RecorderFault, VariableError

if TYPE_CHECKING:
    from sapwood.devices import RunControl
    from sapwood.devices.runsequence import RunSequence
    from sapwood.tree import Root

__all__ = ["record"]


@click.command(short_help="Make one recording with a root, without a server.")
@target_argument
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Data file; it must not exist.")
@click.option(
    "--writer", "writer_path", metavar="PATH", help="Recorder to use; needed when there are several."
)
@click.option(
    "--set", "settings", metavar="PATH=VALUE", multiple=True, help="Set a variable first; repeatable."
)
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="End after so many seconds.")
@click.option("--frames", type=click.IntRange(min=1), help="End once at least so many frames are recorded.")
@config_option
@json_option
def record(
    target: str,
    out: Path,
    writer_path: str | None,
    settings: tuple[str, ...],
    seconds: float | None,
    frames: int | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Record what the root that TARGET names sends, then close the file and stop.

    The configuration and the settings are applied first. Then the file is opened and the sources of
    the tree are started; whichever of --seconds, --frames and Ctrl-C comes first stops them, and the
    file is closed when nothing is on its way any more.
    """
    pairs = [_split(setting) for setting in settings]
    with stop_request() as stop:
        root = load_root(target)
        with root:
            load_config(root, config)
            writer = find_writer(root, writer_path)
            for path, value in pairs:
                _set(root, path, value)
            summary = _record(root, writer, out, seconds, frames, stop, quiet=as_json)
    if as_json:
        print_json(summary)
    else:
        _print(summary)
    if str(summary["state"]).startswith("Fault"):
        raise Failure(f"The recorder failed: {summary['state']}")


def _split(setting: str) -> tuple[str, str]:
    path, equals, value = setting.partition("=")
    if not equals or not path:
        raise click.BadParameter(f"{setting!r} is not of the form PATH=VALUE", param_hint="--set")
    return path.strip(), value.strip()


def _set(root: Root, path: str, value: str) -> None:
    node = find_node(root, path)
    if not node.isVariable:
        kind = "device" if node.isDevice else "command"
        raise VariableError(f"{path} cannot be set", path=path, expected="a variable", seen=f"a {kind}")
    if node.mode == "RO":
        raise VariableError(f"{path} is read-only", path=path)
    node.setDisp(value)


def _record(
    root: Root,
    writer: Any,
    out: Path,
    seconds: float | None,
    frames: int | None,
    stop: StopRequest,
    *,
    quiet: bool,
) -> dict[str, Any]:
    """Take the root through one run; return the summary."""
    recording = Recording(writer)
    writer.DataFile.set(str(out.absolute()))
    run, end = _begin(root, writer)
    fault = None
    with progress(seconds, quiet=quiet) as show:

        def over() -> bool:
            snapshot = recording.snapshot()
            show(run.elapsed, snapshot)
            return run.poll() != "Running" or (frames is not None and snapshot.frames >= frames)

        try:
            stop.wait_until(over, seconds)
        finally:
            fault = run.fault
            try:
                end()
            except RecorderFault as error:
                fault = fault or str(error)
        show(run.elapsed, recording.snapshot())
    fault = fault or run.fault
    return {
        "file": str(out),
        "frames": recording.frames,
        "bytes": recording.nbytes,
        "seconds": round(run.elapsed, 3),
        "dropped": recording.dropped,
        "state": f"Fault: {fault}" if fault else recording.state,
    }


def _run_control(root: Root) -> RunControl | None:
    """Return what owns the runs of the tree, if it has such a device."""
    from sapwood.devices import RunControl

    return next((dev for dev in root.deviceList if isinstance(dev, RunControl) and dev.sequenced), None)


def _begin(root: Root, writer: Any) -> tuple[RunSequence, Callable[[], None]]:
    """Start a run, of the tree's own run control if it has one; return it, and what ends it."""
    from sapwood.devices.runsequence import RunSequence, find_sources

    control = _run_control(root)
    if control is not None:
        control.AutoName.set(False)  # the name is --out
        control.startRun()
        return control.sequence, control.stopRun
    run = RunSequence([writer], find_sources(root))
    run.start()
    return run, run.stop


def _print(summary: dict[str, Any]) -> None:
    console().print(
        facts(
            [
                ("File", str(summary["file"])),
                ("Frames", human_count(summary["frames"])),
                ("Size", human_bytes(summary["bytes"])),
                ("Time", f"{summary['seconds']:.1f} s"),
                ("Dropped", human_count(summary["dropped"])),
                ("State", str(summary["state"])),
            ]
        )
    )
