"""A-STEP streams: every frame of the golden streams, matching, housekeeping."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood import fileio
from sapwood.errors import FileError
from sapwood.fileio.apx import AstepReader, astep_match, astep_to_csv, find_housekeeping, match_half_hits
from sapwood.fileio.apx.astepframes import frame


def test_version_3(golden_apx, manifest, tmp_path) -> None:
    out = astep_to_csv(golden_apx / "astep_v3.bin", tmp_path / "x.csv")
    ours = out.read_text().splitlines()
    theirs = (golden_apx / "astep_v3.peer.csv").read_text().splitlines()
    assert ours[0] == theirs[0]
    assert set(theirs) < set(ours)
    with AstepReader(golden_apx / "astep_v3.bin") as reader:
        assert reader.version == 3
        got = reader.columns()
    names = ("layer", "chipID", "isCol", "location", "timestamp", "tot_total", "tot_us", "fpga_ts")
    rows = [list(row) for row in zip(*(got[name].tolist() for name in names), strict=True)]
    assert rows == manifest["astep_v3.bin"]["ideal_frames"]


def test_version_4(golden_apx, manifest, tmp_path) -> None:
    out = astep_to_csv(golden_apx / "astep_v4.bin", tmp_path / "x.csv", strict=True)
    assert out.read_bytes() == (golden_apx / "astep_v4.peer.csv").read_bytes()
    with AstepReader(golden_apx / "astep_v4.bin") as reader:
        assert reader.version == 4
        got = reader.columns()
    ideal = np.array(manifest["astep_v4.bin"]["ideal_frames"])
    for index, name in enumerate(("layer", "chipID", "row", "col")):
        assert got[name].tolist() == ideal[:, index].tolist()
    assert got["fpga_ts"].tolist() == ideal[:, 10].tolist()
    ticks = (ideal[:, 5] * 2 + ideal[:, 7] - ideal[:, 4] * 2 - ideal[:, 6]) % (1 << 18)
    assert got["tot_us"].tolist() == pytest.approx((ticks * 0.005).tolist())
    with AstepReader(golden_apx / "astep_v4.bin", tick_ns=50) as reader:
        assert reader.columns()["tot_us"].tolist() == pytest.approx((ticks * 0.05).tolist())


def test_a_real_stream(golden_apx, tmp_path) -> None:
    path = golden_apx / "peer_quad_chip_data.bin"
    with fileio.open(path, "astep") as reader:
        info = reader.info()
        assert info["hits"] + sum(info["odd_frames"].values()) == 2004
        assert info["odd_frames"] == {"6": 5, "7": 3, "8": 6, "9": 2, "12": 3, "13": 1}
        assert len(reader.problems()) == 20
        assert sum(len(one) for one in reader.chunks(nbytes=1000)) == 1984
    report = fileio.find("astep").verify(path)
    assert (report.status, report.good, report.lost, report.torn_bytes) == ("loss", 1984, 20, 0)
    theirs = set((golden_apx / "peer_quad_chip_data.v3decoder.csv").read_text().splitlines()[1:])
    ours = set(astep_to_csv(path, tmp_path / "x.csv").read_text().splitlines()[1:])
    assert len(theirs & ours) > 1900
    matched = astep_match(path, tmp_path / "m.csv").read_text().splitlines()
    assert matched[0] == (
        "layer,chipID,row,col,row_timestamp,col_timestamp,row_tot,col_tot,row_tot_us,col_tot_us,row_fpga_ts,col_fpga_ts"
    )
    assert len(matched) > 500
    few = astep_match(path, tmp_path / "m.csv", layers=[1], chips=[2]).read_text().splitlines()[1:]
    assert few
    assert {line[:4] for line in few} == {"1,2,"}


def half_hits(*rows: tuple[int, int, int, int]) -> dict[str, np.ndarray]:
    """Make half hits of one chip from (isCol, location, timestamp, tot)."""
    table = np.array(rows)
    count = len(table)
    return {
        "layer": np.ones(count, np.uint8), "chipID": np.zeros(count, np.uint8),
        "payload": np.full(count, 4, np.uint8), "isCol": table[:, 0], "location": table[:, 1],
        "timestamp": table[:, 2].astype(np.uint8), "tot_total": table[:, 3].astype(np.uint16),
        "tot_us": table[:, 3] / 100, "fpga_ts": np.arange(count),
    }  # fmt: skip


def test_matching() -> None:
    hits = half_hits(
        (0, 3, 9, 110), (0, 4, 8, 100), (1, 20, 8, 100), (1, 21, 8, 95), (0, 5, 8, 110), (1, 40, 8, 100)
    )
    found = match_half_hits(hits)
    assert list(zip(found["row"].tolist(), found["col"].tolist(), strict=True)) == [(3, 20), (3, 21)]
    assert found["row_fpga_ts"].tolist() == [0, 0]
    assert found["col_tot"].tolist() == [100, 95]
    assert match_half_hits(hits, mintot=0)["row"].tolist() == [3, 3, 4, 4]
    assert match_half_hits(hits, layers=[2])["row"].tolist() == []
    assert match_half_hits(hits, maxts=0)["row"].tolist() == []
    assert match_half_hits(half_hits((1, 20, 8, 110), (0, 5, 8, 100)))["row"].tolist() == []


def test_text_streams(tmp_path) -> None:
    one = bytes.fromhex("0a01" + "3c91420bca" + "00000102")
    path = tmp_path / "x.log"
    path.write_text(f"x INFO:b'{(one + one).hex()}'\nother\ny INFO:b'ff{one.hex()}f'\n")
    with AstepReader(path) as reader:
        got = reader.columns()
    assert got["readout"].tolist() == [0, 0, 1]
    assert got["dec_ord"].tolist() == [0, 1, 0]
    assert got["fpga_ts"].tolist() == [258] * 3


HIT_3 = bytes.fromhex("0a01" + "3c91420bca" + "00000102")
HIT_4 = bytes.fromhex("0d01" + "070a42c06004eb80" + "00000102")
STREAMS = st.lists(
    st.one_of(
        st.sampled_from(
            [HIT_3, HIT_4, HIT_3 * 40, HIT_4 * 40, b"\xff", b"\xff" * 50, HIT_3[:5], b"\x06abcdef"]
        ),
        st.binary(max_size=40),
    ),
    max_size=12,
).map(b"".join)


def by_bytes(data: bytes, version: int) -> tuple[list[int], list[tuple[int, int]], int]:
    """Frame a stream one byte after the other."""
    hits, odd, skipped, at, expected = [], [], 0, 0, {3: 10, 4: 13}[version]
    while at < len(data):
        length = data[at]
        behind = at + 1 + length
        ahead = data[behind : behind + 1]
        if length == 0xFF:
            at += 1
        elif length == expected and behind <= len(data):
            hits.append(at)
            at = behind
        elif 1 < length <= 32 and (
            behind == len(data) or (ahead and (ahead == b"\xff" or 0 < ahead[0] <= 32))
        ):
            odd.append((at, length))
            at = behind
        else:
            skipped += 1
            at += 1
    return hits, odd, skipped


@settings(max_examples=200, deadline=None)
@given(STREAMS, st.sampled_from([3, 4]))
def test_any_bytes_can_be_framed(data, version) -> None:
    found, end = frame(data, version)
    assert (found.hits.tolist(), found.odd, found.skipped) == by_bytes(data, version)
    assert found.count == len(found.hits)
    assert found.lengths.total() == len(found.odd)
    assert end >= len(data)


@settings(max_examples=100, deadline=None)
@given(STREAMS, st.sampled_from([3, 4]), st.integers(1, 300), st.booleans())
def test_pieces_of_any_size_hold_the_same_hits(tmp_path_factory, data, version, nbytes, text) -> None:
    path = tmp_path_factory.mktemp("stream") / ("x.log" if text else "x.bin")
    if text:
        lines = [data[at : at + 29].hex() for at in range(0, len(data), 29)]
        path.write_text("".join(f"line INFO:b'{line}'\n" for line in lines))
    else:
        path.write_bytes(data)
    with AstepReader(path, version=version) as reader:
        whole = reader.columns()
        parts = list(reader.chunks(nbytes=nbytes))
        hits, odd, skipped = by_bytes(data, version)
        assert reader.info()["hits"] == len(hits) == sum(map(len, parts))
        assert (reader.frames.odd, reader.frames.skipped) == (odd, skipped)
        for name, values in whole.items():
            got = [chunk[name].values for chunk in parts]
            np.testing.assert_array_equal(np.concatenate(got) if got else values[:0], values)
        middle = reader.columns(1, max(len(hits) - 1, 1))
        assert all(len(values) == max(len(hits) - 2, 0) for values in middle.values())
    if text and version == 3:
        lines_of = [at // 29 for at in hits]
        assert whole["readout"].tolist() == lines_of
        assert whole["dec_ord"].tolist() == [lines_of[:k].count(line) for k, line in enumerate(lines_of)]


def test_resynchronising() -> None:
    found, _ = frame(HIT_3 + b"\xee\xee" + HIT_3 + b"\xff\xff" + HIT_3[:5], 3)
    assert found.hits.tolist() == [0, 13]
    assert found.skipped == 2 + 5 - sum(1 + length for _, length in found.odd)
    with pytest.raises(RuntimeError):
        AstepReader("x.bin", version=5)


def test_many_frames_of_other_lengths_are_counted(tmp_path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes((b"\x06abcdef" * 3 + HIT_3) * 500)
    with AstepReader(path, version=3) as reader:
        assert reader.info()["odd_frames"] == {"6": 1500}
        told = reader.problems()
        assert (len(told), told[-1]) == (1001, f"{path}: 500 more frames of other lengths")
        reader.close()
        with pytest.raises(FileError, match="closed"):
            reader.columns()


def packet() -> bytes:
    adc = struct.pack(">8H", 1000, 2000, 2100, 2200, 300, 310, 320, 50)
    fpga = struct.pack("<3H3HH", *[(2500 << 4)] * 3, *[(1365 << 4)] * 3, 77)
    layers = struct.pack("<BIBB", 0, 12345, 6, 7) + struct.pack("<BIBB", 1, 1 << 31, 8, 9)
    return (
        struct.pack("<dI", 1.5, 42)
        + b"\x10\x10"
        + adc
        + b"\x0c\x0c"
        + fpga
        + layers
        + b"abc"
        + struct.pack("<H", 1356)
    )


def test_housekeeping() -> None:
    one = packet()
    assert len(one) == 65
    found = list(find_housekeeping(b"\x10\x10\x0c" + one + b"junk" + one + one[:60]))
    assert [at for at, _ in found] == [3, 72]
    facts = found[0][1]
    assert (facts.time, facts.fpga_ts, facts.buffer_bytes, facts.status) == (1.5, 42, 77, b"abc")
    assert facts.secondary_voltage == pytest.approx(2 * 1000 * 3.3 / 4096)
    assert facts.layer_temperature[0] == pytest.approx(2200 * 3.3 / 4096)
    assert facts.layer_current[2] == pytest.approx(320 * 3.3 / 40960)
    assert facts.hv_monitor == pytest.approx(50 * 3.3 / 4096 / 0.0125)
    assert facts.fpga_temperature == pytest.approx(2500 * 503.975 / 4096 - 273.15)
    assert facts.fpga_voltage == pytest.approx(1365 * 3 / 4096)
    assert facts.layers[1][0] == 1
    assert facts.layers[1][1].frames == 1 << 31
    assert facts.hv_temperature == pytest.approx(1356 * 1.8 / 4096 / 0.002 - 273)
    with pytest.raises(RuntimeError, match="no housekeeping packet"):
        type(facts).from_bytes(bytes(65))
