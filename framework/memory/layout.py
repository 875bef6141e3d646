"""Laying out variables in blocks, and finding those that overlap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from sapwood.errors import BusError, NodeError
from sapwood.memory.block import Block
from sapwood.memory.field import Field, FieldSpec
from sapwood.memory.master import Master
from sapwood.memory.slave import Slave

__all__ = ["build_blocks", "check_overlap"]


@dataclass(slots=True)
class _Placed:
    """A variable with its offset aligned to the smallest access."""

    spec: FieldSpec
    offset: int
    pieces: list[tuple[int, int]]
    varBytes: int


@dataclass(slots=True)
class _Group:
    """The variables of one block; `home` is the custom block they are in, if any."""

    home: Block | None
    offset: int
    size: int
    members: list[_Placed] = field(default_factory=list)


def build_blocks(
    specs: Iterable[FieldSpec], master: Master, path: str, custom: Sequence[Block] = ()
) -> list[Block]:
    """Lay out the variables of one device in blocks.

    A variable that starts inside the block of its predecessor joins it; else it joins the custom
    block it starts in; else it begins a block of its own. Neighbouring words thus stay separate.

    Parameters
    ----------
    specs
        What the variables ask for.
    master
        The device's hub.
    path
        The device's path, for messages; a block is named after its first variable.
    custom
        Blocks made beforehand.

    Returns
    -------
    list of Block
        In order of address, custom blocks included.

    Raises
    ------
    VariableError
        A variable has no bits, or its model does not fit them.
    BusError
        A block is smaller or larger than the bus allows.
    NodeError
        Variables share bits without `overlapEn`.
    """
    entry = master if isinstance(master, Slave) else master._getSlave()
    unit, limit = entry._doMinAccess(), entry._doMaxAccess()
    placed = sorted((_place(spec, unit) for spec in specs), key=lambda one: (one.offset, one.varBytes))
    groups: list[_Group] = []
    for one in placed:
        group = groups[-1] if groups else None
        if group is None or one.offset >= group.offset + group.size:
            home = next((b for b in custom if b.offset <= one.offset < b.offset + b.size), None)
            group = (
                _Group(home, one.offset, one.varBytes)
                if home is None
                else _Group(home, home.offset, home.size)
            )
            groups.append(group)
        group.members.append(one)
        group.size = max(group.size, one.offset - group.offset + one.varBytes)
    filled = [_fill(group, master, limit) for group in groups]
    empty = [block for block in custom if block not in filled]
    return sorted(filled + empty, key=lambda block: (block.offset, block.size))


def _place(spec: FieldSpec, unit: int) -> _Placed:
    """Normalise the pieces of a variable and align its offset to `unit` bytes."""
    spec.check()
    wanted = spec.pieces()
    base = min([offset for offset, _, _ in wanted]) // unit * unit
    pieces = [(bit + 8 * (offset - base), size) for offset, bit, size in wanted]
    if spec.numValues:
        pieces = [(pieces[0][0], (spec.numValues - 1) * spec.valueStride + spec.valueBits)]
    end = max([bit + size for bit, size in pieces])
    return _Placed(spec, base, pieces, -(-end // (8 * unit)) * unit)


def _fill(group: _Group, master: Master, limit: int) -> Block:
    """Make the block of `group`, of at most `limit` bytes, or fill the custom one."""
    home = group.home
    if home is not None:
        limit = min(limit, home.size)
    first = group.members[0].spec
    if group.size > limit:
        raise BusError(
            f"Block size {group.size} is larger than the bus allows",
            path=first.path,
            address=group.offset,
            expected=f"at most {limit} bytes",
        )
    block = home or Block(first.path, group.offset, group.size, master)
    fields = [Field(one.spec, block, one.offset, one.pieces, one.varBytes) for one in group.members]
    regions = [(one.spec, region) for one in group.members for region in _regions(one, group.offset)]
    if len(regions) > 1:
        _check_bits(regions, block)
    block.set_fields(fields, _verify_mask(regions, group.size))
    return block


Region = tuple[int, int, int]


def _regions(one: _Placed, start: int) -> list[Region]:
    """Return first byte, end byte and mask (from the first byte) of the bits of a variable."""
    shift = 8 * (one.offset - start)
    spec = one.spec
    found = []
    for bit, size in one.pieces:
        first = bit + shift
        mask = (1 << size) - 1
        if spec.numValues and spec.valueStride > spec.valueBits:
            cells = np.zeros((spec.numValues, spec.valueStride), np.uint8)
            cells[:, : spec.valueBits] = 1
            mask = int.from_bytes(np.packbits(cells, bitorder="little").tobytes(), "little")
        found.append((first >> 3, (first + size + 7) >> 3, mask << (first & 7)))
    return found


def _merge(mask: bytearray, region: Region) -> None:
    """Set the bits of `region` in `mask`."""
    first, end, bits = region
    mask[first:end] = (int.from_bytes(mask[first:end], "little") | bits).to_bytes(end - first, "little")


def _meets(mask: bytearray, region: Region) -> bool:
    """Say whether `mask` and `region` share a bit."""
    first, end, bits = region
    return bool(int.from_bytes(mask[first:end], "little") & bits)


def _verify_mask(regions: list[tuple[FieldSpec, Region]], size: int) -> bytes:
    """Return the bits of variables that are verified and are of no other variable that is not."""
    compared, other = bytearray(size), bytearray(size)
    for spec, region in regions:
        _merge(compared if spec.mode == "RW" and spec.verify else other, region)
    if not any(other):
        return bytes(compared)
    kept = int.from_bytes(compared, "little") & ~int.from_bytes(other, "little")
    return kept.to_bytes(size, "little")


def _check_bits(regions: list[tuple[FieldSpec, Region]], block: Block) -> None:
    """Raise `NodeError` when variables share bits that they may not share."""
    single, shared = bytearray(block.size), bytearray(block.size)
    for spec, region in regions:
        own, foreign = (shared, single) if spec.overlapEn else (single, shared)
        what = None
        if own is single and _meets(single, region):
            what = "Variable bit overlap"
        elif _meets(foreign, region):
            what = "Variable bit mask overlap"
        if what is not None:
            raise NodeError(
                f"{what} detected for block {block.path} with address 0x{block.address:08x} "
                f"and variable {spec.name}",
                path=spec.path,
            )
        _merge(own, region)


def check_overlap(blocks: Iterable[Block]) -> None:
    """Check that no two blocks of a whole tree share bytes of one address space.

    Raises
    ------
    NodeError
        Two do; `overlapEn` is no excuse between blocks.
    """
    placed = sorted(((b.slaveId, b.address, b.size, b) for b in blocks), key=lambda one: one[:3])
    before = None
    for one in placed:
        slave, address, _, block = one
        if before is not None and before[0] == slave and address < before[1] + before[2]:
            raise NodeError(
                f"{block.path} at address=0x{address:x} overlaps {before[3].path} "
                f"at address=0x{before[1]:x} with size={before[2]}",
                path=block.path,
            )
        before = one
