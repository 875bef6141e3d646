"""Settings of a module as XML: a tree of parameters, read without evaluating anything."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from sapwood.errors import FormatError

__all__ = ["EMPTY", "Setting", "settings_from_dict", "settings_from_xml", "settings_to_xml"]

EMPTY = '<All_settings type="group" />'
MAX_BYTES = 64 << 20
MAX_DEPTH = 200
_FLAGS = (
    "visible",
    "removable",
    "readonly",
    "enabled",
    "renamable",
    "expanded",
    "syncExpanded",
    "showTop",
    "strictNaming",
)
_SHOWN = {"visible": True, "removable": False, "readonly": False}
_TRUE, _FALSE = ("1", "True", "true"), ("0", "False", "false", "")


@dataclass
class Setting:
    """One parameter, or a group of them.

    Parameters
    ----------
    name
        Name of the XML element.
    type
        ``group``, ``int``, ``float``, ``str``, ``bool``, ``list``, ``led``, ``slide`` ...
    value
        None for groups.
    title
        For people.
    options
        Further attributes: flags such as ``visible`` as bool, ``limits``, ``suffix``, ``min`` ... as text.
    children
        Parameters of a group, in order.
    """

    name: str
    type: str = "group"
    value: Any = None
    title: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    children: list[Setting] = field(default_factory=list)

    def __iter__(self) -> Iterator[Setting]:
        return iter(self.children)

    def child(self, *names: str) -> Setting:
        """Return a child by name, or one further down by several.

        Raises
        ------
        KeyError
            There is none.
        """
        here = self
        for name in names:
            found = [child for child in here.children if child.name == name]
            if not found:
                raise KeyError(name)
            here = found[0]
        return here

    def __getitem__(self, name: str | tuple[str, ...]) -> Any:
        """Return the value of a child."""
        return self.child(*((name,) if isinstance(name, str) else name)).value

    def to_dict(self) -> dict[str, Any]:
        """Return name -> value of the children; groups are dictionaries in it."""
        return {
            child.name: child.to_dict() if child.type == "group" or child.children else child.value
            for child in self.children
        }


def settings_from_xml(text: str | bytes) -> Setting:
    """Read settings.

    Document types, and with them entities, are refused; values are parsed as literals of their type
    and stay text where that fails.

    Raises
    ------
    FormatError
        It is no XML, has a document type, or is too large or too deep.
    """
    data = text.encode() if isinstance(text, str) else bytes(text)
    if len(data) > MAX_BYTES:
        raise FormatError("The settings are too large", expected=f"{MAX_BYTES} bytes at most", seen=len(data))
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate()
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise FormatError("The settings are too deep", expected=f"{MAX_DEPTH} levels at most")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(name: str, *_: object) -> None:
        raise FormatError("The settings have a document type, which none of ours has", seen=name)

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise FormatError("The settings are no XML", seen=str(error)) from error
    return _from_element(builder.close())


def _from_element(element: ElementTree.Element) -> Setting:
    attributes = dict(element.attrib)
    kind = attributes.pop("type", "group" if len(element) else "str")
    title = attributes.pop("title", "")
    options: dict[str, Any] = {
        key: value in _TRUE if key in _FLAGS else value for key, value in attributes.items()
    }
    children = [_from_element(child) for child in element]
    value = None if kind == "group" else _value_of(kind, element.text or "")
    return Setting(element.tag, kind, value, title, options, children)


def _value_of(kind: str, text: str) -> Any:
    """Return the value that `text` stands for; the text itself where it is none of that type."""
    if kind in ("bool", "bool_push", "led", "led_push"):
        return True if text in _TRUE else False if text in _FALSE else text
    try:
        if kind == "int":
            return int(text)
        if kind in ("float", "slide"):
            return float(text)
        if kind == "list":
            return _literal(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        pass
    return text


def _literal(text: str) -> Any:
    """Return the value of ``str('x')``, ``int(3)`` ... or of a plain literal."""
    if text.endswith(")"):
        for name in ("str", "int", "float", "bool"):
            if text.startswith(f"{name}("):
                return ast.literal_eval(text[len(name) + 1 : -1])
    return ast.literal_eval(text)


def settings_to_xml(settings: Setting | Mapping[str, Any]) -> bytes:
    """Return settings, or a dictionary of values, as XML that the peer's browser shows.

    Raises
    ------
    FormatError
        A name is no name of an XML element.
    """
    tree = settings if isinstance(settings, Setting) else settings_from_dict(settings)
    return ElementTree.tostring(_to_element(tree))


def settings_from_dict(values: Mapping[str, Any], name: str = "All_settings") -> Setting:
    """Return a tree of settings with these values; dictionaries in it become groups."""
    result = Setting(name, title="" if name == "All_settings" else name)
    for key, value in values.items():
        if isinstance(value, Mapping):
            child = settings_from_dict(value, str(key))
            child.options = dict(_SHOWN)
        else:
            child = Setting(str(key), _type_of(value), value, str(key), dict(_SHOWN))
        result.children.append(child)
    return result


def _type_of(value: Any) -> str:
    for kind in (bool, int, float):
        if isinstance(value, kind):
            return kind.__name__
    return "str"


def _to_element(setting: Setting) -> ElementTree.Element:
    if not setting.name.replace("-", "_").replace(".", "_").isidentifier():
        raise FormatError(
            "This cannot be the name of a setting", expected="letters and digits", seen=setting.name
        )
    attributes = {"type": setting.type}
    if setting.title:
        attributes["title"] = setting.title
    for key, value in setting.options.items():
        attributes[key] = str(int(value)) if isinstance(value, bool) else str(value)
    element = ElementTree.Element(setting.name, attributes)
    if setting.type != "group":
        element.text = _text_of(setting)
    element.extend([_to_element(child) for child in setting.children])
    return element


def _text_of(setting: Setting) -> str:
    value = setting.value
    if isinstance(value, bool):
        return str(int(value))
    if setting.type == "list" and isinstance(value, (str, int, float)):
        return f"{type(value).__name__}({value!r})"
    text = "" if value is None else str(value)
    return "".join(sign for sign in text if sign >= " " or sign in "\t\n\r")  # others XML cannot hold
