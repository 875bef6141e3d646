"""The scan device: points, order, faults, pauses, streams, and what is in the file."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sapwood
from sapwood.devices import ScanDevice, ScanStream
from sapwood.devices.scanplan import GRID, LIST, ScanAxis, ScanPlan, axes_from_text, axes_to_text
from sapwood.errors import DeviceError, FileError, StreamError
from sapwood.fileio.pymodaq.data_settings import settings_from_xml
from sapwood.fileio.pymodaq.loader import DataLoader
from sapwood.streams import Frame, FrameBatch, Master

WAIT_S = 30


class Stage(sapwood.Device):
    """Two axes, a detector, and a gate that the detector waits at."""

    X = sapwood.Local(0.5, units="mm", maximum=10.0)
    Y = sapwood.Local(0.5, units="um")
    Count = sapwood.Local(3)
    Range = sapwood.Local(0, enum={0: "Low", 1: "High"})

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reads: list[tuple[float, float]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.reached = threading.Event()
        self.fail_at: int | None = None
        shown = {"mode": "RO", "units": "V"}
        self.add(sapwood.LocalVariable(name="Level", value=0.0, localGet=self._level, **shown))
        trace = np.zeros(4)
        self.add(sapwood.LocalVariable(name="Trace", value=trace, localGet=self._trace, **shown))

    def _level(self) -> float:
        x, y = self.X.value(), self.Y.value()
        self.reads.append((x, y))
        if self.fail_at is not None and len(self.reads) == self.fail_at:
            raise RuntimeError("the detector broke")
        if not self.gate.is_set():
            self.reached.set()
            assert self.gate.wait(WAIT_S)
        return float(10 * x + y)

    def _trace(self) -> Any:
        return self.X.value() + np.arange(4.0)


class Top(sapwood.Root):
    """A stage and its scan."""

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(name="Top", pollEn=False)
        self.dataDir = folder
        self.add(Stage(name="Stage"))
        stage = self.Stage
        options.setdefault("axes", [(stage.X, [0.0, 1.0, 2.0]), ("Top.Stage.Y", [0.0, 5.0])])
        options.setdefault("detectors", [stage.Level, stage.Trace])
        self.add(ScanDevice(name="Scan", **options))


def run(root: Top, **settings: Any) -> None:
    root.Stage.reads.clear()
    for name, value in {"DataFile": "scan.h5", **settings}.items():
        root.Scan.node(name).setDisp(value)
    root.Scan.Start()
    assert root.Scan.waitDone(WAIT_S)


def test_a_grid_is_taken_point_by_point(tmp_path: Path) -> None:
    with Top(tmp_path) as root:
        run(root, Comment="first")
        assert root.Stage.reads == [(x, y) for x in (0, 1, 2) for y in (0, 5)]
        assert (root.Stage.X.value(), root.Stage.Y.value()) == (0.5, 0.5)
        scan = root.Scan
        assert (scan.State.get(), scan.PointCount.get(), scan.Progress.get()) == ("Done", 6, 100)
        assert (scan.IsOpen.get(), scan.ScanGroup.get()) == (False, "/RawData/Scan000")
    with DataLoader(tmp_path / "scan.h5") as loader:
        level = loader.load_data_from_name_origin("Level", "Top.Stage")
        assert level.data[0].tolist() == [[0, 5], [10, 15], [20, 25]]
        assert [(axis.label, axis.units) for axis in level.axes] == [
            ("Top.Stage.X", "mm"),
            ("Top.Stage.Y", "um"),
        ]
        assert level.units == "V"
        assert loader.load_data_from_name_origin("Trace").shape == (3, 2, 4)
        assert np.all(np.diff(loader.load_data_from_name_origin("time").data[0].ravel()) >= 0)
        group = loader.get_node("/RawData/Scan000")
        assert group.attrs["description"] == "Done"
        assert settings_from_xml(group.attrs["settings"])["scan", "Comment"] == "first"
        assert "Stage" in group.get_child("Configuration").read()[0]
        assert len(loader.h5saver.get_groups(group, "actuator")) == 2


def test_a_snake_turns_round(tmp_path: Path) -> None:
    with Top(tmp_path) as root:
        run(root, Snake=True)
        assert root.Stage.reads == [(0, 0), (0, 5), (1, 5), (1, 0), (2, 0), (2, 5)]
    with DataLoader(tmp_path / "scan.h5") as loader:
        level = loader.load_data_from_name_origin("Level")
        assert level.data[0].tolist() == [[0, 5], [10, 15], [20, 25]]


@pytest.mark.parametrize("saving", ["Fixed", "Growing"])
def test_a_list_takes_the_values_side_by_side(tmp_path: Path, saving: str) -> None:
    with Top(tmp_path) as root:
        axes = json.dumps({"Top.Stage.X": [0, 1, 3], "Stage.Y": [3, 2, 0]})
        run(root, Mode="List", Saving=saving, Axes=axes)
        assert root.Stage.reads == [(0, 3), (1, 2), (3, 0)]
    with DataLoader(tmp_path / "scan.h5") as loader:
        level = loader.load_data_from_name_origin("Level")
        assert (level.data[0].tolist(), level.distribution) == ([3, 12, 30], "spread")
        assert [axis.data.tolist() for axis in level.axes] == [[0, 1, 3], [3, 2, 0]]


def test_a_grid_can_grow_too(tmp_path: Path) -> None:
    with Top(tmp_path) as root:
        run(root, Saving="Growing")
    with DataLoader(tmp_path / "scan.h5") as loader:
        level = loader.load_data_from_name_origin("Level")
        assert level.data[0].tolist() == [0, 5, 10, 15, 20, 25]
        assert level.axes[0].data.tolist() == [0, 0, 1, 1, 2, 2]


def test_a_file_takes_several_scans(tmp_path: Path) -> None:
    with Top(tmp_path) as root:
        root.Scan.DataFile.set("scan.h5")
        root.Scan.Open()
        with pytest.raises(DeviceError, match="open already"):
            root.Scan.Open()
        run(root)
        run(root, Axes='{"Top.Stage.X": {"start": 0, "stop": 1, "steps": 5}}')
        assert root.Scan.IsOpen.get()
        root.Scan.Close()
        root.Scan.Close()
        assert not root.Scan.IsOpen.get()
        run(root)
        assert root.Scan.ScanGroup.get() == "/RawData/Scan002"
    with DataLoader(tmp_path / "scan.h5") as loader:
        assert loader.load_data_from_name_origin("Level", where="/RawData/Scan001").shape == (5,)


def test_texts_and_whole_numbers_are_set_as_such(tmp_path: Path) -> None:
    with Top(tmp_path, detectors=["Top.Stage.Count"]) as root:
        root.Scan.setAxes([(root.Stage.Range, ["High", "Low"]), (root.Stage.Count, [1, 2])])
        run(root)
        assert root.Stage.Range.value() == 0
    with DataLoader(tmp_path / "scan.h5") as loader:
        assert loader.load_data_from_name_origin("Count").data[0].tolist() == [[1, 2], [1, 2]]


def test_an_error_keeps_what_was_saved(tmp_path: Path) -> None:
    with Top(tmp_path) as root:
        root.Stage.fail_at = 4
        root.Scan.DataFile.set("scan.h5")
        root.Scan.Start()
        with pytest.raises(DeviceError, match="broke"):
            root.Scan.waitDone(WAIT_S)
        assert root.Scan.State.get().startswith("Fault: ")
        assert root.Scan.PointCount.get() == 3
        assert root.Stage.X.value() == 0.5
    with DataLoader(tmp_path / "scan.h5") as loader:
        values = loader.load_data_from_name_origin("Level").data[0].ravel()
        assert values[:3].tolist() == [0, 5, 10]
        assert np.isnan(values[3:]).all()
        assert "broke" in loader.get_node("/RawData/Scan000").attrs["description"]


def test_points_with_errors_can_be_left_out(tmp_path: Path) -> None:
    with Top(tmp_path) as root:
        root.Stage.fail_at = 2
        run(root, OnError="Skip")
        assert (root.Scan.PointCount.get(), root.Scan.SkippedCount.get()) == (5, 1)
    with DataLoader(tmp_path / "scan.h5") as loader:
        values = loader.load_data_from_name_origin("Level").data[0].ravel()
        assert np.isnan(values).tolist() == [False, True, False, False, False, False]


def test_pause_resume_and_stop(tmp_path: Path) -> None:
    with Top(tmp_path) as root:
        scan, stage = root.Scan, root.Stage
        for nothing in (scan.Pause, scan.Resume, scan.Stop):
            nothing()
        assert scan.State.get() == "Idle"
        stage.gate.clear()
        scan.DataFile.set("scan.h5")
        scan.Start()
        assert stage.reached.wait(WAIT_S)
        with pytest.raises(DeviceError, match="is on"):
            scan.Start()
        with pytest.raises(DeviceError, match="is on"):
            scan.Close()
        scan.Pause()
        stage.gate.set()
        assert scan.State.get() == "Paused"
        assert not scan.waitDone(0)
        stage.gate.clear()
        stage.reached.clear()
        scan.Resume()
        assert scan.State.get() == "Running"
        assert stage.reached.wait(WAIT_S)
        threading.Timer(0.05, stage.gate.set).start()
        scan.Stop()
        assert scan.State.get() == "Stopped"
        assert 1 <= scan.PointCount.get() < 6
    with DataLoader(tmp_path / "scan.h5") as loader:
        assert loader.load_data_from_name_origin("Level").data[0][0, 0] == 0


def test_the_tree_stops_a_scan(tmp_path: Path) -> None:
    with Top(tmp_path) as root:
        root.Scan.Settle.set(3600)
        root.Scan.DataFile.set("scan.h5")
        root.Scan.Start()
    assert root.Scan.State.value() == "Stopped"
    with DataLoader(tmp_path / "scan.h5") as loader:
        assert loader.get_node("/RawData/Scan000").attrs["description"] == "Stopped"


@pytest.mark.parametrize("swmr", [False, True])
def test_a_scan_is_readable_while_it_is_on(tmp_path: Path, swmr: bool) -> None:
    with Top(tmp_path, swmr=swmr, axes=[("Top.Stage.X", [0.0, 1.0, 2.0])]) as root:
        scan, stage = root.Scan, root.Stage

        def closes_the_gate() -> None:
            if len(stage.reads) == 1:
                stage.gate.clear()

        scan._trigger = closes_the_gate
        scan.DataFile.set("scan.h5")
        scan.Start()
        assert stage.reached.wait(WAIT_S)
        script = (
            "import sys\nfrom sapwood.fileio.pymodaq.loader import DataLoader\n"
            "with DataLoader(sys.argv[1]) as loader:\n"
            "    print(loader.load_data_from_name_origin('Trace').data[0].tolist()[0])\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "scan.h5")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        stage.gate.set()
        assert done.stdout == "[0.0, 1.0, 2.0, 3.0]\n", done.stderr
        assert scan.waitDone(WAIT_S)


def test_streams_give_their_frames_to_the_point(tmp_path: Path) -> None:
    source = Master()
    streams = [
        ScanStream("Mean", frames=2, dtype="<i2", reduce="mean", units="counts"),
        ScanStream("Image", dtype="u1", shape=(2, 4)),
        ScanStream("All", frames=2, dtype="u1", reduce="all"),
    ]
    root = Top(tmp_path, streams=streams, detectors=[], axes=[("Top.Stage.X", [1.0, 2.0])])
    values = iter(range(100))

    def trigger() -> None:
        for _ in range(2):
            value = next(values)
            source._sendFrame(Frame(bytes([value, 0] * 4)))
        source._sendBatch(FrameBatch.gather([Frame(bytes(8))]))  # one more than is wanted

    root.Scan._trigger = trigger
    for stream in streams:
        source >> root.Scan.getStream(stream.name)
    with pytest.raises(DeviceError):
        root.Scan.getStream("None")
    with root:
        source._sendFrame(Frame(b"early"))  # before the point: of no concern
        run(root)
    with DataLoader(tmp_path / "scan.h5") as loader:
        mean = loader.load_data_from_name_origin("Mean", "Top.Scan")
        assert mean.data[0].tolist() == [[0.5] * 4, [2.5] * 4]
        assert mean.units == "counts"
        assert loader.load_data_from_name_origin("Image").shape == (2, 2, 4)
        assert loader.load_data_from_name_origin("All").shape == (2, 2, 8)


def test_frames_that_do_not_come_or_do_not_fit_are_errors() -> None:
    stream = ScanStream("s", dtype="<i4", timeout_s=0.01)
    stream.arm()
    with pytest.raises(StreamError, match="Too few"):
        stream.take(threading.Event())
    stream.arm()
    stream._acceptFrame(Frame(b"abc"))
    with pytest.raises(StreamError, match="do not hold"):
        stream.take(threading.Event())
    for wrong in ({"frames": 0}, {"reduce": "none"}):
        with pytest.raises(DeviceError):
            ScanStream("s", **wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_a_scan_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with Top(tmp_path) as root:
        scan = root.Scan
        with pytest.raises(FileError, match="No data file"):
            scan.Start()
        scan.DataFile.set("none/scan.h5")
        with pytest.raises(FileError):
            scan.Start()
        scan.AutoName()
        assert scan.DataFile.value().startswith("none/scan_")
        scan.DataFile.set("scan.h5")
        for name, value in (
            ("Axes", "{}"),
            ("Axes", '{"Top.Nothing": [1]}'),
            ("Axes", '{"Top.Scan.Start": [1]}'),
            ("Detectors", '["Top.Nothing"]'),
        ):
            before = scan.node(name).value()
            scan.node(name).set(value)
            with pytest.raises(DeviceError):
                scan.Start()
            scan.node(name).set(before)
        assert scan.State.get() == "Idle"
        assert not (tmp_path / "scan.h5").exists()
        for name, value in (("Axes", "["), ("Axes", "[1]"), ("Detectors", "{"), ("Detectors", "[1]")):
            with pytest.raises(DeviceError):
                scan.node(name).set(value)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.booleans())
def test_every_point_of_a_grid_is_taken_once(sizes: list[int], snake: bool) -> None:
    axes = [ScanAxis.of(f"Top.V{i}", range(size)) for i, size in enumerate(sizes)]
    plan = ScanPlan(axes, GRID, snake)
    points = list(plan)
    assert sorted(points) == list(np.ndindex(*sizes))
    assert len(points) == plan.points
    if snake:
        steps = [sum(abs(a - b) for a, b in zip(*pair, strict=True)) for pair in pairwise(points)]
        assert set(steps) <= {1}


@pytest.mark.parametrize(
    "values",
    [[], [None], [float("nan")], {"start": 0}, {"start": 0, "stop": 1, "steps": 10**12},
     {"start": 0, "stop": 1, "steps": 2, "more": 1}],
)  # fmt: skip
def test_impossible_values_are_refused(values: Any) -> None:
    with pytest.raises(DeviceError):
        ScanAxis.of("Top.X", values)


def test_impossible_plans_are_refused() -> None:
    one, two = ScanAxis.of("X", [1]), ScanAxis.of("Y", [1, 2])
    for axes, mode in (([], GRID), ([one, two], LIST), ([one, one], GRID)):
        with pytest.raises(DeviceError):
            ScanPlan(axes, mode)
    huge = [ScanAxis.of(f"V{i}", range(1000)) for i in range(10)]
    with pytest.raises(DeviceError, match="too many"):
        ScanPlan(huge)
    assert axes_from_text(axes_to_text([one, two])) == [one, two]
