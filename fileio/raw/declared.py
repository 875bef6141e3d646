"""Decoders that the user names: ``module:Class``, and for which channel of a recording."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sapwood.errors import SapwoodError
from sapwood.fileio.raw.decoder import DataDecoder
from sapwood.fileio.raw.errors import OutSpecError

__all__ = ["CONFIG_CHANNEL", "DeclaredDecoder", "decoder_table", "load_decoder", "take_decoders"]

CONFIG_CHANNEL = 255  # of recordings by custom; not decoded unless it is named
_FORM = re.compile(r"(?:(\d{1,3})=)?([A-Za-z_][\w.]*):([A-Za-z_]\w*)")


@dataclass(frozen=True)
class DeclaredDecoder:
    """A decoder by name.

    Parameters
    ----------
    module, name
        Where the class is.
    channel
        Whose frames it decodes; None: those of all channels that no other decoder is named for.
    """

    module: str
    name: str
    channel: int | None = None

    @classmethod
    def parse(cls, text: str) -> DeclaredDecoder:
        """Return what ``module:Class`` or ``channel=module:Class`` names.

        Raises
        ------
        OutSpecError
            When `text` is of another form.
        """
        match = _FORM.fullmatch(text)
        channel = None if match is None or match[1] is None else int(match[1])
        if match is None or (channel is not None and channel > CONFIG_CHANNEL):
            raise OutSpecError(
                f"{text!r} names no decoder", expected="module:Class, or channel=module:Class with 0..255"
            )
        return cls(match[2], match[3], channel)

    def __str__(self) -> str:
        channel = "" if self.channel is None else f"{self.channel}="
        return f"{channel}{self.module}:{self.name}"


def load_decoder(declared: DeclaredDecoder) -> DataDecoder:
    """Import the module, which runs its code, and return a new decoder.

    Raises
    ------
    SapwoodError
        When that fails, or the class is no `DataDecoder`.
    """
    try:
        found = getattr(importlib.import_module(declared.module), declared.name)
    except (ImportError, AttributeError) as error:
        raise SapwoodError(f"There is no decoder {declared}", seen=str(error)) from error
    if not (isinstance(found, type) and issubclass(found, DataDecoder)):
        raise SapwoodError(f"{declared} is no decoder", expected="a subclass of DataDecoder", seen=found)
    try:
        return found()
    except TypeError as error:
        raise SapwoodError(
            f"{declared} cannot be made", expected="a class without parameters", seen=str(error)
        ) from error


def decoder_table(channels: Iterable[int | None]) -> list[int]:
    """Return for each of the 256 channels the index of its decoder, -1 for none.

    Parameters
    ----------
    channels
        Of each decoder, see `DeclaredDecoder`.

    Raises
    ------
    OutSpecError
        When a channel has two decoders.
    """
    table = [-1] * 256
    taken: set[int | None] = set()
    for index, channel in sorted(enumerate(channels), key=lambda one: one[1] is not None):
        if channel in taken:
            what = "All other channels" if channel is None else f"Channel {channel}"
            raise OutSpecError(f"{what} can have one decoder only")
        taken.add(channel)
        if channel is None:
            table[:CONFIG_CHANNEL] = [index] * CONFIG_CHANNEL
        else:
            table[channel] = index
    return table


def take_decoders(spec: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a specification of the output with classes in the place of ``module:Class``, and those.

    Parameters
    ----------
    spec
        Its keys are names of decoders; ``module:Class``, or ``channel=module:Class``, names one for
        recordings.
    """
    plain: dict[str, Any] = {}
    named = []
    for key, buffers in spec.items():
        if ":" in key:
            named.append(key)
            key = DeclaredDecoder.parse(key).name
        plain[key] = buffers
    return plain, named
