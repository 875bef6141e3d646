"""What a file holds and what a check of it found, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from sapwood.cli.output import console, facts, human_bytes, human_count, print_json, table

if TYPE_CHECKING:
    from sapwood.fileio.formats import Report
    from sapwood.fileio.table import ColumnInfo, TableInfo

__all__ = ["print_info", "print_report"]

_MOST_TEXT = 2000  # characters of a fact
_SHOWN_ELSEWHERE = ("file", "format", "tables")


def print_info(path: str, found: Mapping[str, Any], tables: Sequence[TableInfo]) -> None:
    """Print the `info()` of a reader, and its tables unless it is a plain recording of frames."""
    out = console()
    if "channels" in found and "parts" in found:
        _print_frames(path, found)
        return
    pairs = [("File", path), ("Format", str(found.get("format", "")))]
    pairs += [(name, text) for name, text in _flat(found) if name.split(".")[0] not in _SHOWN_ELSEWHERE]
    out.print(facts(pairs))
    rows = [(one.name, human_count(one.rows), _columns(one)) for one in tables]
    if rows:
        out.print(table(("Table", "Rows", "Columns"), rows, right=("Rows",)))


def _flat(found: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield names and texts, those of nested mappings with dots between."""
    for name, value in found.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
            continue
        text = human_count(value) if type(value) is int and value >= 10000 else str(value)
        yield prefix + name, text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]} ..."


def _columns(one: TableInfo) -> str:
    return ", ".join(f"{name} {_kind(column)}" for name, column in one.columns.items())


def _kind(column: ColumnInfo) -> str:
    shape = [str(size) for size in column.shape]
    if column.values is not None:
        shape.insert(0, "*")
    return f"{column.dtype.str.lstrip('<|=')}" + (f"[{','.join(shape)}]" if shape else "")


def _print_frames(path: str, found: Mapping[str, Any]) -> None:
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


def print_report(path: str, report: Report, as_json: bool, wrote: str | None) -> None:
    """Print what a check found; `wrote` is the file that was saved from it."""
    if as_json:
        done = {} if wrote is None else {"recovered": wrote}
        kept = {name: getattr(report, name) for name in ("status", "good", "lost", "torn_bytes", "problems")}
        print_json({"file": path, **kept, **done})
        return
    pairs = [
        ("File", path),
        ("Status", report.status),
        ("Whole records", human_count(report.good)),
        ("Lost records", f"{human_count(report.lost)}{' at least' if report.lost else ''}"),
        ("Torn bytes", human_count(report.torn_bytes)),
    ]
    if wrote is not None:
        pairs.append(("Recovered into", wrote))
    console().print(facts(pairs))
    for problem in report.problems:
        click.echo(f"  {problem}")
