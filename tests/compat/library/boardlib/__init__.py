# fmt: off
# ruff: noqa
"""A device library written for PyRogue: nothing here knows of Sapwood."""

from boardlib._Board import *
from boardlib._Monitor import *
from boardlib._Proxy import *
from boardlib._Serial import *
from boardlib._Version import *
