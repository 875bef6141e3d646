"""Saving and loading the configuration of a device and everything below it."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sapwood.errors import BusError, ConfigError
from sapwood.tree import sources
from sapwood.tree.bulk import BulkOperations
from sapwood.tree.groups import GroupFilter, Groups
from sapwood.tree.node import Node
from sapwood.tree.plan import Plan
from sapwood.tree.yamlio import yamlToData

__all__ = ["Configuration"]


class Configuration(BulkOperations, Node):
    """`saveYaml`, `loadYaml` and `setYaml` of a device."""

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

        Raises
        ------
        ConfigError
            Its ``problems`` lists every entry at fault.
        FileNotFoundError
            A file is missing.
        """
        names = [name] if isinstance(name, str) else list(name)
        place = self._root.dataPath if self._root is not None else str
        files = [
            file
            for one in names
            for part in (one.split(",") if isinstance(name, str) else [one])
            for file in sources.expand([place(part.strip()) if part.strip() else ""])
        ]
        documents = [(file, yamlToData(fName=file)) for file in files]
        return self._apply(documents, writeEach, modes, GroupFilter(incGroups, excGroups))

    def setYaml(
        self,
        yml: str,
        writeEach: bool = False,
        modes: Sequence[str] = ("RW", "WO"),
        incGroups: Groups = None,
        excGroups: Groups = None,
    ) -> bool:
        """Set variables from YAML text, as `loadYaml` does; ``!include`` is refused."""
        documents = [("The text", yamlToData(yml))]
        return self._apply(documents, writeEach, modes, GroupFilter(incGroups, excGroups))

    def _targets(self, key: str) -> tuple[list[Any], list[str] | None]:
        """Return the nodes that a top level key of a configuration names, and element indexes."""
        if key in (self._name, self._path):
            return [self], None
        return self.nodeMatch(key)

    def _apply(
        self, documents: Sequence[tuple[str, Any]], writeEach: bool, modes: Sequence[str], groups: GroupFilter
    ) -> bool:
        plan = Plan(self._log, modes, groups)
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
        with contextlib.ExitStack() as stack:
            if self._root is not None:
                stack.enter_context(self._root.pollBlock())
                stack.enter_context(self._root.updateGroup())
            self._take(plan, writeEach)
        self._log.info(
            "Configuration loaded: %d values set, %d entries skipped", len(plan.steps), plan.skipped
        )
        return True

    def _take(self, plan: Plan, writeEach: bool) -> None:
        """Set the values of `plan`, then write and verify."""
        for number, step in enumerate(plan.steps):
            try:
                step.variable.set(step.value, index=step.index, write=writeEach)
            except BusError:
                raise
            except Exception as error:
                raise ConfigError(
                    f"Setting {step.variable._path} failed: {error}. The {number} values before it are "
                    f"{'written' if writeEach else 'staged but not written'}",
                    path=self._path,
                    problems=[f"{step.variable._path}: {error}"],
                ) from error
        if not writeEach:
            force = self._root is not None and bool(self._root.ForceWrite.value())
            self.writeBlocks(force=force, recurse=True)
            self.verifyBlocks(recurse=True)
            self._wait_hook(recurse=True)
