"""FCIO streams into LH5 files, against LEGEND's converter in a process of its own.

Both run with default settings. "Fresh process" counts import too; elsewhere the peer runs in a process
that has imported and compiled all it needs, and takes turns with ours. Of two equal lines the first is
in memory, the second on a disk, to which ours are synced.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
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
DIFFERENT = 560  # events: those of 40 MB
SAMPLES = 6000
LARGER = 1.1  # than the peer's file, ours may be
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
PEER_SERVES = """
import sys
from daq2lh5 import build_raw
for line in sys.stdin:
    source, target = line.split()
    build_raw(source, "FlashCam", target, overwrite=True)
    print("done", flush=True)
"""


def wave(count: int) -> np.ndarray:
    """Noisy pulses of six traces, shape (count, 6, 2 + samples): as they pack in practice.

    No noise comes twice: traces that recur within a chunk pack like nothing that a detector sends.
    """
    random = np.random.default_rng(0)
    pulse = 1000 * np.exp(-np.arange(SAMPLES) / 2000) * (np.arange(SAMPLES) > SAMPLES // 3)
    noise = random.normal(12000, 12, (count, 6, SAMPLES + 2))
    noise[..., 2:] += pulse
    return noise.astype(np.uint16)


def stream(events: int) -> bytes:
    waves = wave(min(events, DIFFERENT))
    records = [
        made.sparse(range(6), waves[n % DIFFERENT], n, 1 + n, dead=(0, 0, 0, 0, 249_999_999, 0, 6))
        for n in range(events)
    ]
    return made.stream(made.config(6, SAMPLES), *records)


def runs(script: str, *arguments: object, compiled: Path | None = None) -> str:
    """Return what a new process prints; `compiled` holds its modules, as those of a package installed."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    if compiled is not None:
        env["PYTHONPYCACHEPREFIX"] = str(compiled)
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout


@pytest.fixture
def peer() -> None:
    if importlib.util.find_spec("daq2lh5") is None:
        pytest.skip("legend-daq2lh5 is not installed")


@pytest.fixture
def served(peer: None) -> Iterator[Callable[[Path, Path], None]]:
    """Convert a file by the peer, in a process that goes on."""
    with subprocess.Popen(
        [sys.executable, "-c", PEER_SERVES], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, bufsize=1,
    ) as process:  # fmt: skip
        pipes = process.stdin, process.stdout
        assert pipes[0] is not None
        assert pipes[1] is not None

        def convert(source: Path, target: Path) -> None:
            pipes[0].write(f"{source} {target}\n")
            assert pipes[1].readline() == "done\n"

        yield convert
        pipes[0].close()


@pytest.fixture
def quick(request: pytest.FixtureRequest) -> bool:
    """Nothing is measured: small data will do."""
    return bool(request.config.getoption("benchmark_disable"))


@pytest.mark.parametrize(("events", "floor"), [(50, 7), (DIFFERENT, 8)], ids=["small", "large"])
def test_a_fresh_process(
    race: Callable[..., None], tmp_path: Path, quick: bool, peer: None, events: int, floor: float
) -> None:
    file = tmp_path / "run.fcio"
    file.write_bytes(stream(20 if quick else events))
    race(
        f"FCIO, {events} events, fresh process with import",
        lambda: runs(OURS_ONCE, file, tmp_path / "ours.lh5", compiled=tmp_path / "compiled"),
        (lambda: None) if quick else lambda: runs(PEER_ONCE, file, tmp_path / "peer.lh5"),
        named=PEER,
        amount=file.stat().st_size / 1e6,
        unit="MB/s",
        floor=floor,
        rounds=3,
    )


@pytest.mark.parametrize(("library", "floor"), [("isal", 8), ("zlib", 3)])
def test_large_file(
    race: Callable[..., None],
    folder: Path,
    quick: bool,
    served: Callable[[Path, Path], None],
    library: str,
    floor: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if library == "zlib":
        monkeypatch.setitem(sys.modules, "isal", None)
        monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)
        _forget_library()
    file = folder / "large.fcio"
    file.write_bytes(stream(20 if quick else 560))
    race(
        f"FCIO, {file.stat().st_size / 1e6:.0f} MB, {library}",
        lambda: build_raw(file, out_spec=str(folder / "ours.lh5"), overwrite=True),
        (lambda: None) if quick else lambda: served(file, folder / "peer.lh5"),
        named=f"{PEER}, imported, compiled",
        amount=file.stat().st_size / 1e6,
        unit="MB/s",
        floor=floor,
        rounds=5,
    )
    _forget_library()
    if not quick:
        assert (folder / "ours.lh5").stat().st_size <= LARGER * (folder / "peer.lh5").stat().st_size


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
