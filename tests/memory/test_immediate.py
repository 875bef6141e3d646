"""Blocks on a slave that answers at once: the short ways, and what they do when it fails."""

from __future__ import annotations

import pytest

from sapwood.errors import BusError, VerifyError
from sapwood.memory import Post, Read, Verify, Write


@pytest.fixture
def word(immediate, build, spec):
    """A block of one verified byte, one that is not, and one that is only read."""

    def make(**kwargs):
        block = build(
            immediate,
            spec("v", 0, 8, **kwargs),
            spec("n", 1, 8, verify=False),
            spec("r", 2, 8, mode="RO"),
            spec("w", 4),
        )[0]
        block.read(block.fields[0])  # the first access finds the way
        immediate.log.clear()
        return block

    return make


def test_one_write_and_one_verify(immediate, word) -> None:
    block = word()
    seen = []
    block.onUpdate = seen.append
    v, n = block.fields[:2]
    n.set(5)
    block.write(v, 3)
    assert immediate.log == [(Write, 0, 4), (Verify, 0, 4)]
    assert immediate._pages[0][:4] == bytes([3, 5, 0, 0])
    block.read(v)
    block.post(v, 4)
    assert immediate.log[2:] == [(Read, 0, 4), (Post, 0, 4)]
    assert (immediate._pages[0][0], seen, block.staged) == (4, [block] * 3, False)


def test_a_verify_may_come_later(immediate, word) -> None:
    block = word()
    block.write(block.fields[0], 3, verify=False)
    immediate._pages[0][0] = 9
    block.startTransaction(Verify)
    with pytest.raises(VerifyError, match=r"Byte: 0\. Got: 0x09, Exp: 0x03"):
        block.waitTransaction()
    immediate.log.clear()
    block.startTransaction(Verify)
    block.waitTransaction()
    assert immediate.log == []  # nothing was written since


@pytest.mark.parametrize("kind", ["read", "write", "post"])
def test_what_the_slave_raises(immediate, word, kind) -> None:
    block = word()
    immediate.failures = ["no link"]
    arguments = [block.fields[0]] if kind == "read" else [block.fields[0], 3]
    with pytest.raises(BusError, match=r"Top\.Dev\.v with address 0x00000000\. Error RuntimeError: no link"):
        getattr(block, kind)(*arguments)
    assert (len(immediate.log), block.staged) == (1, False)
    getattr(block, kind)(*arguments)  # the failure is over, and told once


def test_a_verify_that_fails(immediate, word) -> None:
    block = word()
    seen = []
    block.onUpdate = seen.append
    plain = immediate.log

    class Log(list):
        def append(self, entry) -> None:
            plain.append(entry)
            if entry[0] == Verify:
                immediate.failures = ["no answer"]

    immediate.log = Log()
    with pytest.raises(BusError, match="no answer"):
        block.write(block.fields[0], 3)
    assert (plain, seen) == ([(Write, 0, 4), (Verify, 0, 4)], [block])  # the write succeeded


@pytest.fixture
def stick(immediate, monkeypatch):
    """Make one byte of what a verify reads come back as 0x55."""
    plain = immediate._direct

    def at(place) -> None:
        def sticking(type, address, buffer, low, high) -> None:
            plain(type, address, buffer, low, high)
            if type == Verify:
                buffer[low + place] = 0x55

        monkeypatch.setattr(immediate, "_direct", sticking)

    return at


def test_a_difference_is_found_and_read(word, stick) -> None:
    stick(0)
    block = word()
    seen = []
    block.onUpdate = seen.append
    with pytest.raises(VerifyError, match="Got: 0x55, Exp: 0x03"):
        block.write(block.fields[0], 3)
    assert (block.fields[0].get(), seen) == (0x55, [block])


def test_what_is_not_verified_is_not_compared(word, stick) -> None:
    stick(1)
    block = word()
    block.fields[1].set(7)
    block.write(block.fields[0], 3)
    assert block.fields[1].get() == 7


def test_repetitions(immediate, word) -> None:
    block = word(retryCount=2)
    immediate.failures = ["second", "first"]
    block.write(block.fields[0], 3)
    assert [entry[0] for entry in immediate.log] == [Write, Write, Write, Verify]
    immediate.log.clear()
    immediate.failures = ["third", "second", "first"]
    with pytest.raises(BusError, match="third"):
        block.write(block.fields[0], 4)
    assert [entry[0] for entry in immediate.log] == [Write, Write, Write]
    immediate.log.clear()
    immediate.failures = ["one"]
    block.read(block.fields[0])
    immediate.failures = ["one"]
    block.post(block.fields[0], 5)
    assert [entry[0] for entry in immediate.log] == [Read, Read, Post, Post]


def test_a_disabled_block_only_stages(immediate, word) -> None:
    block = word()
    block.enable = False
    block.write(block.fields[0], 3)
    block.post(block.fields[0], 4)
    block.read(block.fields[0])
    assert (immediate.log, block.staged, block.fields[0].get()) == ([], True, 4)


def test_staged_values_are_not_read_over(immediate, word) -> None:
    block = word()
    block.fields[0].set(3)
    block.read(block.fields[1])
    assert (immediate.log, block.fields[0].get()) == ([], 3)


def test_read_only_values_are_never_written(immediate, word) -> None:
    block = word()
    block.fields[2].set(9)
    assert not block.staged
