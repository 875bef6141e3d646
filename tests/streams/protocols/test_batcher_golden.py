"""Super-frames made by the peer: taken apart, made again and inverted byte by byte."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from sapwood.fileio import open as open_recording
from sapwood.streams import Frame, FrameBatch
from sapwood.streams.protocols.batcher_codec import Refused, combine, invert, locate, split, split_batch
from sapwood.streams.protocols.batcher_layout import LAYOUT_V1, Reason, walk

NAMES = ["batcher_v1_w0", "batcher_v1_w2", "batcher_v1_w3", "batcher_v2"]


def superframes(folder: Path, name: str) -> FrameBatch:
    with open_recording(folder / f"{name}.dat") as reader:
        return reader.read().compact()


def described(frames: FrameBatch) -> list[dict[str, Any]]:
    return [
        {
            "dest": frame.channel,
            "first_user": frame.getFirstUser(),
            "last_user": frame.getLastUser(),
            "length": frame.size,
            "sha256": hashlib.sha256(bytes(frame)).hexdigest(),
        }
        for frame in frames.frames()
    ]


@pytest.mark.parametrize("name", NAMES)
def test_taken_apart(golden_rogue: Path, rogue_manifest: dict[str, Any], name: str) -> None:
    entry = rogue_manifest[f"{name}.dat"]
    version, known = entry["params"]["version"], entry["expect"]
    batch = superframes(golden_rogue, name)
    one_by_one = [split(frame, version) for frame in batch.frames()]
    for index, found in enumerate(one_by_one):
        if index in known["rejected_superframes"]:
            assert isinstance(found, Refused)
            assert found.reason == "size"
        else:
            assert isinstance(found, FrameBatch)
            assert described(found) == known["subframes"][index]
    parts = list(split_batch(batch, version))
    together = [row for part in parts if isinstance(part, FrameBatch) for row in described(part)]
    assert len(together) == known["splitter_frames"]
    assert [part for part in parts if isinstance(part, Refused)] == [
        one for one in one_by_one if isinstance(one, Refused)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_made_again(golden_rogue: Path, rogue_manifest: dict[str, Any], name: str) -> None:
    params = rogue_manifest[f"{name}.dat"]["params"]
    for sequence, frame in enumerate(superframes(golden_rogue, name).frames()):
        found = split(frame, params["version"])
        if isinstance(found, Refused):  # too short for a splitter, but the peer makes it
            parts = walk(memoryview(frame.buffer), LAYOUT_V1[0], 0, frame.size)
            assert parts == ([2], [1])
            found = FrameBatch(frame.buffer, parts[0], 1)
        again = combine(found, params["version"], params.get("width_code", 0), sequence)
        assert bytes(again) == bytes(frame)


@pytest.mark.parametrize("name", ["batcher_v1_w2", "batcher_v1_w3"])
def test_inverted(golden_rogue: Path, name: str) -> None:
    frames = superframes(golden_rogue, name)
    before = frames.payload.tobytes()
    made = [invert(frame, 1) for frame in frames.frames()]
    wanted = [bytes(frame) for frame in superframes(golden_rogue, f"{name}_inverted").frames()]
    assert [bytes(frame) for frame in made if isinstance(frame, Frame)] == wanted
    assert frames.payload.tobytes() == before


def test_no_narrow_words_inverted(golden_rogue: Path) -> None:
    for frame in superframes(golden_rogue, "batcher_v1_w0").frames():
        assert isinstance(invert(frame, 1), Refused)


def test_a_location_is_none_of_a_number() -> None:
    assert isinstance(locate(memoryview(b""), 0, 0, 1), Reason)
