"""Slaves that note what they are asked, and short ways to make blocks."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sapwood.memory import Block, Emulate, FieldSpec, Hub, Model, Slave, Transaction, UInt, build_blocks

KINDS = {1: "R", 2: "W", 3: "P", 4: "V"}


class RecordingMemory(Emulate):
    """Emulated memory with a log of (kind, address, size); `fail` maps a kind to an error."""

    def __init__(self, min: int = 4, max: int = 0xFFFFFFFF) -> None:
        super().__init__(min, max)
        self.log: list[tuple[str, int, int]] = []
        self.fail: dict[str, str] = {}
        self.before: Callable[[Transaction], None] = lambda transaction: None

    def _doTransaction(self, transaction: Transaction) -> None:
        kind = KINDS[transaction.type()]
        self.log.append((kind, transaction.address(), transaction.size()))
        self.before(transaction)
        if kind in self.fail:
            transaction.error(self.fail[kind])
        else:
            super()._doTransaction(transaction)

    def take_log(self) -> list[tuple[str, int, int]]:
        log, self.log = self.log, []
        return log


class Immediate(Emulate):
    """Emulated memory asked without transactions, with a log; accesses that touch `broken` fail, as
    do the next ones while there are `failures`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log: list[tuple[int, int, int]] = []
        self.broken: set[int] = set()
        self.failures: list[str] = []

    def _direct(self, type: int, address: int, buffer: Any, low: int, high: int) -> None:
        self.log.append((type, address, high - low))
        if self.failures:
            raise RuntimeError(self.failures.pop())
        if self.broken & set(range(address, address + high - low)):
            raise RuntimeError("broken register")
        super()._direct(type, address, buffer, low, high)


class ThreadedMemory(Slave):
    """Memory that answers from a thread of its own, one access for each `release()`, or freely."""

    def __init__(self, min: int = 4, max: int = 0xFFFFFFFF, free: bool = True) -> None:
        super().__init__(min, max)
        self.log: list[tuple[str, int, int]] = []
        self.ram = Emulate()
        self.errors: list[str] = []
        self.arrived = threading.Semaphore(0)
        self.answered = threading.Semaphore(0)
        self._free = free
        self._gate = threading.Semaphore(0)
        self._queue: queue.Queue[Transaction | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="ThreadedMemory", daemon=True)
        self._thread.start()

    def _doTransaction(self, transaction: Transaction) -> None:
        self.log.append((KINDS[transaction.type()], transaction.address(), transaction.size()))
        self._addTransaction(transaction)
        self._queue.put(transaction)
        self.arrived.release()

    def release(self, count: int = 1) -> None:
        self._gate.release(count)

    def _work(self) -> None:
        while (transaction := self._queue.get()) is not None:
            if not self._free:
                self._gate.acquire()
            self._getTransaction(transaction.id())
            with transaction.lock():
                if not transaction.expired() and self.errors:
                    transaction.error(self.errors.pop(0))
                elif not transaction.expired():
                    self.ram._doTransaction(transaction)
                else:
                    transaction.setData(b"\xee" * transaction.size())
                    transaction.done()
            self.answered.release()

    def stop(self) -> None:
        self._queue.put(None)
        self._gate.release(1000)
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture
def memory() -> RecordingMemory:
    return RecordingMemory()


@pytest.fixture
def immediate() -> Immediate:
    return Immediate()


@pytest.fixture
def recording() -> type[RecordingMemory]:
    return RecordingMemory


@pytest.fixture
def threaded() -> Iterator[Callable[..., ThreadedMemory]]:
    made: list[ThreadedMemory] = []

    def make(**kwargs: Any) -> ThreadedMemory:
        made.append(ThreadedMemory(**kwargs))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def spec() -> Callable[..., FieldSpec]:
    """Make a FieldSpec from a name, an offset and what differs from a 32-bit UInt."""

    def make(
        name: str, offset: Any = 0, bits: Any = 32, bit: Any = 0, model: Model | None = None, **kwargs: Any
    ) -> FieldSpec:
        def listed(value: Any) -> list[int]:
            return value if isinstance(value, list) else [value]

        model = model or UInt(kwargs.get("valueBits") or sum(listed(bits)))
        return FieldSpec(name, f"Top.Dev.{name}", listed(offset), listed(bit), listed(bits), model, **kwargs)

    return make


@pytest.fixture
def build() -> Callable[..., list[Block]]:
    """Build blocks on a hub at `at` above `slave`."""

    def make(slave: Slave, *specs: FieldSpec, at: int = 0, **kwargs: Any) -> list[Block]:
        hub = Hub(at)
        hub >> slave
        return build_blocks(specs, hub, "Top.Dev", **kwargs)

    return make
