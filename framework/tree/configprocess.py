"""Loading and saving configurations in the background, as every root offers it."""

from __future__ import annotations

from typing import Any, ClassVar

from sapwood.errors import ConfigError
from sapwood.tree.local import LocalVariable
from sapwood.tree.process import Process

__all__ = ["CONFIG", "STATE", "LoadConfigProcess", "SaveConfigProcess"]

CONFIG: dict[str, Any] = {"modes": ["RW", "WO"], "excGroups": "NoConfig"}
"""Which variables belong to a configuration."""

STATE: dict[str, Any] = {"modes": ["RW", "RO", "WO"], "excGroups": "NoState"}
"""Which variables belong to a saved state."""

_GROUPS = ("NoStream", "NoSql", "NoState", "NoConfig")


class _ConfigProcess(Process):
    """A process that ends by itself and tells in its message why it failed.

    Its own variables belong to no configuration; they are published when they change.
    """

    _POLL_S: ClassVar[float] = 0.0

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"hidden": True, "groups": list(_GROUPS), **kwargs})

    def _add_choice(self, name: str, choices: list[str], description: str) -> None:
        self.add(LocalVariable(name=name, value=choices[0], disp=choices, description=description))

    def _add_file(self, description: str) -> None:
        self.add(LocalVariable(name="ConfigFile", value="", fileName=True, description=description))

    def _stopProcess(self) -> None:
        """Ignore the request: half a configuration is of no use."""
        self._log.warning("%s cannot be stopped, it ends by itself", self._path)

    def _stop(self) -> None:
        """Wait for the end, not for ever."""
        self._await_end()
        super(Process, self)._stop()

    def _failed(self, error: Exception) -> None:
        self._log.error("%s failed: %s", self._path, error)
        self.Message.set(f"Error: {error}")
        self.Progress.set(1.0)


class LoadConfigProcess(_ConfigProcess):
    """Loads a configuration from files or from text, as the command ``LoadConfig`` does."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"description": "Load a configuration in the background", **kwargs})
        self._add_choice("LoadMode", ["File", "String"], "Load from ConfigFile or from YamlString")
        self._add_file("File, folder or archive member to load; several with commas")
        # Text from remote clients comes by SetYamlConfig, which checks it.
        self.add(
            LocalVariable(
                name="YamlString", value="", groups="NoServe", description="Configuration as YAML text"
            )
        )

    def _process(self) -> None:
        mode = self.LoadMode.value()
        source = self.ConfigFile if mode == "File" else self.YamlString
        if not source.value().strip():
            raise ConfigError(f"{source.name} is empty")
        load = self.root.loadYaml if mode == "File" else self.root.setYaml
        load(source.value(), writeEach=False, **CONFIG)


class SaveConfigProcess(_ConfigProcess):
    """Saves the configuration or the state to a file or as text, as ``SaveConfig`` and ``SaveState`` do."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"description": "Save the configuration in the background", **kwargs})
        self._add_choice("DataType", ["Config", "Status"], "Save the configuration, or all values")
        self._add_choice("SaveMode", ["File", "String"], "Save to ConfigFile or to YamlString")
        self._add_file("File to save to; named by the time when empty")
        self.add(LocalVariable(name="YamlString", value="", mode="RO", description="What was saved, as text"))

    def _process(self) -> None:
        status = self.DataType.value() == "Status"
        what = STATE if status else CONFIG
        if self.SaveMode.value() == "String":
            excluded = [what["excGroups"], "NoServe"]  # remote clients read the text
            self.YamlString.set(self.root.getYaml(True, what["modes"], excGroups=excluded))
            return
        prefix = "state" if status else "config"
        name = self.root.saveYaml(
            self.ConfigFile.value(), readFirst=True, autoPrefix=prefix, autoCompress=status, **what
        )
        self._log.info("Saved %s", name)
