"""Device: a part of the hardware, with variables, commands and further devices."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from sapwood.errors import DeviceError, SapwoodError, combine
from sapwood.memory import Hub, Slave, busConnect
from sapwood.memory.transaction import DEFAULT_TIMEOUT_S
from sapwood.tree.command import BaseCommand
from sapwood.tree.config import Configuration
from sapwood.tree.declare import Declarations
from sapwood.tree.enable import EnableVariable
from sapwood.tree.groups import GroupFilter, Groups
from sapwood.tree.link import LinkVariable
from sapwood.tree.local import LocalBlock
from sapwood.tree.mapping import build
from sapwood.tree.node import Node
from sapwood.tree.pack import packed
from sapwood.tree.remotecommand import RemoteCommand
from sapwood.tree.remotevar import RemoteVariable
from sapwood.tree.variable import BaseVariable

if TYPE_CHECKING:
    from sapwood.tree.registertable import RegisterTable

__all__ = ["Device"]

_FALSE = ("", "False", "false", "0")


class Device(Declarations, Configuration, Hub):
    """A part of the hardware; also a hub of the register bus, for the devices below it.

    Parameters
    ----------
    name
        Default: the name of the class.
    memBase
        Memory slave that holds the registers; without one the parent device is used, and its
        address added.
    offset
        Bytes added to the parent's address.
    enabled
        Initial value of the variable ``enable``.
    defaults
        Default values by name of variable, which may have wildcards (``a[*]``); they replace
        those of the variables.
    enableDeps
        Variables that must all be true for the device to be enabled.
    hubMin, hubMax
        When both are given the device is the root of an address space of its own.
    """

    isDevice = True
    _logFamily: ClassVar[str] = "Device"

    def __init__(
        self,
        *,
        name: str | None = None,
        description: str = "",
        memBase: Any = None,
        offset: int = 0,
        hidden: bool = False,
        groups: Groups = None,
        expand: bool = False,
        enabled: bool = True,
        defaults: Mapping[str, Any] | None = None,
        enableDeps: Iterable[BaseVariable] | None = None,
        hubMin: int = 0,
        hubMax: int = 0,
        guiGroup: str | None = None,
    ) -> None:
        Hub.__init__(self, offset, hubMin, hubMax)
        Node.__init__(
            self,
            name=type(self).__name__ if name is None else name,
            description=description,
            expand=expand,
            hidden=hidden,
            groups=groups,
            guiGroup=guiGroup,
        )
        self._memBase = memBase
        if memBase is not None:
            busConnect(self, memBase)
        self._defaults = dict(defaults or {})
        self._managed: list[Any] = []
        self._devices: dict[str, Any] = {}
        self._blocks: list[Any] = []
        self._hardware: list[Any] = []
        self._customBlocks: list[Any] = []
        self._forceWaitEach = False
        self._intercepts = False
        self._enabled = enabled
        self.add(EnableVariable(enabled=enabled, deps=enableDeps))
        self.add(
            BaseCommand(
                name="ReadDevice",
                value=False,
                hidden=True,
                function=lambda arg: self.readAndWaitBlocks(recurse=arg not in _FALSE and bool(arg)),
                description="Force read of device without recursion",
            )
        )
        self.add(
            BaseCommand(
                name="WriteDevice",
                value="",
                hidden=True,
                function=lambda arg: self.writeAndVerifyBlocks(
                    force=True, recurse=arg not in _FALSE and bool(arg)
                ),
                description="Force write of device without recursion",
            )
        )
        self._add_declared()

    # ---- addresses

    @property
    def address(self) -> int:
        """Absolute byte address."""
        return int(self._getAddress())

    @property
    def offset(self) -> int:
        """Byte offset from the parent."""
        return int(self._getOffset())

    @property
    def memBaseName(self) -> str:
        """Name of the memory slave that holds the registers."""
        return str(self._reqSlaveName())

    @property
    def memBaseId(self) -> int:
        """Number of the memory slave that holds the registers."""
        return int(self._reqSlaveId())

    @property
    def running(self) -> bool:
        """Whether the tree is running."""
        return self._root is not None and bool(self._root._running)

    @property
    def devices(self) -> dict[str, Any]:
        """Child devices by name."""
        return dict(self._devices)

    @property
    def forceCheckEach(self) -> bool:
        """Former name of `forceWaitEach`."""
        warnings.warn("forceCheckEach is now called forceWaitEach", DeprecationWarning, stacklevel=2)
        return self._forceWaitEach

    @forceCheckEach.setter
    def forceCheckEach(self, value: bool) -> None:
        warnings.warn("forceCheckEach is now called forceWaitEach", DeprecationWarning, stacklevel=2)
        self._forceWaitEach = value

    # ---- building

    @classmethod
    def fromTable(cls, source: RegisterTable | str | Path, **kwargs: Any) -> Self:
        """Return ``cls(**kwargs)`` with the nodes of a register table, see `load_registers`."""
        device = cls(**kwargs)
        device.addTable(source)
        return device

    def addTable(self, source: RegisterTable | str | Path) -> None:
        """Add the nodes of a register table: of one already loaded, or as `load_registers` takes it."""
        from sapwood.tree.registertable import RegisterTable, load_registers

        table = source if isinstance(source, RegisterTable) else load_registers(source)
        table.addTo(self)

    def add(self, node: Node | Iterable[Node]) -> None:
        """Add a child, or each of several; a device without memBase uses this one's registers."""
        Node.add(self, node)
        if isinstance(node, Device) and node._memBase is None:
            node._setSlave(self)

    def _adopt(self, node: Node) -> None:
        super()._adopt(node)
        if isinstance(node, Device):
            self._devices[node._name] = node

    def addInterface(self, *interfaces: Any) -> None:
        """Start and stop `interfaces` (or what they contain) together with the tree.

        Each may have ``_start()``, ``_quiesce(deadline)``, ``_runDry(deadline)`` and ``_stop()``, and
        ``_addedTo(device)``, which is called now.
        """
        for interface in interfaces:
            if isinstance(interface, Iterable) and not hasattr(interface, "_start"):
                self.addInterface(*interface)
            elif not any(known is interface for known in self._managed):
                self._managed.append(interface)
                if hasattr(interface, "_addedTo"):
                    interface._addedTo(self)

    def addProtocol(self, *protocols: Any) -> None:
        """Do what `addInterface` does."""
        self.addInterface(*protocols)

    def manage(self, *interfaces: Any) -> None:
        """Do what `addInterface` does."""
        self.addInterface(*interfaces)

    def addCustomBlock(self, block: Any) -> None:
        """Use the ready-made `block` for the variables that start inside it."""
        self._customBlocks.append(block)
        self._customBlocks.sort(key=lambda one: (one.offset, one.size))

    def addRemoteVariables(self, number: int, stride: int, pack: bool = False, **kwargs: Any) -> None:
        """Add `number` RemoteVariables ``name[i]`` at ``offset + i * stride``.

        With `pack` they are hidden, and the LinkVariable ``<name>_All`` shows them as one text:
        the displays joined by ``_``, highest index first.
        """
        if pack:
            kwargs["hidden"] = True
        self.addNodes(RemoteVariable, number, stride, **kwargs)
        if pack:
            self.add(packed(list(getattr(self, kwargs["name"]).values()), kwargs))

    def addRemoteCommands(self, number: int, stride: int, **kwargs: Any) -> None:
        """Add `number` RemoteCommands ``name[i]`` at ``offset + i * stride``."""
        self.addNodes(RemoteCommand, number, stride, **kwargs)

    def command(self, **kwargs: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorate a function to make it a command of this device; its name is the default."""

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            kwargs.setdefault("name", function.__name__)
            self.add(BaseCommand(function=function, **kwargs))
            return function

        return decorate

    def linkVariableGet(self, **kwargs: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorate a function to make it the getter of a LinkVariable of this device."""

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            kwargs.setdefault("name", function.__name__)
            self.add(LinkVariable(linkedGet=function, **kwargs))
            return function

        return decorate

    def hideVariables(self, hidden: bool, variables: Sequence[Node | str] | None = None) -> None:
        """Set `hidden` of the given child variables (nodes or names), by default of all."""
        for variable in self.variables.values() if variables is None else variables:
            node = variable if isinstance(variable, Node) else self._nodes[variable]
            node.hidden = hidden

    def setPollInterval(self, interval: float, variables: Sequence[str] | None = None) -> None:
        """Set the interval (s) of the named child variables, by default of those that are polled."""
        if variables is None:
            variables = [name for name, node in self.variables.items() if node.pollInterval != 0]
        for name in variables:
            self._nodes[name].setPollInterval(interval)

    def genDocuments(self, path: str, incGroups: Groups = None, excGroups: Groups = None) -> None:
        """Write a page of reStructuredText about this device, and about each below, to the folder `path`.

        Parameters
        ----------
        incGroups, excGroups
            Which nodes are described.
        """
        from sapwood.tree.documents import write_documents

        write_documents(self, path, GroupFilter(incGroups, excGroups))

    # ---- start and stop

    def _rootAttached(self, parent: Any, root: Any) -> None:
        """Take the place in the tree, attach the children, map the registers, apply the defaults.

        Subclasses that override this call ``super()._rootAttached(parent, root)`` first.
        """
        Node._rootAttached(self, parent, root)
        self._intercepts = self._overrides()
        for node in self._nodes.values():
            node._rootAttached(self, root)
        self._buildBlocks()
        self._apply_defaults()

    def _buildBlocks(self) -> None:
        """Map the registers of this device to blocks: the local ones first, then by address."""
        local = [node._block for node in self._nodes.values() if isinstance(node, BaseVariable)]
        remote = [node for node in self._nodes.values() if isinstance(node, RemoteVariable)]
        if remote and not self._connected():
            raise DeviceError(
                f"Device '{self._path}' has RemoteVariables or RemoteCommands but no memBase.",
                path=self._path,
                hint="Pass memBase= to it or to a device above it.",
            )
        self._hardware = build(self, remote, self._customBlocks)
        self._blocks = [block for block in local if isinstance(block, LocalBlock)] + self._hardware
        timeout = self._root._timeout
        if timeout != DEFAULT_TIMEOUT_S:
            self._setTimeout(timeout * 1e6)

    def _connected(self) -> bool:
        """Tell if accesses of this device end anywhere but at the plug of an open bus."""
        slave: Any = self
        while isinstance(slave, Hub):
            if slave is not self and type(slave)._doTransaction is not Hub._doTransaction:
                return True
            if getattr(slave, "_memBase", None) is not None:
                return True
            slave = slave._getSlave()
        return type(slave) is not Slave

    def _apply_defaults(self) -> None:
        for key, value in self._defaults.items():
            nodes, keys = self.nodeMatch(key)
            if not nodes:
                self._log.warning("Default for unknown variable %s in %s", key, self._path)
            for node in nodes:
                if isinstance(node, BaseVariable) and keys is None:
                    node._default = value

    def _start(self) -> None:
        """Start own interfaces, then the devices below; subclasses call super."""
        for interface in self._managed:
            if hasattr(interface, "_start"):
                interface._start()
        for device in self._devices.values():
            device._start()

    def _quiesce(self, deadline: float) -> None:
        """Stop sources, before anything is stopped for good.

        Parameters
        ----------
        deadline
            When to give up waiting (``time.monotonic()``).
        """
        self._each("_quiesce", deadline)

    def _runDry(self, deadline: float) -> None:
        """Let queues run empty, once all sources of the tree have stopped; as `_quiesce`."""
        self._each("_runDry", deadline)

    def _stop(self) -> None:
        """Stop own interfaces, then the devices below; subclasses call super."""
        self._each("_stop")

    def _each(self, method: str, *args: Any) -> None:
        """Call `method` of all interfaces and devices below, then raise what went wrong."""
        problems: list[Exception] = []
        for thing in [*self._managed, *self._devices.values()]:
            call = getattr(thing, method, None)
            if call is None:
                continue
            try:
                call(*args)
            except Exception as problem:  # noqa: BLE001  # the others are to be stopped all the same
                problems.append(problem)
        if problems:
            raise combine(f"{method} failed in {self._path}", problems, SapwoodError)

    # ---- hooks for the user

    def initialize(self) -> None:
        """Bring the hardware to a defined state; by default calls the devices below."""
        for device in self._devices.values():
            device.initialize()

    def hardReset(self) -> None:
        """Reset the hardware; by default calls the devices below."""
        for device in self._devices.values():
            device.hardReset()

    def countReset(self) -> None:
        """Reset the counters; by default calls the devices below."""
        for device in self._devices.values():
            device.countReset()

    def enableChanged(self, value: Any) -> None:
        """React to a change of ``enable``; by default does nothing."""

    def _refresh_enable(self) -> None:
        """Pass the state of ``enable`` on to the blocks, and to the devices below."""
        on = self._nodes["enable"].value() is True
        self._enabled = on
        for block in self._blocks:
            block.enable = on
        for device in self._devices.values():
            was = device._enabled
            device._refresh_enable()
            if was != device._enabled:
                device._nodes["enable"]._queueUpdate()
