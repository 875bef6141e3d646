"""``sapwood apx``: files, logs and streams of AstroPix chips; readouts on a network."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from sapwood.cli.apxmonitor import monitor
from sapwood.cli.apxnetwork import readout_option, receive, send
from sapwood.cli.apxplay import play
from sapwood.cli.failure import Damaged, Failure, Unreadable
from sapwood.cli.output import human_bytes, human_count
from sapwood.errors import FormatError, RecordingExists, SapwoodError

if TYPE_CHECKING:
    from sapwood.fileio.apx import ApxReader

__all__ = ["apx"]

FORMATS = ("csv", "ecsv", "fits", "hdf5", "parquet")
LIST_OPTION = "--columns"

Work = Callable[[str, str], list[str]]  # from a file to a new one; returns what is damaged


@click.group(short_help="AstroPix: tables of hits, old logs, readouts on a network.")
def apx() -> None:
    """Work with files, logs and streams of AstroPix chips, and with readouts on a network.

    The commands of `sapwood file` know these files too: info, dump, verify, recover, convert.
    """


class _ListCommand(click.Command):
    """A command whose option ``--columns`` takes all the names behind it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give each name an option of its own."""
        plain: list[str] = []
        taking = first = False
        for one in args:
            if one == LIST_OPTION:
                taking = first = True
            elif taking and (first or one.replace(",", "").isidentifier()) and not one.startswith("-"):
                plain += [LIST_OPTION, one]
                first = False
            else:
                if first:
                    plain.append(LIST_OPTION)
                taking = first = False
                plain.append(one)
        return super().parse_args(ctx, plain + [LIST_OPTION] * first)


def _out_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of commands that write one new file for each file."""
    for option in (
        click.option("--out-dir", type=click.Path(file_okay=False), help="Folder of the new files; made when "
                     "it is not there.  [default: that of each file]"),
        click.option("--overwrite", is_flag=True, help="Replace files that are there."),
    ):  # fmt: skip
        command = option(command)
    return command


@apx.command(cls=_ListCommand)
@click.argument("infiles", metavar="INFILES...", nargs=-1, required=True, type=click.Path())
@click.option("--format", "format_", type=click.Choice(FORMATS), required=True, help="What to write.")
@click.option(
    LIST_OPTION, metavar="NAME...", multiple=True, help="Columns, in the order wanted.  [default: all]"
)
@_out_options
def process(
    infiles: tuple[str, ...], format_: str, columns: tuple[str, ...], overwrite: bool, out_dir: str | None
) -> None:
    """Write the hits of .apx files as tables, one row a hit, the header with them.

    A damaged file gives what is whole in it, and exit code 3. Hits that are split over two readouts
    are joined.
    """
    from sapwood.fileio.apx import ApxReader
    from sapwood.fileio.apx.process import write_hits

    names = [name for one in columns for name in one.split(",") if name] or None

    def work(path: str, target: str) -> list[str]:
        with ApxReader(path) as reader:
            _check_columns(reader, names)
            hits = write_hits(reader, format_, target, names, overwrite=overwrite)
            _say(target, f"{human_count(hits)} hits")
            return reader.problems_seen()

    _each(infiles, f".{format_}", out_dir, work)


def _check_columns(reader: ApxReader, names: Sequence[str] | None) -> None:
    layout = reader.readout_class.HIT_CLASS.LAYOUT
    try:
        layout.select(names)
    except FormatError as error:
        raise click.BadParameter(str(error), param_hint=LIST_OPTION) from None


@apx.command()
@click.argument("infiles", metavar="INFILES...", nargs=-1, required=True, type=click.Path())
@readout_option
@_out_options
def log2apx(infiles: tuple[str, ...], readout: str, overwrite: bool, out_dir: str | None) -> None:
    """Write old text logs as .apx files.

    Lines that are no readouts are left out and told of; the exit code is 3 then.
    """
    from sapwood.fileio import apx as formats

    def work(path: str, target: str) -> list[str]:
        problems: list[str] = []
        formats.log_to_apx(path, getattr(formats, readout), target, overwrite=overwrite, problems=problems)
        with formats.ApxReader(target) as reader:
            count = sum(len(records) for records in reader.records())
        _say(target, f"{human_count(count)} readouts")
        return problems

    _each(infiles, ".apx", out_dir, work)


@apx.command()
@click.argument("infiles", metavar="INFILES...", nargs=-1, required=True, type=click.Path())
@click.option("--version", type=click.Choice(["3", "4"]), help="Of the chips.  [default: what fits better]")
@click.option("--tick-ns", type=click.FloatRange(min=0, min_open=True), help="Unit of the time over "
              "threshold.  [default: 10 for version 3, 5 for version 4]")  # fmt: skip
@_out_options
def astep2csv(
    infiles: tuple[str, ...], version: str | None, tick_ns: float | None, overwrite: bool, out_dir: str | None
) -> None:
    """Write the hits of A-STEP streams (.bin), or of text logs of them, as CSV.

    Frames of other lengths, such as those of housekeeping, are counted and left out.
    """
    from sapwood.fileio.apx import AstepReader, astep_to_csv

    def work(path: str, target: str) -> list[str]:
        _refuse(target, overwrite)
        with AstepReader(path, version=None if version is None else int(version)) as reader:
            found = reader.info()
            astep_to_csv(path, target, version=reader.version, tick_ns=tick_ns)
        _say(target, f"{human_count(found['hits'])} hits of version {found['version']}{_left_out(found)}")
        return []

    _each(infiles, ".csv", out_dir, work)


def _left_out(found: dict[str, Any]) -> str:
    odd = sum(found["odd_frames"].values())
    parts = [f"{human_count(odd)} frames of other lengths"] if odd else []
    if found["skipped_bytes"]:
        parts.append(f"{human_bytes(found['skipped_bytes'])} of no frame")
    return f" (left out: {', '.join(parts)})" if parts else ""


@apx.command()
@click.argument("infiles", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@click.option("--mints", default=0, show_default=True, help="Least difference of times, row less column.")
@click.option("--maxts", default=1, show_default=True, help="Largest difference of times.")
@click.option(
    "--mintot", default=6, show_default=True, help="Least difference of times over threshold, ticks."
)
@click.option("--maxtot", default=15, show_default=True, help="Largest difference of times over threshold.")
@click.option("-l", "--layer", "layers", type=int, multiple=True, help="Only this layer; may be repeated.")
@click.option("-c", "--chip", "chips", type=int, multiple=True, help="Only this chip; may be repeated.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing.")
@_out_options
def match(
    infiles: tuple[str, ...], layers: tuple[int, ...], chips: tuple[int, ...], quiet: bool, overwrite: bool,
    out_dir: str | None, **limits: int,
) -> None:  # fmt: skip
    """Put rows and columns of AstroPix 3 together that were hit at once: <name>_matched.csv.

    FILE is an A-STEP stream (.bin), or a text log of one.
    """
    from sapwood.fileio.apx import AstepReader, astep_match

    def work(path: str, target: str) -> list[str]:
        _refuse(target, overwrite)
        astep_match(path, target, layers=layers or None, chips=chips or None, **limits)
        if not quiet:
            with AstepReader(path, version=3) as reader, open(target, "rb") as file:
                halves = reader.info()["hits"]
                pixels = sum(1 for _ in file) - 1
            _say(target, f"{human_count(pixels)} pixels of {human_count(halves)} half hits")
        return []

    _each(infiles, "_matched.csv", out_dir, work)


def _refuse(target: str, overwrite: bool) -> None:
    if os.path.lexists(target) and not overwrite:
        raise RecordingExists(f"The file {target} exists already", hint="Use --overwrite to replace it.")


def _say(target: str, what: str) -> None:
    click.echo(f"Wrote {target}: {what}, {human_bytes(os.path.getsize(target))}")


def _each(paths: Sequence[str], ending: str, out_dir: str | None, work: Work) -> None:
    """Do `work` for each file; one that fails does not keep the others from their turn.

    The exit code is the highest of all failures.
    """
    targets = [_target(path, ending, out_dir) for path in paths]
    twice = {one for one in targets if targets.count(one) > 1}
    if twice:
        raise click.UsageError(f"Several files would be written as {', '.join(sorted(twice))}")
    if out_dir:
        os.makedirs(out_dir, exist_ok=True)
    failures = [failure for path, target in zip(paths, targets, strict=True)
                if (failure := _tried(path, target, work)) is not None]  # fmt: skip
    if len(failures) == 1:
        raise failures[0]
    for failure in failures:
        failure.show()
    if failures:
        raise click.exceptions.Exit(max(failure.exit_code for failure in failures))


def _target(path: str, ending: str, out_dir: str | None) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder if out_dir is None else out_dir, os.path.splitext(name)[0] + ending)


def _tried(path: str, target: str, work: Work) -> Failure | None:
    """Do `work` for one file; return how it failed."""
    try:
        problems = work(path, target)
    except BrokenPipeError:
        raise
    except (SapwoodError, OSError) as error:
        if click.get_current_context().find_object(bool):
            raise
        return Unreadable(error) if _of_source(error, target) else Failure(error)
    return Damaged("; ".join(problems)) if problems else None


def _of_source(error: Exception, target: str) -> bool:
    """Tell whether reading failed, not writing."""
    if isinstance(error, RecordingExists) or not isinstance(error, OSError):
        return False
    return isinstance(error, FormatError) or target not in str(error)


for _command in (play, send, receive, monitor):
    apx.add_command(_command)
