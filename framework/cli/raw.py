"""``sapwood raw``: raw streams of digitisers become LH5 files."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sapwood.cli.failure import Damaged, Failure, Unreadable, interruption, one_line
from sapwood.cli.output import console, human_bytes, human_count, json_option, print_json
from sapwood.cli.paramtype import ParamType
from sapwood.cli.signals import Terminated, noted_interrupt

if TYPE_CHECKING:
    from sapwood.fileio.raw.executors import Executor
    from sapwood.fileio.raw.jobs import Outcome

__all__ = ["raw"]

MANIFEST = "sapwood-raw.jsonl"
_MOST_LOSSES = 20  # shown of a file


@click.group(short_help="Convert raw streams of digitisers into LH5 files.")
def raw() -> None:
    """Convert raw streams of digitisers into LH5 files."""


class JsonMapping(ParamType):
    """A JSON object."""

    name = "JSON"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the mapping."""
        if isinstance(value, dict):
            return value
        try:
            found = json.loads(value)
        except ValueError as error:
            self.fail(f"{value!r} is no JSON: {error}", param, ctx)
        if not isinstance(found, dict):
            self.fail(f"{value!r} is no JSON object", param, ctx)
        return found


@raw.command()
@click.argument("inputs", metavar="IN...", nargs=-1, required=True, type=click.Path())
@click.option(
    "--out-spec",
    "-o",
    metavar="FILE",
    help="Output: an LH5 file, or a .json or .yaml file that says what goes where.  [default: IN with .lh5]",
)
@click.option("--type", "-t", "in_stream_type", metavar="T", help="ORCA, FlashCam, LlamaDaq or Compass.")
@click.option("--buffer-size", "-b", type=click.IntRange(1), help="Rows of a buffer.  [default: 8192]")
@click.option("--max-rows", "-n", type=click.IntRange(0), help="Convert so many events at most.")
@click.option("--overwrite", "-w", is_flag=True, help="Replace outputs that are there.")
@click.option("--kwargs", "-k", type=JsonMapping(), default="{}", help="Words and options as a JSON object.")
@click.option("--compass-config", metavar="FILE", help="Settings that CoMPASS saved with the run.")
@click.option(
    "--decoder",
    "decoders",
    metavar="[N=]MODULE:CLASS",
    multiple=True,
    help="IN are recordings; this class decodes the frames [of channel N]. May be repeated.",
)
@click.option("--jobs", "-j", type=click.IntRange(1), help="Convert so many files at a time, by processes.")
@click.option("--scheduler", metavar="ADDRESS", help="Let the Dask cluster at ADDRESS convert.")
@click.option(
    "--manifest",
    metavar="FILE",
    help=f"What is done already, to go on from.  [default with --jobs or --scheduler: {MANIFEST}]",
)
@json_option
def build(inputs: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Convert the raw streams IN into LH5 files.

    Each output gets its name when it is complete. With --jobs or --scheduler another run converts only
    what is missing or has changed; with --overwrite everything.
    """
    from sapwood.fileio.raw.executors import build_many
    from sapwood.fileio.raw.manifest import Manifest

    several = options["jobs"] is not None or options["scheduler"] is not None
    name = options["manifest"] or (MANIFEST if several else None)
    jobs = _jobs(inputs, options)
    manifest = None if name is None else Manifest(name, afresh=options["overwrite"])
    outcomes = []
    try:
        with _bar(inputs, quiet=as_json) as shown, noted_interrupt() as check, _told_once():
            for outcome in build_many(jobs, _executor(options), manifest, shown):
                outcomes.append(outcome)
                shown.finished(outcome)
                if not as_json:
                    _tell(outcome, among=len(jobs))
                check()
    except (KeyboardInterrupt, Terminated) as stop:
        raise interruption(stop, "what was not complete was not written") from None
    if as_json:
        print_json([dataclasses.asdict(outcome) for outcome in outcomes])
    _conclude(outcomes)


def _jobs(inputs: tuple[str, ...], options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the conversions that the command line asks for."""
    from sapwood.fileio.raw.declared import DeclaredDecoder, decoder_table, take_decoders
    from sapwood.fileio.raw.errors import OutSpecError
    from sapwood.fileio.raw.jobs import make_job
    from sapwood.fileio.raw.settings import SPEC_ENDINGS, load_dict

    spec, decoders = options["out_spec"], list(options["decoders"])
    try:
        if spec is not None and spec.endswith(SPEC_ENDINGS):
            spec, named = take_decoders(load_dict(spec))
            decoders += [one for one in named if one not in decoders]
        decoder_table(DeclaredDecoder.parse(one).channel for one in decoders)
    except OutSpecError as error:
        raise click.UsageError(one_line(error)) from None
    _check_type(options["in_stream_type"])
    if decoders and options["in_stream_type"]:
        raise click.UsageError("--decoder is for recordings, which have no --type")
    if decoders and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # as with python -m
    arguments = {
        "out_spec": spec,
        "in_stream_type": options["in_stream_type"],
        "buffer_size": options["buffer_size"],
        "n_max": options["max_rows"],
        "overwrite": options["overwrite"] or None,
        "compass_config_file": options["compass_config"],
        **options["kwargs"],
    }
    return [make_job(one, decoders=decoders, **arguments) for one in dict.fromkeys(inputs)]


def _check_type(name: str | None) -> None:
    from sapwood.fileio.raw.errors import UnknownStreamType
    from sapwood.fileio.raw.streams import stream_kind

    if name is not None:
        try:
            stream_kind(name)
        except UnknownStreamType as error:
            raise click.UsageError(one_line(error)) from None


def _executor(options: Mapping[str, Any]) -> Executor:
    from sapwood.fileio.raw.executors import DaskCluster, OneByOne, Processes

    if options["scheduler"] is not None:
        if options["jobs"] is not None:
            raise click.UsageError("--jobs is for this machine, --scheduler for a cluster: give one of them")
        return DaskCluster(options["scheduler"])
    return OneByOne() if options["jobs"] is None else Processes(options["jobs"])


@contextmanager
def _told_once() -> Iterator[None]:
    """Keep warnings of conversions out of the log: `_tell` prints what was lost."""
    log = logging.getLogger("sapwood.fileio.raw")
    level = log.level
    if not log.isEnabledFor(logging.DEBUG):
        log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _tell(outcome: Outcome, among: int) -> None:
    """Print how one of `among` conversions went; errors of one of several, and losses, go to stderr."""
    name = outcome.in_stream
    if outcome.status == "skipped":
        click.echo(f"{name}: done before")
    if outcome.error and among > 1:
        text = one_line(outcome.error)
        click.echo(f"  {text if name in text else f'{name}: {text}'}", err=True)
    if not outcome.summary:
        return
    rows, size = sum(outcome.summary["rows"].values()), sum(outcome.summary["files"].values())
    rate = _bytes(name) / outcome.seconds if outcome.seconds else 0.0
    files = ", ".join(outcome.summary["files"]) or "nothing"
    click.echo(
        f"{name} -> {files}: {human_count(rows)} rows, {human_bytes(size)}, "
        f"{outcome.seconds:.2f} s, {human_bytes(rate)}/s"
    )
    from sapwood.fileio.raw.summary import Summary

    losses = list(Summary(**outcome.summary).losses())
    for loss in losses[:_MOST_LOSSES]:
        click.echo(f"  {one_line(loss)}", err=True)
    if len(losses) > _MOST_LOSSES:
        click.echo(f"  {len(losses) - _MOST_LOSSES} more", err=True)


def _conclude(outcomes: list[Outcome]) -> None:
    """End the command as the worst of its conversions."""
    failures: tuple[tuple[str, type[Failure]], ...] = (
        ("failed", Failure),
        ("unreadable", Unreadable),
        ("damaged", Damaged),
    )
    found = {status: [one for one in outcomes if one.status == status] for status, _ in failures}
    counts = ", ".join(f"{len(those)} {status}" for status, those in found.items() if those)
    for status, failure in failures:
        if found[status] and len(outcomes) > 1:
            raise failure(f"Of {len(outcomes)} inputs {counts}")
        for one in found[status]:
            raise failure(one.error or f"{one.in_stream} is damaged; what is whole was converted")


class _Shown:
    """Where conversions are, as a bar; without one nothing happens."""

    def __init__(self, show: Callable[[int], None] | None = None) -> None:
        self._show = show
        self._read: dict[str, int] = {}

    def __call__(self, in_stream: str, read: int, of: int) -> None:
        self._read[in_stream] = read
        if self._show is not None:
            self._show(sum(list(self._read.values())))

    def finished(self, outcome: Outcome) -> None:
        """Count all of an input."""
        size = _bytes(outcome.in_stream)
        self(outcome.in_stream, size, size)


def _bytes(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


@contextmanager
def _bar(inputs: tuple[str, ...], *, quiet: bool) -> Iterator[_Shown]:
    """Give what shows a bar with rate and time left on a terminal."""
    if quiet or not sys.stdout.isatty():
        yield _Shown()
        return
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("Decoding"),
        BarColumn(),
        TaskProgressColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console(), transient=True) as bar:
        task = bar.add_task("", total=sum(map(_bytes, inputs)))
        yield _Shown(lambda read: bar.update(task, completed=read))


@raw.command()
@click.argument("path", metavar="IN", type=click.Path())
@click.argument("packets", metavar="N", type=click.IntRange(0))
@click.option("--out-file", "-o", metavar="FILE", help="Where to.  [default: IN_firstN]")
@click.option("--overwrite", "-w", is_flag=True, help="Replace the output when it is there.")
def skim(path: str, packets: int, out_file: str | None, overwrite: bool) -> None:
    """Copy the header, the first packet, N further ones and the last packet of the ORCA file IN."""
    from sapwood.errors import FormatError
    from sapwood.fileio.raw.orca.skim import skim_orca_file

    try:
        made = skim_orca_file(path, packets, out_file, overwrite=overwrite)
    except FormatError as error:
        raise Unreadable(error) from error
    click.echo(f"Wrote {made}: {human_bytes(os.path.getsize(made))}")
