"""The variables and commands that every root has."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import sapwood
from sapwood.tree.command import BaseCommand
from sapwood.tree.configprocess import CONFIG, STATE, LoadConfigProcess, SaveConfigProcess
from sapwood.tree.link import LinkVariable
from sapwood.tree.local import LocalVariable

if TYPE_CHECKING:
    from sapwood.tree.root import Root

__all__ = ["add_commands", "add_variables"]


_NOT_SAVED = ["NoStream", "NoSql", "NoState"]


def _local_time(stamp: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(stamp))


def add_variables(root: Root, *, pollEn: bool) -> None:
    """Add the status variables."""
    _add_origin(root)
    _add_log(root)
    _add_switches(root)
    _add_clock(root)
    root.add(
        LocalVariable(
            name="PollEn",
            value=pollEn,
            groups=_NOT_SAVED,
            localSet=lambda value: root._poller.enable(value),
            description="Read the polled variables",
        )
    )


def _add_origin(root: Root) -> None:
    root.add(
        LocalVariable(
            name="RogueVersion", value=sapwood.__version__, mode="RO", description="Version of Sapwood"
        )
    )
    root.add(
        LocalVariable(
            name="RogueDirectory",
            value=os.path.dirname(os.path.abspath(sapwood.__file__)),
            mode="RO",
            description="Folder that Sapwood was loaded from",
        )
    )


def _add_log(root: Root) -> None:
    log = root._systemLog
    root.add(
        LocalVariable(
            name="SystemLog",
            localGet=log.text,
            typeStr="str",
            mode="RO",
            hidden=True,
            groups=_NOT_SAVED,
            description="Newest log records, a JSON list",
        )
    )
    root.add(
        LocalVariable(
            name="SystemLogLast",
            localGet=log.last,
            typeStr="str",
            mode="RO",
            hidden=True,
            groups=["NoStream", "NoState"],
            description="Newest log record, a JSON object",
        )
    )


def _add_switches(root: Root) -> None:
    root.add(
        LocalVariable(
            name="ForceWrite",
            value=False,
            hidden=True,
            description="Write all registers after a configuration was loaded, not only those that changed",
        )
    )
    root.add(
        LocalVariable(
            name="InitAfterConfig",
            value=False,
            hidden=True,
            description="Call initialize() after a configuration was loaded",
        )
    )


def _add_clock(root: Root) -> None:
    root.add(
        LocalVariable(
            name="Time",
            localGet=time.time,
            typeStr="float",
            mode="RO",
            hidden=True,
            groups=["NoSql"],
            description="Seconds since 1970, updated every second",
        )
    )
    clock: Any = root.node("Time")
    root.add(
        LinkVariable(
            name="LocalTime",
            value="",
            mode="RO",
            groups=_NOT_SAVED,
            dependencies=[clock],
            linkedGet=lambda: _local_time(clock.value()),
            description="Local time",
        )
    )


def add_commands(root: Root) -> None:
    """Add the commands, and the devices that load and save in the background."""

    def add(name: str, function: Any, description: str, **kwargs: Any) -> None:
        root.add(BaseCommand(name=name, function=function, description=description, hidden=True, **kwargs))

    def save_state(arg: str) -> str:
        return root.saveYaml(arg, readFirst=True, autoPrefix="state", autoCompress=True, **STATE)

    def save_config(arg: str) -> str:
        return root.saveYaml(arg, readFirst=True, autoPrefix="config", **CONFIG)

    def load_config(arg: str) -> bool:
        return root.loadYaml(arg, writeEach=False, **CONFIG)

    def set_config(arg: str) -> bool:
        return root.setYaml(arg, writeEach=False, **CONFIG)

    def get_config(arg: bool) -> str:
        return root.getYaml(readFirst=arg, **CONFIG)

    def get_state(arg: bool) -> str:
        return root.getYaml(readFirst=arg, **STATE)

    def dump_variables(arg: str) -> str:
        return root.remoteVariableDump(arg, ["RW", "RO", "WO"], readFirst=True)

    def dump_config(arg: str) -> str:
        return root.remoteVariableDump(arg, ["RW", "WO"], readFirst=True)

    file: dict[str, Any] = {"value": "", "fileName": True}
    add("WriteAll", lambda: root._write(), "Write all values to the hardware")
    add("ReadAll", lambda: root._read(), "Read all values from the hardware")
    add("SaveState", save_state, "Save all values to a file, named by the time if no name is given", **file)
    add("SaveConfig", save_config, "Save the configuration, to a file named likewise", **file)
    add("LoadConfig", load_config, "Load the configuration from files", **file)
    add("RemoteVariableDump", dump_variables, "Save the registers to a file", **file)
    add("RemoteConfigDump", dump_config, "Save the registers of the configuration to a file", **file)
    add("Initialize", lambda: root.initialize(), "Initialize all devices")
    add("HardReset", lambda: root.hardReset(), "Reset all devices")
    add("CountReset", lambda: root.countReset(), "Reset all counters")
    add("ClearLog", lambda: root._systemLog.clear(), "Clear the log")
    add("SetYamlConfig", set_config, "Set the configuration from YAML text", value="")
    text: dict[str, Any] = {"value": True, "retValue": ""}
    add("GetYamlConfig", get_config, "Return the configuration as YAML text; True reads first", **text)
    add("GetYamlState", get_state, "Return all values as YAML text; True reads first", **text)
    root.add([LoadConfigProcess(name="LoadConfigProcess"), SaveConfigProcess(name="SaveConfigProcess")])
