"""Frames recorded by the peer: generated anew they are equal, and checked they give its counts."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sapwood.streams import Frame, FrameBatch
from sapwood.streams.prbs import Generator, Prbs, PrbsChecker, check

FILES = [
    "prbs_w128_ch1.dat",
    "prbs_w256_ch255.dat",
    "prbs_w32_buffered.dat",
    "prbs_w32_ch0_tagged.dat",
    "prbs_w32_dropped_errors.dat",
    "prbs_w32_err.dat",
    "prbs_w32_sendcount.dat",
    "prbs_w32_unbuffered.dat",
    "prbs_w64_ch3.dat",
]


def records(path: Path) -> list[tuple[int, bytes]]:
    """(error, payload) of each record of a Rogue file."""
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        length, _flags, error, _channel = struct.unpack_from("<IHBB", data, at)
        found.append((error, data[at + 8 : at + 4 + length]))
        at += 4 + length
    return found


def batch_of(frames: list[tuple[int, bytes]]) -> FrameBatch:
    sizes = np.array([len(payload) for _, payload in frames])
    errors = [error for error, _ in frames]
    return FrameBatch(
        b"".join(payload for _, payload in frames), np.cumsum(sizes) - sizes, sizes, error=errors
    )


def test_every_file_is_covered(golden_rogue: Path) -> None:
    assert sorted(path.name for path in golden_rogue.glob("prbs_*.dat")) == FILES


@pytest.mark.parametrize("name", FILES)
def test_generated_frames_equal_the_recorded_ones(
    name: str, golden_rogue: Path, rogue_manifest: dict[str, Any]
) -> None:
    params = rogue_manifest[name]["params"]
    content = "count" if params["sendCount"] else "prbs"
    generator = Generator(params["width"], params["taps"], content=content)
    generated = [generator.frame(size).tobytes() for size in params["sizes"]]
    recorded = [payload for _, payload in records(golden_rogue / name)]
    if params["drop_errors"]:  # the recorder left some out
        generated = [frame for frame in generated if frame in recorded]
    assert len(recorded) == rogue_manifest[name]["expect"]["records"]
    assert generated == recorded


@pytest.mark.parametrize("way", ["batch", "frames"])
@pytest.mark.parametrize("name", FILES)
def test_the_checker_counts_as_the_peer_did(
    name: str, way: str, golden_rogue: Path, rogue_manifest: dict[str, Any]
) -> None:
    params, want = rogue_manifest[name]["params"], rogue_manifest[name]["expect"]["prbs_checker"]
    prbs = Prbs()
    prbs.setWidth(params["width"])
    prbs.setTaps(bytes(params["taps"]))
    prbs.checkPayload(want["payload_checked"])
    frames = records(golden_rogue / name)
    if way == "batch":
        prbs._acceptBatch(batch_of(frames))
    else:
        for error, payload in frames:
            prbs._acceptFrame(Frame(payload, error=error))
    counts = {"rxCount": prbs.getRxCount(), "rxErrors": prbs.getRxErrors(), "rxBytes": prbs.getRxBytes()}
    assert counts == {key: want[key] for key in counts}


def test_the_helpers_need_no_stream(golden_rogue: Path) -> None:
    batch = batch_of(records(golden_rogue / "prbs_w64_ch3.dat"))
    assert check(batch, 64).good == 24
    assert check(batch).length_errors == 24
    checker = PrbsChecker(64)
    assert (checker.check(batch[:10]).good, checker.check(batch[10:]).good) == (10, 14)
