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

_MOST_TEXT = 500  # characters of a fact
_MOST_ITEMS = 16  # of a list
_SHOWN_ELSEWHERE = ("file", "format", "tables", "problems", "parts")
_COLUMN_FACTS = 4  # facts of nodes that become columns


def print_info(path: str, found: Mapping[str, Any], tables: Sequence[TableInfo]) -> None:
    """Print the `info()` of a reader, and its tables unless it is a plain recording of frames."""
    out = console()
    if "channels" in found and "parts" in found:
        _print_frames(path, found)
        return
    listed = {name: value for name, value in found.items() if _is_listing(value)}
    several = f", {len(found['parts'])} parts" if "parts" in found else ""
    pairs = [("File", path), ("Format", str(found.get("format", "")) + several)]
    for name, value in found.items():
        if name not in _SHOWN_ELSEWHERE and name not in listed:
            pairs += _lines(name, value)
    out.print(facts(pairs))
    for name, nodes in listed.items():
        _print_listing(name, nodes)
    rows = [(one.name, human_count(one.rows), _columns(one)) for one in tables]
    if rows:
        out.print(table(("Table", "Rows", "Columns"), rows, right=("Rows",)))
    if "parts" in found:
        _print_parts(found["parts"], list(found["tables"]))


def _print_parts(parts: Sequence[Mapping[str, Any]], tables: Sequence[str]) -> None:
    """Print how many rows of each table lie in which part."""
    columns = tables[:_COLUMN_FACTS]
    rows = [(part["file"], *(human_count(part["tables"].get(name, 0)) for name in columns)) for part in parts]
    console().print(table(("Part", *columns), rows, right=columns))
    click.echo("What each part tells of itself is told by --json, and of one part with --single.")


def _is_listing(value: Any) -> bool:
    """Tell whether `value` describes many things, each by plain facts and a mapping of more."""
    if not isinstance(value, Mapping) or len(value) < 2:
        return False
    return all(isinstance(one, Mapping) and _has_both(one) for one in value.values())


def _has_both(facts: Mapping[str, Any]) -> bool:
    nested = sum(isinstance(fact, Mapping) for fact in facts.values())
    return 0 < nested < len(facts)


def _print_listing(name: str, nodes: Mapping[str, Mapping[str, Any]]) -> None:
    """Print a table of things: their plain facts, and how many others there are of each."""
    plain = dict.fromkeys(key for one in nodes.values() for key in one if not isinstance(one[key], Mapping))
    nested = dict.fromkeys(key for one in nodes.values() for key in one if isinstance(one[key], Mapping))
    keys, others = list(plain)[:_COLUMN_FACTS], list(nested)
    rows = [
        (each, *(_text(key, one.get(key)) if key in one else "" for key in keys),
         *(str(len(one.get(key, ()))) for key in others))
        for each, one in nodes.items()
    ]  # fmt: skip
    console().print(table((_title(name), *map(_title, keys), *map(_title, others)), rows, right=()))
    if others:
        click.echo(f"{' and '.join(map(_title, others))} are told by --json.")


def _lines(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield names and texts: a mapping of single values on one line, others each on its own."""
    if not isinstance(value, Mapping) or not value:
        yield _title(name), _text(name, value)
        return
    single = {key: item for key, item in value.items() if not isinstance(item, Mapping)}
    if single:
        yield (
            _title(name),
            _cut(",  ".join(f"{key}: {_verbatim(item)}" for key, item in single.items())),
        )
    for key, item in value.items():
        if key not in single:
            yield from _lines(f"{name}.{key}", item)


def _title(name: str) -> str:
    """Return a name of ours as people write it; what stands behind a dot is the file's own."""
    first, dot, rest = name.partition(".")
    first = {"payload_bytes": "payload", "file_bytes": "size", "bytes": "size"}.get(first, first)
    return first[:1].upper() + first[1:].replace("_", " ") + (f" {rest}" if dot else "")


def _text(name: str, value: Any) -> str:
    if type(value) is int:
        return human_bytes(value) if name.endswith("bytes") else human_count(value)
    return _verbatim(value)


def _verbatim(value: Any) -> str:
    if value is None or (isinstance(value, (str, list, tuple, Mapping)) and not value):
        return "none"
    if isinstance(value, (list, tuple)):
        more = f" ... {len(value) - _MOST_ITEMS} more" if len(value) > _MOST_ITEMS else ""
        return _cut(", ".join(map(str, value[:_MOST_ITEMS]))) + more
    return _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]} ..."


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
