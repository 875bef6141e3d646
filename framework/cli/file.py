"""``sapwood file``: look into recordings, check, save and convert them."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sapwood.cli.dumping import print_record, print_row, record_facts, records, rows
from sapwood.cli.failure import Damaged, Failure, Unreadable, interruption, one_line, unreadable
from sapwood.cli.filefacts import print_info, print_report
from sapwood.cli.isolated import go_on_in_child
from sapwood.cli.output import console, human_bytes, human_count, json_line, json_option, print_json
from sapwood.cli.paramtype import ParamType
from sapwood.cli.signals import Terminated, noted_interrupt
from sapwood.errors import FileError

if TYPE_CHECKING:
    from sapwood.fileio.formats import Reader, Report

__all__ = ["file"]

CHANNELS = click.IntRange(0, 255)
MOST_PROBLEMS = 5  # told at the end of a command
FRAMES = "frames"  # the table that records of bytes are

_Command = TypeVar("_Command", bound=Callable[..., Any])


class ConfigChannel(ParamType):
    """0..255, ``auto`` or ``none``."""

    name = "channel"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, or the word."""
        return value if value in ("auto", "none") else CHANNELS.convert(value, param, ctx)


def _reading_options(command: _Command) -> _Command:
    """Add the options of every command that opens a recording."""
    for option in (
        click.option(
            "--config-channel",
            type=ConfigChannel(),
            metavar="N|auto|none",
            help="Channel of the configuration records.  [default: 255 if it begins with a YAML mapping]",
        ),
        click.option("--format", "format_", metavar="NAME", help="Format, when it is not recognised."),
        click.option("--single", is_flag=True, help="This file alone, not the parts that follow it."),
    ):
        command = option(command)
    return command


@click.group(short_help="Look into recordings, check, save and convert them.")
def file() -> None:
    """Look into recordings, check, save and convert them."""


@file.command()
@click.argument("path", metavar="FILE", type=click.Path())
@_reading_options
@json_option
def info(path: str, as_json: bool, **options: Any) -> None:
    """Say what FILE holds: tables, parts, channels, configuration, damage."""
    go_on_in_child(path)
    with _opened(path, **options) as reader:
        found = reader.info()
        if as_json:
            print_json(found)
        else:
            print_info(path, found, reader.tables())


@file.command()
@click.argument("path", metavar="FILE", type=click.Path())
@click.option("--table", metavar="NAME", help="Rows of this table, for files that hold others than frames.")
@click.option("--channel", type=CHANNELS, help="Records of this channel only.")
@click.option("--limit", type=click.IntRange(min=0), help="So many records or rows at most.")
@click.option(
    "--bytes",
    "most",
    type=click.IntRange(min=0),
    default=64,
    show_default=True,
    help="Of each payload, or values of each array, 0 = all.",
)
@_reading_options
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object a record, payload whole and in hex."
)
def dump(
    path: str,
    table: str | None,
    channel: int | None,
    limit: int | None,
    most: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Print the records of FILE: header and payload, as text where it is text, else in hex.

    Of a file that holds others than frames, or frames that are decoded, the rows of its tables are
    printed; --table frames prints the frames.
    """
    go_on_in_child(path)
    with _opened(path, **options) as reader:
        there = {one.name: one for one in reader.tables()}
        if table not in (None, *there):
            raise click.BadParameter(f"expected one of {', '.join(there)}", param_hint="--table")
        names = [table] if table else [one.name for one in there.values() if not one.view]
        as_frames = FRAMES in names or (table is None and channel is not None)
        dumped = (
            _dump_records(reader, channel, limit, most, as_json)
            if as_frames
            else _dump_rows(reader, names, limit, most, as_json)
        )
        shown = 0
        try:
            for _ in dumped:
                shown += 1
        except FileError as error:
            if shown:
                raise Damaged(error) from error
            raise


def _dump_records(
    reader: Reader, channel: int | None, limit: int | None, most: int, as_json: bool
) -> Iterator[None]:
    """Print records; yield after each."""
    for index, time_ns, frame in islice(records(reader, channel), limit):
        if as_json:
            click.echo(json_line(record_facts(index, time_ns, frame)))
        else:
            print_record(index, time_ns, frame, most)
        yield


def _dump_rows(
    reader: Reader, names: Sequence[str], limit: int | None, most: int, as_json: bool
) -> Iterator[None]:
    """Print rows of tables; yield after each."""
    for name in names:
        for index, row in islice(rows(reader, name), limit):
            if as_json:
                click.echo(json_line({"table": name, "index": index, **row}))
            else:
                print_row(name, index, row, most)
            yield


@file.command()
@click.argument("path", metavar="FILE", type=click.Path())
@click.option("--format", "format_", metavar="NAME", help="Format, when it is not recognised.")
@json_option
def verify(path: str, format_: str | None, as_json: bool) -> None:
    """Check FILE from end to end without changing it.

    The exit code is 0 for a clean file, 3 for one with loss, 4 for one that holds nothing readable.
    """
    go_on_in_child(path)
    from sapwood.fileio import registry

    with unreadable():
        report = registry.verify(path, format_)
    _conclude(path, report, as_json)


@file.command()
@click.argument("path", metavar="FILE", type=click.Path())
@click.argument("out", type=click.Path())
@click.option("--format", "format_", metavar="NAME", help="Format, when it is not recognised.")
@json_option
def recover(path: str, out: str, format_: str | None, as_json: bool) -> None:
    """Write everything whole in FILE to the new file OUT; FILE stays as it is.

    A recording in parts becomes OUT.1, OUT.2, ... (of Rogue's format one file).

    The exit code is 0 when nothing was lost, 3 with loss, 4 when nothing could be read.
    """
    from sapwood.errors import RecordingExists
    from sapwood.fileio import registry

    if os.path.lexists(out):
        raise RecordingExists(f"The file {out} exists already", hint="Choose another name.")
    go_on_in_child(path, out)
    with unreadable():
        report = registry.recover(path, out, format_)
    wrote = next((name for name in (out, f"{out}.1") if os.path.exists(name)), None)
    _conclude(path, report, as_json, wrote)


def _conclude(path: str, report: Report, as_json: bool, wrote: str | None = None) -> None:
    """Print a report and end the command by it."""
    print_report(path, report, as_json, wrote)
    if report.status == "unreadable":
        raise Unreadable(f"{path}: nothing in it could be read")
    if report.status != "clean":
        raise Damaged(_summed(report.problems) or f"{path} is damaged")


def _summed(problems: Sequence[str]) -> str:
    """Return problems as one line, the first of them when there are many."""
    more = [f"{len(problems) - MOST_PROBLEMS} more problems"] if len(problems) > MOST_PROBLEMS else []
    return "; ".join([*problems[:MOST_PROBLEMS], *more])


@contextmanager
def _opened(path: str, *, single: bool, format_: str | None, config_channel: Any) -> Iterator[Reader]:
    """Open the recording; at the end fail when it is damaged."""
    from sapwood.fileio import registry

    options = _given(single, config_channel)
    with unreadable():
        if options:
            _check_options(registry.find(format_) if format_ else registry.detect(path), options)
        with registry.open(path, format=format_, **options) as reader:
            yield reader
            problems = reader.problems()
    if problems:
        raise Damaged(_summed(problems))


def _given(single: bool, config_channel: Any) -> dict[str, Any]:
    """Return the options that were given, as `sapwood.fileio.open` takes them."""
    options: dict[str, Any] = {}
    if single:
        options["single"] = True
    if config_channel is not None:
        options["config_channel"] = None if config_channel == "none" else config_channel
    return options


def _check_options(format_: Any, options: dict[str, Any]) -> None:
    """Refuse an option that files of this format do not have."""
    known = {*inspect.signature(format_.open).parameters, *(["single"] if format_.in_parts else [])}
    for name in options:
        if name not in known:
            raise click.UsageError(f"Files of format {format_.name} have no --{name.replace('_', '-')}")


@file.command()
@click.argument("src", type=click.Path())
@click.argument("dst", type=click.Path())
@click.option("--overwrite", is_flag=True, help="Replace DST when it is there.")
@click.option("--table", "tables", metavar="NAME", multiple=True, help="Only this table; may be repeated.")
@click.option("--compression", metavar="NAME", help="For formats that offer it, such as zstd or gzip.")
@_reading_options
@json_option
def convert(src: str, dst: str, as_json: bool, **options: Any) -> None:
    """Write the recording SRC as DST; the ending of DST says in which format.

    DST appears under its name when it is complete. A damaged SRC gives what is whole in it, and exit
    code 3. Ctrl-C and SIGTERM leave no DST, and exit codes 130 and 143.
    """
    from sapwood.errors import FormatError
    from sapwood.fileio.registry import by_ending

    try:
        by_ending(dst)
    except FormatError as error:
        raise click.BadParameter(str(error), param_hint="DST") from None
    go_on_in_child(src, dst)
    writing = {name: options.pop(name) for name in ("overwrite", "tables", "compression")}
    with _opened(src, **options):
        writing["tables"] = writing["tables"] or None
        count, left_out = _convert(src, dst, writing, options, quiet=as_json)
        size = os.path.getsize(dst)
        if as_json:
            print_json({"source": src, "file": dst, "rows": count, "bytes": size})
        else:
            click.echo(f"Wrote {dst}: {human_count(count)} rows, {human_bytes(size)}")
        if left_out:
            raise Damaged(_summed(left_out))


def _convert(
    src: str, dst: str, writing: dict[str, Any], options: dict[str, Any], *, quiet: bool
) -> tuple[int, Sequence[str]]:
    """Convert; return the rows, and what was left out since it is damaged.

    A failure on the writing side ends the command as failed, not as unreadable. One on the reading
    side: once more without what is damaged, for formats that can tell it.
    """
    from sapwood.fileio import registry
    from sapwood.fileio.conversion import WrongChoice
    from sapwood.fileio.conversion import convert as convert_file

    name, given = options["format_"], _given(options["single"], options["config_channel"])

    def attempt(reading: dict[str, Any]) -> int:
        with _bar(quiet) as show, noted_interrupt() as check:

            def progress(done: int, total: int) -> None:
                check()
                if show is not None:
                    show(done, total)

            try:
                return convert_file(src, dst, name, progress, **writing, **reading)
            except (KeyboardInterrupt, Terminated) as stop:
                raise interruption(stop, f"{dst} was not written") from None

    try:
        return attempt(given), ()
    except WrongChoice as error:
        raise click.UsageError(one_line(error)) from None
    except FileError as error:
        if error.file is None or str(error.file).startswith(dst):
            raise Failure(error) from error
        lenient = (registry.find(name) if name else registry.detect(src)).lenient
        if not lenient:
            raise
    given.update(lenient)
    rows = attempt(given)
    with registry.open(src, format=name, **given) as reader:
        return rows, reader.problems()


@contextmanager
def _bar(quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Give what shows a bar with rate and time left on a terminal; None elsewhere."""
    if quiet or not sys.stdout.isatty():
        yield None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("Converting"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console(), transient=True) as bar:
        task = bar.add_task("", total=None, rate="")

        def show(done: int, total: int) -> None:
            speed = bar.tasks[task].speed
            rate = "" if not speed else f"{human_count(round(speed))} rows/s"
            bar.update(task, completed=done, total=total, rate=rate)

        yield show
