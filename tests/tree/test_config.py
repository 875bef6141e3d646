"""Configurations: saving, loading, refusing."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sapwood.tree as pr
from sapwood.errors import ConfigError


def test_text_of_a_tree(top: pr.Root) -> None:
    top.D.u.set(0x11)
    top.D.lf.set(1e-9)
    top.D.ls.set("yes")
    assert top.D.getYaml(modes=["RW"], excGroups="NoConfig").splitlines() == [
        "D:",
        "  enable: True",
        "  u: 0x11",
        "  v: 0x0",
        "  e: Zero",
        "  flag: False",
        "  f: 0.0",
        "  s: ''",
        "  arr: '[0x0, 0x0, 0x0, 0x0]'",
        "  l: 5",
        "  lf: 1.0e-09",
        "  ls: 'yes'",
        "  twice: 10",
    ]
    assert top.D.u.getYaml() == "u: 0x11\n"
    assert top.getYaml(recurse=False, modes=["RW"]).splitlines()[:2] == ["top:", "  enable: True"]
    assert "D:" not in top.getYaml(recurse=False)
    assert "kick" not in top.getYaml()


def test_groups_are_tested_at_every_level(start: Any) -> None:
    outer, inner = pr.Device(name="outer", groups="NoConfig"), pr.Device(name="inner")
    inner.add(pr.LocalVariable(name="x", value=1))
    outer.add(inner)
    root = start(outer)
    assert "x" not in root.getYaml(excGroups="NoConfig")
    root.setYaml("top: {outer: {inner: {x: 5}}}", excGroups="NoConfig")
    assert inner.x.value() == 1


def test_round_trip_is_exact(start: Any, bus: Any) -> None:
    device = pr.Device(name="dev", memBase=bus)
    device.add(pr.RemoteVariable(name="d", offset=0, bitSize=64, base=pr.Double))
    device.add(pr.RemoteVariable(name="e", offset=8, bitSize=4, enum={0: "on", 1: "0x3"}))
    device.add(
        pr.RemoteVariable(name="fa", offset=16, base=pr.Float, numValues=2, valueBits=32, valueStride=32)
    )
    device.add(pr.RemoteVariable(name="padded", offset=24, disp="{:04d}"))
    device.add(pr.LocalVariable(name="small", value=0.1, disp="{:1.3f}"))
    device.add(pr.LocalVariable(name="list", value=[1, 2]))
    device.add(pr.LocalVariable(name="dict", value={"a": 1}))
    device.add(pr.LocalVariable(name="switch", value=True, enum={False: "off", True: "on"}))
    device.add(pr.LocalVariable(name="text", value="a\nb: #'"))
    root = start(device)
    values = {
        "d": 1 / 3,
        "e": 7,
        "fa": [0.25, 1e-20],
        "padded": 8,
        "small": 1e-12,
        "list": [[1], "x"],
        "dict": {"b": [2]},
        "switch": False,
        "text": "0x10",
    }
    for name, value in values.items():
        device.node(name).set(value)
    device.fa.set([0.25, np.float32(1e-20)])
    saved = root.getYaml(modes=["RW"])
    before = {name: device.node(name).value() for name in values}
    device.small.set(5.0)
    device.d.set(0)
    device.e.set(1)
    device.fa.set([0, 0])
    device.padded.set(0)
    device.list.set([])
    device.switch.set(True)
    root.setYaml(saved)
    after = {name: device.node(name).value() for name in values}
    assert after.pop("fa").tolist() == before.pop("fa").tolist()
    assert after == before


@pytest.mark.parametrize(
    ("text", "name", "want"),
    [
        ("u: 0x12", "u", 0x12),
        ("u: '0x12'", "u", 0x12),
        ("lf: 2", "lf", 2.0),
        ("lf: 1e3", "lf", 1000.0),
        ("f: '0.500000'", "f", 0.5),
        ("e: One", "e", 1),
        ("e: 1", "e", 1),
        ("e: 'INVALID: 3'", "e", 3),
        ("arr: '[4, 3]'", "arr", [4, 3, 0, 0]),
        ("arr: [4, 3]", "arr", [4, 3, 0, 0]),
        ("arr: {0: 9, 2: 8}", "arr", [9, 0, 8, 0]),
        ("arr[1]: 5", "arr", [0, 5, 0, 0]),
        ("arr[-1]: 5", "arr", [0, 0, 0, 5]),
        ("arr[1:3]: [5, 6]", "arr", [0, 5, 6, 0]),
        ("arr[1:3]: '[5, 0x6]'", "arr", [0, 5, 6, 0]),
        ("arr[*]: 3", "arr", [3, 3, 3, 3]),
        ("enable: 'False'", "enable", False),
        ("{u: 1, u: 2}", "u", 2),
        ("twice: 20", "l", 10),
    ],
)
def test_forms_of_entries(top: pr.Root, text: str, name: str, want: Any) -> None:
    assert top.D.setYaml(f"D:\n  {text}\n")
    value = top.D.node(name).value()
    assert (value.tolist() if isinstance(value, np.ndarray) else value) == want


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("u: 300", "top.D.u: Value range error"),
        ("u: abc", "top.D.u: Invalid value abc"),
        ("u:", "top.D.u: has no value"),
        ("e: Three", "top.D.e: Invalid value Three"),
        ("l: 1.5", "top.D.l: Type mismatch"),
        ("l: [1]", "top.D.l: Type mismatch"),
        ("f: 1.0e+300", "top.D.f: Value range error"),
        ("arr: [1, 2, 3, 4, 5]", "top.D.arr: Overflow error for passed list with length 5"),
        ("arr[4]: 1", r"top.D.arr\[4\]: Index 4 is out of range"),
        ("arr[-5]: 1", r"top.D.arr\[-5\]: Index -5 is out of range"),
        ("arr: {7: 1}", r"top.D.arr\[7\]: Index 7 is out of range"),
        ("arr: {x: 1}", r"top.D.arr\[x\]: invalid literal"),
        ("arr[0:2]: [1, 2, 3]", "has 2 elements, but 3 values are given"),
        ("arr[x]: 1", "is not an index or slice"),
        ("l[0]: 1", "has no elements"),
        ("enable: 7", "top.D.enable: Invalid value 7"),
    ],
)
def test_a_bad_entry_refuses_the_whole(top: pr.Root, bus: Any, entry: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        top.setYaml(f"top:\n  D:\n    v: 9\n    {entry}\n    ls: new\n")
    assert len(caught.value.problems) == 1
    assert (top.D.v.value(), top.D.ls.value()) == (0, "text")
    assert bus.take() == []


@pytest.mark.parametrize("text", ["", "[1, 2]", "5", "top: 3", "top.D: [1]"])
def test_wrong_shapes(top: pr.Root, text: str) -> None:
    with pytest.raises(ConfigError, match="a mapping is expected"):
        top.setYaml(text)


def test_all_problems_are_listed(top: pr.Root) -> None:
    with pytest.raises(ConfigError) as caught:
        top.setYaml("top: {D: {u: 300, l: x, v: 1, e: q}}")
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["top.D.u", "top.D.l", "top.D.e"]


def test_unknown_entries_are_told_and_skipped(top: pr.Root, caplog: pytest.LogCaptureFixture) -> None:
    top.setYaml("top: {D: {uu: 1, v: 3, kick: 1}, Q: {x: 1}}\nother: 1\ntop.Z: 1\n")
    told = [record.getMessage() for record in caplog.records]
    assert [text.split(" in ")[0] for text in told] == [
        "Entry uu not found",
        "Skipping Entry kick: top.D.kick is a command",
        "Entry Q not found",
        "Entry other not found",
        "Entry top.Z not found",
    ]
    assert "Did you mean: u" in told[0]
    assert top.D.v.value() == 3


def test_modes(top: pr.Root, caplog: pytest.LogCaptureFixture) -> None:
    top.setYaml("top: {D: {ro: 1, wo: 2}}")
    assert "Skipping set for Entry ro with mode RO." in caplog.text
    assert top.D.wo.value() == 2


def test_top_level_keys(top: pr.Root) -> None:
    top.setYaml("top.D: {u: 1}\nroot.D.v: 2\ntop.D.arr[0:2]: 7\nroot: {D: {l: 3}}\n")
    assert [top.D.u.value(), top.D.v.value(), top.D.l.value()] == [1, 2, 3]
    assert top.D.arr.value().tolist() == [7, 7, 0, 0]
    top.D.setYaml("u: 4\nD: {v: 5}\n")
    assert [top.D.u.value(), top.D.v.value()] == [4, 5]


def test_wildcards_over_devices(start: Any) -> None:
    outer = pr.Device(name="outer")
    for index in range(3):
        inner = pr.Device(name=f"ch[{index}]")
        inner.add(pr.LocalVariable(name=f"g[{at}]", value=0) for at in range(2))
        outer.add(inner)
    root = start(outer)
    root.setYaml("top: {outer: {'ch[*]': {'g[*]': 1}, 'ch[1:]': {'g[0]': 2}}}")
    assert [[var.value() for var in dev.g.values()] for dev in outer.ch.values()] == [[1, 1], [2, 1], [2, 1]]


def test_values_are_written_in_one_go(top: pr.Root, bus: Any) -> None:
    top.setYaml("top: {D: {u: 1, v: 2, f: 1.0}}")
    assert bus.take() == ["W 0x100 4", "W 0x108 4", "V 0x100 4", "V 0x108 4"]
    top.setYaml("top: {D: {u: 1, v: 3}}", writeEach=True)
    assert bus.take() == ["W 0x100 4", "V 0x100 4", "W 0x100 4", "V 0x100 4"]
    top.ForceWrite.set(True)
    top.setYaml("top: {D: {u: 1}}")
    assert len(bus.take()) > 8


def test_enable_is_applied_at_its_place(top: pr.Root, bus: Any) -> None:
    top.setYaml("top: {D: {u: 1, enable: False, f: 2.0}}")
    assert bus.take() == []
    assert (top.D.u.value(), top.D.f.value()) == (1, 2.0)
    top.D.enable.set(True)
    top.WriteAll()
    assert bus.word(0x100) == 1


def test_enable_is_saved_as_it_was_set(start: Any) -> None:
    outer = pr.Device(name="outer")
    outer.add(pr.Device(name="inner"))
    root = start(outer)
    outer.enable.set(False)
    saved = root.getYaml(modes=["RW"])
    outer.inner.enable.set(False)
    outer.enable.set(True)
    root.setYaml(saved)
    outer.enable.set(True)
    assert outer.inner.enable.get() is True


def test_initialize_after_config(start: Any) -> None:
    calls: list[int] = []

    class Init(pr.Device):
        def initialize(self) -> None:
            calls.append(1)

    root = start(Init(name="dev"))
    root.setYaml("top: {}")
    assert calls == []
    root.InitAfterConfig.set(True)
    root.setYaml("top: {}")
    assert calls == [1]


def test_a_setter_that_fails_is_named(start: Any) -> None:
    def refuse(value: int) -> None:
        raise RuntimeError("no such gain")

    device = pr.Device(name="dev")
    device.add(pr.LinkVariable(name="x", linkedGet=lambda: 0, linkedSet=refuse))
    root = start(device)
    with pytest.raises(ConfigError, match=r"Setting top\.dev\.x failed: no such gain"):
        root.setYaml("top: {dev: {x: 1}}")


class TestFiles:
    @pytest.fixture(autouse=True)
    def _folder(self, top: pr.Root, tmp_path: Path) -> None:
        self.top, self.tmp = top, tmp_path
        top.dataDir = tmp_path

    def write(self, name: str, **values: int) -> str:
        path = self.tmp / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"top.D.{key}: {value}\n" for key, value in values.items()))
        return str(path)

    def values(self) -> list[int]:
        return [self.top.D.u.value(), self.top.D.v.value(), self.top.D.l.value()]

    def test_commands(self) -> None:
        top = self.top
        top.D.u.set(9)
        path = top.SaveConfig("c.yml")
        assert path == str(self.tmp / "c.yml")
        text = Path(path).read_text()
        assert text == top.GetYamlConfig(False)
        assert "cfg" not in text
        top.D.u.set(1)
        assert top.LoadConfig("c.yml") is True
        assert top.D.u.get() == 9
        assert top.SetYamlConfig("top: {D: {u: 5}}")
        assert top.D.u.get() == 5
        assert "ro: 0x0" in top.GetYamlState(False)
        assert not list(self.tmp.glob("*.part"))

    def test_saving_reads_first(self, bus: Any) -> None:
        bus.ram[0x100] = 0x33
        assert "u: 0x33" in Path(self.top.SaveConfig("c.yml")).read_text()

    def test_names_made_from_the_time(self) -> None:
        state, config = Path(self.top.SaveState()), Path(self.top.SaveConfig())
        assert state.parent == config.parent == self.tmp
        assert state.match("state_????????_??????.yml.zip")
        assert config.match("config_????????_??????.yml")
        with zipfile.ZipFile(state) as archive:
            assert archive.namelist() == [state.stem]
            assert archive.infolist()[0].compress_type == zipfile.ZIP_LZMA
        self.top.D.u.set(7)
        self.top.loadYaml(str(state))  # the archive itself, its only member is meant
        assert self.top.D.u.value() == 0

    def test_several_files_in_order(self) -> None:
        names = [self.write("b.yml", u=1, v=1), self.write("a.yaml", u=2, l=3)]
        self.top.loadYaml(names)
        assert self.values() == [2, 1, 3]
        self.top.loadYaml("a.yaml, b.yml")
        assert self.values() == [1, 1, 3]

    def test_folder(self) -> None:
        self.write("d/b.yml", u=1)
        self.write("d/a.yaml", u=2, v=2)
        self.write("d/ignored.txt", u=9)
        self.top.loadYaml("d")
        assert self.values()[:2] == [1, 2]

    def test_archive(self) -> None:
        with zipfile.ZipFile(self.tmp / "x.zip", "w") as archive:
            archive.writestr("d/b.yml", "top.D.u: 1")
            archive.writestr("d/a.yml", "top.D: !include deep/c.yml")
            archive.writestr("d/deep/c.yml", "{u: 2, v: 2}")
            archive.writestr("e.yml", "top.D.l: 8")
        self.top.loadYaml("x.zip/d")
        assert self.values() == [1, 2, 5]
        self.top.loadYaml("x.zip/e.yml")
        assert self.values() == [1, 2, 8]
        for name in ("x.zip", "x.zip/none"):
            with pytest.raises(ConfigError, match="loadYaml: Invalid load file"):
                self.top.loadYaml(name)
        with pytest.raises(FileNotFoundError, match=r"no member none\.yml"):
            self.top.loadYaml("x.zip/none.yml")

    @pytest.mark.parametrize("name", ["", "c.txt", "nothing"])
    def test_bad_names(self, name: str) -> None:
        with pytest.raises(
            ConfigError,
            match=r"loadYaml: Invalid load file: .*, must be a directory or end in \.yml or \.yaml",
        ):
            self.top.loadYaml(name)

    def test_missing_file(self) -> None:
        for name in ("none.yml", "none.zip/d"):
            with pytest.raises(FileNotFoundError):
                self.top.loadYaml(name)

    def test_one_bad_file_of_two(self) -> None:
        self.top.D.u.set(4)
        names = [self.write("a.yml", u=1), self.write("b.yml", u=999)]
        with pytest.raises(ConfigError):
            self.top.loadYaml(names)
        assert self.top.D.u.value() == 4

    def test_device_files(self) -> None:
        self.top.D.u.set(6)
        path = self.top.D.saveYaml("dev.yml", modes=["RW"])
        assert Path(path).read_text().startswith("D:\n  enable: True\n  u: 0x6\n")
        self.top.D.u.set(0)
        self.top.D.loadYaml("dev.yml")
        assert self.top.D.u.get() == 6
