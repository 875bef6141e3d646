"""Raw streams of digitiser DAQs, decoded into tables of LH5 files.

::

    build_raw("run.fcio", out_spec="run.lh5")                  # a whole file
    for chunk in read_raw("run.fcio"):                         # no file between
        chunk["FCEvent"]["waveform"]["values"].nda             # shape (rows, samples)
    with open_stream("run.fcio") as (streamer, header):        # buffers of rows, as they fill
        for buffers in streamer: ...

A new digitiser is two classes and a line:

A *decoder* (`DataDecoder`) declares the columns of one table in ``decoded_values`` and turns
packets into rows. `DataDecoder.decode_batch` gets many packets at once, as a `FrameBatch` of views of
the stream: ``packets.rows()`` is a matrix of bytes when they have one size and equal distances,
``packets.frame_bytes(i)`` one of them. It makes one array per column and calls `deliver` (a row
per key), or `deliver_grid` (a fixed set of keys in every packet), which sort rows into buffers by
their key. Or override `DataDecoder.decode_packet`, one packet at a time: short, and slow. A packet
that makes no sense goes to `put_in_garbage`; one that raises an error goes there by itself.

A *stream* (`PacketStream`) finds the packets: `begin` reads the header and makes the decoders,
`next_block` returns a `PacketBlock` from `Source.peek` and `Source.advance`.

`register_stream` gives the stream type its name, and how to recognise it.
`sapwood.fileio.raw.testing` has tests to inherit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sapwood.extras import lazy_exports

if TYPE_CHECKING:
    from sapwood.fileio.lh5 import LH5Store
    from sapwood.fileio.raw.buffer import RawBuffer, RawBufferList
    from sapwood.fileio.raw.build import build_raw
    from sapwood.fileio.raw.compass.streamer import CompassStreamer
    from sapwood.fileio.raw.datastreamer import DataStreamer
    from sapwood.fileio.raw.decoder import DataDecoder
    from sapwood.fileio.raw.errors import OutSpecError, StreamTypeError
    from sapwood.fileio.raw.fcio.streamer import FCStreamer
    from sapwood.fileio.raw.library import RawBufferLibrary
    from sapwood.fileio.raw.llama.streamer import LLAMAStreamer
    from sapwood.fileio.raw.orca.streamer import OrcaStreamer
    from sapwood.fileio.raw.packetstreamer import PacketStreamer
    from sapwood.fileio.raw.processing import process_table
    from sapwood.fileio.raw.reading import read_raw
    from sapwood.fileio.raw.reprocessing import lh5_buffer_processor
    from sapwood.fileio.raw.shorthand import expand_rblist_dict, expand_rblist_json_dict
    from sapwood.fileio.raw.streamer import PacketBlock, PacketStream
    from sapwood.fileio.raw.streams import get_streamer, open_stream, register_stream, stream_type_of
    from sapwood.fileio.raw.summary import Summary
    from sapwood.fileio.raw.writing import write_to_lh5_and_clear

__all__ = [
    "CompassStreamer",
    "DataDecoder",
    "DataStreamer",
    "FCStreamer",
    "LH5Store",
    "LLAMAStreamer",
    "OrcaStreamer",
    "OutSpecError",
    "PacketBlock",
    "PacketStream",
    "PacketStreamer",
    "RawBuffer",
    "RawBufferLibrary",
    "RawBufferList",
    "StreamTypeError",
    "Summary",
    "build_raw",
    "expand_rblist_dict",
    "expand_rblist_json_dict",
    "get_streamer",
    "lh5_buffer_processor",
    "open_stream",
    "process_table",
    "read_raw",
    "register_stream",
    "stream_type_of",
    "write_to_lh5_and_clear",
]

_HOMES = {
    "buffer": ("RawBuffer", "RawBufferList"),
    "build": ("build_raw",),
    "compass.streamer": ("CompassStreamer",),
    "datastreamer": ("DataStreamer",),
    "decoder": ("DataDecoder",),
    "errors": ("OutSpecError", "StreamTypeError"),
    "fcio.streamer": ("FCStreamer",),
    "library": ("RawBufferLibrary",),
    "llama.streamer": ("LLAMAStreamer",),
    "orca.streamer": ("OrcaStreamer",),
    "packetstreamer": ("PacketStreamer",),
    "processing": ("process_table",),
    "reading": ("read_raw",),
    "reprocessing": ("lh5_buffer_processor",),
    "shorthand": ("expand_rblist_dict", "expand_rblist_json_dict"),
    "streamer": ("PacketBlock", "PacketStream"),
    "streams": ("get_streamer", "open_stream", "register_stream", "stream_type_of"),
    "summary": ("Summary",),
    "writing": ("write_to_lh5_and_clear",),
}

__getattr__ = lazy_exports(
    __name__,
    {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}
    | {"LH5Store": "sapwood.fileio.lh5"},
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
