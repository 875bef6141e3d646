"""``sapwood file``: look into recordings and convert them."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sapwood.cli.dumping import print_record, record_facts, records
from sapwood.cli.failure import Damaged, Failure, unreadable
from sapwood.cli.output import (
    console,
    facts,
    human_bytes,
    human_count,
    json_line,
    json_option,
    print_json,
    table,
)
from sapwood.errors import FileError

if TYPE_CHECKING:
    from sapwood.fileio.formats import Reader

__all__ = ["file"]

CHANNELS = click.IntRange(0, 255)

_Command = TypeVar("_Command", bound=Callable[..., Any])


class ConfigChannel(click.ParamType[Any]):
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


@click.group(short_help="Look into recordings and convert them.")
def file() -> None:
    """Look into recordings and convert them."""


@file.command()
@click.argument("path", metavar="FILE", type=click.Path())
@_reading_options
@json_option
def info(path: str, as_json: bool, **options: Any) -> None:
    """Say what FILE holds: parts, frames, channels, configuration, damage."""
    with _opened(path, **options) as reader:
        found = reader.info()
        if as_json:
            print_json(found)
        else:
            _print_info(path, found)


def _print_info(path: str, found: dict[str, Any]) -> None:
    out = console()
    parts = found["parts"]
    pairs = [
        ("File", path),
        ("Format", found["format"] + (f", {len(parts)} parts" if len(parts) > 1 else "")),
        ("Frames", human_count(found["frames"])),
        ("Payload", human_bytes(found["payload_bytes"])),
        ("Frames with errors", human_count(found["error_frames"])),
        ("Torn bytes", human_count(found["torn_bytes"])),
        ("Configuration", _describe_config(found["config"])),
    ]
    out.print(facts(pairs))
    columns = ("Channel", "Frames", "Payload", "Bytes a frame")
    rows = [
        (number, human_count(one["frames"]), human_bytes(one["payload_bytes"]), _mean_size(one))
        for number, one in found["channels"].items()
    ]
    if rows:
        out.print(table(columns, rows, right=columns))
    if len(parts) > 1:
        part_columns = ("Part", "Frames", "Payload", "Torn bytes")
        part_rows = [
            (
                part["file"],
                human_count(part["frames"]),
                human_bytes(part["payload_bytes"]),
                human_count(part["torn_bytes"]),
            )
            for part in parts
        ]
        out.print(table(part_columns, part_rows, right=part_columns[1:]))


def _describe_config(config: dict[str, Any] | None) -> str:
    if not config:
        return "none"
    return f"{human_count(_leaves(config))} values of {', '.join(config)}"


def _leaves(config: Any) -> int:
    return sum(_leaves(value) for value in config.values()) if isinstance(config, dict) else 1


def _mean_size(channel: dict[str, int]) -> str:
    return f"{channel['payload_bytes'] / max(channel['frames'], 1):,.1f}".removesuffix(".0")


@file.command()
@click.argument("path", metavar="FILE", type=click.Path())
@click.option("--channel", type=CHANNELS, help="Records of this channel only.")
@click.option("--limit", type=click.IntRange(min=0), help="So many records at most.")
@click.option(
    "--bytes",
    "most",
    type=click.IntRange(min=0),
    default=64,
    show_default=True,
    help="Of each payload, 0 = all.",
)
@_reading_options
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object a record, payload whole and in hex."
)
def dump(path: str, channel: int | None, limit: int | None, most: int, as_json: bool, **options: Any) -> None:
    """Print the records of FILE: header and payload, as text where it is text, else in hex."""
    with _opened(path, **options) as reader:
        for shown, (index, time_ns, frame) in enumerate(records(reader, channel)):
            if limit is not None and shown >= limit:
                return
            if as_json:
                click.echo(json_line(record_facts(index, time_ns, frame)))
            else:
                print_record(index, time_ns, frame, most)


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
        raise Damaged("; ".join(problems))


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
    known = inspect.signature(format_.open).parameters
    for name in options:
        if name not in known:
            raise click.UsageError(f"Files of format {format_.name} have no --{name.replace('_', '-')}")


@file.command()
@click.argument("src", type=click.Path())
@click.argument("dst", type=click.Path())
@click.option("--overwrite", is_flag=True, help="Replace DST when it is there.")
@_reading_options
@json_option
def convert(src: str, dst: str, overwrite: bool, as_json: bool, **options: Any) -> None:
    """Write the recording SRC as DST; the ending of DST (.npz, .csv, .dat) says in which format.

    DST appears under its name when it is complete. A damaged SRC gives what is whole in it, and exit
    code 3.
    """
    from sapwood.errors import FormatError
    from sapwood.fileio.registry import by_ending

    try:
        by_ending(dst)
    except FormatError as error:
        raise click.BadParameter(str(error), param_hint="DST") from None
    with _opened(src, **options):
        rows = _convert(src, dst, overwrite, options, quiet=as_json)
        size = os.path.getsize(dst)
        if as_json:
            print_json({"source": src, "file": dst, "rows": rows, "bytes": size})
        else:
            click.echo(f"Wrote {dst}: {human_count(rows)} frames, {human_bytes(size)}")


def _convert(src: str, dst: str, overwrite: bool, options: dict[str, Any], *, quiet: bool) -> int:
    """Convert; a failure on the writing side ends the command as failed, not as unreadable."""
    from sapwood.fileio.conversion import convert as convert_file

    given = _given(options["single"], options["config_channel"])
    try:
        with _bar(quiet) as progress:
            return convert_file(src, dst, options["format_"], progress, overwrite=overwrite, **given)
    except FileError as error:
        if error.file is not None and not error.file.startswith(dst):
            raise
        raise Failure(error) from error


@contextmanager
def _bar(quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Give what shows a bar on a terminal; None elsewhere."""
    if quiet or not sys.stdout.isatty():
        yield None
        return
    from rich.progress import Progress

    with Progress(console=console(), transient=True) as bar:
        task = bar.add_task("Converting", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
