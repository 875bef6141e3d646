"""Serve the tree of the tests in a process of its own: ``serve_bench.py PORT``."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from conftest import Top

from sapwood.remote import RemoteServer

if __name__ == "__main__":
    root = Top()
    server = RemoteServer(root, port=int(sys.argv[1]))
    root.addInterface(server)
    with root:
        print(server.port, flush=True)
        threading.Event().wait()
