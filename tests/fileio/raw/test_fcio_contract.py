"""FCIO streams keep the contract of all streams."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from sapwood.fileio.raw.fcio.stream import FCIOStream
from sapwood.fileio.raw.testing import DecoderContract

_spec = importlib.util.spec_from_file_location("fcio_streams", Path(__file__).parent / "fcio_streams.py")
assert _spec is not None
assert _spec.loader is not None
made = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(made)


class TestEvents(DecoderContract):
    stream_class = FCIOStream

    def make_stream(self) -> bytes:
        events = [made.event(made.waves(3, 4, number), number, 1 + number) for number in range(40)]
        return made.stream(made.config(), *events, made.status([made.card(0), made.card(0x2000)]))


class TestSparse(DecoderContract):
    stream_class = FCIOStream

    def make_stream(self) -> bytes:
        lists = [[0], [1, 2], [0, 1, 2], [2]]
        events = []
        for number in range(30):
            listed = lists[number % 4]
            dead = (number // 9, 50, number // 7, 90 + number, 249_999_999, listed[0], len(listed))
            events.append(
                made.sparse(listed, made.waves(len(listed), 4, number), number, 1 + number, dead=dead,
                            kind=11 if number % 3 else 1)
            )  # fmt: skip
            if number % 10 == 5:
                events.append(made.header(listed, made.waves(len(listed), 0, number), number, 1 + number))
        return made.stream(made.config(), *events, made.status([made.card(0), made.card(0x2000)]))


def test_the_streams_are_what_they_seem() -> None:
    rows, _ = TestSparse().read(TestSparse().make_stream())
    assert len(rows["FCEvent"]["channel"]) == sum(
        len([[0], [1, 2], [0, 1, 2], [2]][n % 4]) for n in range(30)
    )
    assert np.shape(rows["FCEvent"]["waveform"]["values"])[1] == 4
    assert len(rows["FCEventHeader"]["timestamp"]) == 3
