"""``sapwood watch``: values of a running tree as they change."""

from __future__ import annotations

import queue
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from sapwood.cli.output import json_line
from sapwood.cli.remote import Address, connect, server_options
from sapwood.cli.signals import StopRequest, stop_request

if TYPE_CHECKING:
    from sapwood.remote import RemoteClient

__all__ = ["watch"]

CHECK_S = 0.1  # how often Ctrl-C is looked for
COLOURS = {"AlarmMinor": "yellow", "AlarmMajor": "red"}


@click.command(short_help="Print values as they change, until Ctrl-C.")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@server_options(timeout=5)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def watch(paths: tuple[str, ...], server: Address, token: str | None, timeout: float, as_json: bool) -> None:
    """Print variables now and at every update, until Ctrl-C; a device stands for all below it.

    Lines are ``time path = value units severity``. A lost connection is told on stderr; the lines go
    on once the server is back.
    """
    with stop_request() as stop, connect(server, token, timeout) as client:
        _Watch(client, as_json).run(paths, stop)


class _Watch:
    """Collects updates in the client's thread and prints them in ours."""

    def __init__(self, client: RemoteClient, as_json: bool) -> None:
        self._client = client
        self._as_json = as_json
        self._updates: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._units: dict[str, str] = {}
        self._linked_before = True

    def run(self, paths: Sequence[str], stop: StopRequest) -> None:
        from sapwood.cli.drawing import leaves

        variables = [leaf for path in paths for leaf in leaves(self._client.node(path))]
        self._units = {variable.path: variable.units or "" for variable in variables}
        self._client.addLinkMonitor(self._linked)
        self._client.addLossMonitor(self._lost)
        for path in self._units:
            self._client.addListener(path, self._updated)
        self._print_current()
        try:
            self._print_updates(stop)
        finally:
            self._client.remLinkMonitor(self._linked)

    def _print_updates(self, stop: StopRequest) -> None:
        while not stop:
            try:
                path, update = self._updates.get(timeout=CHECK_S)
            except queue.Empty:
                continue
            self._print(update.time, path, update.value, update.valueDisp, update.severity, update.status)

    def _updated(self, path: str, update: Any) -> None:
        self._updates.put((path, update))

    def _linked(self, linked: bool) -> None:
        if linked == self._linked_before:
            return
        self._linked_before = linked
        state = "is back" if linked else "does not answer, waiting for it"
        click.echo(f"sapwood: the server at {self._client.address} {state}", err=True)

    def _lost(self, count: int) -> None:
        click.echo(f"sapwood: {count} updates were lost", err=True)

    def _print_current(self) -> None:
        paths = list(self._units)
        values = self._client.getMany(paths, read=False)
        texts = self._client.getMany(paths, read=False, disp=True)
        now = time.time()
        for path, value, text in zip(paths, values, texts, strict=True):
            self._print(now, path, value, text, None, None)

    def _print(
        self, when: float, path: str, value: Any, text: str, severity: str | None, status: str | None
    ) -> None:
        if self._as_json:
            facts = {"time": when, "path": path, "value": value, "disp": text}
            facts.update(units=self._units[path] or None, severity=severity, status=status)
            click.echo(json_line(facts))
            return
        clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when)) + f".{int(when * 1000) % 1000:03d}"
        units = f" {self._units[path]}" if self._units[path] else ""
        level = "" if severity in (None, "None") else f" {severity}"
        click.echo(f"{clock} {path} = {text}{units}" + click.style(level, fg=COLOURS.get(str(severity))))
