"""Values that wait for a subscriber: in order, bounded, the newest kept, losses counted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sapwood.remote.subscription import MAX_WAITING_BYTES, Subscription


def value(number: Any) -> Any:
    return SimpleNamespace(value=number)


def drain(subscription: Subscription, count: int = 500) -> tuple[list[tuple[str, Any]], int]:
    taken: list[tuple[str, Any]] = []
    lost = 0
    while True:
        batches, dropped = subscription.take(count, 2**20)
        lost += dropped
        if not batches:
            return taken, lost
        assert sum(map(len, batches)) <= count
        taken += [(path, item.value) for batch in batches for path, item in batch.items()]


def test_all_values_come_in_order_below_the_limit() -> None:
    subscription = Subscription(100, lambda: None)
    offered = [("a" if number % 3 else "b", number) for number in range(100)]
    for path, number in offered:
        subscription.offer([(path, value(number))])
    assert drain(subscription, 7) == (offered, 0)


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("abcde"), st.integers()), max_size=8) | st.integers(1, 9),
        max_size=60,
    ),
    st.integers(1, 12),
)
def test_taken_and_lost_is_what_was_offered(steps: list[Any], limit: int) -> None:
    subscription = Subscription(limit, lambda: None)
    offered, taken, lost = 0, [], 0
    newest: dict[str, int] = {}
    for step in steps:
        if isinstance(step, int):
            batches, dropped = subscription.take(step, 2**20)
            taken += [(path, item.value) for batch in batches for path, item in batch.items()]
            lost += dropped
        else:
            subscription.offer([(path, value(number)) for path, number in step])
            offered += len(step)
            newest.update(step)
    rest, dropped = drain(subscription)
    taken += rest
    assert len(taken) + lost + dropped == offered
    assert dict(taken) == newest
    assert len(rest) <= max(limit, 10)


def test_memory_is_bounded_by_bytes() -> None:
    subscription = Subscription(100_000, lambda: None)
    piece = np.zeros(2**20, "u1")
    for _ in range(200):
        subscription.offer([("a", value(piece))])
    taken, lost = drain(subscription)
    assert len(taken) * piece.nbytes <= MAX_WAITING_BYTES + piece.nbytes
    assert len(taken) + lost == 200


def test_one_call_when_values_begin_to_wait() -> None:
    calls: list[int] = []
    subscription = Subscription(10, lambda: calls.append(1))
    subscription.offer([("a", value(1))])
    subscription.offer([("a", value(2))])
    assert calls == [1]
    drain(subscription)
    subscription.offer([("a", value(3))])
    assert calls == [1, 1]
    subscription.offer([])
    assert calls == [1, 1]


def test_an_update_is_newer_than_a_current_value_read_before() -> None:
    subscription = Subscription(10, lambda: None)

    def current() -> Any:
        subscription.offer([("a", value("new"))])
        yield "a", value("old")
        yield "b", value("first")

    subscription.offer_current(current())
    subscription.offer([("c", value(1))])
    assert drain(subscription)[0] == [("a", "new"), ("b", "first"), ("c", 1)]
