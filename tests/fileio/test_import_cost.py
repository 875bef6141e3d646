"""Importing `sapwood.fileio` loads nothing that reading a file does not need."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
import sapwood.fileio
sapwood.fileio.open, sapwood.fileio.StreamWriter, sapwood.fileio.FileReader, sapwood.fileio.StreamReader
heavy = ("yaml", "zmq", "h5py", "pyarrow", "click", "rich", "sapwood.tree", "sapwood.memory",
         "sapwood.remote", "sapwood.devices", "sapwood.cli")
print([name for name in heavy if name in sys.modules])
"""


def test_no_heavy_module_is_loaded() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
