"""Records of a file as lines for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sapwood.fileio.formats import Reader
    from sapwood.streams import Frame

__all__ = ["print_record", "print_row", "record_facts", "records", "rows"]

HEX_ROW = 16  # bytes of a line in hex
TEXT_LINE = 8  # bytes that a line of text counts for


def records(reader: Reader, channel: int | None) -> Iterator[tuple[int, int, Frame]]:
    """Yield number in the recording, time (ns, 0 = unknown) and frame."""
    first = 0
    for batch in reader.batches():
        rows = range(len(batch)) if channel is None else (batch.channel == channel).nonzero()[0]
        for row in rows:
            yield first + int(row), int(batch.time[row]), batch[row]
        first += len(batch)


def record_facts(index: int, time_ns: int, frame: Frame) -> dict[str, Any]:
    """Return a record as a mapping that JSON can hold, its payload in hex."""
    return {
        "index": index,
        "channel": frame.channel,
        "flags": frame.flags,
        "error": frame.error,
        "time": time_ns,
        "size": frame.size,
        "payload": bytes(frame.payload).hex(),
    }


def print_record(index: int, time_ns: int, frame: Frame, most: int) -> None:
    """Print a record; of its payload about `most` bytes (0: all of it)."""
    clock = f"  time {time_ns / 1e9:.9f}" if time_ns else ""
    error = click.style(f"  error {frame.error:#04x}", fg="red") if frame.error else ""
    head = click.style(f"#{index}", bold=True)
    click.echo(f"{head}  channel {frame.channel}  flags {frame.flags:#06x}{error}  {frame.size} bytes{clock}")
    payload = bytes(frame.payload)
    text = _as_text(payload)
    lines = _hex_lines(payload, most) if text is None else text.splitlines()
    whole = len(lines)
    if text is not None and most:
        lines = lines[: max(1, most // TEXT_LINE)]
    for line in lines:
        click.echo(f"    {line}")
    rest = ""
    if text is not None and len(lines) < whole:
        rest = f"{whole - len(lines)} more lines"
    elif text is None and most and len(payload) > most:
        rest = f"{len(payload) - most} more bytes"
    if rest:
        click.echo(click.style(f"    ... {rest}", dim=True))


def rows(reader: Reader, table: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of each row of `table` and its values by column."""
    index = 0
    for chunk in reader.chunks(table):
        for row in range(len(chunk)):
            yield index, {name: chunk[name][row] for name in chunk}
            index += 1


def print_row(table: str, index: int, row: dict[str, Any], most: int) -> None:
    """Print a row on one line; of arrays about `most` values (0: all of them)."""
    head = click.style(f"{table}[{index}]", bold=True)
    click.echo("  ".join([head, *(f"{name} {_value(value, most)}" for name, value in row.items())]))


def _value(value: Any, most: int) -> str:
    if not hasattr(value, "shape") or not value.shape:
        return f"{value:g}" if isinstance(value, float) else str(value)
    flat = value.reshape(-1)
    shown = flat[:most] if most else flat
    if value.dtype == "u1" and value.ndim == 1:
        text = shown.tobytes().hex(" ")
    else:
        text = " ".join(f"{one:g}" if isinstance(one, float) else str(one) for one in shown.tolist())
    rest = "" if len(shown) == len(flat) else f" ... {len(flat) - len(shown)} more"
    return f"[{text}{rest}]"


def _as_text(payload: bytes) -> str | None:
    """Return the payload as text when that is what it is."""
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if all(one.isprintable() or one in "\n\t\r" for one in text) else None


def _hex_lines(data: bytes, most: int) -> list[str]:
    lines = []
    for at in range(0, min(len(data), most or len(data)), HEX_ROW):
        row = data[at : min(at + HEX_ROW, most or len(data))]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{at:06x}  {row.hex(' '):<{3 * HEX_ROW}} {text}")
    return lines
