"""``sapwood apx play``: the readouts of a file, one after the other."""

from __future__ import annotations

import logging
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

import click

from sapwood.cli.failure import Damaged, unreadable
from sapwood.cli.signals import StopRequest, stop_request

if TYPE_CHECKING:
    from sapwood.fileio.apx import AstroPixBinaryFile
    from sapwood.fileio.apx.hits import AbstractAstroPixHit
    from sapwood.fileio.apx.readout import AbstractAstroPixReadout

__all__ = ["clock", "hit_count", "play"]

BYTES = 32  # of a line in hex
HOST_COLUMNS = (
    "readout_id",
    "timestamp",
    "wall_timestamp",
    "payload",
    "decoding_order",
)  # told above the hits
BRIEF = ("layer", "chip_id", "row", "column", "location", "ts_dec1", "ts_dec2", "chip_timestamp", "tot_us")
PROMPT = "-- Enter: next readout, q: end --"
BYTE = re.compile(r"(?:\033\[[0-9;]*m)?[0-9a-f]{2}(?:\033\[0m)?")  # of `pretty_hex`


@click.command()
@click.argument("path", metavar="FILE", type=click.Path())
@click.option("--start", type=click.IntRange(min=0), default=0, show_default=True, help="First readout, "
              "by its place in the file.")  # fmt: skip
@click.option("--nohits", is_flag=True, help="The bytes alone, not the hits.")
@click.option("--follow", is_flag=True, help="Go on with what is added to FILE, until Ctrl-C.")
@click.option("--idle", type=click.FloatRange(min=0), metavar="SECONDS", help="With --follow: end when "
              "nothing was added for so long.")  # fmt: skip
def play(path: str, start: int, nohits: bool, follow: bool, idle: float | None) -> None:
    """Show the readouts of FILE: time, bytes coloured by what they are, and hits.

    On a terminal each waits for Enter; elsewhere, and with --follow, they come without a pause.
    """
    from sapwood.fileio.apx import apx_open

    pausing = not follow and sys.stdin.isatty() and sys.stdout.isatty()
    with unreadable(), _told_once(follow), stop_request() as stop, apx_open(path) as file:
        click.echo(_title(path, file))
        click.echo(_legend())
        for number, readout in _readouts(file, start, stop if follow else None, idle):
            show_readout(number, readout, hits=not nohits)
            if stop or (pausing and not _go_on()):
                break
        problems = file.problems
    if problems:
        raise Damaged("; ".join(problems))


def _title(path: str, file: AstroPixBinaryFile) -> str:
    names = [] if file.header is None else list(file.header)
    kind = "" if file.header is None else file.header.readout_class().__name__
    return f"{path}: {kind}, header of {', '.join(names)}"


@contextmanager
def _told_once(follow: bool) -> Iterator[None]:
    """Keep damage out of the log: the command ends with it."""
    logger = logging.getLogger("sapwood.fileio")
    level = logger.level
    if not follow:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _readouts(
    file: AstroPixBinaryFile, start: int, stop: StopRequest | None, idle: float | None
) -> Iterator[tuple[int, AbstractAstroPixReadout]]:
    """Yield number and readout from `start` on, decoded with what the one before left."""
    source: Iterator[AbstractAstroPixReadout] = file
    if stop is not None:
        source = file.follow(idle, stop=lambda: bool(stop))
    carry: bytes | None = None
    first = max(start - 1, 0)
    for number, readout in enumerate(islice(source, first, None), first):
        readout.decode(carry)
        carry = readout.extra_bytes()
        if number >= start:
            yield number, readout


def _go_on() -> bool:
    """Wait for Enter; return whether another readout is wanted."""
    click.echo(click.style(PROMPT, dim=True))
    answer = sys.stdin.readline()
    click.echo("\033[A\033[2K\033[A\033[2K", nl=False)
    return bool(answer) and not answer.strip().lower().startswith("q")


def _legend() -> str:
    parts = (
        click.style("hit start", fg="red", bg="white"),
        click.style("hit", fg="black", bg="white"),
        click.style("idle", fg="yellow"),
        click.style("dropped", strikethrough=True),
        click.style("carried over", fg="magenta"),
    )
    return f"Bytes: {'  '.join(parts)}"


def clock(time_ns: int) -> str:
    """Return a time as date and microseconds, local; a word when it is not known."""
    if not 0 < time_ns < 1 << 63:
        return "time unknown"
    seconds, rest = divmod(time_ns, 10**9)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) + f".{rest // 1000:06d}"


def show_readout(number: int, readout: AbstractAstroPixReadout, *, hits: bool) -> None:
    """Print a readout: a line about it, its bytes, and its hits as a table."""
    from sapwood.fileio.apx import Decoding

    found, status = readout.hits(), readout.decoding_status()
    head = click.style(f"#{number}", bold=True)
    size = f"{len(readout.data())} bytes"
    click.echo(
        f"\n{head}  id {readout.readout_id}  {clock(readout.timestamp)}  {size}  {hit_count(len(found))}"
    )
    if readout.truncated:
        click.echo(click.style(f"    truncated: {readout.missing} bytes are missing", fg="red"))
    if status:
        flags = ", ".join(flag.name.lower().replace("_", " ") for flag in Decoding if flag in status)
        click.echo(click.style(f"    {flags}", fg="yellow"))
    every = BYTE.findall(readout.pretty_hex())
    for at in range(0, len(every), BYTES):
        click.echo(f"    {click.style(f'{at:04x}', dim=True)}  {' '.join(every[at : at + BYTES])}")
    if hits and found:
        for line in _hit_lines(found):
            click.echo(f"    {line}")


def hit_count(count: int) -> str:
    """Return a number of hits in words."""
    return "1 hit" if count == 1 else f"{count} hits"


def _hit_lines(hits: list[AbstractAstroPixHit]) -> Iterator[str]:
    """Yield the hits as aligned lines; the raw fields are left out where they do not fit."""
    room = shutil.get_terminal_size((160, 24)).columns - 6
    names = [name for name in hits[0].ATTRIBUTE_NAMES if name not in HOST_COLUMNS]
    columns = _cells(hits, names)
    if sum(map(len, (cells[0] for cells in columns))) + 2 * len(columns) > room:
        columns = _cells(hits, [name for name in names if name in BRIEF])
    for index, row in enumerate(zip(*columns, strict=True)):
        line = "  ".join(row)
        yield line if index else click.style(line, dim=True)


def _cells(hits: list[AbstractAstroPixHit], names: list[str]) -> list[list[str]]:
    columns = [["hit", *(str(hit.decoding_order) for hit in hits)]]
    columns += [[name, *(_number(getattr(hit, name)) for hit in hits)] for name in names]
    return [[cell.rjust(max(map(len, cells))) for cell in cells] for cells in columns]


def _number(value: float) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
