"""Hits drawn on a terminal: times over threshold as bars, pixels as a map. Imported when used."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray
from rich.console import Group, RenderableType
from rich.text import Text

from sapwood.cli.output import human_count
from sapwood.fileio.apx.hitmonitor import Histograms, Line

__all__ = ["bars", "pixel_map", "rate_line", "view"]

EIGHTHS = " ▁▂▃▄▅▆▇█"
SHADES = "·:-=+*#%@"  # of a map without colours
HEAT = ("#303030", "#2c3e8c", "#2a6f9e", "#21918c", "#35b779", "#8fd744", "#fde725")
MOST_LINES = 8  # of a map that has a line for each chip and kind
BARS_HIGH = 6
HISTORY = 40  # rates that are drawn


def view(found: Histograms, head: Sequence[Text], *, colours: bool, width: int) -> RenderableType:
    """Return head lines, times over threshold and map, one below the other."""
    parts: list[RenderableType] = list(head)
    title = f"\nTime over threshold, {found.tot_us:g} us a bar"
    if found.above:
        title += f", {human_count(found.above)} above"
    parts += [Text(title, style="bold"), *bars(found.tot, found.tot_us, BARS_HIGH)]
    title = f"\nPixels, {human_count(found.outside)} hits outside" if found.outside else "\nPixels"
    parts += [Text(title, style="bold"), *pixel_map(found, colours=colours, width=width)]
    return Group(*parts)


def rate_line(rates: Sequence[float]) -> str:
    """Return the newest rates as blocks, each between the lowest and the highest possible one."""
    shown = np.array(rates[-HISTORY:], np.float64)
    most = shown.max(initial=0.0)
    if most <= 0:
        return EIGHTHS[1] * len(shown)
    return "".join(EIGHTHS[max(1, level)] for level in np.ceil(shown / most * 8).astype(int).tolist())


def bars(counts: NDArray[np.int64], step: float, height: int) -> list[Text]:
    """Return counts as upright bars of so many lines, with an axis in units of `step` a bar."""
    most = int(counts.max(initial=0))
    margin = len(human_count(most)) + 1
    eighths = np.ceil(counts * (8 * height) / max(most, 1)).astype(int)
    lines = []
    for line in range(height - 1, -1, -1):
        label = human_count(most) if line == height - 1 else "0" if line == 0 else ""
        blocks = "".join(EIGHTHS[level] for level in np.clip(eighths - 8 * line, 0, 8).tolist())
        lines.append(Text.assemble((f"{label:>{margin}} ", "dim"), (blocks, "cyan")))
    axis = " " * (margin + 1)
    for at in range(0, len(counts) + 1, 10):
        axis = axis.ljust(margin + 1 + at) + f"{at * step:g}"
    lines.append(Text(f"{axis} us", style="dim"))
    return lines


def pixel_map(found: Histograms, *, colours: bool, width: int) -> list[Text]:
    """Return the map, a pixel of one or two letters, and what its shades mean."""
    if not found.lines:
        return [Text("no hits so far", style="dim")]
    most = max(int(counts.max(initial=0)) for _, counts in found.lines)
    kept = _busiest(found.lines)
    names = [name for name, _ in kept]
    paired = colours and all(name.startswith("row ") for name in names)
    if paired:
        names = _paired_names(names)
    margin = max(map(len, names))
    columns = len(kept[0][1])
    wide = 2 if margin + 1 + 2 * columns <= width else 1
    steps = len(HEAT) - 1 if colours else len(SHADES) - 1
    levels = [np.ceil(counts / max(most, 1) * steps).astype(int).tolist() for _, counts in kept]
    lines = []
    rows = list(zip_longest(levels[::2], levels[1::2])) if paired else [(row, None) for row in levels]
    for name, (upper, lower) in zip(names, rows, strict=True):
        line = Text(f"{name:>{margin}} ", style="dim")
        for at, level in enumerate(upper):
            if not colours:
                line.append(SHADES[level].rjust(wide), "none")
            elif not paired:
                line.append("█" * wide, HEAT[level])
            else:
                below = "default" if lower is None else HEAT[lower[at]]
                line.append("▀" * wide, f"{HEAT[level]} on {below}")
        lines.append(line)
    if len(kept) < len(found.lines):
        hidden = sum(int(counts.sum()) for _, counts in found.lines) - sum(int(one.sum()) for _, one in kept)
        rest = f"{len(found.lines) - len(kept)} more lines, {human_count(hidden)} hits"
        lines.append(Text(" " * (margin + 1) + rest, style="dim"))
    lines += [_axis(margin, columns, wide), _scale(most, colours, margin)]
    return lines


def _busiest(lines: list[Line]) -> list[Line]:
    """Return the lines of a chip's rows, or of other maps those with the most hits, in order."""
    if len(lines) <= MOST_LINES or lines[0][0].startswith("row "):
        return lines
    least = sorted(int(counts.sum()) for _, counts in lines)[-MOST_LINES]
    return [line for line in lines if line[1].sum() >= least][:MOST_LINES]


def _paired_names(names: list[str]) -> list[str]:
    pairs = zip_longest(names[::2], names[1::2])
    return [one if two is None else f"{one}-{two.rpartition(' ')[2]}" for one, two in pairs]


def _axis(margin: int, columns: int, wide: int) -> Text:
    axis = " " * (margin + 1)
    for at in range(0, columns, 5):
        axis = axis.ljust(margin + 1 + at * wide) + str(at)
    return Text(axis, style="dim")


def _scale(most: int, colours: bool, margin: int) -> Text:
    line = Text(" " * (margin + 1) + "0 ", style="dim")
    for level in range(len(HEAT) if colours else len(SHADES)):
        line.append(*(("██", HEAT[level]) if colours else (SHADES[level], "none")))
    line.append(f" {human_count(most)} hits a pixel")
    return line
