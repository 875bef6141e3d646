"""FCIO streams into LH5 files, against LEGEND's converter in a process of its own.

Both run with default settings. "Fresh process" counts import too; elsewhere the peer converts the
file twice in its process and the second time counts, so that nothing is compiled in it.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sapwood.fileio.raw import build_raw, read_raw

pytestmark = [pytest.mark.benchmark(timer=time.perf_counter), pytest.mark.timeout(900)]

_spec = importlib.util.spec_from_file_location(
    "fcio_streams", Path(__file__).parents[1] / "tests" / "fileio" / "raw" / "fcio_streams.py"
)
assert _spec is not None
assert _spec.loader is not None
made = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(made)

PEER = "legend-daq2lh5"
SAMPLES = 6000
OURS_ONCE = """
import sys
from sapwood.fileio.raw import build_raw
build_raw(sys.argv[1], out_spec=sys.argv[2], overwrite=True)
"""
PEER_ONCE = """
import sys, warnings
warnings.simplefilter("ignore")
from daq2lh5 import build_raw
build_raw(sys.argv[1], "FlashCam", sys.argv[2], overwrite=True)
"""
PEER_TWICE = """
import sys, time, warnings
warnings.simplefilter("ignore")
from daq2lh5 import build_raw
for turn in range(2):
    begin = time.perf_counter()
    build_raw(sys.argv[1], "FlashCam", sys.argv[2], overwrite=True)
print(time.perf_counter() - begin)
"""


def wave(count: int) -> np.ndarray:
    """Noisy pulses of six traces, shape (count, 6, 2 + samples): as they pack in practice."""
    random = np.random.default_rng(0)
    pulse = 1000 * np.exp(-np.arange(SAMPLES) / 2000) * (np.arange(SAMPLES) > SAMPLES // 3)
    noise = random.normal(12000, 12, (count, 6, SAMPLES + 2))
    noise[..., 2:] += pulse
    return noise.astype(np.uint16)


def stream(events: int) -> bytes:
    waves = wave(32)
    records = [
        made.sparse(range(6), waves[n % 32], n, 1 + n, dead=(0, 0, 0, 0, 249_999_999, 0, 6))
        for n in range(events)
    ]
    return made.stream(made.config(6, SAMPLES), *records)


def runs(script: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.fixture
def peer() -> None:
    if importlib.util.find_spec("daq2lh5") is None:
        pytest.skip("legend-daq2lh5 is not installed")


@pytest.fixture
def quick(request: pytest.FixtureRequest) -> bool:
    """Nothing is measured: small data will do."""
    return bool(request.config.getoption("benchmark_disable"))


def test_small_file_in_a_fresh_process(
    race: Callable[..., None], tmp_path: Path, quick: bool, peer: None
) -> None:
    file = tmp_path / "small.fcio"
    file.write_bytes(stream(50))
    race(
        "FCIO, 50 events, fresh process with import",
        lambda: runs(OURS_ONCE, file, tmp_path / "ours.lh5"),
        (lambda: None) if quick else lambda: runs(PEER_ONCE, file, tmp_path / "peer.lh5"),
        named=PEER,
        amount=1,
        unit="files/s",
        floor=7,
        rounds=3,
    )


@pytest.mark.parametrize(("library", "floor"), [("isal", 8), ("zlib", 3)])
def test_large_file(
    race: Callable[..., None],
    tmp_path: Path,
    quick: bool,
    peer: None,
    library: str,
    floor: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if library == "zlib":
        monkeypatch.setitem(sys.modules, "isal", None)
        monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)
        _forget_library()
    file = tmp_path / "large.fcio"
    file.write_bytes(stream(20 if quick else 560))
    theirs = 1.0 if quick else float(runs(PEER_TWICE, file, tmp_path / "peer.lh5"))
    race(
        f"FCIO, {file.stat().st_size / 1e6:.0f} MB, {library}",
        lambda: build_raw(file, out_spec=str(tmp_path / "ours.lh5"), overwrite=True),
        theirs,
        named=f"{PEER}, second run",
        amount=file.stat().st_size / 1e6,
        unit="MB/s",
        floor=floor,
        rounds=5,
    )
    _forget_library()


def _forget_library() -> None:
    from sapwood.fileio.lh5 import deflate

    for value in vars(deflate).values():
        getattr(value, "cache_clear", lambda: None)()


@pytest.mark.parametrize("samples", [SAMPLES, 1000])
def test_decoding_only(race: Callable[..., None], tmp_path: Path, quick: bool, samples: int) -> None:
    file = tmp_path / "events.fcio"
    waves = made.waves(6, samples)
    count = 20 if quick else 200_000_000 // waves.nbytes
    file.write_bytes(
        made.stream(made.config(6, samples), *(made.event(waves, n, 1 + n) for n in range(count)))
    )
    size = file.stat().st_size

    def decode() -> int:
        return sum(len(chunk["FCEvent"]) for chunk in read_raw(file) if "FCEvent" in chunk)

    race(
        f"FCIO events of {samples} samples, decoded only",
        decode,
        size / 1e9,
        named="1 GB/s",
        amount=size / 1e6,
        unit="MB/s",
        floor=1,
        rounds=5,
    )


def test_memory(tmp_path: Path, quick: bool) -> None:
    file = tmp_path / "memory.fcio"
    file.write_bytes(stream(50 if quick else 2000))
    script = OURS_ONCE + "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    used = int(runs(script, file, tmp_path / "memory.lh5")) / 1024
    print(f"FCIO, {file.stat().st_size / 1e6:.0f} MB: {used:.0f} MiB at most")
    assert used < 150, f"{used:.0f} MiB"
