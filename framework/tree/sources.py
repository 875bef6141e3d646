"""Configuration files by name: single files, folders, members of zip archives."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable
from pathlib import Path

from sapwood.errors import ConfigError

__all__ = ["expand", "read_text", "write_text"]

_ENDINGS = (".yml", ".yaml")


def expand(names: str | Iterable[str]) -> list[str]:
    """Return the files that `names` stand for, in the order they are to be applied.

    Parameters
    ----------
    names
        One name, several separated by commas, or a list. Each is a ``.yml`` or ``.yaml`` file, a
        folder (its files sorted by name), ``x.zip/member.yml``, ``x.zip/folder``, or ``x.zip``
        with a single member.

    Raises
    ------
    ConfigError
        For any other name.
    FileNotFoundError
        There is no such archive.
    """
    entries = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    return [file for entry in entries for file in _files(str(entry))]


def _files(name: str) -> list[str]:
    archive, inside = _split_zip(name)
    if inside is not None:
        return _members(name, archive, inside)
    if name.endswith(_ENDINGS):
        return [name]
    if name and os.path.isdir(name):
        return sorted(str(path) for path in Path(name).iterdir() if path.name.endswith(_ENDINGS))
    raise _invalid(name)


def _invalid(name: str) -> ConfigError:
    return ConfigError(
        f"loadYaml: Invalid load file: {name}, must be a directory or end in .yml or .yaml", seen=repr(name)
    )


def _split_zip(name: str) -> tuple[str, str | None]:
    """Return archive and path inside it; the latter is None for a name without an archive."""
    place = name.find(".zip")
    while place >= 0:
        if name[place + 4 : place + 5] in ("", "/"):
            return name[: place + 4], name[place + 5 :].strip("/")
        place = name.find(".zip", place + 1)
    return name, None


def _members(name: str, archive: str, inside: str) -> list[str]:
    if inside.endswith(_ENDINGS):
        return [name]
    with zipfile.ZipFile(archive) as opened:
        members = [member for member in opened.namelist() if member.endswith(_ENDINGS)]
    if not inside:
        if len(members) == 1:
            return [f"{archive}/{members[0]}"]
        raise _invalid(name)
    direct = [member for member in members if member.rpartition("/")[0] == inside]
    if not direct:
        raise _invalid(name)
    return [f"{archive}/{member}" for member in sorted(direct)]


def read_text(name: str) -> str:
    """Return the text of a file or of a member of an archive.

    Raises
    ------
    FileNotFoundError
        There is no such file or member.
    ConfigError
        It is not UTF-8 text.
    """
    archive, inside = _split_zip(name)
    if inside is None:
        data = Path(name).read_bytes()
    else:
        with zipfile.ZipFile(archive) as opened:
            try:
                data = opened.read(inside)
            except KeyError:
                raise FileNotFoundError(f"{archive} has no member {inside}") from None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name} is not UTF-8 text: byte {error.start}") from None


def write_text(name: str, text: str) -> None:
    """Write a file in one step, so that it is there whole or not at all; ``.zip`` names compress."""
    path = Path(name)
    part = path.with_name(path.name + ".part")
    if path.suffix == ".zip":
        with zipfile.ZipFile(part, "w", compression=zipfile.ZIP_LZMA) as archive:
            archive.writestr(path.stem, text)
    else:
        part.write_text(text)
    with open(part, "rb") as file:
        os.fsync(file.fileno())
    os.replace(part, path)
