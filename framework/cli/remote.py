"""``sapwood tree``, ``get``, ``set``, ``exec``, ``watch``: drive a running root from a shell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from sapwood.cli.output import console, json_option, print_json
from sapwood.cli.paramtype import ParamType
from sapwood.errors import AccessDenied, RemoteError

if TYPE_CHECKING:
    from sapwood.remote import RemoteClient

__all__ = ["Address", "AddressType", "connect", "execute", "get", "server_options", "set_value", "tree"]

DEFAULT_HOST = "localhost"
DEFAULT_PORT = 9500
CONNECT_S = 3.0
# Values may begin with a minus sign: what is no option of ours is an argument.
VALUES = {"ignore_unknown_options": True}

_Command = TypeVar("_Command", bound=Callable[..., Any])


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int


class AddressType(ParamType):
    """``host:port``, ``host`` or ``:port``; an IPv6 address stands in brackets."""

    name = "host:port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """Return host and port."""
        if isinstance(value, Address):
            return value
        text = str(value)
        host, colon, port = text.rpartition(":")
        if not colon or text.endswith("]"):
            host, port = text, str(DEFAULT_PORT)
        host = host or DEFAULT_HOST
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        if bare == host and (":" in host or not host.strip() or "/" in host):
            self.fail(f"{text!r} is not of the form host:port (IPv6: [address]:port)", param, ctx)
        if not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
            self.fail(f"{text!r} is not of the form host:port: the port must be 1 to 65535", param, ctx)
        return Address(bare if ":" not in bare else host, int(port))


def server_options(timeout: float) -> Callable[[_Command], _Command]:
    """Return what adds the options of every command that talks to a server."""

    def add(command: _Command) -> _Command:
        for option in (
            click.option(
                "--timeout",
                type=click.FloatRange(min=0, min_open=True),
                default=timeout,
                show_default=True,
                help="Seconds to wait for an answer.",
            ),
            click.option("--token", envvar="SAPWOOD_TOKEN", show_envvar=True, help="For a server that asks."),
            click.option(
                "--server",
                type=AddressType(),
                default=f"{DEFAULT_HOST}:{DEFAULT_PORT}",
                show_default=True,
                help="Where the tree is served.",
            ),
        ):
            command = option(command)
        return command

    return add


@contextmanager
def connect(server: Address, token: str | None, timeout: float) -> Iterator[RemoteClient]:
    """Give a client whose requests wait `timeout` seconds; a server must answer sooner.

    Raises
    ------
    RemoteError
        No server answers.
    """
    from sapwood.remote import RemoteClient

    try:
        client = RemoteClient(server.host, server.port, min(timeout, CONNECT_S), token)
    except RemoteError as error:
        if error.hint is None and not isinstance(error, AccessDenied):
            error.hint = "Is the tree served there? See sapwood run --help"
        raise
    with client:
        yield client


@click.command(short_help="Show the nodes of a served tree and their values.")
@click.argument("path", required=False)
@click.option("-a", "--all", "show_all", is_flag=True, help="Show hidden nodes too.")
@server_options(timeout=5)
@json_option
def tree(
    path: str | None, show_all: bool, server: Address, token: str | None, timeout: float, as_json: bool
) -> None:
    """Show the nodes of the tree, or of the part below PATH: values, units, modes.

    Values are those the server holds; the hardware is not read. A hidden device is one line: name
    it to look inside.
    """
    from sapwood.cli.drawing import drawing, snapshot

    with connect(server, token, timeout) as client:
        node = client.root if path is None else client.node(path)
        values = snapshot(client, node)
        if as_json:
            print_json(values.nested(node))
        else:
            console().print(drawing(node, values, show_all=show_all))


@click.command(short_help="Print the value of a variable.")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("--cached", is_flag=True, help="The value the server holds, without reading the hardware.")
@server_options(timeout=5)
@json_option
def get(
    paths: tuple[str, ...], cached: bool, server: Address, token: str | None, timeout: float, as_json: bool
) -> None:
    """Print the value of a variable; of several as lines ``path = value``."""
    with connect(server, token, timeout) as client:
        texts = client.getMany(paths, read=not cached, disp=True, timeout=timeout)
        if as_json:
            values = client.getMany(paths, read=False)
            rows = [_value(*row) for row in zip(paths, values, texts, strict=True)]
            print_json(rows[0] if len(rows) == 1 else rows)
        elif len(paths) == 1:
            click.echo(texts[0])
        else:
            for path, text in zip(paths, texts, strict=True):
                click.echo(f"{path} = {text}")


def _value(path: str, value: Any, text: str) -> dict[str, Any]:
    return {"path": path, "value": value, "disp": text}


@click.command("set", short_help="Set a variable.", context_settings=VALUES)
@click.argument("path")
@click.argument("value")
@server_options(timeout=5)
@json_option
def set_value(
    path: str, value: str, server: Address, token: str | None, timeout: float, as_json: bool
) -> None:
    """Set a variable to VALUE, given as the tree shows it, and print what it holds then."""
    with connect(server, token, timeout) as client:
        client.setDisp(path, value, timeout=timeout)
        text = client.valueDisp(path)
        if as_json:
            print_json(_value(path, client.value(path), text))
        else:
            click.echo(f"{path} = {text}")


@click.command("exec", short_help="Run a command of a served tree.", context_settings=VALUES)
@click.argument("path")
@click.argument("arg", required=False)
@server_options(timeout=60)
@json_option
def execute(
    path: str, arg: str | None, server: Address, token: str | None, timeout: float, as_json: bool
) -> None:
    """Run a command, with ARG if it takes one, and print what it returns."""
    with connect(server, token, timeout) as client:
        result = client.call(path, arg, timeout=timeout)
        if as_json:
            print_json({"path": path, "result": result})
        elif result is not None:
            click.echo(str(result))
