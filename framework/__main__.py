"""Run the command line as ``python -m sapwood``."""

from __future__ import annotations

from sapwood.cli.main import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
