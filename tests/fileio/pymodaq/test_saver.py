"""H5SaverLowLevel: files, groups, arrays, lookups."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest

from sapwood.errors import FileError, FormatError, MissingExtra, RecordingExists
from sapwood.fileio.pymodaq.enums import DataDim, DataType, GroupType, SaveType
from sapwood.fileio.pymodaq.errors import MissingFileError, NodeError
from sapwood.fileio.pymodaq.nodes import CARRAY, EARRAY, GROUP, StringARRAY
from sapwood.fileio.pymodaq.saver import H5SaverLowLevel


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "file.h5"


@pytest.fixture
def saver(path):
    saver = H5SaverLowLevel()
    assert saver.init_file(path, new_file=True, metadata={"author": "somebody"})
    yield saver
    saver.close_file()


def points(saver, name="points", **options):
    options = {"data_dimension": "Data0D", "enlargeable": True} | options
    return saver.add_array("/RawData", name, DataType.data_enlargeable, **options)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_new_file(saver, path) -> None:
    assert saver.isopen()
    assert (saver.h5_file_path, saver.h5_file_name, saver.filename) == (path.parent, path.name, str(path))
    assert saver.raw_group.path == "/RawData"
    assert saver.raw_group.attrs["type"] == "scan"
    assert saver.raw_group.attrs["author"] == "somebody"
    assert saver.root().attrs["title"] == "PyMoDAQ file"
    assert saver.root().attrs["file"] == "file.h5"
    assert isinstance(saver.get_node("/RawData/Logger"), StringARRAY)
    assert not saver.file_loaded
    with h5py.File(path) as file:  # in this process: the same file
        assert file["RawData"].attrs["CLASS"] == "GROUP"
        assert file["RawData/Logger"].attrs["EXTDIM"] == 0


def test_wrong_arguments(tmp_path) -> None:
    for wrong in (3, "nothing"):
        with pytest.raises(ValueError, match="invalid"):
            H5SaverLowLevel(wrong)
    with pytest.raises(ValueError, match="backend"):
        H5SaverLowLevel(backend="nothing")
    with pytest.raises(MissingExtra, match="h5pyd module is not present"):
        H5SaverLowLevel(backend="h5pyd")
    saver = H5SaverLowLevel(SaveType.custom, "tables")
    assert saver.raw_group == "/RawData"
    for call in (lambda: saver.add_log("x"), saver.flush, lambda: saver.get_node("/"), saver.root):
        with pytest.raises(NodeError, match="No file is open"):
            call()
    with pytest.raises(FileNotFoundError):
        saver.init_file(tmp_path / "nowhere" / "file.h5")
    saver.close_file()


@pytest.mark.parametrize(
    ("given", "made"), [("x.txt", "x.h5"), ("x.hdf5", "x.h5"), ("x.h5x", "x.h5x"), ("x", "x.h5")]
)
def test_endings(tmp_path, given, made) -> None:
    H5SaverLowLevel.from_file(str(tmp_path / given)).close_file()
    assert [file.name for file in tmp_path.iterdir()] == [made]


def test_an_existing_file_is_continued(saver, path) -> None:
    facts = saver.root().attrs.to_dict()
    saver.close_file()
    saver.close_file()
    again = H5SaverLowLevel("detector")
    assert not again.init_file(path, metadata={"author": "other"})
    assert again.file_loaded
    assert again.root().attrs.to_dict() == facts
    assert again.raw_group.attrs["author"] == "somebody"
    again.init_file(path, new_file=True)  # closes, and begins anew
    assert again.raw_group.attrs["type"] == "detector"
    again.close_file()


def test_reading_never_writes(saver, path) -> None:
    points(saver).append(np.array([1.0]))
    saver.close_file()
    before = digest(path)
    reader = H5SaverLowLevel.from_file(path, mode="r")
    for change in (
        lambda: reader.add_log("x"),
        lambda: reader.add_scan_group(),
        lambda: reader.get_node("/RawData/Points").append(np.array([1.0])),
        lambda: reader.set_attr("/RawData", "x", 1),
        lambda: reader.get_node("/RawData").remove_children(),
        lambda: reader.get_set_group("/", "new"),
        lambda: points(reader, "more"),
        lambda: reader.get_node("/RawData/Points").__setitem__(0, 3.0),
    ):
        with pytest.raises(NodeError):
            change()
    assert reader.get_set_group("/", "RawData").name == "RawData"
    reader.close_file()
    assert digest(path) == before
    with pytest.raises(MissingFileError):
        reader.init_file(path.with_name("none.h5"), mode="r")
    assert not path.with_name("none.h5").exists()


def test_foreign_files_are_read_as_they_are(path) -> None:
    with h5py.File(path, "w") as file:
        file["group/numbers"] = np.arange(5)
        file["group"].create_dataset("growing", (2,), "f4", maxshape=(None,))
        file["loop"] = file["/"]
        file["kind"] = np.dtype("f8")
        file["nothing"] = h5py.Empty("f8")
        file["broken"] = h5py.SoftLink("/nowhere")
    before = digest(path)
    reader = H5SaverLowLevel.from_file(path, mode="r")
    kinds = {node.path: type(node) for node in reader.walk_nodes("/")}
    arrays = {"/group/growing": EARRAY, "/group/numbers": CARRAY, "/nothing": CARRAY}
    assert kinds == {"/": GROUP, "/group": GROUP, **arrays}
    assert reader.raw_group == reader.root()
    reader.close_file()
    assert digest(path) == before
    path.write_bytes(b"no HDF5 at all" * 10)
    with pytest.raises(FormatError):
        reader.init_file(path)
    assert path.read_bytes() == b"no HDF5 at all" * 10


def test_a_raw_group_of_another_name(path) -> None:
    saver = H5SaverLowLevel()
    saver.init_file(path, raw_group_name="Mine", new_file=True)
    saver.close_file()
    saver.init_file(path)
    assert saver.raw_group.path == "/Mine"
    assert saver.logger_array.path == "/Mine/Logger"
    assert "RawData" not in saver.get_children("/")
    saver.close_file()


def test_groups(saver) -> None:
    group = saver.get_set_group("/RawData", "a/b", "title", origin="Det 00")
    assert (group.path, group.title, group.attrs["origin"]) == ("/RawData/a/b", "title", "Det 00")
    assert saver.get_node("/RawData/a").attrs["CLASS"] == "GROUP"
    assert saver.get_set_group("/RawData/a", "b", "other").title == "title"
    named = saver.add_group("foo", GroupType.detector, "/RawData", metadata={"x": 1})
    assert (named.name, named.attrs["type"], named.attrs["x"]) == ("Foo", "detector", 1)
    saver.add_group("Foo", "scan", "/RawData", metadata={"x": 2})
    assert named.attrs["x"] == 1
    points(saver)
    for name in ("Points", ""):
        with pytest.raises(NodeError):
            saver.get_set_group("/RawData", name)
    data = saver.add_data_group("/RawData", DataDim.Data1D, settings_as_xml="<a/>")
    assert (data.name, data.attrs["type"], data.attrs["settings"]) == ("Data1D", "data", "<a/>")
    assert saver.is_node_in_group("/RawData", "foo")
    assert saver.get_group_by_title("/RawData/a", "title") == group
    group.parent_node.remove_children()
    assert saver.get_children("/RawData/a") == {}
    assert saver.get_set_group("/RawData/a", "b").title == ""


def test_numbered_groups(saver) -> None:
    saver.get_set_group("/RawData", "Scanner")
    saver.get_set_group("/RawData", "Scan998")
    metadata = {"x": 1}
    names = [saver.add_scan_group(title=f"scan {i}", metadata=metadata).name for i in range(4)]
    assert names == ["Scan999", "Scan1000", "Scan1001", "Scan1002"]
    assert metadata == {"x": 1}
    assert saver.get_last_group("/RawData", "Scan").name == "Scan1002"
    assert [group.name for group in saver.get_groups("/RawData", GroupType.scan)] == names
    assert saver.get_groups("/RawData", "nothing") == []
    assert saver.get_last_group("/RawData", "nothing") is None
    scan = saver.get_node("/RawData/Scan1000")
    assert (scan.attrs["description"], scan.attrs["settings"], scan.attrs["type"]) == ("", "", "scan")
    made = [
        saver.add_det_group(scan), saver.add_act_group(scan), saver.add_move_group(scan),
        saver.add_ch_group(scan),        saver.add_generic_group(scan, group_type="My_Type"),
        saver.add_incremental_group(GroupType.data_logger, scan),
    ]  # fmt: skip
    assert [group.name for group in made] == [
        "Detector000", "Actuator000", "Actuator001", "Ch000", "My_type000", "Data_logger000",
    ]  # fmt: skip
    assert made[3].attrs["type"] == ""
    assert saver.get_groups(scan, "ch") == [made[3]]
    with pytest.raises(AttributeError):
        saver.add_incremental_group(3, scan)


def test_lookups(saver) -> None:
    scan = saver.add_scan_group(title="first")
    detector = saver.add_det_group(scan, title="second", metadata={"serial": 77})
    assert saver.get_node_from_title("/", "second") == detector
    assert saver.get_node_from_title(detector, "first") is None
    assert saver.get_node_from_attribute_match("/", "serial", 77) == detector
    assert saver.get_node_from_attribute_match("/", "type", "scan").path == "/RawData"
    detector.attrs["TITLE"] = "third"
    assert saver.get_node_from_title("/", "third") == detector
    paths = [node.path for node in saver.walk_nodes("/")]
    assert paths == ["/", "/RawData", "/RawData/Logger", scan.path, detector.path]
    assert [node.path for node in saver.walk_nodes("/", depth=1)] == paths[:2]
    assert [node.path for node in saver.walk_groups("/RawData")] == ["/RawData", scan.path, detector.path]
    assert saver.get_node("/RawData", "Scan000") == scan == saver.get_node(scan.node)
    assert saver.get_parent_node(detector) == scan
    assert saver.root().parent_node is None
    with pytest.raises(NodeError, match="Scan000"):
        saver.get_node("/RawData/Scan00")
    with pytest.raises(KeyError):
        scan.get_child("nothing")
    assert saver.find_nodes("/", DataType.strings) == [saver.logger_array]


def test_arrays(saver) -> None:
    fixed = saver.add_array(
        "/RawData", "image", "data", np.arange(6, dtype=">i2").reshape(2, 3), data_dimension="Data2D"
    )
    assert (fixed.name, fixed.shape, fixed.dtype.str, fixed.attrs["dtype"]) == (
        "Image",
        (2, 3),
        ">i2",
        "int16",
    )
    assert fixed.attrs["nav_indexes"] == ()
    fixed[1, 2] = 9
    assert fixed[1].tolist() == [3, 4, 9]
    with pytest.raises(NodeError):
        saver.add_array("/RawData", "image", "data", np.arange(2), data_dimension="Data1D")
    for wrong in ({"data_dimension": None}, {"data_dimension": "Data1D"}):
        with pytest.raises(ValueError, match=r"invalid|carray cannot be None"):
            saver.add_array("/RawData", "x", "data", **wrong)
    with pytest.raises(NodeError):
        saver.add_array("/nowhere", "x", "data", np.arange(2), data_dimension="Data1D")
    scan = saver.add_array("/RawData", "scan", "data", data_shape=(4,), scan_shape=(2, 3), add_scan_dim=True,
                           data_dimension="Data1D", title="t")  # fmt: skip
    assert (scan.shape, scan.title, scan.attrs["nav_indexes"]) == ((2, 3, 4), "t", (0, 1))
    assert np.isnan(scan.read()).all()
    scan[1, 2] = np.arange(4)
    assert scan[1, 2].tolist() == [0, 1, 2, 3]
    options = {"data_dimension": "Data0D", "array_type": np.int32}
    single = saver.add_array(
        "/RawData", "s", "data", data_shape=(1,), scan_shape=(2,), add_scan_dim=True, **options
    )
    assert single.read().tolist() == [-(2**31)] * 2
    texts = saver.create_carray("/RawData", "texts", np.array(["a", "é"]))
    assert [text.decode() for text in texts.read()] == ["a", "é"]
    for values in (np.empty(0), np.float64(3.0), np.array([True])):
        saver.define_compression("zlib", 5)
        assert np.array_equal(
            saver.create_carray("/RawData", f"v{np.size(values)}{np.ndim(values)}", values).read(), values
        )


@pytest.mark.parametrize(
    ("record", "shape", "expand", "rows"),
    [
        ((), (1,), True, 1), ((), (3,), True, 3), ((), (3,), False, 3), ((), (0,), True, 0),
        ((1,), (1,), True, 1), ((1,), (3,), True, 3), ((4,), (4,), True, 1), ((4,), (2, 4), True, 2),
        ((4,), (1, 4), True, 1), ((2, 3), (2, 3), True, 1), ((2, 3), (5, 2, 3), True, 5),
        ((4,), (3,), True, None), ((4,), (1,), True, None), ((4,), (2, 3), True, None),
        ((2, 3), (4, 3, 2), True, None), ((), (2, 2), True, None),
    ],
)  # fmt: skip
def test_append(saver, record, shape, expand, rows) -> None:
    node = points(saver, data_shape=record, array_type=np.float32)
    node.append(np.ones((2, *record)))
    data = np.full(shape, 7.0)
    if rows is None:
        with pytest.raises(ValueError, match="cannot be appended"):
            node.append(data, expand=expand)
        rows = 0
    else:
        node.append(data, expand=expand)
    assert len(node) == 2 + rows
    assert node.attrs["shape"] == node.shape == (2 + rows, *record)
    assert (node.read()[2:] == 7).all()


def test_append_refuses_other_things(saver) -> None:
    node = points(saver)
    for wrong, error in (([1.0], TypeError), (np.float64(1), TypeError), (np.array(1.0), IndexError)):
        with pytest.raises(error):
            node.append(wrong)
    with pytest.raises(ValueError, match="could not convert"):
        node.append(np.array(["text"]))
    assert len(node) == 0


@pytest.mark.parametrize("compression", [None, "gzip", "lzf", "blosc:lz4", "zstd", "bzip2"])
@pytest.mark.parametrize("record", [(), (3,), (300, 400), (700, 1000)])
def test_rows_of_any_size(saver, path, record, compression) -> None:
    if compression:
        saver.define_compression(compression, 1)
    node = points(saver, data_shape=record, array_type=np.uint16)
    rows = [np.full(record or (1,), row, np.uint16) for row in range(7)]
    for row in rows[:5]:
        node.append(row)
        node.backend.flush()
    node.append(np.stack(rows[5:]) if record else np.concatenate(rows[5:]))
    saver.close_file()
    with h5py.File(path) as file:
        seen = file["RawData/Points"]
        assert seen.shape == (7, *record)
        assert all((seen[row] == row).all() for row in range(7))
        if compression == "gzip":
            assert seen.shuffle


def test_compression_names() -> None:
    saver = H5SaverLowLevel()
    saver.define_compression("zlib", 5)
    assert saver.compression == {"compression": "gzip", "compression_opts": 5}
    for wrong in (("lzo", 5), ("gzip", 10), ("gzip", -1)):
        with pytest.raises(ValueError, match="compression"):
            saver.define_compression(*wrong)


def test_the_log_and_strings(saver, path) -> None:
    for line in ("one", "zwei ü", ""):
        saver.add_log(line)
    assert saver.logger_array.read() == ["one", "zwei ü", ""]
    assert saver.logger_array[1] == "zwei ü"
    assert saver.logger_array[1:] == ["zwei ü", ""]
    assert list(saver.logger_array) == ["one", "zwei ü", ""]
    assert saver.get_set_logger() == saver.logger_array
    array = saver.add_string_array("/RawData", "names", metadata={"x": 1})
    array.append("same")
    array.append("size")
    assert saver.get_children("/RawData")["names"].read() == ["same", "size"]
    rows = saver.create_vlarray("/RawData", "rows", np.float64)
    for size in (2, 2, 0, 3):
        rows.append(np.arange(float(size)))
    assert [row.tolist() for row in rows.read()] == [[0, 1], [0, 1], [], [0, 1, 2]]
    saver.close_file()
    with h5py.File(path) as file:
        assert file["RawData/names"].shape == (2,)


def test_attributes(saver) -> None:
    attrs = saver.raw_group.attrs
    for name, value in {"a": 1, "b": None, "c": {"k": [1]}, "units": "mV", "d": np.int64(3)}.items():
        attrs[name] = value
        assert attrs[name] == value
    assert saver.get_attr("/RawData", "a") == 1
    assert saver.get_attr("/RawData")["units"] == "mV"
    assert saver.has_attr("/RawData", "title")
    assert attrs.get("nothing", 5) == 5
    with pytest.raises(KeyError):
        attrs["nothing"]
    assert saver.raw_group.node.attrs["units"] == "mV"  # plain, for other programs
    attrs["units"] = "1"
    assert attrs["units"] == "1"
    attrs["long"] = "x" * 100_000
    assert len(attrs["long"]) == 100_000
    assert sorted(attrs) == sorted(attrs.attrs_name)
    assert len(attrs) == len(attrs.to_dict())
    array = points(saver)
    array.append(np.array([1.0]))
    assert array.attrs["shape"] == (1,)


def test_attributes_of_unknown_types_are_left_out(saver) -> None:
    saver.raw_group.node.attrs["units"] = h5py.Empty("S1")
    saver.raw_group.node.attrs["n"] = np.arange(2)
    assert saver.raw_group.attrs["units"] == ""
    assert saver.raw_group.attrs["n"].tolist() == [0, 1]


def test_threads_lose_nothing(saver, path) -> None:
    node, rows = points(saver, data_shape=(2,)), 2000
    other = H5SaverLowLevel.from_file(path)

    def run(number: int) -> None:
        mine = (saver, other)[number % 2].get_node(node.path)
        for row in range(rows):
            mine.append(np.array([number, row], float))
            if row % 500 == 0:
                (saver, other)[number % 2].add_log(f"{number} {row}")

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close_file()
    values = node.read()
    assert len(values) == 4 * rows
    for number in range(4):
        assert values[values[:, 0] == number, 1].tolist() == list(range(rows))
    assert len(saver.logger_array.read()) == 16


def test_two_savers_of_one_file(saver, path) -> None:
    other = H5SaverLowLevel.from_file(path)
    reader = H5SaverLowLevel.from_file(path, mode="r")
    node = points(saver)
    node.append(np.array([1.0]))
    assert other.get_node("/RawData/Points").read().tolist() == [1.0]
    assert reader.get_node("/RawData/Points").read().tolist() == [1.0]
    with pytest.raises(NodeError):
        reader.add_log("x")
    with pytest.raises(FileError, match="not replaced"):
        H5SaverLowLevel.from_file(path, new_file=True)
    assert other.add_scan_group().name == "Scan000"
    assert saver.add_scan_group().name == "Scan001"
    saver.close_file()
    other.get_node("/RawData/Points").append(np.array([2.0]))
    other.close_file()
    reader.close_file()
    with h5py.File(path) as file:
        assert file["RawData/Points"][:].tolist() == [1.0, 2.0]


def test_a_saver_that_is_dropped_writes_everything(path) -> None:
    saver = H5SaverLowLevel.from_file(path)
    points(saver).append(np.array([1.0]))
    file = saver.shared
    del saver
    assert file.closed.wait(60)
    with h5py.File(path) as file:
        assert file["RawData/Points"].shape == (1,)


def test_the_end_of_a_program_writes_everything(path) -> None:
    code = """
import sys
import numpy as np
from sapwood.fileio.pymodaq.saver import H5SaverLowLevel
saver = H5SaverLowLevel.from_file(sys.argv[1])
array = saver.add_array("/RawData", "points", "data", enlargeable=True, data_dimension="Data0D")
array.append(np.arange(3.0))
"""
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    with h5py.File(path) as file:
        assert file["RawData/Points"][:].tolist() == [0, 1, 2]
        assert b"(3,)" in file["RawData/Points"].attrs["shape"]


def test_opening_and_closing_in_many_threads(path) -> None:
    H5SaverLowLevel.from_file(path).close_file()

    def run(number: int) -> None:
        for _ in range(20):
            saver = H5SaverLowLevel.from_file(path)
            saver.add_log(str(number))
            if number:
                saver.close_file()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    saver = H5SaverLowLevel.from_file(path, mode="r")
    assert sorted(saver.logger_array.read()) == sorted("0123" * 20)
    saver.close_file()


def test_save_file(saver, tmp_path) -> None:
    points(saver).append(np.array([1.0]))
    saver.save_file()
    saver.save_file(tmp_path / "copy.h5")
    with pytest.raises(RecordingExists):
        saver.save_file(tmp_path / "copy.h5")
    points(saver, "later").append(np.array([1.0]))
    with h5py.File(tmp_path / "copy.h5") as file:
        assert sorted(file["RawData"]) == ["Logger", "Points"]
        assert file["RawData/Points"].shape == (1,)


def test_dead_space_does_not_grow(saver, path) -> None:
    node = points(saver)
    for row in range(200):
        node.append(np.array([float(row)]))
        saver.flush()
    saver.close_file()
    assert path.stat().st_size < 100_000


def test_wrappers_outlive_the_handle(saver, path) -> None:
    node = points(saver)
    saver.close_file()
    with pytest.raises(NodeError):
        node.append(np.array([1.0]))
    saver.init_file(path)
    node.append(np.array([1.0]))
    assert node.read().tolist() == [1.0]
    assert str(node) == "/RawData/Points (EARRAY) ''"
