"""Dictionaries in files: JSON and YAML."""

from __future__ import annotations

import os
from typing import Any

from sapwood.errors import FileError
from sapwood.fileio.raw.errors import InputMissing, OutSpecError

__all__ = ["SPEC_ENDINGS", "load_dict"]

SPEC_ENDINGS = (".json", ".yaml", ".yml")


def load_dict(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the dictionary in a file that ends in .json, .yaml or .yml.

    Raises
    ------
    InputMissing
        When it is not there.
    FileError
        When it cannot be read.
    OutSpecError
        When it holds something else.
    """
    name = os.path.expandvars(os.fspath(path))
    try:
        with open(name, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError as error:
        raise InputMissing(f"file {name} not found", file=name) from error
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"Failed to read {name}", file=name, seen=error) from error
    if name.endswith(".json"):
        import json

        try:
            found = json.loads(text)
        except ValueError as error:
            raise OutSpecError(f"{name} holds no JSON", seen=error) from error
    else:
        import yaml

        try:
            found = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise OutSpecError(f"{name} holds no YAML", seen=error) from error
    if not isinstance(found, dict):
        raise OutSpecError(f"{name} holds no dictionary", seen=type(found).__name__)
    return found
