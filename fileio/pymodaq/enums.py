"""The enumerations of PyMoDAQ files; members equal their names."""

from __future__ import annotations

from enum import Enum
from typing import Any, TypeVar

__all__ = [
    "BaseEnum",
    "DataDim",
    "DataDistribution",
    "DataSource",
    "DataType",
    "FileType",
    "GroupModuleType",
    "GroupType",
    "SaveType",
    "capitalize",
    "enum_checker",
]


class BaseEnum(Enum):
    """An enumeration whose members equal their exact name, too."""

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of all members."""
        return [member.name for member in cls]

    @classmethod
    def values(cls) -> list[Any]:
        """Return the values of all members."""
        return [member.value for member in cls]

    @classmethod
    def to_dict(cls) -> dict[str, Any]:
        """Return name -> value."""
        return {member.name: member.value for member in cls}

    @classmethod
    def to_dict_value(cls) -> dict[Any, str]:
        """Return value -> name."""
        return {member.value: member.name for member in cls}

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, str) and self.name == other)

    def __hash__(self) -> int:
        return hash(self.name)


E_ = TypeVar("E_", bound=BaseEnum)


class SaveType(BaseEnum):
    """What kind of program wrote the file."""

    scan = 0
    detector = 1
    logger = 2
    custom = 3
    actuator = 4
    optimizer = 5


class GroupType(BaseEnum):
    """Types of groups."""

    detector = 0
    actuator = 1
    data = 2
    ch = 3
    scan = 4
    external_h5 = 5
    data_dim = 6
    data_logger = 7


class GroupModuleType(BaseEnum):
    """Types of the groups that modules of PyMoDAQ make."""

    DETECTOR = 0
    ACTUATOR = 1
    SCAN = 2
    DATALOGGER = 3
    OPTIMIZER = 4
    TIME = 5


class FileType(BaseEnum):
    """Types of files."""

    detector = 0
    actuator = 1
    axis = 2
    scan = 3


class DataType(BaseEnum):
    """What an array holds; the value begins the names of its nodes."""

    data = "Data"
    axis = "Axis"
    live_scan = "Live"
    external_h5 = "ExtData"
    strings = "Strings"
    bkg = "Bkg"
    data_enlargeable = "EnlData"
    error = "ErrorBar"


class DataDim(BaseEnum):
    """Number of dimensions of one record; ordered, against names too."""

    Data0D = 0
    Data1D = 1
    Data2D = 2
    DataND = 3

    def __lt__(self, other: DataDim | str) -> bool:
        return bool(self.value < enum_checker(DataDim, other).value)

    def __le__(self, other: DataDim | str) -> bool:
        return bool(self.value <= enum_checker(DataDim, other).value)

    def __gt__(self, other: DataDim | str) -> bool:
        return bool(self.value > enum_checker(DataDim, other).value)

    def __ge__(self, other: DataDim | str) -> bool:
        return bool(self.value >= enum_checker(DataDim, other).value)


class DataSource(BaseEnum):
    """Where data come from."""

    raw = 0
    calculated = 1


class DataDistribution(BaseEnum):
    """How data lie on their navigation axes."""

    uniform = 0
    spread = 1


def enum_checker(enum: type[E_], item: object) -> E_:
    """Return `item` if it is a member of `enum`, or the member of that name in any case.

    Raises
    ------
    ValueError
        For any other value.
    """
    if isinstance(item, enum):
        return item
    if isinstance(item, str):
        for member in enum:
            if member.name.lower() == item.lower():
                return member
    raise ValueError(f"{item} is an invalid {enum}. Should be a {enum} enum or a string in {enum.names()}")


def capitalize(text: str) -> str:
    """Return `text` with its first character raised, the rest untouched."""
    return text[:1].upper() + text[1:]
