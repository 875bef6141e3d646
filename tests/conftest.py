"""Fixtures shared by the tests."""

from __future__ import annotations

import gc
import itertools
import json
import os
import random
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(  # how fast the machine is, and how busy, decides about no test
    "any machine", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("read-only", settings.get_profile("any machine"), database=None)
settings.load_profile("any machine" if os.access(Path.cwd(), os.W_OK) else "read-only")

# A shell's background job ignores Ctrl-C, and so would every process that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED = Path(__file__).resolve().parents[1].parent / "shared"
PORTS = range(10_240, 32_000)  # below those that systems give to outgoing connections, and for port 0


@pytest.fixture(scope="session")
def free_ports() -> Callable[..., int]:
    """``free_ports(2)`` is the lower one of two neighbouring ports that nobody uses.

    For tests that bind a port they name: two neighbours, the port of a server that comes back, a port
    where nobody is yet. No outgoing connection gets such a port in the meantime. None is given twice,
    and test runs at the same time begin at different places.
    """
    starts = itertools.cycle((*PORTS[(at := random.SystemRandom().randrange(len(PORTS))) :], *PORTS[:at]))

    def take(count: int = 1) -> int:
        for first in itertools.islice(starts, len(PORTS)):
            if all(_is_free(port) for port in range(first, first + count)):
                for _ in range(count - 1):
                    next(starts)
                return first
        raise AssertionError(f"no {count} neighbouring ports are free in {PORTS}")

    return take


def _is_free(port: int) -> bool:
    """Tell whether `port` can be bound for TCP and for UDP, at any address."""
    with ExitStack() as stack:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            one = stack.enter_context(socket.socket(socket.AF_INET, kind))
            try:
                one.bind(("", port))
            except OSError:
                return False
    return True


@pytest.fixture
def collect() -> Iterator[Callable[[], int]]:
    """`gc.collect` for what is made from now on: to look at all that a long run holds takes seconds."""
    gc.freeze()
    yield gc.collect
    gc.unfreeze()


@pytest.fixture(scope="session")
def golden_rogue() -> Path:
    """Folder of files made by the peer, with its MANIFEST.json."""
    return _golden("rogue")


@pytest.fixture(scope="session")
def rogue_manifest(golden_rogue: Path) -> dict[str, Any]:
    """What the files of `golden_rogue` hold: file name -> kind, params, expect."""
    text = (golden_rogue / "MANIFEST.json").read_text()
    files: dict[str, Any] = json.loads(text)["files"]
    return files


def _golden(family: str) -> Path:
    folder = SHARED / "golden" / family
    if not folder.is_dir():
        pytest.skip(f"the golden files (../shared/golden/{family}) are not on this machine")
    return folder


@pytest.fixture(scope="session")
def golden_icf() -> Path:
    """Folder of SSDAQ's files, with its MANIFEST.json."""
    return _golden("icf")


@pytest.fixture(scope="session")
def golden_apx() -> Path:
    """Folder of AstroPix files, with its MANIFEST.json."""
    return _golden("apx")


@pytest.fixture(scope="session")
def golden_pymodaq() -> Path:
    """Folder of PyMoDAQ files, with its MANIFEST.json."""
    return _golden("pymodaq")


@pytest.fixture(scope="session")
def golden_daq() -> Path:
    """Folder of digitiser streams, with its MANIFEST.json."""
    return _golden("daq")
