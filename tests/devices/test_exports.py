"""The public names of the package."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import sapwood.devices
from sapwood.streams import StreamEnd
from sapwood.tree import Device


def test_every_name_is_there_and_sorted():
    names = sapwood.devices.__all__
    assert names == sorted(names)
    for name in names:
        assert inspect.isclass(getattr(sapwood.devices, name))
    with pytest.raises(AttributeError, match="NoSuchThing"):
        sapwood.devices.NoSuchThing  # noqa: B018


def test_devices_with_streams_have_the_operators():
    for name in (
        "StreamWriter",
        "StreamReader",
        "PrbsTx",
        "PrbsRx",
        "PrbsPair",
        "Fifo",
        "Filter",
        "RateDrop",
    ):
        device = getattr(sapwood.devices, name)
        assert issubclass(device, StreamEnd)
        assert issubclass(device, Device)
        assert device.__rshift__ is StreamEnd.__rshift__
        assert device.__eq__ is StreamEnd.__eq__


def test_importing_the_package_loads_no_tree():
    code = "import sys, sapwood.devices; sys.exit('sapwood.tree' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
