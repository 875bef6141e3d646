"""`SinkErrors`: counted always, logged once for each kind."""

from __future__ import annotations

import logging

import pytest

from sapwood.errors import StreamError
from sapwood.streams.sinkerrors import SinkErrors


def test_kinds(caplog: pytest.LogCaptureFixture) -> None:
    errors = SinkErrors(logging.getLogger("sapwood.test"))
    first = OSError("disk")
    several = StreamError("2 sinks failed", problems=[OSError("a"), ValueError("b")])
    for error in (first, OSError("again"), StreamError("alone"), several, several):
        errors.note(error)
    assert (errors.count, errors.last) == (5, several)
    assert len(caplog.messages) == 3
    assert "disk" in caplog.messages[0]
    assert "ValueError" in caplog.messages[2] or "b" in caplog.messages[2]
    errors.clear()
    assert (errors.count, errors.last) == (0, None)
    errors.note(first)
    assert len(caplog.messages) == 4
