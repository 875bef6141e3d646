"""Lists of the variables of a tree: register maps and variable lists, as tables or a C header."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Any

from sapwood.tree.remotevar import RemoteVariable

__all__ = ["address_map", "c_header", "variable_list"]

_REGISTER = (
    "Path", "TypeStr", "Address", "Offset", "Mode", "BitOffset", "BitSize", "Minimum", "Maximum", "Enum",
    "OverlapEn", "Verify", "ModelId", "ByteReverse", "BitReverse", "BinPoint", "BulkEn", "UpdateNotify",
    "MemBaseName", "BlockName", "BlockSize", "NumValues", "ValueBits", "ValueStride", "RetryCount",
    "Description",
)  # fmt: skip
_VARIABLE = ("Path", "TypeStr", "Mode", "Enum", "PollInterval", "Groups", "Description")
_WORD = re.compile(r"\W+")
_MARK = 64
"""Widest field, in bits, whose mask a C constant can hold."""


def _table(name: str, rows: Iterable[Iterable[Any]]) -> str:
    """Return `rows` as lines of columns: behind commas for a file ``.csv``, else behind tabs."""
    if PurePath(name).suffix == ".csv":
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        return text.getvalue()
    return "".join("\t".join(_plain(item) for item in row) + "\n" for row in rows)


def _plain(item: Any) -> str:
    """Return `item` as text of one line without tabs."""
    return " ".join(str(item).split()) if isinstance(item, str) else str(item)


def _registers(root: Any) -> Iterator[RemoteVariable]:
    return (one for one in root.variableList if isinstance(one, RemoteVariable))


def _register_row(one: RemoteVariable) -> list[Any]:
    model, block = one.base, one._block
    return [
        one.path, one.typeStr, f"{one.address:#x}", f"{one.offset:#x}", one.mode, one.bitOffset, one.bitSize,
        one.minimum, one.maximum, one.enum, one.overlapEn, one.verifyEn, model.modelId, model.isBigEndian,
        model.bitReverse, model.binPoint, one.bulkEn, one.updateNotify, one.parent.memBaseName, block.path,
        f"{block.size:#x}", one.numValues, one.valueBits, one.valueStride, one.retryCount, one.description,
    ]  # fmt: skip


def address_map(root: Any, name: str) -> str:
    """Return a table with a line for each RemoteVariable and RemoteCommand below `root`.

    Parameters
    ----------
    name
        Of the file it is for: ``.csv`` has commas between the columns, any other tabs.
    """
    return _table(name, [_REGISTER, *map(_register_row, _registers(root))])


def variable_list(root: Any, name: str, polledOnly: bool, incGroups: Any) -> str:
    """Return a table with a line for each variable and command below `root`, as `address_map` does.

    Parameters
    ----------
    polledOnly
        Leave out what is not polled.
    incGroups
        Only what is in one of these groups.
    """
    chosen = [
        one
        for one in root.variableList
        if one.filterByGroup(incGroups, None) and not (polledOnly and one.pollInterval <= 0)
    ]
    rows = (
        [one.path, one.typeStr, one.mode, one.enum, one.pollInterval, one.groups, one.description]
        for one in chosen
    )
    return _table(name, [_VARIABLE, *rows])


def c_header(root: Any) -> str:
    """Return a C header with address, shift and mask of each register of at most 64 bits below `root`.

    Addresses are those of the first byte. Of an array ``COUNT`` and ``STRIDE`` (bits) are given,
    the mask is of one element; of a value in several pieces only the address is.
    """
    guard = f"{_symbol(root.name)}_REGISTERS_H"
    lines = [f"#ifndef {guard}", f"#define {guard}", ""]
    for one in _registers(root):
        name = _symbol(one.path)
        summary = _plain(one.description).replace("*/", "* /")
        lines.append(f"/* {one.path} {one.typeStr} {one.mode}{': ' if summary else ''}{summary} */")
        first = one.bitOffset[0]
        whole = len(one.bitOffset) == 1
        lines.append(f"#define {name}_ADDRESS 0x{one.byteAddress + (first >> 3 if whole else 0):X}ULL")
        bits = one.valueBits if one.numValues else one.bitSize[0]
        if whole and bits <= _MARK:
            lines.append(f"#define {name}_SHIFT {first & 7}")
            lines.append(f"#define {name}_MASK 0x{(1 << bits) - 1:X}ULL")
        if one.numValues:
            lines.append(f"#define {name}_COUNT {one.numValues}")
            lines.append(f"#define {name}_STRIDE {one.valueStride}")
        lines.append("")
    return "\n".join([*lines, f"#endif /* {guard} */", ""])


def _symbol(path: str) -> str:
    """Return `path` as a C macro name."""
    name = _WORD.sub("_", path).strip("_").upper()
    return f"_{name}" if name[:1].isdigit() else name
