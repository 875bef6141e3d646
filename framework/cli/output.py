"""What commands print: JSON for scripts, tables and plain lines for people."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = [
    "console",
    "facts",
    "human_bytes",
    "human_count",
    "json_line",
    "json_option",
    "print_json",
    "table",
]

PIPE_WIDTH = 160  # columns when the output is no terminal, so that tables are not squeezed

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def _plain(value: Any) -> Any:
    """Return `value` made of what strict JSON knows; NaN and infinities become text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if hasattr(value, "tolist"):  # NumPy arrays and scalars
        return _plain(value.tolist())
    if isinstance(value, Iterable):
        return [_plain(item) for item in value]
    return str(value)


def print_json(value: Any) -> None:
    """Print `value` as indented JSON."""
    click.echo(json.dumps(_plain(value), indent=2, ensure_ascii=False))


def json_line(value: Any) -> str:
    """Return `value` as one line of JSON."""
    return json.dumps(_plain(value), ensure_ascii=False)


def human_bytes(count: float) -> str:
    """Return a size with a decimal unit: ``512 B``, ``1.23 MB``."""
    if abs(count) < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB", "TB"):
        count /= 1000
        if abs(count) < 999.5:
            return f"{count:.3g} {unit}"
    return f"{count / 1000:.3g} PB"


def human_count(count: int) -> str:
    """Return a number with thousands separated: ``1,234,567``."""
    return f"{count:,}"


def console(*, stderr: bool = False) -> Console:
    """Return the terminal; coloured and as wide as it is, plain and wide when piped."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(file=stream, width=width, highlight=False, emoji=False, markup=False)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[str] = ()) -> Table:
    """Return a table without frame lines; columns named in `right` are aligned to the right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


def facts(pairs: Iterable[tuple[str, str]]) -> Table:
    """Return names and values as two columns without a header."""
    from rich.table import Table
    from rich.text import Text

    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    for name, value in pairs:
        made.add_row(Text(name), Text(value))
    return made
