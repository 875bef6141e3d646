"""Damaged files: any cut, any stray byte; what is whole is found, and saved."""

from __future__ import annotations

import importlib.util
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood import fileio
from sapwood.errors import FileError, FormatError, SapwoodError
from sapwood.fileio.apx import ApxReader, apx_open
from sapwood.fileio.apx.records import find_chain, walk
from sapwood.fileio.formats import CLEAN, LOSS, UNREADABLE

APX = fileio.find("apx")
HIT = bytes.fromhex("bce05042030620d701bc")
MARKER = b"\xfe\xdc\xba"


def tools() -> Any:
    spec = importlib.util.spec_from_file_location("apx_conftest", Path(__file__).with_name("conftest.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


record, preamble = tools().record, tools().preamble


def kept(path: Path) -> list[tuple[int, bytes]]:
    """Read by objects, and make sure that columns say the same."""
    with apx_open(path) as file:
        objects = [(one.readout_id, one.data()) for one in file]
        problems = file.problems
    with ApxReader(path) as reader:
        columns = []
        for table in reader.chunks("readouts", nbytes=50):
            ids = table["readout_id"].values.tolist()
            columns += [(ids[row], table["data"][row].tobytes()) for row in range(len(table))]
        assert reader.problems() == problems
    assert columns == objects
    return objects


def test_every_cut(made, tmp_path) -> None:
    whole = made([HIT, b"", HIT + HIT, HIT], creator="golden").read_bytes()
    path, saved = tmp_path / "cut.apx", tmp_path / "saved.apx"
    begin = len(preamble('{"readout_uid": 4000, "creator": "golden"}'))
    ends = [begin + at for at in (0, 29, 48, 87, 116)]
    assert ends[-1] == len(whole)
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        saved.unlink(missing_ok=True)
        report = APX.verify(path)
        if size < begin:
            with pytest.raises(FormatError, match=r"cut\.apx"):
                ApxReader(path)
            assert report.status == APX.recover(path, saved).status == UNREADABLE
            assert not saved.exists()
            continue
        count = sum(end <= size for end in ends[1:])
        partial = any(end + 19 <= size < behind for end, behind in pairwise(ends))
        assert report.status == (CLEAN if size in ends else LOSS), size
        assert report.good == count, size
        found = kept(path)
        assert [one for one, _ in found] == list(range(count + partial))
        again = APX.recover(path, saved)
        assert (again.status, again.good, again.torn_bytes) == (report.status, count, report.torn_bytes)
        assert kept(saved) == found
        assert APX.verify(saved).status == CLEAN
        if size in ends:
            assert saved.read_bytes() == whole[:size]


@pytest.mark.parametrize(
    ("middle", "ids", "breaks"),
    [
        (b"stray", [0, 1, 2], 1),
        (MARKER, [0, 1, 2], 1),
        (MARKER + b"\xff" * 16, [0, 0xFFFFFFFF, 1, 2], 1),
        (record(HIT, 9, size=4), [0, 9, 1, 2], 1),
        (record(HIT, 9, size=14), [0, 9, 1, 2], 1),
        (record(HIT, 9, size=4000), [0, 9, 1, 2], 1),
        (record(HIT + record(HIT, 8)[:25], 9), [0, 9, 1, 2], 0),
        (b"\xfe\xdc" * 40, [0, 1, 2], 1),
    ],
)
def test_damage_between_readouts(tmp_path, middle, ids, breaks) -> None:
    path = tmp_path / "x.apx"
    path.write_bytes(preamble() + record(HIT, 0) + middle + record(HIT, 1) + record(HIT, 2))
    found = kept(path)
    assert [one for one, _ in found] == ids
    assert found[-1][1] == found[0][1] == HIT
    with ApxReader(path) as reader:
        assert len(reader.problems()) == breaks
    report = APX.recover(path, tmp_path / "y.apx")
    assert report.status == (LOSS if breaks else CLEAN)
    assert kept(tmp_path / "y.apx") == found


def test_a_marker_inside_data(tmp_path) -> None:
    path = tmp_path / "x.apx"
    inner = record(b"\x01\x02", 77)
    path.write_bytes(preamble() + b"".join(record(HIT + inner + HIT, n) for n in range(50)))
    assert [one for one, _ in kept(path)] == list(range(50))


def test_a_marker_across_the_end_of_a_search(tmp_path) -> None:
    data = np.zeros((1 << 20) + 200, np.uint8)
    good = np.frombuffer(record(HIT, 5) + record(HIT, 6), np.uint8)
    for at in ((1 << 20) - 30, (1 << 20) - 2, (1 << 20) - 1, 1 << 20):
        data[:] = 0
        data[at : at + len(good)] = good
        assert find_chain(data[: at + len(good)], 0) == at


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_changes(tmp_path_factory, data) -> None:
    path = tmp_path_factory.mktemp("any") / "x.apx"
    raw = bytearray(preamble() + b"".join(record(HIT * (n % 3), n, n) for n in range(12)))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 6))] = data.draw(st.binary(max_size=6))
    path.write_bytes(raw)
    try:
        with ApxReader(path) as reader:
            reader.info()
            if reader.layout is None:
                return
    except (SapwoodError, OSError):
        with pytest.raises((SapwoodError, OSError)):
            apx_open(path).__enter__()
        return
    found = kept(path)
    out = path.with_name("y.apx")
    report = APX.recover(path, out)
    assert report.status == (LOSS if report.problems else CLEAN)
    assert kept(out) == found


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(raw) -> None:
    data = np.frombuffer(raw, np.uint8)
    records = walk(data, 0, len(data))
    assert records.end == len(data)
    assert bool((records.offset + 19 + records.size <= len(data)).all())


def test_lengths_that_lie(tmp_path) -> None:
    path = tmp_path / "x.apx"
    path.write_bytes(b"%APXDF\xff\xff\xff\xff{}")
    with pytest.raises(FormatError, match="cut"):
        ApxReader(path)
    with pytest.raises(FormatError, match="cut"):
        apx_open(path).__enter__()
    path.write_bytes(preamble("[" * 50_000))
    with pytest.raises(FormatError):
        ApxReader(path)
    with pytest.raises(FileError):
        APX.verify(tmp_path / "missing.apx")
    with pytest.raises(FileError):
        APX.recover(tmp_path / "missing.apx", path)


def test_an_unknown_class_of_readouts(golden_apx, tmp_path) -> None:
    path = tmp_path / "x.apx"
    path.write_bytes(preamble('{"readout_uid": 9999, "a": 1}') + record(HIT, 3, 4))
    with fileio.open(path) as reader:
        assert reader.info()["readout_class"] is None
        assert [table.name for table in reader.tables()] == ["readouts", "frames"]
        assert reader.read().nbytes == 10
        with pytest.raises(FileError, match="no table 'hits'"):
            next(reader.chunks("hits"))
        with pytest.raises(RuntimeError, match="Unknown readout_uid"):
            next(reader.hit_arrays())
    assert APX.recover(path, tmp_path / "y.apx").status == CLEAN
    assert (tmp_path / "y.apx").read_bytes() == path.read_bytes()
