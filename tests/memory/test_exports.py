from __future__ import annotations

import subprocess
import sys

import sapwood.memory


def test_every_public_name_is_there() -> None:
    assert [name for name in sapwood.memory.__all__ if getattr(sapwood.memory, name, None) is None] == []


def test_importing_the_registers_loads_no_network_library() -> None:
    code = "import sys, sapwood.memory; sys.exit(int('zmq' in sys.modules or 'termios' in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
