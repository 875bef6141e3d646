"""Times of FlashCam events against FlashCam's own library."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sapwood.fileio.raw import read_raw

fcio: Any = pytest.importorskip("fcio", reason="FlashCam's library is not installed")

_spec = importlib.util.spec_from_file_location(
    "fcio_streams", Path(__file__).parents[1] / "fileio" / "raw" / "fcio_streams.py"
)
assert _spec is not None
assert _spec.loader is not None
made = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(made)


def run(seed: int) -> bytes:
    """Events of all traces, some with a dead region before them."""
    random, records, time_s, dead = np.random.default_rng(seed), [], 1.0, (0, 0, 0, 0)
    for number in range(25):
        before = time_s
        time_s += 0.1 + random.random()
        if random.random() < 0.4:
            first, last = before + 0.02, before + 0.02 + 0.05 * random.random()
            dead = (int(first), int(first % 1 * 250e6), int(last), int(last % 1 * 250e6))
        facts = {"number": number, "pps": int(time_s), "ticks": int(time_s % 1 * 250e6)}
        offset = (1_600_000_000, 250_000, 37, 5, 5, 0, 7)
        waves = made.waves(3, 4, number)
        if random.random() < 0.5:
            records.append(made.event(waves, dead=(*dead, 249_999_999), offset=offset, **facts))
        else:
            records.append(
                made.sparse([0, 2], waves[:2], dead=(*dead, 249_999_999, 0, 3), offset=offset, **facts)
            )
    data: bytes = made.stream(made.config(), *records)
    return data


@pytest.mark.parametrize("seed", range(4))
def test_times_agree(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "run.fcio"
    path.write_bytes(run(seed))
    stream, theirs = fcio.FCIO(), []
    stream.open(str(path))
    while stream.get_record():
        if stream.tag in (made.EVENT, made.SPARSE):
            event = stream.event
            theirs += zip(event.run_time_nsec, event.dead_time_nsec, event.dead_interval_nsec, strict=True)
    stream.close()
    ours = [
        row
        for chunk in read_raw(path, tables=["FCEvent"])
        for row in zip(
            *(chunk["FCEvent"][name].nda.tolist() for name in ("runtime", "deadtime", "deadinterval_nsec")),
            strict=True,
        )
    ]
    assert ours == [(int(a) / 1e9, int(b) / 1e9, int(c)) for a, b, c in theirs]
