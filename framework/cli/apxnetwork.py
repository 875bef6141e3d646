"""``sapwood apx send`` and ``receive``: readouts as datagrams."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sapwood.cli.failure import Damaged, Failure, unreadable
from sapwood.cli.output import console, human_bytes, human_count
from sapwood.cli.progress import Snapshot, progress
from sapwood.cli.signals import StopRequest, stop_request

if TYPE_CHECKING:
    from sapwood.cli.apxstages import Taking
    from sapwood.fileio.apx import ApxWriter, ReadoutSender, ReadoutSource
    from sapwood.fileio.apx.readout import AbstractAstroPixReadout

__all__ = ["READOUTS", "losses", "network_options", "readout_option", "receive", "send"]

READOUTS = ("AstroPix4Readout", "AstroPix3Readout", "AstroPix3QuadChipReadout")
QUEUED = 10_000  # readouts that wait to be printed

_Command = TypeVar("_Command", bound=Callable[..., Any])


def network_options(command: _Command) -> _Command:
    """Add the options that say where readouts are sent, or received."""
    for option in (
        click.option("--interface", default="", metavar="ADDRESS", help="Of this machine, for a multicast "
                     "group.  [default: the system's choice]"),
        click.option("--port", type=click.IntRange(0, 65535), default=5007, show_default=True,
                     help="UDP port; to receive, 0 takes a free one."),
        click.option("--group", default="127.0.0.1", show_default=True, metavar="ADDRESS",
                     help="Address, or multicast group such as 239.1.1.1."),
    ):  # fmt: skip
        command = option(command)
    return command


def readout_option(command: _Command) -> _Command:
    """Add the option for the class of readouts."""
    return click.option(
        "--readout", type=click.Choice(READOUTS, case_sensitive=False), default=READOUTS[0],
        show_default=True, help="Class of the readouts.",
    )(command)  # fmt: skip


# Sending


@click.command()
@click.argument("path", metavar="FILE", type=click.Path())
@click.option("--rate", type=click.FloatRange(min=0), help="Readouts a second; 0 = as fast as it goes.")
@click.option("--sleep", type=click.FloatRange(min=0), help="Seconds between readouts.  [default: 1]")
@network_options
def send(path: str, rate: float | None, sleep: float | None, group: str, port: int, interface: str) -> None:
    """Send the readouts of FILE, one a datagram, until its end or Ctrl-C.

    The exit code is 3 when FILE is damaged, or readouts are too large for a datagram.
    """
    from sapwood.fileio.apx import ReadoutSender

    if rate is not None and sleep is not None:
        raise click.UsageError("--rate and --sleep exclude each other")
    pause = (1.0 if sleep is None else sleep) if rate is None else (1 / rate if rate else 0.0)
    sender = ReadoutSender(group, port, interface=interface)
    try:
        problems = _send_file(path, sender, pause)
    finally:
        sender.close()
    done = sender.flow()
    size = sender.counters.bytes - sum(sender.counters.dropped_bytes.values())
    click.echo(f"Sent {human_count(done.passed)} readouts, {human_bytes(size)}, to {group}:{port}")
    problems += [
        f"{count} readouts were not sent: {reason}" for reason, count in sender.counters.dropped.items()
    ]
    if sender.lastError is not None:
        raise Failure(sender.lastError)
    if problems:
        raise Damaged("; ".join(problems))


def _send_file(path: str, sender: ReadoutSender, pause: float) -> list[str]:
    """Send all readouts; return what is damaged in the file."""
    from sapwood.fileio.apx import ApxReader

    with unreadable(), ApxReader(path) as reader, stop_request() as stop:
        total = sum(len(records) for records in reader.records())
        due = time.monotonic()
        with _bar(total) as advance:
            for readout in _read(reader):
                if stop.wait(max(0.0, due - time.monotonic())) if pause else stop:
                    break
                sender.send(readout)
                due += pause
                advance()
        return reader.problems_seen()


def _read(reader: Any) -> Iterator[AbstractAstroPixReadout]:
    from sapwood.fileio.apx.readout import HEAD

    for records in reader.records():
        columns = (records.offset, records.size, records.readout_id, records.timestamp)
        for offset, size, count, stamp in zip(*(column.tolist() for column in columns), strict=True):
            begin = offset + HEAD.size
            yield reader.readout_class(reader.data[begin : begin + size], count, stamp)


@contextmanager
def _bar(total: int) -> Iterator[Callable[[], None]]:
    """Give what counts one readout more: a bar on a terminal, nothing elsewhere."""
    if not sys.stdout.isatty():
        yield lambda: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("Sending"), BarColumn(), MofNCompleteColumn(), TextColumn("readouts"),
               TimeRemainingColumn(compact=True))  # fmt: skip
    with Progress(*columns, console=console(), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)


# Receiving


@click.command()
@network_options
@click.option("-o", "--output", type=click.Path(), help="File to record to, .apx; else each is printed.")
@click.option("--overwrite", is_flag=True, help="Replace the file when it is there.")
@click.option("--count", type=click.IntRange(min=1), help="End after so many readouts.")
@click.option(
    "--idle", type=click.FloatRange(min=0), metavar="SECONDS", help="End when nothing came for so long."
)
@readout_option
def receive(
    group: str, port: int, interface: str, output: str | None, overwrite: bool, count: int | None,
    idle: float | None, readout: str,
) -> None:  # fmt: skip
    """Receive readouts, and print or record them, until Ctrl-C.

    Several can receive from one multicast group. Readouts that are missing between others are told;
    the exit code is 3 then.
    """
    from sapwood.fileio import apx as formats

    readout_class = getattr(formats, readout)
    with stop_request() as stop:
        source = formats.ReadoutSource(port, host=group, interface=interface, records=True)
        try:
            click.echo(f"Receiving at {group}:{source.port}, Ctrl-C ends", err=True)
            if output is None:
                taken = _print_all(source, readout_class, count, idle, stop)
            else:
                with _new_file(output, readout_class, overwrite) as writer:
                    taken = _record(source, writer, count, idle, stop)
        finally:
            source.close()
    told = losses(source)
    where = "" if output is None else f" into {output}"
    size = human_bytes(taken.nbytes)
    click.echo(
        f"Received {human_count(taken.taken)} readouts{where}, {size}{''.join(f', {one}' for one in told)}"
    )
    if source.lost or source.counters.dropped.get("malformed"):
        raise Damaged(", ".join(told))


def losses(source: ReadoutSource) -> list[str]:
    """Return what did not come as it should, in words."""
    counts = (
        (source.lost, "lost"),
        (source.late, "late or repeated"),
        (source.counters.dropped.get("malformed", 0), "malformed"),
    )
    return [f"{human_count(count)} {what}" for count, what in counts if count]


@contextmanager
def _new_file(path: str, readout_class: Any, overwrite: bool) -> Iterator[ApxWriter]:
    from sapwood.errors import RecordingExists
    from sapwood.fileio.apx import ApxWriter, FileHeader

    if os.path.lexists(path) and not overwrite:
        raise RecordingExists(f"The file {path} exists already", hint="Use --overwrite to replace it.")
    with ApxWriter(path, FileHeader(readout_class), exclusive=not overwrite) as writer:
        yield writer


def _record(
    source: ReadoutSource, writer: ApxWriter, count: int | None, idle: float | None, stop: StopRequest
) -> Taking:
    from sapwood.cli.apxstages import Taking

    taking = Taking(count)
    taking >> writer
    source >> taking  # receives from here on
    begun = time.monotonic()
    with progress(None, quiet=not sys.stdout.isatty()) as show:

        def watch() -> None:
            elapsed = time.monotonic() - begun
            nbytes = writer.nbytes
            show(elapsed, Snapshot(taking.taken, nbytes, nbytes / max(elapsed, 1e-3)))

        _wait(source, taking, idle, stop, watch)
        source.close()
        watch()
    if source.lastError is not None:
        raise Failure(source.lastError)
    return taking


def _print_all(
    source: ReadoutSource, readout_class: Any, count: int | None, idle: float | None, stop: StopRequest
) -> Taking:
    from sapwood.cli.apxstages import Printer, Taking
    from sapwood.streams import Fifo

    taking, queue = Taking(count), Fifo(QUEUED, policy="drop_old")
    taking >> queue >> Printer(readout_class)
    source >> taking  # receives from here on
    _wait(source, taking, idle, stop)
    source.close()
    queue._drain(time.monotonic() + 10.0)
    queue._stop()
    return taking


def _wait(
    source: ReadoutSource,
    taking: Taking,
    idle: float | None,
    stop: StopRequest,
    watch: Callable[[], None] | None = None,
) -> None:
    """Return when enough was taken, nothing comes any more, or a stop is asked for."""
    seen, since = -1, time.monotonic()

    def over() -> bool:
        nonlocal seen, since
        if watch is not None:
            watch()
        if taking.taken != seen:
            seen, since = taking.taken, time.monotonic()
        quiet = idle is not None and time.monotonic() - since >= idle
        return quiet or taking.full.is_set() or source.lastError is not None

    stop.wait_until(over)
