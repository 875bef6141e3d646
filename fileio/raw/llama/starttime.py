"""When a run began, from the name of its file."""

from __future__ import annotations

import datetime
import os
import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sapwood.errors import FormatError

__all__ = ["start_time"]

_NAME = re.compile(r"(?<!\d)(\d{8})[-T](\d{6})(Z?)(?!\d)")


def start_time(name: str, timezone: str = "UTC") -> float:
    """Return the time in a file name, ``YYYYMMDD-HHMMSS`` or ``YYYYMMDDTHHMMSSZ``, as Unix time (s).

    Parameters
    ----------
    name
        A path; only its last part counts.
    timezone
        Where the clock hung that named the file, such as ``Europe/Rome``; a name with ``Z`` is UTC
        in any case. The time zone of this machine plays no part.

    Returns
    -------
    float
        0 when the name holds no time.

    Raises
    ------
    FormatError
        For a time zone that is not known.
    """
    found = _NAME.search(os.path.basename(name))
    if found is None:
        return 0.0
    try:
        clock = datetime.datetime.strptime(found[1] + found[2], "%Y%m%d%H%M%S")
    except ValueError:  # digits that are no time
        return 0.0
    return clock.replace(tzinfo=_zone("UTC" if found[3] else timezone)).timestamp()


def _zone(timezone: str) -> datetime.tzinfo:
    if timezone == "UTC":
        return datetime.UTC
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise FormatError(
            "The time zone is not known", expected="a name such as Europe/Rome", seen=timezone
        ) from error
