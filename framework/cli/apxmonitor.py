"""``sapwood apx monitor``: rates and hits of received readouts, live."""

from __future__ import annotations

import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import click

from sapwood.cli.apxnetwork import losses, network_options, readout_option
from sapwood.cli.failure import Damaged, Failure
from sapwood.cli.output import console, human_bytes, human_count, json_option, print_json
from sapwood.cli.signals import StopRequest, stop_request

if TYPE_CHECKING:
    from rich.text import Text

    from sapwood.fileio.apx import HitMonitor, ReadoutSource
    from sapwood.fileio.apx.hitmonitor import Histograms
    from sapwood.streams import Fifo

__all__ = ["monitor"]

QUEUE_BYTES = 64 << 20  # readouts that wait for their hits to be counted
RATE_S = 3.0  # over which a rate is taken
KEPT = 256  # samples of a rate


@click.command()
@network_options
@click.option("--refresh", type=click.FloatRange(min=0.05), default=0.5, show_default=True, metavar="SECONDS",
              help="Time between two pictures.")  # fmt: skip
@click.option(
    "--once", type=click.IntRange(min=1), metavar="N", help="Print one picture after N readouts, and end."
)
@click.option(
    "--idle", type=click.FloatRange(min=0), metavar="SECONDS", help="End when nothing came for so long."
)
@click.option("--most", type=click.FloatRange(min=0, min_open=True), metavar="US", help="End of the times "
              "over threshold.  [default: 500; 25 for AstroPix 3]")  # fmt: skip
@readout_option
@json_option
def monitor(
    group: str, port: int, interface: str, refresh: float, once: int | None, idle: float | None,
    most: float | None, readout: str, as_json: bool,
) -> None:  # fmt: skip
    """Show rate, times over threshold and pixels of the readouts that come in, until Ctrl-C.

    When more come than can be counted, the oldest are left out and told of. With --json the last
    picture is printed as numbers.
    """
    from sapwood.fileio import apx as formats
    from sapwood.streams import Fifo

    hits = formats.HitMonitor(getattr(formats, readout), most_us=most)
    queue = Fifo(policy="drop_old", maxBytes=QUEUE_BYTES)
    with stop_request() as stop:
        source = formats.ReadoutSource(port, host=group, interface=interface)
        try:
            shown = _Shown(f"{readout} at {group}:{source.port}", source, queue, hits)
            if once is not None or as_json or not sys.stdout.isatty():
                click.echo(f"Receiving at {group}:{source.port}, Ctrl-C ends", err=True)
            queue >> hits
            source >> queue  # receives from here on
            _show(shown, refresh, once, idle, stop, as_json)
        finally:
            source.close()
            queue._stop()
    if source.lastError is not None:
        raise Failure(source.lastError)
    if once is not None and shown.readouts < once:
        raise Failure(f"Only {shown.readouts} of {once} readouts came in")
    if once is not None and (source.lost or source.counters.dropped.get("malformed")):
        raise Damaged(", ".join(losses(source)))


def _show(
    shown: _Shown, refresh: float, once: int | None, idle: float | None, stop: StopRequest, as_json: bool
) -> None:
    """Draw until the end; only then where nobody watches."""
    if once is None and not as_json and sys.stdout.isatty():
        from rich.live import Live

        with Live(console=console(), auto_refresh=False) as live:
            while not shown.over(once, idle) and not stop.wait(refresh):
                live.update(shown.picture(console().width, colours=True), refresh=True)
        return
    stop.wait_until(lambda: shown.over(once, idle))
    if as_json:
        print_json(shown.numbers())
    else:
        terminal = console()
        terminal.print(shown.picture(terminal.width, colours=sys.stdout.isatty()))


class _Shown:
    """What is shown of a source and its hits."""

    def __init__(self, title: str, source: ReadoutSource, queue: Fifo, hits: HitMonitor) -> None:
        self._title, self._source, self._queue, self._hits = title, source, queue, hits
        self._begun = self._changed = time.monotonic()
        self._seen = -1
        self._samples: deque[tuple[float, int, int, int]] = deque(maxlen=KEPT)
        self._rates: deque[float] = deque(maxlen=KEPT)

    @property
    def readouts(self) -> int:
        """Readouts whose hits are counted."""
        return self._hits.readouts

    def over(self, once: int | None, idle: float | None) -> bool:
        """Tell whether enough came, or nothing for so long."""
        seen, now = self.readouts, time.monotonic()
        if seen != self._seen:
            self._seen, self._changed = seen, now
        quiet = idle is not None and now - self._changed >= idle
        return quiet or (once is not None and seen >= once)

    def numbers(self) -> dict[str, Any]:
        """Return counts and histograms for programs."""
        found = self._hits.histograms()
        return {
            "readouts": found.readouts,
            "bytes": found.nbytes,
            "hits": found.hits,
            "lost": self._source.lost,
            "late": self._source.late,
            "dropped": {**self._source.counters.dropped, **self._queue.counters.dropped},
            "tot": {"us_per_bin": found.tot_us, "hits": found.tot, "above": found.above},
            "pixels": dict(found.lines),
            "outside": found.outside,
        }

    def picture(self, width: int, *, colours: bool) -> Any:
        """Return what is drawn now."""
        from sapwood.cli.apxview import view

        found = self._hits.histograms()
        return view(found, self._head(found), colours=colours, width=width)

    def _head(self, found: Histograms) -> list[Text]:
        from rich.text import Text

        from sapwood.cli.apxview import rate_line

        now = time.monotonic()
        self._samples.append((now, found.readouts, found.hits, found.nbytes))
        readouts, hits, nbytes = self._per_second()
        self._rates.append(readouts)
        minutes, seconds = divmod(int(now - self._begun), 60)
        lines = [
            Text.assemble((self._title, "bold"), f"  {minutes}:{seconds:02d}  {human_bytes(nbytes)}/s"),
            Text(
                f"Readouts {human_count(found.readouts)} ({readouts:.3g}/s)  "
                f"Hits {human_count(found.hits)} ({hits:.3g}/s)  "
            ),
        ]
        if len(self._rates) > 1:
            lines[1].append(rate_line(list(self._rates)), "green")
        bad = losses(self._source)
        left_out = self._queue.counters.dropped_total
        if left_out:
            bad.append(f"{human_count(left_out)} not counted, too many came")
        lines.append(Text(f"Readouts {', '.join(bad)}", "yellow") if bad else Text("No readout lost", "dim"))
        return lines

    def _per_second(self) -> tuple[float, float, float]:
        """Return readouts, hits and bytes a second, of late; on average while there is one sample."""
        now, *counts = self._samples[-1]
        first = next(one for one in self._samples if now - one[0] <= RATE_S)
        before: tuple[float, int, int, int] = (self._begun, 0, 0, 0) if len(self._samples) == 1 else first
        span = max(now - before[0], 1e-3)
        readouts, hits, nbytes = ((count - old) / span for count, old in zip(counts, before[1:], strict=True))
        return readouts, hits, nbytes
