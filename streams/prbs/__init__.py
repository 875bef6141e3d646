"""Pseudo-random frames: generator and checker.

`Prbs` is the stream end; `generate`, `check`, `Generator` and `PrbsChecker` work without streams.
"""

from __future__ import annotations

from sapwood.streams.prbs.checker import PrbsChecker, check
from sapwood.streams.prbs.generator import Generator, generate
from sapwood.streams.prbs.lfsr import DEFAULT_TAPS
from sapwood.streams.prbs.prbs import Prbs
from sapwood.streams.prbs.result import CheckResult

__all__ = ["DEFAULT_TAPS", "CheckResult", "Generator", "Prbs", "PrbsChecker", "check", "generate"]
