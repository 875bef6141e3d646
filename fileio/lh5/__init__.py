"""LH5: LEGEND's conventions for HDF5, with objects, codecs and a store of files.

Objects (LGDOs) hold data in memory; all carry ``attrs``, whose ``datatype`` follows the data::

    Scalar(value)                                   Struct({name: any})
    Array(nda | shape=, dtype=)                     Table({name: column}, size=)
    ArrayOfEqualSizedArrays(nda= | shape=, dtype=)  WaveformTable(size=, t0=, dt=, wf_len=, dtype=, ...)
    VectorOfVectors(rows | shape_guess=, dtype= | flattened_data=, cumulative_length=)
    ArrayOfEncodedEqualSizedArrays, VectorOfEncodedVectors, FixedSizeArray, ArrayOfDetectorIDs, Histogram

Everything but scalars and structs has rows and is a buffer that grows::

    table.extend({"energy": array, "trace": RaggedBlock(flat, lengths), "waveform": {"t0": ..., ...}})
    end = table.put(loc, block)     # the same at row loc; rows before it stay
    table.clear()                   # no rows, memory kept
    table.rows(a, b), table.take(index), table.resize(n), table.reserve_capacity(n)

Files::

    with LH5Store(keep_open=True) as store:
        store.write(table, "ch0/raw", "run.lh5", n_rows=loc)  # appends; also group=, start_row=, wo_mode=
        obj = store.read("ch0/raw", "run.lh5", idx=[...], field_mask=[...])  # also start_row=, n_rows=
    write(obj, name, file, ...), read(name, file, ...) -> obj, ls(file, "ch*/raw"), show(file)
    for table in LH5Iterator("run*.lh5", "ch0/raw", buffer_len=1000): ...

A store that keeps files open buffers the last, partial chunk of each dataset in memory; `flush`
and `close` make the files whole, and each flushed file is complete HDF5. Compression runs in
threads. Settings of a dataset come from `DEFAULT_HDF5_SETTINGS`, then keywords of `write`, then
the object's attributes ``compression`` and ``hdf5_settings``.

Codecs: ``encode(column, "RadwareSigcompress(codec_shift=-32768)")`` and ``decode(encoded)``; a codec
as the attribute ``compression`` of a column is applied while it is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sapwood.extras import lazy_exports

if TYPE_CHECKING:
    from sapwood.fileio.lh5.array import Array, ArrayOfDetectorIDs, ArrayOfEqualSizedArrays, FixedSizeArray
    from sapwood.fileio.lh5.browse import ls, show
    from sapwood.fileio.lh5.codecs import RadwareSigcompress, ULEB128ZigZagDiff, decode, encode
    from sapwood.fileio.lh5.encoded import (
        ArrayOfEncodedEqualSizedArrays,
        EncodedBlock,
        VectorOfEncodedVectors,
    )
    from sapwood.fileio.lh5.errors import (
        CodecError,
        LH5DecodeError,
        LH5EncodeError,
        ObjectNotFoundError,
        UnknownDatatypeError,
    )
    from sapwood.fileio.lh5.histogram import Histogram
    from sapwood.fileio.lh5.iterator import LH5Iterator
    from sapwood.fileio.lh5.lgdo import LGDO
    from sapwood.fileio.lh5.scalar import Scalar
    from sapwood.fileio.lh5.settings import DEFAULT_HDF5_SETTINGS
    from sapwood.fileio.lh5.store import LH5Store, read, read_n_rows, write, write_view
    from sapwood.fileio.lh5.struct import Struct
    from sapwood.fileio.lh5.table import Table, WaveformTable
    from sapwood.fileio.lh5.vectors import RaggedBlock, VectorOfVectors

__all__ = [
    "DEFAULT_HDF5_SETTINGS",
    "LGDO",
    "Array",
    "ArrayOfDetectorIDs",
    "ArrayOfEncodedEqualSizedArrays",
    "ArrayOfEqualSizedArrays",
    "CodecError",
    "EncodedBlock",
    "FixedSizeArray",
    "Histogram",
    "LH5DecodeError",
    "LH5EncodeError",
    "LH5Iterator",
    "LH5Store",
    "ObjectNotFoundError",
    "RadwareSigcompress",
    "RaggedBlock",
    "Scalar",
    "Struct",
    "Table",
    "ULEB128ZigZagDiff",
    "UnknownDatatypeError",
    "VectorOfEncodedVectors",
    "VectorOfVectors",
    "WaveformTable",
    "decode",
    "encode",
    "ls",
    "read",
    "read_n_rows",
    "show",
    "write",
    "write_view",
]

_HOMES = {
    "array": ("Array", "ArrayOfDetectorIDs", "ArrayOfEqualSizedArrays", "FixedSizeArray"),
    "browse": ("ls", "show"),
    "codecs": ("RadwareSigcompress", "ULEB128ZigZagDiff", "decode", "encode"),
    "encoded": ("ArrayOfEncodedEqualSizedArrays", "EncodedBlock", "VectorOfEncodedVectors"),
    "errors": (
        "CodecError",
        "LH5DecodeError",
        "LH5EncodeError",
        "ObjectNotFoundError",
        "UnknownDatatypeError",
    ),
    "histogram": ("Histogram",),
    "iterator": ("LH5Iterator",),
    "lgdo": ("LGDO",),
    "scalar": ("Scalar",),
    "settings": ("DEFAULT_HDF5_SETTINGS",),
    "store": ("LH5Store", "read", "read_n_rows", "write", "write_view"),
    "struct": ("Struct",),
    "table": ("Table", "WaveformTable"),
    "vectors": ("RaggedBlock", "VectorOfVectors"),
}

__getattr__ = lazy_exports(
    __name__, {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
