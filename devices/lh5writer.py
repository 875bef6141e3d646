"""Tree-managed recorder that decodes frames into tables of LH5 files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sapwood.devices.polled import add_polled
from sapwood.devices.recorders import FormatWriter

if TYPE_CHECKING:
    from sapwood.fileio.raw import DataDecoder

__all__ = ["Lh5Writer"]


class Lh5Writer(FormatWriter):
    """Decodes frames by the decoders of raw streams, and records their rows in LH5 files.

    What frames did not become rows in the last file, and why, is shown by the variable ``Losses``.

    Parameters
    ----------
    decoders
        What makes the decoder of all frames, such as a subclass of
        `sapwood.fileio.raw.DataDecoder`; or a mapping from channel, None for all others.
    outSpec
        Which tables there are, see `sapwood.fileio.raw.live.Lh5Frames`.
    kwargs
        As for `FormatWriter`.
    """

    def __init__(
        self,
        *,
        decoders: Callable[[], DataDecoder] | Mapping[int | None, Callable[[], DataDecoder]],
        outSpec: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        from sapwood.fileio.raw.live import Lh5Frames

        makers: Mapping[int | None, Callable[[], DataDecoder]]
        makers = decoders if isinstance(decoders, Mapping) else {None: decoders}
        self._frames = Lh5Frames(makers, outSpec)
        super().__init__(self._frames, **kwargs)
        add_polled(
            self,
            "Losses",
            "What did not become rows in the last file",
            lambda: "; ".join(self._frames.losses),
            value="",
            typeStr="str",
        )
