"""Hits: the golden files to the last flag, and both decoders the same on any bytes."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood.errors import FormatError
from sapwood.fileio.apx import (
    ApxReader,
    AstroPix3QuadChipReadout,
    AstroPix3Readout,
    AstroPix4Hit,
    AstroPix4Readout,
    ByteType,
    Decoding,
    uid_to_readout_class,
)
from sapwood.fileio.apx.columns import decode, strip_padding

CLASSES = (AstroPix4Readout, AstroPix3Readout, AstroPix3QuadChipReadout)
CHECK = bytes.fromhex("070a42c06004eb80")


def shared() -> Any:
    spec = importlib.util.spec_from_file_location("apx_conftest", Path(__file__).with_name("conftest.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def golden_readouts(manifest: dict[str, Any]):
    for name, facts in manifest.items():
        if name.endswith(".apx") and facts.get("readouts"):
            readout_class = uid_to_readout_class(facts["header"]["readout_uid"])
            yield name, facts, readout_class, [one for one in facts["readouts"] if "data" in one]


def decoded(readout, carry, *, strict: bool):
    try:
        readout.decode(carry, strict=strict)
        failed = False
    except TypeError:
        failed = True
    return readout.decode(), failed


@pytest.mark.parametrize("mode", ["alone", "chained"])
def test_strict_decoding_is_the_peers(manifest, mode) -> None:
    seen = 0
    for name, facts, readout_class, expected in golden_readouts(manifest):
        carry = None
        for one in expected:
            want = one.get(mode, one["alone"])
            readout = readout_class(bytes.fromhex(one["data"]), one["readout_id"], one["timestamp"])
            hits, failed = decoded(readout, carry if mode == "chained" else None, strict=True)
            carry = readout.extra_bytes()
            where = (name, one["readout_id"])
            columns = facts["hit_columns"][:-1]
            assert [[*hit.attribute_values(columns), hit.raw_data.hex()] for hit in hits] == want["hits"], (
                where
            )
            assert int(readout.decoding_status()) == want["status"], where
            assert (carry or b"").hex() == (want.get("extra") or ""), where
            assert "".join(map(str, readout.byte_mask())) == want["mask"], where
            assert failed == ("error" in want and bool(want["error"])), where
            seen += 1
    assert seen > 200


@pytest.mark.parametrize("mode", ["alone", "chained"])
def test_tolerant_decoding(manifest, mode) -> None:
    key = "tolerant_hits_raw" if mode == "alone" else "tolerant_chained_hits_raw"
    for name, _, readout_class, expected in golden_readouts(manifest):
        carry = None
        for one in expected:
            peers = [hit[-1] for hit in one.get(mode, one["alone"])["hits"]]
            readout = readout_class(bytes.fromhex(one["data"]), one["readout_id"], one["timestamp"])
            hits = readout.decode(carry if mode == "chained" else None)
            assert [hit.raw_data.hex() for hit in hits] == one.get(key, peers), (name, one["readout_id"])
            assert readout.all_bytes_visited()
            carry = readout.extra_bytes()


def raw_hits(reader: ApxReader) -> list[str]:
    return [row.tobytes().hex() for _, hits in reader.decoded(4096) for row in hits.raw]


def digest(hits: list[str]) -> str:
    return hashlib.sha256("\n".join(hits).encode()).hexdigest()


def test_whole_files(golden_apx, manifest) -> None:
    checked = 0
    for name, facts in manifest.items():
        if not name.endswith(".apx") or "open_error" in facts or facts["iteration_end"] != "eof":
            continue
        with ApxReader(golden_apx / name) as reader:
            hits = raw_hits(reader)
            assert len(hits) == facts["n_hits_tolerant_chained"] == reader.summary().hits, name
            assert digest(hits) == facts["raw_hits_sha256_tolerant_chained"], name
            assert reader.summary().readouts == facts["n_readouts"]
            assert reader.content == facts["header"]
        with ApxReader(golden_apx / name, chain=False) as reader:
            assert len(raw_hits(reader)) == facts["n_hits_tolerant"], name
            if facts["n_hits_tolerant"] == facts["n_hits_alone"] > 0:
                assert digest(raw_hits(reader)) == facts["raw_hits_sha256_alone"]
                arrays = list(reader.hit_arrays(facts["hit_columns"][:-1]))
                for column, total in facts["column_sums"].items():
                    values = np.concatenate([one[column] for one in arrays])
                    summed = (
                        sum(values.tolist()) if values.dtype.kind != "f" else float(values.sum(dtype="f8"))
                    )
                    assert summed == pytest.approx(total, rel=1e-7, abs=0), (name, column)
        checked += 1
    assert checked > 15


def test_the_example_of_the_format() -> None:
    (hit,) = AstroPix4Readout(bytes.fromhex("bce05042030620d701bc"), 7, 9).decode()
    assert isinstance(hit, AstroPix4Hit)
    assert hit.raw_data == CHECK
    assert (hit.chip_id, hit.row, hit.column, hit.ts_coarse1, hit.ts_fine1) == (0, 1, 9, 1408, 6)
    assert (hit.ts_coarse2, hit.ts_fine2, hit.ts_dec1, hit.ts_dec2, hit.tot_us) == (
        1259,
        4,
        14331,
        14952,
        31.05,
    )
    assert (hit.readout_id, hit.timestamp, hit.decoding_order) == (7, 9, 0)
    assert hit == AstroPix4Hit(CHECK, 1, 2, 3)
    assert hit != AstroPix4Hit(bytes(8))
    assert hit != 1
    with pytest.raises(TypeError):
        hash(hit)
    assert hit.dict()["raw_data"] == CHECK
    assert str(hit).startswith("AstroPix4Hit(chip_id = 0, payload = 7, readout_id = 7, ")
    with pytest.raises(AttributeError, match="nonsense"):
        hit.attribute_values(["row", "nonsense"])


def test_the_example_of_half_hits() -> None:
    from sapwood.fileio.apx import AstroPix3Hit

    hit = AstroPix3Hit(bytes.fromhex("3c91420bca"))
    assert (hit.chip_id, hit.payload, hit.column, hit.location) == (7, 4, 1, 17)
    assert (hit.chip_timestamp, hit.tot_dec, hit.tot_us) == (66, 3018, 15.09)


def test_quad_chip_frames() -> None:
    frame = bytes.fromhex("0a01" + "3c91420bca" + "11223344")
    readout = AstroPix3QuadChipReadout(b"\x05" + frame + b"\xff\xff" + frame + frame[:4], 1, 2)
    first, second = readout.decode()
    assert (first.layer, first.location, first.fpga_ts) == (1, 17, 0x44332211)
    assert second.decoding_order == 1
    assert readout.extra_bytes() == frame[:4]
    assert Decoding.BYTES_SKIPPED in readout.decoding_status()


def test_a_second_call_changes_nothing() -> None:
    readout = AstroPix4Readout(b"\xbc", 0, 0)
    with pytest.raises(TypeError):
        readout.decode(strict=True)
    assert readout.decoded()
    assert readout.decode(strict=True) == readout.hits() == []


def test_roles_of_bytes_in_colour() -> None:
    readout = AstroPix4Readout(bytes.fromhex("01bce05042030620d70111e0"), 0, 0)
    assert readout.byte_mask()[:3] == bytes((ByteType.ORPHAN, ByteType.IDLE, ByteType.HIT_START))
    text = readout.pretty_hex()
    for part in ("\033[35m01", "\033[33mbc", "\033[31;47me0", "\033[30;47m50"):
        assert part in text
    assert "tot_us = 31.05" in readout.pretty_print()
    assert "tot_us" not in readout.pretty_print(hits=False)


# Any bytes: both decoders give the same.

_BYTE = st.sampled_from([0xBC, 0xBC, 0xFF, 0xE0, 0xF8, 0x20, 0x3C, 0x0A, 0x00, 0x11, 0x77])
_PART = st.one_of(
    st.binary(max_size=4),
    st.lists(_BYTE, max_size=20).map(bytes),
    st.sampled_from([b"\xbc" * 3, b"\xbc" * 30, b"\xff" * 9, bytes.fromhex("e05042030620d701"),
                     bytes.fromhex("e05042e050411306"), bytes.fromhex("20b1e90083"),
                     bytes.fromhex("0a013c91420bca11223344")]),
)  # fmt: skip
_DATA = st.lists(_PART, max_size=8).map(b"".join)


def same_in_columns(readout_class, parts, *, chain: bool) -> int:
    """Decode by columns and by objects; return how many hits were joined."""
    layout = readout_class.HIT_CLASS.LAYOUT
    size = np.array([len(part) for part in parts], np.int64)
    begin = np.cumsum(size) - size
    data = np.frombuffer(b"".join(parts), np.uint8)
    short = strip_padding(data, begin, size)
    found = decode(data, begin, short, layout, None, chain=chain)
    expected, counts, status, carry = [], [], [], None
    for part in parts:
        readout = readout_class(part, 0, 0)
        hits = readout.decode(carry if chain else None)
        carry = readout.extra_bytes()
        expected += [(hit.raw_data, hit.decoding_order) for hit in hits]
        counts.append(len(hits))
        status.append(int(readout.decoding_status()))
    got = [(row.tobytes(), int(order)) for row, order in zip(found.raw, found.order, strict=True)]
    assert got == expected
    assert found.count.tolist() == counts
    assert found.status.tolist() == status
    assert found.carry == carry
    return found.joined


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(CLASSES), st.lists(_DATA, max_size=40), st.sampled_from([1, 3, 20]), st.booleans())
def test_columns_are_the_objects(readout_class, parts, repeat, chain) -> None:
    same_in_columns(readout_class, (parts * repeat)[:80], chain=chain)


@pytest.mark.parametrize("readout_class", CLASSES[:2])
@pytest.mark.parametrize("seed", range(8))
def test_split_hits_in_columns(readout_class, seed) -> None:
    rng = np.random.default_rng(seed)
    starts = sorted(readout_class.HIT_CLASS.LAYOUT.starts)
    size = readout_class.HIT_CLASS.LAYOUT.size
    parts, stream = [], b""
    for _ in range(400):
        stream += bytes([rng.choice(starts)]) + rng.integers(0, 0x20, size - 1, np.uint8).tobytes()
        stream += b"\xbc" * int(rng.integers(0, 3))
    while stream:
        cut = int(rng.integers(5, 60))
        parts.append(b"\xbc" * int(rng.integers(0, 12)) + stream[:cut])
        stream = stream[cut:]
    assert same_in_columns(readout_class, parts, chain=True) > 15
    assert same_in_columns(readout_class, parts, chain=False) == 0


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([AstroPix4Readout, AstroPix3Readout]), st.binary(min_size=8, max_size=8))
def test_columns_of_a_hit_are_its_attributes(readout_class, raw) -> None:
    layout = readout_class.HIT_CLASS.LAYOUT
    data = raw[: layout.size]
    hit = readout_class.HIT_CLASS(data, 5, 6, 7)
    host = {"readout_id": np.array([5]), "timestamp": np.array([6]), "decoding_order": np.array([7])}
    arrays = layout.arrays(np.frombuffer(data, np.uint8)[None, :], host)
    for name, values in arrays.items():
        assert values[0] == pytest.approx(getattr(hit, name), rel=1e-7), name


def test_filler_that_may_be_a_hit_is_kept_on_request(made) -> None:
    short = shared()
    hit = short.HIT[:-2] + b"\xff\xff"
    assert AstroPix4Readout(hit, 0, 0).data() == hit[:-2]
    kept = AstroPix4Readout(hit, 0, 0, strip="idle")
    assert kept.data() == hit
    assert len(kept.decode()) == 1
    assert AstroPix4Readout(hit + b"\xbc\xff\xff", 0, 0, strip="idle").data() == hit + b"\xbc"
    with pytest.raises(FormatError):
        AstroPix4Readout(hit, 0, 0, strip="some")
    path = made([])
    path.write_bytes(short.preamble() + short.record(hit) + short.record(hit + b"\xbc\xff"))
    with ApxReader(path) as reader:
        assert reader.summary().hits == 1
    with ApxReader(path, strip="idle") as reader:
        assert reader.summary().hits == 2
