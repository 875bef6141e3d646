"""Base of the decoders of FCIO records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sapwood.fileio.raw.decoder import DataDecoder
from sapwood.fileio.raw.fcio.config import FCIOConfig, FCIOState

__all__ = ["StateDecoder"]


class StateDecoder(DataDecoder):
    """A decoder that knows the state of its stream.

    Packets are records without preamble, each of the kind that the decoder is for.

    Parameters
    ----------
    state
        Of the stream.
    """

    columns: Mapping[str, Mapping[str, Any]] = {}

    def __init__(self, state: FCIOState) -> None:
        super().__init__()
        self.state = state
        self._first = state.config  # tables keep the columns and keys of the first configuration

    @property
    def config(self) -> FCIOConfig:
        """The configuration that the tables are made for."""
        return self._first

    def get_decoded_values(self, key: Any = None) -> Mapping[str, Mapping[str, Any]]:
        """Return the columns."""
        return self.columns
