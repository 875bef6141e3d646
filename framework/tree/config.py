"""Saving and loading the configuration of a device and everything below it."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sapwood.errors import BusError, ConfigError
from sapwood.tree import sources
from sapwood.tree.bulk import BulkOperations
from sapwood.tree.collector import paused_collector
from sapwood.tree.groups import GroupFilter, Groups
from sapwood.tree.node import Node
from sapwood.tree.outcome import bus_failures, outcomes
from sapwood.tree.plan import Difference, Plan
from sapwood.tree.yamlio import yamlToData

__all__ = ["Configuration"]


class Configuration(BulkOperations, Node):
    """`saveYaml`, `loadYaml`, `setYaml` and `diffYaml` of a device."""

    def saveYaml(
        self,
        name: str | None = None,
        readFirst: bool = False,
        modes: Sequence[str] = ("RW", "RO", "WO"),
        incGroups: Groups = None,
        excGroups: Groups = None,
        autoPrefix: str = "",
        autoCompress: bool = False,
    ) -> str:
        """Write the values below this device to a YAML file and return its name.

        Parameters
        ----------
        name
            File; one ending in ``.zip`` is compressed. Empty: `autoPrefix` with date and time.
        readFirst
            Read the whole tree from the hardware first.
        modes, incGroups, excGroups
            What to include.
        autoCompress
            Compress a file that is named here.
        """
        if not name:
            name = datetime.datetime.now().strftime(f"{autoPrefix}_%Y%m%d_%H%M%S.yml")
            name += ".zip" if autoCompress else ""
        with paused_collector():
            text = self.getYaml(readFirst=readFirst, modes=modes, incGroups=incGroups, excGroups=excGroups)
        path: str = self._root.dataPath(name) if self._root is not None else name
        sources.write_text(path, text)
        return path

    def loadYaml(
        self,
        name: str | Iterable[str],
        writeEach: bool = False,
        modes: Sequence[str] = ("RW", "WO"),
        incGroups: Groups = None,
        excGroups: Groups = None,
        strict: bool = False,
    ) -> bool:
        """Set variables from YAML files; nothing is set when any entry of them is wrong.

        Parameters
        ----------
        name
            File, folder, member or folder of a zip archive; several as a list or with commas.
        writeEach
            Write each variable when it is set; else all are staged, then written and verified.
        modes, incGroups, excGroups
            Which variables may be set.
        strict
            Refuse unknown entries, entries of other modes and commands, which else are told and
            skipped.

        Raises
        ------
        ConfigError
            Its ``problems`` lists every entry at fault; after a failure on the bus what became of
            each value: not written, written, or written and verified.
        FileNotFoundError
            A file is missing.
        """
        with paused_collector():
            plan = self._plan(self._documents(name), modes, GroupFilter(incGroups, excGroups), strict)
        return self._apply(plan, writeEach)

    def setYaml(
        self,
        yml: str,
        writeEach: bool = False,
        modes: Sequence[str] = ("RW", "WO"),
        incGroups: Groups = None,
        excGroups: Groups = None,
        strict: bool = False,
    ) -> bool:
        """Set variables from YAML text, as `loadYaml` does; ``!include`` is refused."""
        documents = [("The text", yamlToData(yml))]
        return self._apply(self._plan(documents, modes, GroupFilter(incGroups, excGroups), strict), writeEach)

    def diffYaml(
        self,
        name: str | Iterable[str] | None = None,
        yml: str | None = None,
        modes: Sequence[str] = ("RW", "WO"),
        incGroups: Groups = None,
        excGroups: Groups = None,
        strict: bool = False,
    ) -> list[Difference]:
        """Return path, old and new value of all that `loadYaml` of files, or `setYaml` of text, would change.

        Nothing is set and the hardware is not accessed: the old values are those read or set last.

        Parameters
        ----------
        name
            Files, as for `loadYaml`.
        yml
            Text, in place of files.
        modes, incGroups, excGroups, strict
            As for `loadYaml`.

        Raises
        ------
        ConfigError
            As `loadYaml` raises it for entries that are wrong.
        """
        documents = self._documents(name or "") if yml is None else [("The text", yamlToData(yml))]
        return self._plan(documents, modes, GroupFilter(incGroups, excGroups), strict).differences()

    def _documents(self, name: str | Iterable[str]) -> list[tuple[str, Any]]:
        """Return file and data of each file that `name` stands for."""
        names = [name] if isinstance(name, str) else list(name)
        place = self._root.dataPath if self._root is not None else str
        files = [
            file
            for one in names
            for part in (one.split(",") if isinstance(name, str) else [one])
            for file in sources.expand([place(part.strip()) if part.strip() else ""])
        ]
        return [(file, yamlToData(fName=file)) for file in files]

    def _targets(self, key: str) -> tuple[list[Any], list[str] | None]:
        """Return the nodes that a top level key of a configuration names, and element indexes."""
        if key in (self._name, self._path):
            return [self], None
        return self.nodeMatch(key)

    def _plan(
        self, documents: Sequence[tuple[str, Any]], modes: Sequence[str], groups: GroupFilter, strict: bool
    ) -> Plan:
        """Return the steps that `documents` ask for, all of them checked."""
        plan = Plan(self._log, modes, groups, strict)
        for source, data in documents:
            if not isinstance(data, Mapping):
                plan.problems.append(f"{source}: a mapping is expected at the top, not {data!r}")
                continue
            for key, value in data.items():
                nodes, keys = self._targets(str(key))
                if not nodes:
                    plan.unknown(self, str(key))
                for node in nodes:
                    plan.node(node, keys, value)
        if plan.problems:
            raise ConfigError(
                f"The configuration is refused, nothing was set: {len(plan.problems)} entries are wrong",
                path=self._path,
                problems=plan.problems,
            )
        return plan

    def _apply(self, plan: Plan, writeEach: bool) -> bool:
        with contextlib.ExitStack() as stack:
            if self._root is not None:
                stack.enter_context(self._root.pollBlock())
                stack.enter_context(self._root.updateGroup())
            self._take(plan, writeEach)
        self._log.info(
            "Configuration loaded: %d values set, %d entries skipped", len(plan.steps), len(plan.skipped)
        )
        return True

    def _take(self, plan: Plan, writeEach: bool) -> None:
        """Set the values of `plan`, then write and verify."""
        with contextlib.nullcontext() if writeEach else paused_collector():
            for number, step in enumerate(plan.steps):
                try:
                    step.variable.set(step.value, index=step.index, write=writeEach)
                except Exception as error:
                    reached = number + isinstance(error, BusError)
                    text = f"Setting {step.path} failed: {error}"
                    raise self._broken(text, plan, reached, error) from error
        if writeEach:
            return
        try:
            self._commit()
        except BusError as error:
            text = "The configuration was not applied whole, the bus failed"
            raise self._broken(text, plan, len(plan.steps), error) from error

    def _commit(self) -> None:
        """Write what is staged (or all, with ``ForceWrite``), verify and wait."""
        force = self._root is not None and bool(self._root.ForceWrite.value())
        self.writeBlocks(force=force, recurse=True)
        self.verifyBlocks(recurse=True)
        self._wait_hook(recurse=True)

    def _broken(self, text: str, plan: Plan, reached: int, error: Exception) -> ConfigError:
        """Return the error that tells what became of each value when applying `plan` failed."""
        lines = outcomes(plan.steps, reached, bus_failures(error))
        return ConfigError(text, path=self._path, problems=lines)
