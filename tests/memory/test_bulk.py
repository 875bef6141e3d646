from __future__ import annotations

from typing import Any

import pytest

from sapwood.errors import BusError, BusTimeout
from sapwood.memory import Emulate, Hub, Read, SrpV3, SrpV3Emulation, Verify, Write, startTransactions
from sapwood.streams import Frame, FrameBatch, Slave


def run(blocks, type, **kwargs) -> None:
    startTransactions(blocks, type, **kwargs)
    for block in blocks:
        block.waitTransaction()


@pytest.fixture
def words(build, spec):
    """Build eight words, the fourth one apart from its neighbour, one RO, one WO, one staged."""

    def make(memory, **kwargs):
        modes = {5: "RO", 6: "WO"}
        return build(
            memory,
            *(spec(f"r{i}", 4 * i + (8 if i > 3 else 0), mode=modes.get(i, "RW")) for i in range(8)),
            **kwargs,
        )

    return make


def test_joined_where_the_slave_allows_it(memory, words) -> None:
    blocks = words(memory, at=0x100)
    for value, block in enumerate(blocks):
        block.fields[0].set(value + 1)
    run(blocks, Write)
    assert memory.take_log() == [("W", 0x100, 16), ("W", 0x118, 4), ("W", 0x120, 8)]
    run(blocks, Verify)
    assert memory.take_log() == [("V", 0x100, 16), ("V", 0x118, 4), ("V", 0x124, 4)]
    for block in blocks:
        block.image[:] = bytes(4)
        block.stagedLow, block.stagedHigh = 4, 0
    run(blocks, Read)
    assert memory.take_log() == [("R", 0x100, 16), ("R", 0x118, 8), ("R", 0x124, 4)]
    assert [block.fields[0].get() for block in blocks] == [1, 2, 3, 4, 5, 0, 0, 8]


def test_never_joined_without_permission(memory, words) -> None:
    memory.coalesce = False
    blocks = words(memory)
    run(blocks[:4], Write, force=True)
    assert memory.take_log() == [("W", 4 * i, 4) for i in range(4)]


def test_joined_up_to_the_largest_access(recording, words) -> None:
    memory = recording(max=8)
    blocks = words(memory)[:4]
    run(blocks, Read)
    assert memory.take_log() == [("R", 0, 8), ("R", 8, 8)]
    memory.before = lambda transaction: transaction.address() and transaction.error("second half")
    startTransactions(blocks, Read)
    for block in blocks[:2]:
        block.waitTransaction()
    for block in blocks[2:]:
        with pytest.raises(BusError, match="Error second half"):
            block.waitTransaction()


def test_never_across_devices(memory, build, spec) -> None:
    blocks = build(memory, spec("a"), at=0) + build(memory, spec("b"), at=4)
    run(blocks, Read)
    assert memory.take_log() == [("R", 0, 4), ("R", 4, 4)]


def test_errors_stay_with_each_block(memory, words) -> None:
    memory.fail["R"] = "no answer"
    blocks = words(memory)[:4]
    startTransactions(blocks, Read)
    for block in blocks:
        with pytest.raises(BusError, match=f"{block.path} .* no answer"):
            block.waitTransaction()
    memory.fail.clear()
    memory.take_log()
    run(blocks, Read)
    assert memory.take_log() == [("R", 0, 16)]


def test_a_joined_verify_finds_the_one_at_fault(memory, words) -> None:
    blocks = words(memory)[:4]
    for block in blocks:
        block.fields[0].set(3)
    run(blocks, Write)
    memory._pages[0][8] = 9
    startTransactions(blocks, Verify)
    for number, block in enumerate(blocks):
        if number == 2:
            with pytest.raises(BusError, match=r"Verify error for block Top.Dev.r2"):
                block.waitTransaction()
        else:
            block.waitTransaction()


def test_an_asynchronous_slave(threaded, words) -> None:
    memory = threaded()
    memory.coalesce = True
    blocks = words(memory)
    for value, block in enumerate(blocks):
        block.fields[0].set(value + 1)
    run(blocks, Write)
    run(blocks, Read)
    assert [size for kind, _, size in memory.log] == [16, 4, 8, 16, 8, 4]
    assert [block.fields[0].get() for block in blocks if block.mode == "RW"] == [1, 2, 3, 4, 5, 8]


def test_expired_parts_leave_the_image_alone(threaded, words) -> None:
    memory = threaded(free=False)
    memory.coalesce = True
    memory.ram._direct(Write, 0, bytearray(b"\x55" * 16), 0, 16)
    blocks = words(memory)[:4]
    for block in blocks:
        block.set_timeout(0.02)
    startTransactions(blocks, Read)
    for block in blocks:
        with pytest.raises(BusError, match="Timeout"):
            block.waitTransaction()
    memory.release()
    assert memory.answered.acquire(timeout=20)
    assert [block.fields[0].get() for block in blocks] == [0] * 4


def test_immediate_slaves_take_the_short_way(words) -> None:
    memory = Emulate()
    blocks = words(memory)
    for value, block in enumerate(blocks):
        block.fields[0].set(value + 1)
    run(blocks, Write)
    run(blocks, Verify)
    assert memory._pages[0][:16] == b"\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0"


def test_immediate_slaves_are_joined_too(immediate, words) -> None:
    memory = immediate
    blocks = words(memory)
    for value, block in enumerate(blocks):
        block.fields[0].set(value + 1)
    for type in (Write, Verify, Read):
        run(blocks, type)
    assert memory.log == [
        (Write, 0, 16), (Write, 24, 4), (Write, 32, 8),
        (Verify, 0, 16), (Verify, 24, 4), (Verify, 36, 4),
        (Read, 0, 16), (Read, 24, 8), (Read, 36, 4),
    ]  # fmt: skip


@pytest.mark.parametrize("type", [Read, Verify])
def test_a_joined_read_that_fails_is_repeated_block_by_block(immediate, words, type) -> None:
    memory = immediate
    blocks = words(memory)[:4]
    for block in blocks:
        block.fields[0].set(7)
    run(blocks, Write)
    memory.log.clear()
    memory.broken.add(8)
    startTransactions(blocks, type)
    for number, block in enumerate(blocks):
        if number == 2:
            with pytest.raises(BusError, match=r"Top\.Dev\.r2 with address 0x00000008.*broken register"):
                block.waitTransaction()
        else:
            block.waitTransaction()
    assert memory.log == [(type, 0, 16), *((type, 4 * number, 4) for number in range(4))]
    assert [block.fields[0].get() for block in blocks] == [7] * 4


def test_a_joined_write_that_fails_is_told_and_not_repeated(immediate, words) -> None:
    memory = immediate
    blocks = words(memory)[:4]
    memory.broken.add(8)
    startTransactions(blocks, Write, force=True)
    for block in blocks:
        with pytest.raises(BusError, match=f"block {block.path} .*broken register"):
            block.waitTransaction()
    assert memory.log == [(Write, 0, 16)]


def test_repetitions_on_a_silent_bus_end(threaded, words) -> None:
    memory = threaded(free=False)
    memory.coalesce = True
    blocks = words(memory)[:4]
    for block in blocks:
        block.set_timeout(0.02)
    startTransactions(blocks, Read)
    for block in blocks:
        with pytest.raises(BusError, match=f"block {block.path} .*Timeout"):
            block.waitTransaction()
    assert [entry[1:] for entry in memory.log] == [(0, 16), (0, 4), (4, 4)]


def test_values_staged_meanwhile_stay(threaded, words) -> None:
    memory = threaded(free=False)
    memory.coalesce = True
    memory.ram._direct(Write, 0, bytearray(b"\x55" * 16), 0, 16)
    blocks = words(memory)[:4]
    startTransactions(blocks, Read)
    blocks[1].fields[0].set(9)
    memory.release()
    for block in blocks:
        block.waitTransaction()
    assert [block.fields[0].get() for block in blocks] == [0x55555555, 9, 0x55555555, 0x55555555]
    assert blocks[1].staged


def test_settle_returns_what_the_wait_would_raise(immediate, words) -> None:
    memory = immediate
    blocks = words(memory)[:2]
    assert [block.settle() for block in blocks] == [(None, False)] * 2
    memory.broken.add(4)
    startTransactions(blocks, Read)
    (none, fresh), (problem, stale) = (block.settle() for block in blocks)
    assert (none, fresh, stale) == (None, True, False)
    assert isinstance(problem, BusError)
    blocks[1].waitTransaction()  # it was told


class Link(Slave):
    """Keeps the requests, each batch as a list, and passes them on to `server`, or fails."""

    def __init__(self, server: SrpV3Emulation | None) -> None:
        super().__init__()
        self.server = server
        self.loads: list[list[bytes]] = []

    def _acceptFrame(self, frame: Frame) -> None:
        self._acceptBatch(FrameBatch.gather([frame]))

    def _acceptBatch(self, batch: FrameBatch) -> None:
        self.loads.append([bytes(frame) for frame in batch.frames()])
        if self.server is None:
            raise OSError("no cable")
        self.server._acceptBatch(batch)


def over_srp(client: SrpV3, connected: bool = True) -> Link:
    server = SrpV3Emulation(inline=True)
    link = Link(server if connected else None)
    client >> link
    server >> client
    return link


def requests(link: Link) -> list[bytes]:
    return [request for load in link.loads for request in load]


def addresses(load: list[bytes]) -> list[int]:
    return [int.from_bytes(request[8:12], "little") for request in load]


def test_small_accesses_leave_together_over_srp_and_large_ones_alone(build, spec) -> None:
    client = SrpV3()
    link = over_srp(client)
    sizes = [32] * 70 + [8 * 512] + [32] * 3
    blocks = build(client, *(spec(f"r{i}", 0x1000 * i, bits=size) for i, size in enumerate(sizes)))
    for value, block in enumerate(blocks):
        block.fields[0].set(value)
    run(blocks, Write)
    assert [len(load) for load in link.loads] == [64, 6, 1, 3]
    assert addresses(requests(link)) == [0x1000 * i for i in range(74)]
    written = requests(link)
    link.loads.clear()
    for block in blocks:
        block.startTransaction(Write, force=True)
        block.waitTransaction()
    alone = requests(link)
    assert [request[:4] + request[8:] for request in written] == [one[:4] + one[8:] for one in alone]
    for kind in (Verify, Read):
        link.loads.clear()
        run(blocks, kind)
        assert [len(load) for load in link.loads] == [64, 6, 1, 3]
    assert [block.fields[0].get() for block in blocks] == list(range(74))


def test_blocks_whose_last_access_is_answered_leave_together_without_a_wait_between(build, spec) -> None:
    client = SrpV3()
    link = over_srp(client)
    blocks = build(client, *(spec(f"r{i}", 0x1000 * i) for i in range(70)))
    startTransactions(blocks, Write, force=True)
    run(blocks, Verify)
    assert [len(load) for load in link.loads] == [64, 6, 64, 6]


def test_accesses_larger_than_a_hub_takes_are_split_over_srp_too(build, spec) -> None:
    client, hub = SrpV3(), Hub(0, 4, 64)
    link = over_srp(client)
    hub >> client
    (block,) = build(hub, spec("a", 0, bits=8 * 128))
    run([block], Read)
    assert addresses(requests(link)) == [0, 64]


def test_a_block_named_twice_is_waited_for_in_between(build, spec) -> None:
    client = SrpV3()
    link = over_srp(client)
    blocks = build(client, spec("a", 0), spec("b", 0x100))
    run([*blocks, blocks[0]], Write, force=True)
    assert list(map(addresses, link.loads)) == [[0, 0x100], [0]]


def test_accesses_sent_together_fail_each_on_its_own(build, spec) -> None:
    client = SrpV3()
    over_srp(client, connected=False)
    for block in (blocks := build(client, spec("a", 0), spec("b", 0x100))):
        block.set_timeout(20)
    startTransactions(blocks, Read)
    for block in blocks:
        with pytest.raises(BusError, match="no cable") as caught:
            block.waitTransaction()
        assert not isinstance(caught.value, BusTimeout)
        assert block.path in str(caught.value)


def test_what_a_slave_raises_for_several_is_the_error_of_each(build, spec) -> None:
    class Wrong(SrpV3):
        def _doTransactions(self, transactions: Any) -> None:
            transactions[0].done()
            raise KeyError("no such thing")

    blocks = build(Wrong(), spec("a", 0), spec("b", 0x100), spec("c", 0x200))
    startTransactions(blocks, Read)
    blocks[0].waitTransaction()
    for block in blocks[1:]:
        with pytest.raises(BusError, match="KeyError: 'no such thing'") as caught:
            block.waitTransaction()
        assert not isinstance(caught.value, BusTimeout)


def test_what_was_prepared_is_sent_when_a_later_block_fails(build, spec) -> None:
    client = SrpV3()
    link = over_srp(client)
    blocks = build(client, spec("a", 0), spec("b", 0x100))

    def named() -> Any:
        yield from blocks
        raise RuntimeError("no more blocks")

    with pytest.raises(RuntimeError, match="no more"):
        startTransactions(named(), Read)
    assert list(map(addresses, link.loads)) == [[0, 0x100]]
    for block in blocks:
        block.waitTransaction()


def test_accesses_leave_in_the_order_of_their_blocks_where_another_slave_joins_its_own(
    build, spec, memory
) -> None:
    client = SrpV3()
    link = over_srp(client)
    memory.coalesce = True
    seen: list[tuple[int, int]] = []
    memory.before = lambda one: seen.append((len(link.loads), one.size()))
    first, last = build(client, spec("a", 0), spec("d", 0x100))
    inner = build(memory, spec("b", 0), spec("c", 4))
    run([first, *inner, last], Read)
    assert seen == [(1, 8)]
    assert len(link.loads) == 2


def test_a_joined_block_named_twice_is_waited_for_in_between(memory, words) -> None:
    memory.coalesce = True
    blocks = words(memory)[:2]
    run([*blocks, blocks[0]], Write, force=True)
    for block in blocks:
        block.waitTransaction()


def test_a_slave_that_overrides_single_accesses_gets_them_singly(build, spec) -> None:
    class Watched(SrpV3):
        def __init__(self) -> None:
            super().__init__()
            self.asked: list[int] = []

        def _doTransaction(self, transaction: Any) -> None:
            self.asked.append(transaction.address())
            super()._doTransaction(transaction)

    client = Watched()
    link = over_srp(client)
    run(build(client, spec("a", 0), spec("b", 0x100)), Read)
    assert client.asked == [0, 0x100]
    assert [len(load) for load in link.loads] == [1, 1]
