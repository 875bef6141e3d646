from __future__ import annotations

import logging
import threading

import numpy as np
import pytest

from sapwood.errors import BusError, BusTimeout, VariableError, VerifyError
from sapwood.memory import Emulate, Hub, Master, Post, Read, Slave, UInt, Verify, Write, build_blocks


@pytest.fixture
def word(memory, build, spec):
    """Return a block at 0x100 with the fields a (bits 0..7) and b (bits 8..15)."""
    return build(memory, spec("a", 0, 8), spec("b", 0, 8, 8), at=0x100)[0]


@pytest.fixture
def table(memory, build, spec):
    """Return a block at 0x110 with 20 elements of 16 bits."""
    return build(memory, spec("arr", numValues=20, valueBits=16, valueStride=16), at=0x110)[0]


def test_set_writes_and_verifies(word, memory) -> None:
    word.write(word.fields[0], 0x22)
    assert memory.take_log() == [("W", 0x100, 4), ("V", 0x100, 4)]
    assert memory._pages[0][0x100] == 0x22


def test_a_staged_neighbour_travels_along(word, memory) -> None:
    a, b = word.fields
    a.set(0x11)
    assert a.get() == 0x11
    assert memory.take_log() == []
    word.write(b, 0x22)
    assert memory.take_log() == [("W", 0x100, 4), ("V", 0x100, 4)]
    assert bytes(memory._pages[0][0x100:0x102]) == b"\x11\x22"


def test_set_without_verify_and_post(word, memory) -> None:
    word.write(word.fields[0], 1, verify=False)
    assert memory.take_log() == [("W", 0x100, 4)]
    word.post(word.fields[0], 2)
    assert memory.take_log() == [("P", 0x100, 4)]


def test_a_variable_that_is_not_verified(memory, build, spec) -> None:
    block = build(memory, spec("a", verify=False))[0]
    block.write(block.fields[0], 1)
    assert memory.take_log() == [("W", 0, 4)]


def test_a_verify_needs_something_that_is_verified_in_the_words_written(memory, build, spec) -> None:
    wide = spec("wide", 0, 64, verify=False, overlapEn=True)
    block = build(memory, wide, spec("high", 4, 32, 32, overlapEn=True))[0]
    block.write(block.fields[1], 5)
    assert memory.take_log() == [("W", 8, 4), ("V", 8, 4)]
    block.write(block.fields[0], 5)
    assert memory.take_log() == [("W", 0, 8)]


def test_element_of_an_array(table, memory) -> None:
    table.write(table.fields[0], 7, index=3)
    assert memory.take_log() == [("W", 0x114, 4), ("V", 0x114, 4)]
    table.read(table.fields[0], index=5)
    assert memory.take_log() == [("R", 0x118, 4)]
    table.read(table.fields[0])
    assert memory.take_log() == [("R", 0x110, 40)]


def test_two_staged_elements_span_the_write(table, memory) -> None:
    arr = table.fields[0]
    arr.set(1, index=0)
    arr.set(2, index=5)
    table.startTransaction(Write, force=True, field=arr)
    table.startTransaction(Verify, field=arr)
    table.waitTransaction()
    assert memory.take_log() == [("W", 0x110, 12), ("V", 0x110, 12)]


def test_a_forced_write_of_nothing_staged_sends_the_whole_variable(table, memory) -> None:
    table.startTransaction(Write, force=True, field=table.fields[0])
    table.waitTransaction()
    assert memory.take_log() == [("W", 0x110, 40)]


def test_ranges_of_single_variables(memory, build, spec) -> None:
    block = build(memory, spec("low", 0, 96, overlapEn=True), spec("mid", 4, 32, overlapEn=True))[0]
    low, mid = block.fields
    block.read(mid)
    block.write(mid, 1)
    block.read(low)
    mid.set(2)
    block.write(low, 3)
    block.startTransaction(Read)
    block.waitTransaction()
    assert memory.take_log() == [
        ("R", 4, 4),
        ("W", 4, 4),
        ("V", 4, 4),
        ("R", 0, 12),
        ("W", 0, 12),
        ("V", 0, 12),
        ("R", 0, 12),
    ]


def test_a_write_reaches_to_neighbours_staged_in_other_words(memory, build, spec) -> None:
    parts = [spec(name, 4 * word, 32, overlapEn=True) for word, name in enumerate("abcd")]
    block = build(memory, spec("all", 0, 128, overlapEn=True), *parts)[0]
    b, d = (field for field in block.fields if field.spec.name in "bd")
    b.set(2)
    block.write(d, 4)
    d.set(5)
    block.write(b, 3, verify=False)
    assert memory.take_log() == [("W", 4, 12), ("V", 4, 12), ("W", 4, 12)]


def test_reads_of_staged_blocks_are_skipped(word, memory) -> None:
    a, b = word.fields
    a.set(0x55)
    word.read(b)
    word.startTransaction(Read)
    word.startTransaction(Verify)
    word.waitTransaction()
    assert memory.take_log() == []
    assert a.get() == 0x55


def test_what_has_no_effect_is_skipped(memory, build, spec) -> None:
    reads = build(memory, spec("ro", mode="RO"))[0]
    reads.startTransaction(Write, force=True)
    reads.startTransaction(Post)
    reads.startTransaction(Verify)
    writes = build(memory, spec("wo", mode="WO"))[0]
    writes.startTransaction(Read)
    writes.startTransaction(Write)
    both = build(memory, spec("rw"))[0]
    both.startTransaction(Write)
    both.startTransaction(Verify)
    assert memory.take_log() == []
    writes.write(writes.fields[0], 1)
    both.startTransaction(Write, force=True)
    both.startTransaction(Verify)
    both.startTransaction(Verify)
    assert memory.take_log() == [("W", 0, 4), ("W", 0, 4), ("V", 0, 4)]


def test_a_value_given_to_a_read_only_variable_is_no_reason_to_skip_reads(memory, build, spec) -> None:
    block = build(
        memory, spec("ro", mode="RO"), spec("arr", 4, mode="RO", numValues=2, valueBits=8, valueStride=8)
    )
    for one in block:
        one.fields[0].set(5)
        assert one.fields[0].get(0) == 5
        one.read(one.fields[0])
        assert one.fields[0].get(0) == 0
    assert memory.take_log() == [("R", 0, 4), ("R", 4, 4)]


def test_a_disabled_block_stays_silent_and_keeps_what_is_staged(word, memory) -> None:
    a, b = word.fields
    word.enable = False
    word.write(a, 5)
    word.read(b)
    word.startTransaction(Write, force=True)
    assert memory.take_log() == []
    assert a.get() == 5
    assert word.staged
    word.enable = True
    word.startTransaction(Write)
    word.startTransaction(Verify)
    word.waitTransaction()
    assert memory.take_log() == [("W", 0x100, 4), ("V", 0x100, 4)]
    assert memory._pages[0][0x100] == 5
    assert not word.staged


def test_a_read_shows_the_hardware(word, memory) -> None:
    word.write(word.fields[0], 1)
    memory._pages[0][0x100:0x102] = b"\x07\x08"
    word.read(word.fields[0])
    assert [field.get() for field in word.fields] == [7, 8]


def test_updates_are_told_once_an_operation(word, memory) -> None:
    seen: list[object] = []
    word.onUpdate = seen.append
    word.write(word.fields[0], 1)
    word.read(word.fields[0])
    word.post(word.fields[0], 2)
    assert seen == [word] * 3
    word.waitTransaction()
    word.fields[0].set(3)
    word.read(word.fields[0])
    assert seen == [word] * 3
    memory.fail["W"] = "broken"
    with pytest.raises(BusError):
        word.write(word.fields[0], 3)
    assert seen == [word] * 3


def test_the_update_comes_without_the_lock(word) -> None:
    free: list[bool] = []

    def take(block) -> None:
        free.append(block.lock.acquire(timeout=20))
        if free[-1]:
            block.lock.release()

    def look(block) -> None:
        thread = threading.Thread(target=take, args=(block,))
        thread.start()
        thread.join()

    word.onUpdate = look
    word.write(word.fields[0], 1)
    word.waitTransaction()
    assert free == [True]


def test_a_bus_error_names_block_and_address(word, memory) -> None:
    memory.fail["R"] = "Axi error 3"
    with pytest.raises(BusError) as caught:
        word.read(word.fields[0])
    assert "Transaction error for block Top.Dev.a with address 0x00000100. Error Axi error 3" in str(
        caught.value
    )
    assert (caught.value.path, caught.value.address) == ("Top.Dev.a", 0x100)
    assert caught.value.id is not None
    assert not isinstance(caught.value, BusTimeout)


def test_a_failed_write_is_not_verified(word, memory) -> None:
    memory.fail["W"] = "broken"
    with pytest.raises(BusError, match="broken"):
        word.write(word.fields[0], 1)
    assert memory.take_log() == [("W", 0x100, 4)]
    memory.fail.clear()
    word.read(word.fields[0])
    assert word.fields[0].get() == 0


def test_unconnected(spec) -> None:
    block = build_blocks([spec("a")], Hub(), "Top.Dev")[0]
    with pytest.raises(BusError, match="Unsupported transaction using unconnected memory bus"):
        block.read(block.fields[0])
    hub = Hub(0x20)
    block = build_blocks([spec("a")], hub, "Top.Dev")[0]
    memory = Emulate()
    hub >> memory
    block.write(block.fields[0], 9)
    assert memory._pages[0][0x20] == 9


def test_blocks_of_a_plain_master(spec) -> None:
    master, memory = Master(), Emulate()
    master >> memory
    block = build_blocks([spec("a", 8)], master, "Top.Dev")[0]
    block.write(block.fields[0], 9)
    assert memory._pages[0][8] == 9
    assert block.address == 8


class StuckBits(Slave):
    """A register whose reads have the bits of `stuck` set for the first `times` reads."""

    def __init__(self, stuck: int, times: int = 1 << 30) -> None:
        super().__init__()
        self.stuck, self.times, self.value, self.reads = stuck, times, 0, 0

    def _doTransaction(self, transaction) -> None:
        if transaction.type() in (Write, Post):
            data = bytearray(4)
            transaction.getData(data)
            self.value = int.from_bytes(data, "little")
        else:
            self.reads += 1
            wrong = self.stuck if self.reads <= self.times else 0
            transaction.setData((self.value | wrong).to_bytes(4, "little"))
        transaction.done()


def test_a_verify_error_tells_the_byte(build, spec) -> None:
    block = build(StuckBits(0x0100), spec("a", 0, 8), spec("b", 0, 8, 8), at=0x100)[0]
    with pytest.raises(VerifyError) as caught:
        block.write(block.fields[0], 0x22)
    assert (
        "Verify error for block Top.Dev.a with address 0x00000100. Byte: 1. Got: 0x01, Exp: 0x00, Mask: 0xff"
        in str(caught.value)
    )
    assert caught.value.address == 0x100
    assert block.fields[1].get() == 1  # the image shows what the hardware has


def test_bits_of_others_are_not_compared(build, spec) -> None:
    for other in ({"mode": "RO"}, {"mode": "WO"}, {"verify": False}):
        block = build(StuckBits(0xFF00), spec("a", 0, 8), spec("b", 0, 8, 8, **other))[0]
        block.write(block.fields[0], 0x22)
    shared = build(
        StuckBits(0xF0), spec("a", 0, 8, overlapEn=True), spec("b", 0, 4, 4, mode="RO", overlapEn=True)
    )[0]
    shared.write(shared.fields[0], 0x02)


def test_a_value_staged_between_write_and_verify_does_not_fail_it(threaded, build, spec) -> None:
    memory = threaded(free=False)
    block = build(memory, spec("a", 0, 8), spec("b", 0, 8, 8))[0]
    a, b = block.fields
    a.set(1)
    block.startTransaction(Write)
    memory.release()
    block.startTransaction(Verify)
    b.set(2)
    memory.release()
    block.waitTransaction()
    assert memory.log == [("W", 0, 4), ("V", 0, 4)]
    assert (a.get(), b.get(), block.staged) == (1, 2, True)


def test_a_value_staged_during_a_read_survives_it(threaded, build, spec) -> None:
    memory = threaded(free=False)
    memory.ram._direct(Write, 0, bytearray(b"\xaa" * 12), 0, 12)
    block = build(memory, spec("all", 0, 96, overlapEn=True), spec("mid", 4, 32, overlapEn=True))[0]
    block.startTransaction(Read)
    block.fields[1].set(0x11223344)
    memory.release()
    block.waitTransaction()
    assert bytes(block.image) == b"\xaa" * 4 + b"\x44\x33\x22\x11" + b"\xaa" * 4


@pytest.mark.parametrize(("times", "retries", "fails"), [(2, 2, False), (3, 2, True), (1, 0, True)])
def test_retries_repeat_a_failing_verify_and_never_hide_it(
    build, spec, caplog, times, retries, fails
) -> None:
    slave = StuckBits(1, times)
    block = build(slave, spec("a", retryCount=retries))[0]
    with caplog.at_level(logging.WARNING, "sapwood.memory.block"):
        if fails:
            with pytest.raises(VerifyError):
                block.write(block.fields[0], 2)
        else:
            block.write(block.fields[0], 2)
    assert slave.reads == min(times, retries) + (0 if fails and times > retries + 1 else 1)
    assert len(caplog.records) == retries


def test_retries_of_an_immediate_slave(build, spec) -> None:
    class Flaky(Emulate):
        left = 2

        def _doTransaction(self, transaction) -> None:
            raise AssertionError("the direct way is taken")

        def _direct(self, type, address, buffer, low, high) -> None:
            if self.left:
                self.left -= 1
                raise OSError("link down")
            super()._direct(type, address, buffer, low, high)

    slave = Flaky()
    block = build(slave, spec("a", retryCount=2))[0]
    block.write(block.fields[0], 3)
    slave.left = 3
    with pytest.raises(BusError, match="Error OSError: link down"):
        block.read(block.fields[0])
    assert slave.left == 0


def test_an_asynchronous_slave(threaded, build, spec) -> None:
    memory = threaded()
    blocks = build(memory, *(spec(f"r{i}", 4 * i) for i in range(50)), at=0x40)
    for value, block in enumerate(blocks):
        block.fields[0].set(value)
    for type in (Write, Verify, Read):
        for block in blocks:
            block.startTransaction(type)
    for block in blocks:
        block.waitTransaction()
    assert [block.fields[0].get() for block in blocks] == list(range(50))
    assert [kind for kind, _, _ in memory.log] == ["W"] * 50 + ["V"] * 50 + ["R"] * 50


def test_a_timeout_and_the_late_answer(threaded, build, spec) -> None:
    memory = threaded(free=False)
    block = build(memory, spec("a"), at=0x40)[0]
    block.set_timeout(0.02)
    with pytest.raises(BusTimeout) as caught:
        block.read(block.fields[0])
    text = str(caught.value)
    assert (
        "for block Top.Dev.a with address 0x00000040. Error Timeout waiting for register transaction" in text
    )
    assert "message response." in text
    assert str(caught.value.id) in text
    assert caught.value.waited_s == 0.02
    memory.release()
    assert memory.answered.acquire(timeout=20)
    assert block.fields[0].get() == 0
    block.set_timeout(5)
    memory.ram._direct(Write, 0x40, bytearray(b"\7\0\0\0"), 0, 4)
    memory.release()
    block.read(block.fields[0])
    assert block.fields[0].get() == 7


def test_errors_of_an_asynchronous_slave_belong_to_their_access(threaded, build, spec) -> None:
    memory = threaded()
    first, second = build(memory, spec("a"), spec("b", 4))
    memory.errors = ["first only"]
    first.startTransaction(Read)
    second.startTransaction(Read)
    second.waitTransaction()
    with pytest.raises(BusError, match=r"Top.Dev.a .* first only"):
        first.waitTransaction()
    first.waitTransaction()


def test_the_error_of_an_access_nobody_waited_for_is_kept(threaded, build, spec) -> None:
    memory = threaded()
    block = build(memory, spec("a"))[0]
    memory.errors = ["lost write"]
    block.write(block.fields[0], 1, verify=False, wait=False)
    block.read(block.fields[0], wait=False)
    with pytest.raises(BusError, match="lost write"):
        block.waitTransaction()
    assert memory.log == [("W", 0, 4), ("R", 0, 4)]


def test_two_writers_do_not_lose_each_others_values(threaded, build, spec) -> None:
    memory = threaded()
    block = build(memory, spec("a", 0, 16), spec("b", 0, 16, 16))[0]
    problems: list[Exception] = []

    def write(field) -> None:
        try:
            for value in range(200):
                block.write(field, value)
                block.read(field)
                if field.get() != value:
                    raise AssertionError(f"{field.get()} instead of {value}")
        except Exception as problem:  # noqa: BLE001  # shown by the test
            problems.append(problem)

    threads = [threading.Thread(target=write, args=(field,)) for field in block.fields]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert problems == []
    assert bytes(memory.ram._pages[0][:4]) == b"\xc7\0\xc7\0"


@pytest.mark.parametrize(
    ("extra", "good", "bad", "limits"),
    [
        ({"bits": 8}, 255, 256, "Min=0, Max=255"),
        ({"bits": 8}, 0, -1, "Min=0, Max=255"),
        ({"bits": 100}, 2**100 - 1, 2**100, f"Min=0, Max={2**100 - 1}"),
        ({"bits": 64}, 2**64 - 1, 2**64, f"Max={2**64 - 1}"),
        ({"bits": 8, "minimum": 3, "maximum": 300}, 3, 2, "Min=3, Max=255"),
        ({"bits": 8, "minimum": -5, "maximum": 10}, 0, -1, "Min=0, Max=10"),
        ({"bits": 8, "minimum": 0, "maximum": 0}, 255, 256, "Min=0, Max=255"),
        ({"bits": 11, "bit": 3}, 2047, 2048, "Max=2047"),
    ],
)
def test_values_out_of_range_are_refused_and_not_staged(
    memory, build, spec, extra, good, bad, limits
) -> None:
    field = build(memory, spec("a", **extra))[0].fields[0]
    with pytest.raises(VariableError) as caught:
        field.set(bad)
    assert f"Value range error for a. Value={bad}, " in str(caught.value)
    assert limits in str(caught.value)
    assert caught.value.path == "Top.Dev.a"
    assert not field.block.staged
    field.set(good)
    assert field.get() == good


def test_values_that_do_not_convert_are_refused(word) -> None:
    with pytest.raises(VariableError, match="Invalid value for a with type UInt8") as caught:
        word.write(word.fields[0], "12")
    assert (caught.value.expected, caught.value.seen) == ("int", "'12'")
    assert not word.staged


def test_array_indices_and_lengths(table) -> None:
    arr = table.fields[0]
    arr.set([1, 2, 3], index=np.int64(17))
    assert arr.get().dtype == np.uint16
    assert arr.get(np.int32(18)) == 2
    assert arr.get().tolist() == [0] * 17 + [1, 2, 3]
    arr.set(9)
    assert arr.get(0) == 9
    arr.set(np.arange(20), index=-5)
    assert arr.get(-3).tolist() == list(range(20))
    for bad in (lambda: arr.get(20), lambda: arr.set(1, index=20)):
        with pytest.raises(VariableError, match="Index 20 is out of range for arr"):
            bad()
    text = "Overflow error for passed list with length 3 at index 18. Variable length = 20 for arr"
    with pytest.raises(VariableError, match=text):
        arr.set([1, 2, 3], index=18)
    with pytest.raises(VariableError, match=r"Value range error for arr. Value=65536, Min=0, Max=65535"):
        arr.set([1, 65536])
    with pytest.raises(VariableError, match="Invalid value for arr with type UInt16"):
        arr.set([1, "x"])
    assert arr.get().tolist() == list(range(20))
    arr.set([])
    assert arr.get().tolist() == list(range(20))


def test_what_get_gives_is_not_the_image(table) -> None:
    arr = table.fields[0]
    arr.get()[:] = 7
    assert arr.get(3) == 0


def test_known_packing_of_an_array(memory, build, spec) -> None:
    field = build(memory, spec("p", numValues=5, valueBits=3, valueStride=5, model=UInt(3)))[0].fields[0]
    field.set([1, 2, 3, 4, 5])
    assert bytes(field.block.image).hex(" ") == "41 0c 52 00"


def test_overridden_hubs_are_asked(memory, spec) -> None:
    class Traced(Hub):
        seen = 0

        def _doTransaction(self, transaction) -> None:
            self.seen += 1
            super()._doTransaction(transaction)

    hub = Traced(0x10)
    hub >> memory
    block = build_blocks([spec("a", 4)], hub, "Top.Dev")[0]
    block.write(block.fields[0], 1)
    assert hub.seen == 2
    assert memory.take_log() == [("W", 0x14, 4), ("V", 0x14, 4)]


def test_a_block_follows_a_new_connection(spec) -> None:
    hub, first, second = Hub(), Emulate(), Emulate()
    hub >> first
    block = build_blocks([spec("a")], hub, "Top.Dev")[0]
    block.write(block.fields[0], 1)
    hub >> second
    block.write(block.fields[0], 2)
    assert (first._pages[0][0], second._pages[0][0]) == (1, 2)


def test_a_large_block_is_split(recording, build, spec) -> None:
    memory = recording(max=4096)
    block = build(memory, spec("big", numValues=1025, valueBits=32, valueStride=32))[0]
    block.write(block.fields[0], np.arange(1025))
    assert memory.take_log() == [("W", 0, 4096), ("W", 4096, 4), ("V", 0, 4096), ("V", 4096, 4)]
    block.read(block.fields[0])
    assert block.fields[0].get(1024) == 1024
