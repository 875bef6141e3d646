"""What docs/how-to/write-a-source.md shows runs, or is part of the example; the example does what it says."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from sapwood.fileio import open as open_recording
from sapwood.streams import FrameBatch, Gap, Slave

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "write-a-source.md"
EXAMPLE = ROOT / "examples" / "dma_source.py"
WAIT_S = 20.0


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    code = blocks()
    space: dict[str, Any] = {}
    exec(code[0] + code[-1], space)  # noqa: S102  # the page's own code
    assert capsys.readouterr().out == "1 5\n"


def test_the_rest_of_the_page_is_in_the_example() -> None:
    text = EXAMPLE.read_text()
    parts = blocks()[1:-1]
    assert len(parts) == 4
    for part in parts:
        assert part in text or textwrap.indent(part, "    ") in text
    assert len(PAGE.read_text().splitlines()) < 150


class Sink(Slave):
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[FrameBatch] = []
        self.order: list[tuple[str, int]] = []
        self.news = threading.Condition()
        self.fail: Exception | None = None

    def _acceptBatch(self, batch: FrameBatch) -> None:
        with self.news:
            self.kept.append(batch)
            self.order.append(("frames", len(batch)))
            self.news.notify_all()
        if self.fail is not None:
            raise self.fail

    def _acceptGap(self, gap: Gap) -> None:
        self.order.append((gap.reason, gap.frames))

    def wait(self, frames: int) -> None:
        with self.news:
            count = lambda: sum(n for kind, n in self.order if kind == "frames")  # noqa: E731  # short
            assert self.news.wait_for(lambda: count() >= frames, WAIT_S), self.order


@pytest.fixture
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("examples_dma_source", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def until(test: Any) -> None:
    deadline = time.monotonic() + WAIT_S
    while not test():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_the_example_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLE), "run.dat"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("run.dat: 2000 frames, 0 lost\n", "")
    with open_recording(tmp_path / "run.dat", config_channel=None) as reader:
        frames = reader.read()
    numbers = np.ascontiguousarray(frames.rows())[:, :4].copy().view("<u4")[:, 0]
    assert numbers.tolist() == list(range(1, 2001))
    assert frames.channel.tolist() == [number % 2 for number in numbers]


def test_buffers_are_the_cards_again_when_nobody_holds_their_frames(example: ModuleType) -> None:
    card, sink = example.SimulatedCard(16), Sink()
    source = example.DmaSource(card)
    source >> sink
    source._start()
    card.produce(10)
    sink.wait(10)
    assert np.shares_memory(sink.kept[0].payload, np.frombuffer(card.memory, np.uint8))
    view = sink.kept[0][3:5].payload[10:].data
    sink.kept.clear()
    assert card.free == 6
    del view
    until(lambda: card.free == 16)
    card.produce(14)  # few buffers are left: these are copied
    sink.wait(24)
    until(lambda: card.free == 16)
    assert len(sink.kept) == 1
    source._stop()
    card.close()


def test_losses_failing_sinks_and_a_card_that_breaks(example: ModuleType) -> None:
    card, sink = example.SimulatedCard(4), Sink()
    source = example.DmaSource(card)
    source >> sink
    sink.fail = OSError("no room")
    card.produce(7)
    source._start()
    sink.wait(4)
    assert sink.order == [("ring", 3), ("frames", 4)]
    until(lambda: source.counters.errors == 1)
    assert source.lastError == "no room"
    assert (source.counters.frames, source.counters.dropped) == (7, {"ring": 3})
    sink.fail = None
    card.broken = True
    card.produce(1)
    thread = source._thread
    thread.join(WAIT_S)
    assert source.lastError == "the card does not answer"
    source._stop()
    card.broken = False
    source._start()
    sink.wait(5)
    source._stop()
    card.close()
