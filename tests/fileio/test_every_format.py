"""What every format that can be read keeps to: one set of rules, a small file of each."""

from __future__ import annotations

import contextlib
import gc
import gzip
import importlib.util
import json
import random
import weakref
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import sapwood.fileio as fileio
from sapwood.errors import FileError, FormatError
from sapwood.fileio import Column, Table, TableInfo, registry
from sapwood.fileio.formats import LOSS, UNREADABLE, Format
from sapwood.fileio.hdf5 import SIGNATURE
from sapwood.fileio.table import FRAMES, ColumnInfo
from sapwood.streams import FrameBatch

PAYLOADS = [bytes([number]) * (number % 7 + 1) for number in range(1, 60)]
ROWS = 50
NOT_RECOGNISED = ("rogue-raw", "astep")  # they have nothing to be known by


def frames() -> Table:
    size = np.array([len(one) for one in PAYLOADS])
    return Table.from_frames(
        FrameBatch(np.frombuffer(b"".join(PAYLOADS), np.uint8), np.cumsum(size) - size, size)
    )


def numbers() -> Table:
    row = np.arange(ROWS)
    size = row % 4
    columns = {
        "time": Column(row * 10, unit="ns"),
        "energy": Column(row * 0.5),
        "trace": Column(np.arange(ROWS * 3, dtype="u2").reshape(ROWS, 3)),
        "peaks": Column(np.arange(int(size.sum()), dtype="f4"), np.cumsum(size) - size, size),
    }
    return Table("hits", columns)


def announced(table: Table) -> TableInfo:
    columns = {
        name: ColumnInfo(one.values.dtype, one.values.shape[1:], len(one.values) if one.ragged else None)
        for name, one in table.columns.items()
    }
    return TableInfo(table.name, len(table), columns)


def sunk(table: Table, **options: Any) -> Callable[[Path], None]:
    """Return what writes `table` by the sink of the format that the name stands for."""

    def make(path: Path) -> None:
        sink = fileio.create(path, tables=[announced(table)], **options)
        sink.write(table)
        sink.close()

    return make


def raw(path: Path) -> None:
    path.write_bytes(b"".join(PAYLOADS))


def slow(path: Path) -> None:
    from sapwood.fileio.icf import SSReadout

    with fileio.SSDataWriter(path, attrs={"run": 12}) as writer:
        for number in range(ROWS):
            writer.write(SSReadout(number, 10**9 * number, np.full((32, 64), 0.25 * number)))
        writer.write_tel_data(ra=1.0, dec=2.0, time=1.6e9, seconds=1_600_000_000, ns=0)


def pymodaq(path: Path) -> None:
    from sapwood.fileio.pymodaq.saver import H5SaverLowLevel

    saver = H5SaverLowLevel()
    saver.init_file(file_name=path, raw_group_name="RawData", new_file=True)
    values = np.arange(ROWS * 3.0).reshape(ROWS, 3)
    saver.add_array(
        saver.raw_group,
        "Data",
        "data",
        data_dimension="Data2D",
        array_to_save=values,
        data_shape=values.shape,
    )
    saver.close_file()


def log(path: Path) -> None:
    lines = [f"{number}\tb'{payload.hex()}'\n" for number, payload in enumerate(PAYLOADS)]
    path.write_text("Digital: {'nu1': 0}\n" + "".join(lines))


def astep(path: Path) -> None:
    path.write_bytes(b"".join(b"\x0d\x01\x20" + bytes([number] * 11) for number in range(ROWS)))


def maker(*path: str) -> ModuleType:
    """Return the module beside the tests of a family that makes its streams."""
    place = Path(__file__).parent.joinpath("raw", *path)
    spec = importlib.util.spec_from_file_location(f"made_{place.stem}", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fcio(path: Path) -> None:
    made = maker("fcio_streams.py")
    events = [made.event(made.waves(3, 4, number), number, 1 + number) for number in range(20)]
    listed = [made.sparse([1], made.waves(1, 4, number), number, 30 + number) for number in range(5)]
    state = made.status([made.card(0), made.card(0x2000)])
    path.write_bytes(made.stream(made.config(), *events, *listed, state))


def fcio_gz(path: Path) -> None:
    fcio(path)
    path.write_bytes(gzip.compress(path.read_bytes()))


def orca(path: Path) -> None:
    made = maker("orca_streams.py")
    cards = [made.flashcam_card(1, 0x10), made.flashcam_card(2, 0x11)]
    tree = made.tree([made.RUN, made.FLASHCAM], cards=cards, listeners=[1])
    events = [
        made.flashcam(1 + number % 2, 0x10 + number % 2, number % 6, number % 6, np.arange(8) + number)
        for number in range(20)
    ]
    path.write_bytes(b"".join([made.header(tree), made.run_record(), *events]))


def compass(path: Path) -> None:
    made = maker("digitisers", "conftest.py")
    events = [
        made.compass_event(13, 0, number % 2, 1000 * number, range(number, number + 8 + number % 2))
        for number in range(20)
    ]
    path.write_bytes(b"\xed\xca" + b"".join(events))


def llama(path: Path) -> None:
    made = maker("digitisers", "conftest.py")
    channels = [made.llama_channel(0, 0), made.llama_channel(0, 1, bits=1)]
    events = [made.llama_event(number % 2, 100 * number, 1 if number % 2 else 3) for number in range(20)]
    made.Llama(path.parent).write(channels, events, path.name)


#: Sample -> format, ending, what makes it.
SAMPLES: dict[str, tuple[str, str, Callable[[Path], None]]] = {
    "rogue": ("rogue", ".dat", sunk(frames())),
    "rogue-raw": ("rogue-raw", ".bin", raw),
    "icf-0": ("icf", ".sof", sunk(frames(), protocol=0)),
    "icf-1": ("icf", ".icf", sunk(frames())),
    "icf-bz2": ("icf", ".sof", sunk(frames(), compression="bz2")),
    "apx": ("apx", ".apx", sunk(frames())),
    "apx-log": ("apx-log", ".log", log),
    "astep": ("astep", ".bin", astep),
    "hdf5": ("hdf5", ".h5", sunk(numbers())),
    "hdf5-gzip": ("hdf5", ".hdf5", sunk(numbers(), compression="gzip")),
    "lh5": ("lh5", ".lh5", sunk(numbers())),
    "slowsignal": ("slowsignal", ".h5", slow),
    "pymodaq": ("pymodaq", ".h5", pymodaq),
    "fcio": ("fcio", ".fcio", fcio),
    "fcio-gz": ("fcio", ".gz", fcio_gz),
    "orca": ("orca", ".orca", orca),
    "compass": ("compass", ".BIN", compass),
    "llama": ("llama", ".bin", llama),
}


@pytest.fixture(params=SAMPLES)
def sample(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Format, Path]:
    name, ending, make = SAMPLES[request.param]
    path = tmp_path / f"sample{ending}"
    make(path)
    return fileio.find(name), path


def equal(first: Column, second: Column) -> bool:
    if len(first) != len(second):
        return False
    return all(np.array_equal(first[row], second[row]) for row in range(len(first)))


def same(first: Any, second: Any) -> bool:
    return np.array_equal(first, second, equal_nan=np.asarray(first).dtype.kind == "f")


def joined(tables: list[Table], name: str) -> list[Any]:
    return [table[name][row] for table in tables for row in range(len(table))]


def test_all_formats_are_here() -> None:
    readable = {name for name, format in registry.formats().items() if type(format).open is not Format.open}
    assert readable == {name for name, _, _ in SAMPLES.values()}


def test_detection(sample: tuple[Format, Path]) -> None:
    format, path = sample
    if format.name in NOT_RECOGNISED:
        with pytest.raises(FormatError, match="Name the format"):
            fileio.detect(path)
    else:
        assert fileio.detect(path) is format


def test_info(sample: tuple[Format, Path]) -> None:
    format, path = sample
    with format.open(path) as reader:
        info = reader.info()
        assert json.loads(json.dumps(info)) == info
        assert info["format"] == format.name
        assert info["file"] == path.name
        tables = reader.tables()
        assert info["tables"] == {table.name: table.rows for table in tables}
        assert tables
        assert not all(table.view for table in tables)
        assert list(reader.problems()) == []


def test_parts_are_the_whole(sample: tuple[Format, Path]) -> None:
    format, path = sample
    with format.open(path) as reader:
        for table in reader.tables():
            whole = list(reader.chunks(table.name))
            assert sum(map(len, whole)) == table.rows
            pieces = list(reader.chunks(table.name, nbytes=64))
            part = list(reader.chunks(table.name, 1, 5, nbytes=16))
            assert sum(map(len, part)) == max(min(5, table.rows) - 1, 0)
            assert not list(reader.chunks(table.name, table.rows))
            for name, column in table.columns.items():
                rows = joined(whole, name)
                assert all(map(same, rows, joined(pieces, name)))
                assert all(map(same, rows[1:5], joined(part, name)))
                if column.values is not None:
                    assert sum(map(len, rows)) == column.values
                for chunk in whole:
                    assert (chunk[name].values.dtype, chunk[name].values.shape[1:]) == (
                        column.dtype,
                        column.shape,
                    )
        with pytest.raises(FileError, match="There is no table"):
            list(reader.chunks("no such table"))


def test_frames_are_the_same_however_they_are_read(sample: tuple[Format, Path]) -> None:
    format, path = sample
    with format.open(path) as reader:
        if FRAMES not in {table.name for table in reader.tables()}:
            with pytest.raises(FormatError, match="frames"):
                reader.read()
            with pytest.raises(FormatError, match="frames"):
                list(reader.batches())
            return
        whole = reader.read()
        pieces = FrameBatch.concat(list(reader.batches(nbytes=64)))
        assert whole.compact().payload.tobytes() == pieces.compact().payload.tobytes()
        assert whole.size.tolist() == pieces.size.tolist()


def test_verify_and_recover(sample: tuple[Format, Path], tmp_path: Path) -> None:
    format, path = sample
    report = format.verify(path)
    assert (report.status, report.lost, report.torn_bytes, report.problems) == ("clean", 0, 0, [])
    out = tmp_path / f"out{path.suffix}"
    assert format.recover(path, out).status == "clean"
    assert format.verify(out).status == "clean"
    assert not list(tmp_path.glob("*.part"))
    with format.open(path) as before, format.open(out) as after:
        assert [(one.name, one.rows) for one in before.tables()] == [
            (one.name, one.rows) for one in after.tables()
        ]
        for table in before.tables():
            for name in table.columns:
                old, new = joined(list(before.chunks(table.name)), name), joined(
                    list(after.chunks(table.name)), name
                )  # fmt: skip
                assert all(map(same, old, new))


def survive(format: Format, path: Path, out: Path) -> None:
    """Read, check and save a damaged file: errors of ours or a report, and the two agree."""
    out.unlink(missing_ok=True)
    complete = True
    with contextlib.suppress(FileError):
        fileio.detect(path)
    try:
        with format.open(path) as reader:
            reader.info()
            complete = not reader.problems()
            for table in reader.tables():
                for chunk in reader.chunks(table.name):
                    assert len(chunk) <= table.rows
    except FileError:
        complete = False
    try:
        report = format.verify(path)
    except FileError:
        assert not complete
        return
    assert bool(report.problems) == (report.status in (LOSS, UNREADABLE))
    if report.status == "clean":
        assert complete
    try:
        format.recover(path, out)
    except FileError:
        assert not out.exists()
    assert not out.with_name(out.name + ".part").exists()


def test_truncated_files(sample: tuple[Format, Path], tmp_path: Path) -> None:
    format, path = sample
    data = path.read_bytes()
    random_ = random.Random(len(data))
    few = 4 if data.startswith(SIGNATURE) else 16
    places = {0, 1, len(data) - 1, *(random_.randrange(len(data)) for _ in range(few))}
    for place in sorted(places):
        path.write_bytes(data[:place])
        survive(format, path, tmp_path / f"out{path.suffix}")


def test_flipped_bytes(sample: tuple[Format, Path], tmp_path: Path) -> None:
    format, path = sample
    data = path.read_bytes()
    if data.startswith(SIGNATURE):  # the HDF5 library itself does not survive that
        return
    random_ = random.Random(len(data))
    for _ in range(24):
        broken = bytearray(data)
        for _ in range(random_.randint(1, 3)):
            broken[random_.randrange(min(len(data), random_.choice((64, len(data)))))] ^= random_.randint(
                1, 255
            )
        path.write_bytes(broken)
        survive(format, path, tmp_path / f"out{path.suffix}")


@pytest.mark.parametrize(
    ("family", "expected", "odd"),
    [
        ("rogue", {".dat": "rogue"}, ()),
        ("icf", {".sof": "icf", ".h5": "slowsignal"}, ()),
        (
            "apx",
            {".apx": "apx", ".log": "apx-log"},
            ("v4_bad_magic.apx", "v4_binary_magic.apx", "v4_zero_bytes.apx"),
        ),
        ("pymodaq", {".h5": "pymodaq"}, ()),
        ("daq", {".fcio": "fcio", ".orca": "orca", ".BIN": "compass", ".bin": "llama"}, ()),
    ],
)
def test_golden_files_are_recognised(
    request: pytest.FixtureRequest, family: str, expected: dict[str, str], odd: tuple[str, ...]
) -> None:
    folder: Path = request.getfixturevalue(f"golden_{family}")
    for path in sorted(folder.iterdir()):
        if path.suffix in expected and path.name not in odd:
            assert fileio.detect(path).name == expected[path.suffix], path.name
        elif path.suffix in (".csv", ".ecsv", ".fits", ".hdf5", ".json") or path.name in odd:
            with pytest.raises(FormatError):
                fileio.detect(path)


def test_chunks_are_let_go_of(sample: tuple[Format, Path], collect: Callable[[], int]) -> None:
    """Memory is that of a chunk: what was yielded does not wait for the garbage collector."""
    format, path = sample
    with format.open(path) as reader:
        for table in reader.tables():
            list(reader.chunks(table.name))
            collect()
            gc.disable()
            try:
                seen = [
                    weakref.ref(column.values)
                    for chunk in reader.chunks(table.name, nbytes=64)
                    for column in chunk.columns.values()
                    if column.values.base is None
                ]
                assert not any(one() is not None for one in seen)
            finally:
                gc.enable()
