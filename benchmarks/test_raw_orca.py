"""ORCA streams into LH5 files, in wall time: FlashCam traces that ORCA packed, and FCIO records in packets.

The peer (legend-daq2lh5) converts the same files: in new processes, imports included, for both; and
in one that has imported and compiled all it needs. Files lie in memory.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from sapwood.fileio.raw import build_raw

pytestmark = [pytest.mark.benchmark(timer=time.perf_counter), pytest.mark.timeout(900)]

SAMPLES = 6250
LARGE, SMALL = 3200, 64  # packets: 40 MB and 0.8 MB
LARGER = 1.1  # than the peer's file, ours may be
CHANNELS = 60
MEMORY_MIB = 150
PEER = "legend-daq2lh5"
CONVERT = "import sys; from {package} import build_raw; build_raw(*sys.argv[1:3], out_spec=sys.argv[3])"
WITHOUT_ISAL = "from sapwood.fileio.lh5 import deflate; deflate._isal = lambda: None\n"
SERVE = """
import sys
from daq2lh5 import build_raw
for line in sys.stdin:
    source, target = line.split()
    build_raw(source, "ORCA", out_spec=target, overwrite=True)
    print("done", flush=True)
"""


def streams() -> ModuleType:
    path = Path(__file__).parents[1] / "tests" / "fileio" / "raw" / "orca_streams.py"
    spec = importlib.util.spec_from_file_location("orca_streams", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def traces(count: int) -> np.ndarray:
    """Return traces of a germanium detector: noise on a baseline, steps that decay.

    No noise comes twice: traces that recur within a chunk pack like nothing that a detector sends.
    """
    rng = np.random.default_rng(0)
    time = np.arange(SAMPLES)
    height, begin = rng.uniform(200, 9000, (count, 1)), rng.normal(3000, 60, (count, 1))
    steps = height * np.where(time < begin, 0, np.exp((begin - time) / 20_000))
    return (15_000 + steps + rng.normal(0, 8, (count, SAMPLES))).astype(np.uint16)


def write_flashcam(path: Path, packets: int) -> None:
    made = streams()
    ids = [made.RUN, made.FLASHCAM, made.CONFIG]
    tree = made.tree(ids, cards=[made.flashcam_card(0, 288)], listeners=[1], samples=SAMPLES)
    channels = [(288, number) for number in range(6)]
    begin = made.header(tree) + made.run_record() + made.listener_config(1, channels, SAMPLES)
    block = [
        made.flashcam(0, 288, row % 6, row % 6, trace, times=[*range(15), 249_999_999])
        for row, trace in enumerate(traces(packets))
    ]
    path.write_bytes(b"".join([begin, *block]))


def write_fcio(path: Path, packets: int) -> None:
    made = streams()
    ids = [made.RUN, made.FCIO_CONFIG, made.FCIO_EVENT, made.FCIO_HEADER, made.FCIO_STATUS]
    tree = made.tree(ids, cards=[made.flashcam_card(0, 288)], listeners=[1], samples=SAMPLES)
    channels = [(288 + 16 * (number // 6), number % 6) for number in range(CHANNELS)]
    begin = made.header(tree) + made.run_record() + made.fcio_config(1, channels, SAMPLES, adccards=10)
    block = []
    for row, trace in enumerate(traces(packets)):
        block.append(made.fcio_sparse(1, row, [row % CHANNELS], np.concatenate([[15_000, 300], trace])[None]))
    path.write_bytes(b"".join([begin, *block]))


@pytest.fixture(scope="module")
def enabled(request: pytest.FixtureRequest) -> bool:
    return not request.config.getoption("benchmark_disable")


@pytest.fixture(scope="module")
def place(enabled: bool) -> Iterator[Path]:
    folder = Path(f"/dev/shm/sapwood-orca-{os.getpid()}")  # noqa: S108  # in memory, wanted here
    folder.mkdir()
    for name, make in (("flashcam", write_flashcam), ("fcio", write_fcio)):
        make(folder / f"{name}.orca", LARGE if enabled else 2 * SMALL)
        make(folder / f"{name}-small.orca", SMALL)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def peer(enabled: bool) -> Iterator[Callable[[Path, Path], None]]:
    """Convert a file by the peer; does nothing when benchmarks are disabled."""
    if not enabled:
        yield lambda source, target: None
        return
    need_peer()
    with subprocess.Popen(
        [sys.executable, "-c", SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, bufsize=1,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        pipes = process.stdin, process.stdout

        def convert(source: Path, target: Path) -> None:
            pipes[0].write(f"{source} {target}\n")
            assert pipes[1].readline() == "done\n"

        yield convert
        process.stdin.close()


def need_peer() -> None:
    if importlib.util.find_spec("daq2lh5") is None:
        pytest.skip("the peer is not installed")


def ours(source: Path, target: Path) -> None:
    build_raw(source, "ORCA", out_spec=str(target), overwrite=True)


KINDS = {"flashcam": "FlashCam in ORCA", "fcio": "FCIO in ORCA"}


@pytest.mark.parametrize("kind", KINDS)
def test_large_in_a_new_process(race: Any, enabled: bool, place: Path, kind: str) -> None:
    compare(race, enabled, place, f"{kind}.orca", f"{KINDS[kind]}, 40 MB, a new process", floor=8)


@pytest.mark.parametrize("kind", KINDS)
def test_large_by_zlib_in_a_new_process(race: Any, enabled: bool, place: Path, kind: str) -> None:
    what = f"{KINDS[kind]}, 40 MB, a new process, without isal"
    compare(race, enabled, place, f"{kind}.orca", what, floor=3, code=WITHOUT_ISAL + CONVERT)


@pytest.mark.parametrize("kind", KINDS)
def test_small_in_a_new_process(race: Any, enabled: bool, place: Path, kind: str) -> None:
    compare(race, enabled, place, f"{kind}-small.orca", f"{KINDS[kind]}, 0.8 MB, a new process", floor=7)


def compare(
    race: Any, enabled: bool, place: Path, name: str, what: str, *, floor: float, code: str = CONVERT
) -> None:
    """Convert a file by new processes, ours and the peer's, imports included."""
    if enabled:
        need_peer()
    source = place / name
    race(what, lambda: new_process(code, "sapwood.fileio.raw", source, place / "o.lh5"),
         lambda: enabled and new_process(CONVERT, "daq2lh5", source, place / "p.lh5"), named=PEER,
         amount=source.stat().st_size / 1e6, unit="MB/s", floor=floor, rounds=3)  # fmt: skip
    if enabled and "flashcam" in name:  # of FCIO in ORCA the peer writes some rows only
        assert (place / "o.lh5").stat().st_size <= LARGER * (place / "p.lh5").stat().st_size


# The peak that wait4 tells is never below that of the process that began this one.
TELL_PEAK = "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"


def new_process(code: str, package: str, source: Path, target: Path) -> int:
    """Convert a file by a new process; return its peak memory in MiB."""
    target.unlink(missing_ok=True)
    code = f"{code.format(package=package)}\n{TELL_PEAK}"
    command = [sys.executable, "-c", code, str(source), "ORCA", str(target)]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    if package.startswith("sapwood"):  # the peer is installed compiled
        env["PYTHONPYCACHEPREFIX"] = str(source.parent / "compiled")
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env, check=True)
    return int(done.stdout.split()[-1]) // 1024


@pytest.mark.parametrize("kind", KINDS)
def test_large(race: Any, place: Path, peer: Any, kind: str) -> None:
    source = place / f"{kind}.orca"
    race(f"{KINDS[kind]}, 40 MB", lambda: ours(source, place / "o.lh5"),
         lambda: peer(source, place / "p.lh5"), named=f"{PEER}, imported, compiled",
         amount=source.stat().st_size / 1e6, unit="MB/s", rounds=3)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", ["", "-small"])
def test_memory(place: Path, kind: str, size: str) -> None:
    source = place / f"{kind}{size}.orca"
    peak = new_process(CONVERT, "sapwood.fileio.raw", source, place / "o.lh5")
    assert peak < MEMORY_MIB, f"{peak} MiB"
