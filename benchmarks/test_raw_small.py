"""CoMPASS and llamaDAQ streams of 40 MB into LH5 files, against legend-daq2lh5; several files by processes.

The other package runs in a process of its own that has imported it, with default options on both
sides. Files lie in memory; times are those of the clock, since compression runs in threads.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from sapwood.fileio.raw import build_raw
from sapwood.fileio.raw.executors import OneByOne, Processes, build_many
from sapwood.fileio.raw.jobs import make_job

pytestmark = [pytest.mark.benchmark(timer=time.perf_counter), pytest.mark.timeout(600)]

PEER = """
import sys
from daq2lh5.build_raw import build_raw
for line in sys.stdin:
    source, kind, target = line.split()
    build_raw(source, kind, target, overwrite=True)
    print("done", flush=True)
"""
BY_PEER = "legend-daq2lh5"
SAMPLES = 1000
COMPASS_EVENTS, LLAMA_EVENTS = 19_700, 1_500


def waves(rows: int, samples: int) -> np.ndarray:
    """Noise on slow walks, as digitisers see them; shape (rows, samples)."""
    rng = np.random.default_rng(1)
    few = min(rows, 100)
    walk = np.cumsum(rng.normal(0, 1, (few, samples)), axis=1) * 0.1
    block = (2700 + walk + rng.normal(0, 2, (few, samples))).astype("<u2")
    return np.resize(block, (rows, samples))


def write_compass(path: Path, events: int = COMPASS_EVENTS) -> Path:
    fields = [("board", "<u2"), ("channel", "<u2"), ("time", "<u8"), ("energy", "<u2"), ("short", "<u2"),
              ("flags", "<u4"), ("code", "u1"), ("count", "<u4"), ("samples", "<u2", SAMPLES)]  # fmt: skip
    made = np.zeros(events, fields)
    made["channel"], made["time"] = np.arange(events) % 2, np.arange(events) * 10**8
    made["energy"], made["count"], made["code"] = np.arange(events) % 4000, SAMPLES, 1
    made["samples"] = waves(events, SAMPLES)
    path.write_bytes(b"\xed\xca" + made.tobytes())
    return path


def write_llama(path: Path, events: int = LLAMA_EVENTS) -> Path:
    """Two channels by turns: 2000 samples and 10000 averaged ones, 2000 and 500."""
    parts = [struct.pack("<I4HI", 0x4972414C, 0, 0, 2, 88, 2)]
    for channel, averaged, mode in ((0, 10000, 1), (4, 500, 2)):
        words = 13 + (2000 + averaged) // 2
        parts.append(struct.pack("<4I2d", 0, channel, 3, 8191, 250.0, 1.2e-4))
        parts.append(struct.pack("<14I", 3, 1000, 2000, 0, mode, 2000, averaged, 0, words, 13, 2, 9, 11, 11))
    samples = waves(100, 12000)
    for event in range(events):
        for channel, averaged in ((0, 10000), (4, 500)):
            words = [3 | channel << 4, 1000 * event, *[7] * 9, 0xA << 28 | 1000, 0xE << 28 | averaged // 2]
            parts.append(np.array(words, "<u4").tobytes())
            parts.append(samples[event % 100, : 2000 + averaged].tobytes())
    path.write_bytes(b"".join(parts))
    return path


@pytest.fixture(scope="module")
def peer() -> Iterator[Callable[[Path, str, Path], None]]:
    if find_spec("daq2lh5") is None:
        pytest.skip("legend-daq2lh5 is not installed")
    process = subprocess.Popen(
        [sys.executable, "-c", PEER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "TZ": "UTC"},
    )

    def convert(source: Path, kind: str, target: Path) -> None:
        process.stdin.write(f"{source} {kind} {target}\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"

    with process:
        yield convert
        process.stdin.close()


KINDS = {"Compass": (write_compass, "run.BIN"), "LlamaDaq": (write_llama, "20240102-030405.bin")}


@pytest.mark.parametrize("folder", ["memory"], indirect=True)
@pytest.mark.parametrize("kind", KINDS)
def test_build(race, peer, folder: Path, kind: str) -> None:
    write, name = KINDS[kind]
    source = write(folder / name)
    race(f"{kind} into LH5, 40 MB", lambda: build_raw(source, kind, str(folder / "o.lh5"), overwrite=True),
         lambda: peer(source, kind, folder / "t.lh5"),
         named=BY_PEER, amount=source.stat().st_size / 1e6, unit="MB/s", floor=2)  # fmt: skip


@pytest.mark.parametrize("folder", ["memory"], indirect=True)
def test_several_files(race, folder: Path) -> None:
    """Two processes for four files, their begin included."""
    sources = [write_compass(folder / f"run{number}.BIN", COMPASS_EVENTS) for number in range(4)]
    jobs = [make_job(one, overwrite=True, out_spec=f"{one}.lh5") for one in sources]

    def convert(executor: OneByOne | Processes) -> None:
        assert [outcome.status for outcome in build_many(jobs, executor)] == ["done"] * len(jobs)

    race("4 files of 40 MB, 2 processes", lambda: convert(Processes(2)), lambda: convert(OneByOne()),
         named="one after the other, in this process", amount=4 * sources[0].stat().st_size / 1e6,
         unit="MB/s", rounds=3)  # fmt: skip
