"""The release of Rogue whose programming interface is followed."""
# ruff: noqa: N802  # the names are Rogue's

from __future__ import annotations

import platform
import re

from sapwood.errors import SapwoodError

__all__ = ["API_VERSION", "Version"]

API_VERSION = "6.15.0"
"""What programs that ask for Rogue's version are told."""

_FORM = re.compile(r"[vV]?(\d+)\.(\d+)\.(\d+)(?:[-.+]\w.*)?")


def _numbers(text: str) -> tuple[int, int, int]:
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise SapwoodError(
            "Version:extract: General Error: Invalid compare string", expected="such as 6.1.0", seen=text
        )
    major, minor, maint = (int(part) for part in found.groups())
    return major, minor, maint


class Version:
    """Compares versions with `API_VERSION`; versions are texts such as ``6.1.0`` or ``v6.1.0``."""

    @staticmethod
    def current() -> str:
        """Return the version."""
        return API_VERSION

    @staticmethod
    def major() -> int:
        """Return the first number of the version."""
        return _numbers(API_VERSION)[0]

    @staticmethod
    def minor() -> int:
        """Return the second number of the version."""
        return _numbers(API_VERSION)[1]

    @staticmethod
    def maint() -> int:
        """Return the third number of the version."""
        return _numbers(API_VERSION)[2]

    @staticmethod
    def devel() -> int:
        """Return the number of changes since the release: none."""
        return 0

    @staticmethod
    def pythonVersion() -> str:
        """Return the version of Python."""
        return platform.python_version()

    @staticmethod
    def greaterThanEqual(compare: str) -> bool:
        """Tell if the version is `compare` or newer."""
        return _numbers(API_VERSION) >= _numbers(compare)

    @staticmethod
    def greaterThan(compare: str) -> bool:
        """Tell if the version is newer than `compare`."""
        return _numbers(API_VERSION) > _numbers(compare)

    @staticmethod
    def lessThanEqual(compare: str) -> bool:
        """Tell if the version is `compare` or older."""
        return _numbers(API_VERSION) <= _numbers(compare)

    @staticmethod
    def lessThan(compare: str) -> bool:
        """Tell if the version is older than `compare`."""
        return _numbers(API_VERSION) < _numbers(compare)

    @staticmethod
    def minVersion(compare: str) -> None:
        """Raise an error if the version is older than `compare`."""
        _require(Version.greaterThanEqual(compare), "minVersion", "less than minimum", compare)

    @staticmethod
    def maxVersion(compare: str) -> None:
        """Raise an error if the version is newer than `compare`."""
        _require(Version.lessThanEqual(compare), "maxVersion", "greater than maximum", compare)

    @staticmethod
    def exactVersion(compare: str) -> None:
        """Raise an error unless the version is `compare`."""
        _require(_numbers(API_VERSION) == _numbers(compare), "exactVersion", "not the required", compare)


def _require(fine: bool, method: str, relation: str, compare: str) -> None:
    if not fine:
        raise SapwoodError(
            f"Version:{method}: General Error: Installed rogue version {API_VERSION} is {relation} {compare}",
            hint="This is the release of Rogue whose interface Sapwood follows",
        )
