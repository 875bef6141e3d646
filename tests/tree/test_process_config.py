"""LoadConfigProcess and SaveConfigProcess: configurations in the background."""

from __future__ import annotations

import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest

import sapwood.tree as pr
from sapwood.errors import ConfigError

WAIT_S = 20.0


@pytest.fixture
def here(top: pr.Root, tmp_path: Path) -> pr.Root:
    top.dataDir = tmp_path
    return top


def run(process: Any) -> str:
    """Start the process, wait for its end, return its message."""
    process.Start()
    assert process._thread is not None
    process._thread.join(WAIT_S)
    assert process.Running.value() is False
    assert process.Progress.value() == 1.0
    return str(process.Message.value())


def test_every_root_has_them() -> None:
    root = pr.Root(name="top")
    load, save = root.LoadConfigProcess, root.SaveConfigProcess
    assert isinstance(load, pr.LoadConfigProcess)
    assert isinstance(save, pr.SaveConfigProcess)
    assert isinstance(load, pr.Process)
    assert list(load.nodes)[-3:] == ["LoadMode", "ConfigFile", "YamlString"]
    assert list(save.nodes)[-4:] == ["DataType", "SaveMode", "ConfigFile", "YamlString"]
    assert save.YamlString.mode == "RO"
    assert list(load.LoadMode.enum.values()) == ["File", "String"]
    assert list(save.DataType.enum.values()) == ["Config", "Status"]
    assert list(save.SaveMode.enum.values()) == ["File", "String"]
    assert all(one.ConfigFile.getExtraAttribute("fileName") for one in (load, save))


def test_an_idle_tree_does_not_poll_them(top: pr.Root) -> None:
    assert [node.path for node in top.variableList if node.pollInterval > 0] == []


def test_save_and_load_a_string(here: pr.Root) -> None:
    here.D.l.set(99)
    save, load = here.SaveConfigProcess, here.LoadConfigProcess
    save.SaveMode.setDisp("String")
    assert run(save) == "Done"
    text = save.YamlString.value()
    assert text == here.getYaml(modes=["RW", "WO"], excGroups="NoConfig")
    assert "99" in text
    assert "Process" not in text  # they are no part of a configuration
    here.D.l.set(1)
    load.LoadMode.setDisp("String")
    load.YamlString.set(text)
    assert run(load) == "Done"
    assert here.D.l.value() == 99


def test_save_and_load_a_file(here: pr.Root, tmp_path: Path) -> None:
    here.D.u.set(0x17)
    save, load = here.SaveConfigProcess, here.LoadConfigProcess
    save.ConfigFile.set("mine.yml")
    assert run(save) == "Done"
    assert (tmp_path / "mine.yml").read_text() == here.getYaml(modes=["RW", "WO"], excGroups="NoConfig")
    here.D.u.set(0)
    load.ConfigFile.set("mine.yml")
    assert run(load) == "Done"
    assert here.D.u.get() == 0x17


def test_the_tree_is_read_first(here: pr.Root, bus: Any) -> None:
    bus.ram[0x130] = 0x42
    save = here.SaveConfigProcess
    save.DataType.setDisp("Status")
    save.SaveMode.setDisp("String")
    assert run(save) == "Done"
    assert "ro: 0x42" in save.YamlString.value()


@pytest.mark.parametrize(("kind", "pattern"), [("Config", "config_*_*.yml"), ("Status", "state_*_*.yml.zip")])
def test_files_are_named_by_the_time(here: pr.Root, tmp_path: Path, kind: str, pattern: str) -> None:
    save = here.SaveConfigProcess
    save.DataType.setDisp(kind)
    assert run(save) == "Done"
    (file,) = tmp_path.iterdir()
    assert file.match(pattern)
    if kind == "Status":
        assert zipfile.ZipFile(file).namelist() == [file.name.removesuffix(".zip")]
    assert save.ConfigFile.value() == ""


def test_nothing_to_load(here: pr.Root) -> None:
    load = here.LoadConfigProcess
    assert run(load) == "Error: ConfigFile is empty"
    load.LoadMode.setDisp("String")
    assert run(load) == "Error: YamlString is empty"


def test_files_that_cannot_be_loaded(here: pr.Root, caplog: pytest.LogCaptureFixture) -> None:
    load = here.LoadConfigProcess
    load.ConfigFile.set("none.yml")
    assert run(load).startswith("Error: [Errno 2] No such file")
    load.ConfigFile.set("notes.txt")
    assert "must be a directory or end in .yml or .yaml" in run(load)
    assert load.Message.value().startswith("Error: loadYaml: Invalid load file:")
    assert "notes.txt" in caplog.text


def test_a_wrong_value_is_told_and_nothing_set(here: pr.Root) -> None:
    load = here.LoadConfigProcess
    load.LoadMode.setDisp("String")
    load.YamlString.set("top: {D: {l: 77, u: 0x1FF}}")
    message = run(load)
    assert message.startswith("Error: The configuration is refused")
    assert "top.D.u" in message
    assert here.D.l.value() == 5


def test_a_folder_that_is_not_there(here: pr.Root) -> None:
    here.SaveConfigProcess.ConfigFile.set("no/such/folder/x.yml")
    assert run(here.SaveConfigProcess).startswith("Error: [Errno 2]")


@pytest.mark.parametrize("name", ["LoadConfigProcess", "SaveConfigProcess"])
def test_stop_is_ignored(
    here: pr.Root, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(*args: Any, **kwargs: Any) -> str:
        entered.set()
        assert leave.wait(WAIT_S)
        return ""

    for method in ("loadYaml", "saveYaml"):
        monkeypatch.setattr(here, method, slow)
    process = here.node(name)
    process.ConfigFile.set("x.yml")
    process.Start()
    assert entered.wait(WAIT_S)
    process.Stop()
    assert "cannot be stopped" in caplog.text
    assert process.Running.value() is True
    leave.set()
    process._thread.join(WAIT_S)
    assert process.Message.value() == "Done"


def test_stopping_the_tree_waits_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    root = pr.Root(name="top", pollEn=False)
    root.dataDir = tmp_path
    with root:
        root.SaveConfigProcess.ConfigFile.set("last.yml")
        root.SaveConfigProcess.Start()
    assert root.SaveConfigProcess.Message.value() == "Done"
    assert (tmp_path / "last.yml").exists()
    assert caplog.records == []


def test_what_remote_clients_may_not_see_is_left_out_of_the_text(start: Any) -> None:
    root = start(
        pr.LocalVariable(name="secret", value=1, groups="NoServe"), pr.LocalVariable(name="open", value=2)
    )
    root.SaveConfigProcess.SaveMode.setDisp("String")
    assert run(root.SaveConfigProcess) == "Done"
    assert "open: 2" in root.SaveConfigProcess.YamlString.value()
    assert "secret" not in root.SaveConfigProcess.YamlString.value()
    assert root.LoadConfigProcess.YamlString.inGroup("NoServe")


def test_the_errors_are_typed(here: pr.Root) -> None:
    with pytest.raises(ConfigError, match="ConfigFile is empty"):
        here.LoadConfigProcess._process()
