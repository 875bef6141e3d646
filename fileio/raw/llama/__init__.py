"""llamaDAQ: files of the readout of Struck SIS3316 digitisers.

`LlamaStream` finds the events, `LLAMAHeaderDecoder` and `LLAMAEventDecoder` make the tables
``LLAMAHeader`` and ``LLAMAEvent``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sapwood.extras import lazy_exports

if TYPE_CHECKING:
    from sapwood.fileio.raw.llama.config import LlamaConfig
    from sapwood.fileio.raw.llama.eventdecoder import LLAMAEventDecoder
    from sapwood.fileio.raw.llama.headerdecoder import LLAMAHeaderDecoder
    from sapwood.fileio.raw.llama.stream import LlamaStream
    from sapwood.fileio.raw.llama.streamer import LLAMAStreamer

__all__ = ["LLAMAEventDecoder", "LLAMAHeaderDecoder", "LLAMAStreamer", "LlamaConfig", "LlamaStream"]

_HOMES = {
    "LLAMAStreamer": "streamer",
    "LlamaConfig": "config",
    "LLAMAEventDecoder": "eventdecoder",
    "LLAMAHeaderDecoder": "headerdecoder",
    "LlamaStream": "stream",
}

__getattr__ = lazy_exports(__name__, {name: f"{__name__}.{home}" for name, home in _HOMES.items()})


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
