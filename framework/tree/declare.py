"""Nodes declared as class attributes: the same nodes as ``self.add(...)``, known to editors.

::

    class Board(sw.Device):
        Scratch = sw.Register(0x4, bits=16)
        Status = sw.Register(0x8, bits=2, mode="RO", enum={0: "Idle", 1: "Busy"})
        Gain = sw.Local(1.0, units="dB")
        Reset = sw.RegisterCommand(0x20, function=sw.RemoteCommand.touchOne)
        Adc = sw.Child(AdcDevice, offset=0x1000)

        @sw.Link(dependencies=[Scratch], units="mV")
        def Threshold(self, read: bool) -> float:
            return self.Scratch.get(read=read) * 0.5

        @Threshold.setter
        def _set_threshold(self, value: float, write: bool) -> None:
            self.Scratch.set(round(value / 0.5), write=write)

        @sw.Action(description="Back to zero")
        def Clear(self) -> None:
            self.Scratch.set(0)

Each device gets nodes of its own. They are added by ``Device.__init__`` in the order of the class
body, those of base classes first; a subclass that declares a name again replaces the node in its
place, one that sets the name to anything else leaves it out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Self, TypeVar, Unpack, overload

from sapwood.errors import NodeError, UnknownNode, nearest
from sapwood.tree.command import BaseCommand
from sapwood.tree.keywordtypes import (
    CommandKeywords,
    LinkKeywords,
    LocalKeywords,
    RegisterCommandKeywords,
    RegisterKeywords,
)
from sapwood.tree.link import LinkVariable
from sapwood.tree.local import LocalVariable
from sapwood.tree.node import Node
from sapwood.tree.remotecommand import RemoteCommand
from sapwood.tree.remotevar import RemoteVariable
from sapwood.tree.variable import BaseVariable

__all__ = [
    "Action",
    "Child",
    "Declaration",
    "Declarations",
    "Link",
    "Local",
    "Register",
    "RegisterArray",
    "RegisterCommand",
]

T = TypeVar("T")
N = TypeVar("N", bound=Node)
F = TypeVar("F", bound=Callable[..., Any])


class Declaration(Generic[T]):
    """A node to be; its name is that of the class attribute. `T` is what devices have under it.

    Parameters
    ----------
    make
        Class of the node.
    keywords
        For its constructor.
    """

    def __init__(self, make: Callable[..., Node], keywords: Mapping[str, Any]) -> None:
        self._make = make
        self._keywords = dict(keywords)
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Self | T:
        if instance is None:
            return self
        # The node of a device stands in its __dict__ and is found before this.
        raise AttributeError(f"{self._name} of {owner.__name__} is added by Device.__init__, not yet called")

    def __repr__(self) -> str:
        given = ", ".join(f"{key}={value!r}" for key, value in self._keywords.items())
        return f"<{type(self).__name__} {self._name}: {given}>"

    @property
    def keywords(self) -> dict[str, Any]:
        """Keywords of the node (a copy)."""
        return dict(self._keywords)

    def replace(self, **changes: Any) -> Self:
        """Return a declaration with some keywords changed: ``Scratch = Base.Scratch.replace(mode="RO")``."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._keywords = {**self._keywords, **changes}
        return twin

    def nodes(self, name: str, device: Node | None = None) -> list[Node]:
        """Return new nodes called `name` for `device`."""
        return [self._make(name=name, **self._for(device))]

    def _for(self, device: Node | None) -> dict[str, Any]:
        """Return the keywords for a node of `device`."""
        return self._keywords


class Child(Declaration[N]):
    """A device below, or a node of any class: ``Adc = Child(AdcDevice, offset=0x1000)``."""

    def __init__(self, nodeClass: Callable[..., N], **keywords: Any) -> None:
        super().__init__(nodeClass, keywords)


class Register(Declaration[RemoteVariable]):
    """A `RemoteVariable`.

    Parameters
    ----------
    offset
        Byte offset from the device; a list for a value in several places.
    bits
        Short for ``bitSize``.
    keywords
        As for `RemoteVariable`.
    """

    def __init__(
        self,
        offset: int | Sequence[int],
        bits: int | Sequence[int] | None = None,
        **keywords: Unpack[RegisterKeywords],
    ) -> None:
        super().__init__(RemoteVariable, _placed(offset, bits, keywords))


class RegisterArray(Declaration[dict[int, RemoteVariable]]):
    """`number` RemoteVariables ``name[i]``, one each `stride` bytes from `offset`."""

    def __init__(
        self,
        offset: int,
        bits: int | Sequence[int] | None = None,
        *,
        number: int,
        stride: int,
        **keywords: Unpack[RegisterKeywords],
    ) -> None:
        super().__init__(RemoteVariable, _placed(offset, bits, keywords))
        self._number = number
        self._stride = stride

    def nodes(self, name: str, device: Node | None = None) -> list[Node]:
        """Return the new nodes of the array."""
        start = self._keywords["offset"]
        return [
            self._make(name=f"{name}[{i}]", **{**self._keywords, "offset": start + i * self._stride})
            for i in range(self._number)
        ]


def _placed(offset: Any, bits: Any, keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords of a register at `offset`."""
    if bits is None:
        return {"offset": offset, **keywords}
    if "bitSize" in keywords:
        raise NodeError("A register takes bits or bitSize, not both", seen=f"{bits}, {keywords['bitSize']}")
    return {"offset": offset, "bitSize": bits, **keywords}


class _WithMethods(Declaration[T]):
    """A declaration whose functions may be methods of the device."""

    def __init__(self, make: Callable[..., Node], keywords: Mapping[str, Any]) -> None:
        super().__init__(make, keywords)
        self._methods: dict[str, Any] = {}

    def _method(self, keyword: str, function: F) -> F:
        self._methods = {**self._methods, keyword: function}
        return function

    def _for(self, device: Node | None) -> dict[str, Any]:
        bound = {keyword: method.__get__(device) for keyword, method in self._methods.items()}
        return {**self._keywords, **bound}


class _Decorator(_WithMethods[T]):
    """A declaration that turns a method into a node."""

    _FUNCTION: ClassVar[str] = "function"

    def __call__(self, function: Callable[..., Any]) -> Self:
        """Use the method `function`; the first line of its docstring is the default description."""
        self._method(self._FUNCTION, function)
        if function.__doc__:
            self._keywords.setdefault("description", function.__doc__.strip().splitlines()[0])
        return self


class Local(_WithMethods[LocalVariable]):
    """A `LocalVariable`; with `getter` and `setter` methods of the device become its functions."""

    def __init__(self, value: Any = None, **keywords: Unpack[LocalKeywords]) -> None:
        super().__init__(LocalVariable, keywords if value is None else {"value": value, **keywords})

    def getter(self, function: F) -> F:
        """Make the method `function` the ``localGet``."""
        return self._method("localGet", function)

    def setter(self, function: F) -> F:
        """Make the method `function` the ``localSet``."""
        return self._method("localSet", function)


class Link(_Decorator[LinkVariable]):
    """A `LinkVariable`; as a decorator it makes a method the ``linkedGet``.

    Parameters
    ----------
    variable, dependencies
        As for `LinkVariable`, each given as a declaration or as a path below the device
        (``"Adc.Gain"``) of a node declared before.
    keywords
        As for `LinkVariable`.
    """

    _FUNCTION = "linkedGet"

    def __init__(
        self,
        *,
        variable: Declaration[Any] | str | None = None,
        dependencies: Sequence[Declaration[Any] | str] = (),
        **keywords: Unpack[LinkKeywords],
    ) -> None:
        super().__init__(LinkVariable, keywords)
        self._variable = variable
        self._followed = tuple(dependencies)

    def setter(self, function: F) -> F:
        """Make the method `function` the ``linkedSet``."""
        return self._method("linkedSet", function)

    def _for(self, device: Node | None) -> dict[str, Any]:
        keywords = super()._for(device)
        if self._variable is not None:
            keywords["variable"] = _sought(self._variable, device)
        if self._followed:
            keywords["dependencies"] = [_sought(one, device) for one in self._followed]
        return keywords


def _sought(what: Declaration[Any] | str, device: Node | None) -> BaseVariable:
    """Return the variable of `device` that `what` stands for.

    Raises
    ------
    UnknownNode
        There is none, or not yet.
    """
    path = what._name if isinstance(what, Declaration) else what
    node: Any = device
    for name in path.split("."):
        found = node.node(name)
        if found is None:
            near = nearest(name, node.nodes)
            raise UnknownNode(
                f"{node.path} has no node {name} yet, wanted by a link", path=node.path, near=near
            )
        node = found
    return node  # type: ignore[no-any-return]  # LinkVariable refuses what is no variable


class Action(_Decorator[BaseCommand]):
    """A `LocalCommand`: a decorator for the method it runs, with the parameters it may name."""

    def __init__(self, **keywords: Unpack[CommandKeywords]) -> None:
        super().__init__(BaseCommand, keywords)


class RegisterCommand(_Decorator[RemoteCommand]):
    """A `RemoteCommand` at `offset`: with ``function=``, or a decorator for the method it runs."""

    def __init__(
        self,
        offset: int | Sequence[int],
        bits: int | Sequence[int] | None = None,
        **keywords: Unpack[RegisterCommandKeywords],
    ) -> None:
        super().__init__(RemoteCommand, _placed(offset, bits, keywords))


class Declarations(Node):
    """Gives a device the nodes that its class, and those it is made from, declare."""

    _declared: ClassVar[Mapping[str, Declaration[Any]]] = MappingProxyType({})

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        found: dict[str, Declaration[Any]] = {}
        others: set[str] = set()
        for base in reversed(cls.__mro__):
            for name, item in vars(base).items():
                if not isinstance(item, Declaration):
                    found.pop(name, None)
                    if item is not None:
                        others.add(name)
                elif name in others:
                    raise NodeError(
                        f"Error adding node with name {name} to {cls.__name__}. Name collision.",
                        hint="The class, or one it is made from, has an attribute of this name.",
                    )
                else:
                    found[name] = item
        cls._declared = found

    def _add_declared(self) -> None:
        """Add the declared nodes."""
        for name, declaration in self._declared.items():
            self.add(declaration.nodes(name, self))

    def _has_attribute(self, name: str) -> bool:
        return name in self.__dict__ if name in self._declared else super()._has_attribute(name)
