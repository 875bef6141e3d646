"""Where rows of every decoder go: buffers by decoder, set up from a description and a stream."""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Iterable, Mapping
from typing import Any, Self

from sapwood.fileio.raw.buffer import RawBuffer, RawBufferList
from sapwood.fileio.raw.decoder import DataDecoder
from sapwood.fileio.raw.errors import OutSpecError, OutSpecFieldError
from sapwood.fileio.raw.shorthand import fill_fields, has_field

__all__ = ["RawBufferLibrary", "default_library", "table_name"]

_LOG = logging.getLogger("sapwood.fileio.raw")
ANY = "*"


def table_name(decoder: DataDecoder) -> str:
    """Return the name of a decoder's table when nobody chose one."""
    return type(decoder).__name__.removesuffix("Decoder")


class RawBufferLibrary(dict[str, RawBufferList]):
    """Class name of a decoder, or ``*`` for all others -> its buffers.

    Parameters
    ----------
    config
        ``{decoder: {buffer: {"key_list": [...], "out_stream": "file:group", "out_name": ...,
        "proc_spec": {...}}}}``, see the page on raw streams; it is not changed.
    kw_dict
        Values of words in braces.
    json_dict
        The same as `config`, its name in former times.
    """

    def __init__(
        self,
        config: Mapping[str, Any] | None = None,
        kw_dict: Mapping[str, Any] | None = None,
        json_dict: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if config is None:
            config = json_dict
        if config is not None:
            self.set_from_dict(config, kw_dict)

    def set_from_dict(self, config: Mapping[str, Any], kw_dict: Mapping[str, Any] | None = None) -> None:
        """Add buffers for the decoders in `config`.

        Raises
        ------
        OutSpecError
            When it cannot be understood.
        """
        for name, buffers in config.items():
            if not isinstance(buffers, Mapping):
                raise OutSpecError(f"The entry {name!r} holds no buffers", expected="a mapping", seen=buffers)
            self.setdefault(name, RawBufferList()).set_from_dict(buffers, kw_dict)

    def set_from_json_dict(
        self, json_dict: Mapping[str, Any], kw_dict: Mapping[str, Any] | None = None
    ) -> None:
        """Do what `set_from_dict` does: its name in former times."""
        self.set_from_dict(json_dict, kw_dict)

    def get_list_of(self, attribute: str, unique: bool = True) -> list[Any]:
        """Return an attribute of every buffer, in order, each value once if `unique`."""
        values: list[Any] = []
        for value in (getattr(buffer, attribute) for buffers in self.values() for buffer in buffers):
            if not unique or value not in values:
                values.append(value)
        return values

    def clear_full(self) -> None:
        """Empty the buffers that are full."""
        for buffers in self.values():
            buffers.clear_full()

    def copy(self) -> Self:
        """Return a library of new buffers without rows."""
        new = type(self)()
        for name, buffers in self.items():
            new[name] = RawBufferList(
                RawBuffer(None, list(one.key_list), one.out_stream, one.out_name, one.proc_spec)
                for one in buffers
            )
        return new

    def match(self, decoders: Iterable[DataDecoder]) -> None:
        """Let the library name the decoders and keys of a stream: wildcards are resolved.

        Raises
        ------
        OutSpecError
            When keys are claimed twice, or words in braces have no value.
        """
        known = {type(decoder).__name__: decoder for decoder in decoders}
        for name in self:
            if name not in known and name != ANY:
                _LOG.warning("The library names %s, which the stream does not have", name)
        rest = self.pop(ANY, None)
        for name, decoder in known.items():
            if name in self:
                self[name] = _resolved(name, self[name], decoder)
            elif rest:
                self[name] = _from_any(rest[0], decoder)

    def prepare(self, decoders: Iterable[DataDecoder], buffer_size: int) -> None:
        """Give every buffer an empty table for rows of its decoder.

        Raises
        ------
        OutSpecError
            When the rows of a packet do not fit `buffer_size`.
        """
        for decoder in decoders:
            name, most = type(decoder).__name__, decoder.get_max_rows_in_packet()
            for buffer in self.get(name, ()):
                if buffer_size < most:
                    raise OutSpecError(
                        f"{name} requires a buffer of at least length {most} "
                        f"but buffer size is only {buffer_size}"
                    )
                buffer.lgdo = decoder.make_lgdo(next(iter(buffer.key_list), None), buffer_size)
                buffer.size = buffer_size if hasattr(buffer.lgdo, "resize") else None
                buffer.fill_safety = most
                buffer.loc = 0


def default_library(decoders: Iterable[DataDecoder], out_stream: str = "") -> RawBufferLibrary:
    """Return a library that writes everything: a table for every group of keys of every decoder."""
    library = RawBufferLibrary()
    library[ANY] = RawBufferList([RawBuffer(None, [ANY], out_stream, "{name}")])
    library.match(decoders)
    return library


def _from_any(pattern: RawBuffer, decoder: DataDecoder) -> RawBufferList:
    """Return buffers like `pattern`, one for each group of keys."""
    groups = decoder.get_key_lists()
    buffers = RawBufferList()
    taken: set[str] = set()
    for number, group in enumerate(groups):
        name = table_name(decoder)
        if len(groups) > 1:
            suffix = f"_{group[0] if len(group) == 1 else number}"
            name += suffix if name + suffix not in taken else f"_{number}_keys"
        taken.add(name)
        scope = {"name": name}
        out_name = fill_fields(pattern.out_name, scope, "out_name")
        if not has_field(pattern.out_name, "name") and len(groups) > 1:
            out_name += name.removeprefix(table_name(decoder))
        out_stream = fill_fields(pattern.out_stream, {"name": table_name(decoder)}, "out_stream")
        buffers.append(RawBuffer(None, list(group), out_stream, out_name, pattern.proc_spec))
    return _split(buffers)


def _resolved(name: str, buffers: RawBufferList, decoder: DataDecoder) -> RawBufferList:
    offered = decoder.get_key_list()
    aliases = _aliases_in_use(buffers, offered, decoder)
    left = dict.fromkeys(offered)
    for buffer in buffers:
        buffer.key_list = [_as_offered(aliases.get(key, key), offered) for key in buffer.key_list]
        for key in buffer.key_list:
            if not _wild(key):
                left.pop(key, None)
    everything = [one for one in buffers if ANY in one.key_list]
    if len(everything) > 1:
        raise OutSpecFieldError(f"Only one '*' wildcard key allowed for decoder {name}")
    for buffer in [one for one in buffers if ANY not in one.key_list] + everything:
        if any(map(_wild, buffer.key_list)):
            _take_matches(name, buffer, left)
    return _split(buffers)


def _aliases_in_use(buffers: RawBufferList, offered: list[Any], decoder: DataDecoder) -> Mapping[Any, Any]:
    """Return other names of keys, if the buffers use no true ones."""
    named = {key for buffer in buffers for key in buffer.key_list if not _wild(key)}
    return {} if named & set(offered) else decoder.get_key_aliases()


def _as_offered(key: Any, offered: list[Any]) -> Any:
    """Return the key of the stream that `key` means: files of settings may hold digits or None as text."""
    if isinstance(key, str) and key not in offered:
        if key.lstrip("-").isdigit() and int(key) in offered:
            return int(key)
        if key == "None" and None in offered:
            return None
    return key


def _wild(key: Any) -> bool:
    return isinstance(key, str) and "*" in key


def _take_matches(name: str, buffer: RawBuffer, left: dict[Any, None]) -> None:
    """Replace the patterns among the keys of `buffer` by the keys left that match them."""
    keys: list[Any] = []
    for key in buffer.key_list:
        if not _wild(key):
            keys.append(key)
            continue
        found = [one for one in left if fnmatch.fnmatchcase(str(one), key)]
        if not found:
            _LOG.warning("No key of %s is left for the pattern %r", name, key)
        for one in found:
            del left[one]
        keys.extend(found)
    buffer.key_list = keys


def _split(buffers: RawBufferList) -> RawBufferList:
    """Return the buffers with one for each key where a name depends on the key."""
    found = RawBufferList()
    for buffer in buffers:
        if not (has_field(buffer.out_name, "key") or has_field(buffer.out_stream, "key")):
            found.append(buffer)
            continue
        for key in buffer.key_list:
            scope = {"key": key}
            out_stream = fill_fields(buffer.out_stream, scope, "out_stream")
            out_name = fill_fields(buffer.out_name, scope, "out_name")
            found.append(RawBuffer(None, [key], out_stream, out_name, buffer.proc_spec))
    return found
