"""The configuration of a FlashCam stream, and what is known about it as it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FormatError
from sapwood.fileio.raw.fcio.records import CONFIG, Layout, word_at
from sapwood.fileio.raw.fcio.times import DeadTimes

__all__ = ["FCIOConfig", "FCIOState"]

_NUMBERS = (
    "nadcs", "ntriggers", "nsamples", "blprecision", "sumlength", "adcbits", "mastercards", "triggercards",
    "adccards", "gps",
)  # fmt: skip
MAX_TRACES, MAX_SAMPLES = 2400, 32768


@dataclass(frozen=True, eq=False)
class FCIOConfig:
    """One configuration record; `tracemap` has a word ``card << 16 | input`` for each trace."""

    nadcs: int
    ntriggers: int
    nsamples: int
    blprecision: int
    sumlength: int
    adcbits: int
    mastercards: int
    triggercards: int
    adccards: int
    gps: int
    tracemap: NDArray[np.uint32]
    streamid: int

    @classmethod
    def parse(cls, data: NDArray[np.uint8], layout: Layout, problems: list[str] | None = None) -> FCIOConfig:
        """Return the configuration in a record.

        Parameters
        ----------
        data, layout
            The record.
        problems
            Gets a sentence for what is missing.

        Raises
        ------
        FormatError
            When it makes no sense.
        """
        numbers = [word_at(data, begin) for begin in layout.begin[:10]]
        if layout.tag != CONFIG or len(numbers) < 10 or min(layout.size[:10]) < 4:
            raise FormatError("The configuration is incomplete", expected="10 numbers", seen=len(numbers))
        facts: dict[str, Any] = dict(zip(_NUMBERS, numbers, strict=True))
        traces = facts["nadcs"] + facts["ntriggers"]
        if min(facts["nadcs"], facts["ntriggers"]) < 0 or traces > MAX_TRACES:
            raise FormatError("The configuration is wrong", expected=f"0..{MAX_TRACES} traces", seen=traces)
        if not 0 <= facts["nsamples"] <= MAX_SAMPLES:
            raise FormatError(
                "The configuration is wrong", expected=f"0..{MAX_SAMPLES} samples", seen=facts["nsamples"]
            )
        cards = [facts[name] for name in ("mastercards", "triggercards", "adccards")]
        if not 0 <= min(cards) <= max(cards) <= MAX_TRACES:
            raise FormatError("The configuration is wrong", expected=f"0..{MAX_TRACES} cards", seen=cards)
        tracemap = np.zeros(traces, np.uint32)
        if len(layout.begin) > 10:
            words = data[layout.begin[10] : layout.begin[10] + layout.size[10] // 4 * 4].view("<u4")[:traces]
            tracemap[: len(words)] = words
        streamid = word_at(data, layout.begin[11]) if len(layout.begin) > 11 and layout.size[11] >= 4 else 0
        missing = {10: "trace map, stream id", 11: "stream id"}.get(len(layout.begin))
        if missing and problems is not None:
            problems.append(f"The configuration has no {missing}: taken as 0")
        return cls(**facts, tracemap=tracemap, streamid=streamid)

    @property
    def fcid(self) -> int:
        """Number of the stream in keys."""
        return self.streamid & 0xFFFF

    @property
    def traces(self) -> int:
        """Traces of an event that is not sparse."""
        return self.nadcs + self.ntriggers

    @property
    def board_id(self) -> NDArray[np.uint16]:
        """Card address of each trace."""
        return (self.tracemap >> 16).astype(np.uint16)

    @property
    def fc_input(self) -> NDArray[np.uint16]:
        """Input at its card of each trace."""
        return (self.tracemap & 0xFFFF).astype(np.uint16)

    @property
    def keys(self) -> NDArray[np.int64]:
        """Key of each trace: ``fcid * 1_000_000 + card * 100 + input``."""
        return self.fcid * 1_000_000 + self.board_id.astype(np.int64) * 100 + self.fc_input

    @property
    def dt_ns(self) -> float:
        """Time between samples."""
        return 16.0 if self.adcbits == 16 else 4.0


class FCIOState:
    """The configuration in force, and what events have told so far.

    Parameters
    ----------
    config
        The first one.
    """

    def __init__(self, config: FCIOConfig) -> None:
        self.switch(config)

    def switch(self, config: FCIOConfig) -> None:
        """Let `config` be in force; times begin anew."""
        self.config = config
        self.times = DeadTimes(config.traces)
        self._last: dict[str, NDArray[np.int64]] = {}

    def carry(self, name: str, values: NDArray[np.int64], width: NDArray[np.int64]) -> None:
        """Fill numbers that records left out with those of the record before.

        Parameters
        ----------
        name
            Of the numbers.
        values
            Shape (n, k); changed.
        width
            How many of them each record has, shape (n,).
        """
        last = self._last.get(name)
        if last is None:
            last = np.zeros(values.shape[1], np.int64)
        for column in range(int(width.min(initial=values.shape[1])), values.shape[1]):
            source = np.maximum.accumulate(np.where(width > column, np.arange(len(width)), -1))
            values[:, column] = np.where(source >= 0, values[source, column], last[column])
        if len(values):
            self._last[name] = values[-1].copy()
