from __future__ import annotations

import pytest

from sapwood.errors import BusError, NodeError, VariableError
from sapwood.memory import Block, Emulate, Fixed, Float, Hub, String, UInt, check_overlap


def shape(blocks: list[Block]) -> list[tuple[int, int, list[str]]]:
    return [(block.offset, block.size, [field.spec.name for field in block.fields]) for block in blocks]


def test_bytes_of_one_word_share_a_block(build, spec) -> None:
    specs = [spec("a", 0, 8), spec("b", 1, 8), spec("c", 3, 8)]
    assert shape(build(Emulate(4), *specs)) == [(0, 4, ["a", "b", "c"])]
    assert shape(build(Emulate(1), *specs)) == [(0, 1, ["a"]), (1, 1, ["b"]), (3, 1, ["c"])]


def test_neighbouring_words_stay_separate(build, spec) -> None:
    blocks = build(Emulate(4), spec("b", 4), spec("a", 0), at=0x100)
    assert shape(blocks) == [(0, 4, ["a"]), (4, 4, ["b"])]
    assert [block.address for block in blocks] == [0x100, 0x104]
    assert blocks[1].path == "Top.Dev.b"
    assert blocks[1].fields[0].address == 0x104


def test_wide_and_overlapping(build, spec) -> None:
    blocks = build(Emulate(4), spec("wide", 0, 64, overlapEn=True), spec("high", 4, 32, overlapEn=True))
    assert shape(blocks) == [(0, 8, ["wide", "high"])]
    wide, high = blocks[0].fields
    wide.set(0x1122334455667788)
    assert high.get() == 0x11223344
    assert (high.offset, high.bitOffset, high.varBytes, high.address) == (4, [0], 4, 4)


def test_bits_beyond_the_first_word(build, spec) -> None:
    block = build(Emulate(4), spec("far", 0, 8, 40))[0]
    assert (block.size, block.fields[0].low, block.fields[0].high) == (8, 4, 8)


def test_larger_access_and_alignment(build, spec) -> None:
    assert shape(build(Emulate(8), spec("b", 4), spec("a", 0))) == [(0, 8, ["b", "a"])]
    blocks = build(Emulate(4), spec("text", 2, 72, model=String(72)))
    assert shape(blocks) == [(0, 12, ["text"])]
    field = blocks[0].fields[0]
    assert (field.offset, field.bitOffset, field.varBytes, field.address) == (0, [16], 12, 2)


def test_lists_in_any_order_stay_inside_their_block(build, spec) -> None:
    memory = Emulate(4)
    block = build(memory, spec("split", [4, 0], [32, 32], [0, 0], model=UInt(64)))[0]
    assert (block.offset, block.size) == (0, 8)
    block.write(block.fields[0], 0x1111111122222222)
    assert bytes(memory._pages[0][:12]) == b"\x11" * 4 + b"\x22" * 4 + bytes(4)
    assert block.fields[0].get() == 0x1111111122222222


def test_scattered_bits_join_least_significant_first(build, spec) -> None:
    memory = Emulate(4)
    block = build(memory, spec("s", [0, 0, 4], [4, 4, 8], [0, 8, 4], model=UInt(16)))[0]
    block.write(block.fields[0], 0xABCD)
    assert bytes(memory._pages[0][:8]).hex(" ") == "0d 0c 00 00 b0 0a 00 00"
    assert block.fields[0].get() == 0xABCD


def test_list_arguments_broadcast_or_agree(build, spec) -> None:
    block = build(Emulate(4), spec("s", [0, 4, 8], [4], [0], model=UInt(12)))[0]
    block.fields[0].set(0x321)
    assert bytes(block.image) == b"\1\0\0\0\2\0\0\0\3\0\0\0"
    with pytest.raises(VariableError, match="differ in length"):
        build(Emulate(4), spec("s", [0, 4, 8], [4, 4], model=UInt(8)))


def test_block_facts_come_from_its_variables(build, spec) -> None:
    specs = [
        spec("a", 0, 8, mode="RO", bulkOpEn=False, updateNotify=False, retryCount=2),
        spec("b", 1, 8, mode="RO", bulkOpEn=False, updateNotify=False),
        spec("c", 4, 8, mode="WO"),
        spec("d", 5, 8, mode="RO"),
    ]
    first, second = build(Emulate(4), *specs)
    assert (first.mode, first.bulkOpEn, first.updateNotify, first.retryCount) == ("RO", False, False, 2)
    assert (second.mode, second.bulkOpEn, second.updateNotify, second.retryCount) == ("RW", True, True, 0)


def test_custom_blocks_take_what_starts_in_them(build, spec) -> None:
    memory = Emulate(4)
    hub = Hub()
    hub >> memory
    custom = Block("Top.Dev.Custom", 8, 16, hub)
    unused = Block("Top.Dev.Unused", 0x40, 4, hub)
    blocks = build(
        memory, spec("d", 0x18), spec("c", 0x14), spec("b", 8), spec("a", 4), custom=[unused, custom]
    )
    assert shape(blocks) == [(4, 4, ["a"]), (8, 16, ["b", "c"]), (0x18, 4, ["d"]), (0x40, 4, [])]
    assert blocks[1] is custom
    with pytest.raises(BusError, match="larger than the bus allows"):
        build(memory, spec("long", 8, 256), custom=[Block("Top.Dev.Small", 8, 4, hub)])


def test_a_block_larger_than_a_root_allows_is_refused(spec) -> None:
    from sapwood.memory import build_blocks

    root = Hub(0, 4, 16)
    with pytest.raises(BusError, match="larger than the bus allows") as caught:
        build_blocks([spec("big", 0x20, 256)], root, "Top.Dev")
    assert (caught.value.path, caught.value.address) == ("Top.Dev.big", 0x20)


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ({}, {}, "Variable bit overlap detected for block"),
        ({"overlapEn": True}, {}, "Variable bit mask overlap detected for block"),
        ({}, {"overlapEn": True}, "Variable bit mask overlap detected for block"),
    ],
)
def test_shared_bits_are_refused(build, spec, first, second, text) -> None:
    with pytest.raises(NodeError, match=f"{text} Top.Dev.a with address 0x00000110 and variable b"):
        build(Emulate(), spec("a", 0x10, 8, **first), spec("b", 0x10, 2, 7, **second), at=0x100)


def test_what_may_share(build, spec) -> None:
    build(Emulate(), spec("a", 0, 8, overlapEn=True), spec("b", 0, 8, 4, overlapEn=True), spec("c", 0, 4, 12))
    gaps = spec("arr", 0, numValues=4, valueBits=4, valueStride=8, model=UInt(4))
    build(Emulate(), gaps, spec("between", 0, 4, 4), spec("last", 3, 4, 4))
    with pytest.raises(NodeError, match="overlap"):
        build(Emulate(), gaps, spec("hit", 2, 4, 3))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"bits": 0, "model": UInt(1)}, "BitSize of 0 is invalid"),
        ({"bits": 8, "model": Float(32)}, "does not fit"),
        (
            {"numValues": 2, "valueBits": 9, "valueStride": 8, "model": UInt(8)},
            "ValueBits 9 is greater than valueStrude 8",
        ),
        ({"numValues": 2, "valueBits": 0, "valueStride": 8, "model": UInt(8)}, "BitSize of 0 is invalid"),
        ({"numValues": 2, "valueBits": 8, "valueStride": 8, "model": String(8)}, "has no arrays"),
    ],
)
def test_senseless_widths_are_refused(spec, change, text) -> None:
    with pytest.raises(VariableError, match=text) as caught:
        spec("bad", **change).check()
    assert caught.value.path == "Top.Dev.bad"


def test_a_narrow_model_in_a_wide_field_uses_the_low_bits(build, spec) -> None:
    field = build(Emulate(), spec("f", 0, 32, model=Fixed(16, 8)))[0].fields[0]
    field.block.image[:] = b"\x80\xfe\xff\xff"
    assert field.get() == -1.5
    field.set(1.0)
    assert bytes(field.block.image) == b"\0\1\0\0"


def test_overlap_of_a_whole_tree(spec) -> None:
    from sapwood.memory import build_blocks

    memory, other = Emulate(), Emulate()
    hubs = [Hub(0x100), Hub(0x108), Hub(0x108)]
    hubs[0] >> memory
    hubs[1] >> memory
    hubs[2] >> other
    long = build_blocks([spec("long", 0, 128, overlapEn=True)], hubs[0], "A")
    tiny = build_blocks([spec("tiny", 0, 8, overlapEn=True)], hubs[1], "B")
    apart = build_blocks([spec("apart", 0)], hubs[2], "C")
    check_overlap(long + apart)
    with pytest.raises(
        NodeError, match=r"Top.Dev.tiny at address=0x108 overlaps Top.Dev.long at address=0x100 with size=16"
    ):
        check_overlap(tiny + apart + long)
