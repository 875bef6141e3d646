"""``sapwood run``: serve a root until told to stop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sapwood.cli.signals import stop_request
from sapwood.cli.target import load_root, target_argument

if TYPE_CHECKING:
    from sapwood.tree import Root

__all__ = ["config_option", "data_dir_option", "load_config", "run"]

config_option = click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML configuration to load after the start.",
)

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    help="Folder of relative file names; clients cannot leave it.  [default: the current folder]",
)


def load_config(root: Root, config: Path | None) -> None:
    """Load the configuration file into the running root, if there is one."""
    if config is not None:
        root.loadYaml(str(config.resolve()), writeEach=False, modes=["RW", "WO"], excGroups="NoConfig")


@click.command(short_help="Serve a root until Ctrl-C.")
@target_argument
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve at.")
@click.option(
    "--port", default=9500, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one."
)
@config_option
@data_dir_option
@click.option(
    "--token",
    envvar="SAPWOOD_TOKEN",
    show_envvar=True,
    help="Clients must show it; needed when --host is not this machine.",
)
@click.option("--for", "seconds", type=click.FloatRange(min=0), help="Stop after so many seconds.")
def run(
    target: str,
    host: str,
    port: int,
    config: Path | None,
    data_dir: Path,
    token: str | None,
    seconds: float | None,
) -> None:
    """Start the root that TARGET (module:Class or file.py:Class) names and serve it.

    Ctrl-C or SIGTERM closes recordings and stops the tree in good order; a second one ends at once.
    """
    from sapwood.remote import RemoteServer

    with stop_request() as stop:
        root = load_root(target)
        root.dataDir = data_dir.resolve()
        server = RemoteServer(root, host, port, tokens={token: "operator"} if token else None)
        root.addInterface(server)
        with root:
            load_config(root, config)
            click.echo(
                f"Serving {root.name} at {host}:{server.port}, data in {root.dataDir}. "
                f"Try: sapwood tree --server {_client_host(host)}:{server.port}   (Ctrl-C stops)"
            )
            stop.wait(seconds)
        click.echo(f"Stopped {root.name}.")


def _client_host(host: str) -> str:
    return "localhost" if host in ("127.0.0.1", "0.0.0.0", "*", "::") else host  # noqa: S104 - a text, not a bind
