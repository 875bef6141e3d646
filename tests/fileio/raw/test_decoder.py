"""What authors of decoders get wrong is told; lists do where arrays are meant."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from sapwood.errors import FormatError
from sapwood.fileio.lh5 import LH5EncodeError
from sapwood.fileio.raw import DataDecoder, RawBuffer

WAVEFORM = {
    "dtype": "uint16",
    "datatype": "waveform",
    "wf_len": 2,
    "dt": 8,
    "dt_units": "ns",
    "t0_units": "ns",
}


class PairDecoder(DataDecoder):
    decoded_values: ClassVar = {"energy": {"dtype": "uint32"}, "waveform": WAVEFORM}


def buffers() -> dict[Any, RawBuffer]:
    decoder = PairDecoder()
    return {key: RawBuffer(decoder.make_lgdo(key, 10), [key]) for key in (0, 1)}


def block(rows: int) -> dict[str, Any]:
    zeros = np.zeros(rows)
    waveform = {"t0": zeros, "dt": zeros, "values": np.arange(2 * rows).reshape(rows, 2)}
    return {"energy": np.arange(rows), "waveform": waveform}


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({}, "Column x is declared without dtype"),
        ({"dtype": "u3"}, "Column x has an unknown dtype"),
        ({"dtype": "u2", "datatype": "vectors"}, "Column x has an unknown datatype"),
        ({"dtype": "u2", "datatype": "waveform", "wf_len": 3}, "without dt, dt_units, t0_units"),
        ({"dtype": "u2", "datatype": "array_of_equalsized_arrays<1,1>{real}"}, "without length"),
    ],
)
def test_wrong_declarations(facts: dict[str, Any], text: str) -> None:
    decoder = DataDecoder()
    decoder.decoded_values = {"x": facts}
    with pytest.raises(FormatError, match=text):
        decoder.make_lgdo(None, 4)


def test_keys_and_columns_may_be_lists() -> None:
    found, decoder = buffers(), PairDecoder()
    decoder.deliver([0, 1, 1, 7], {**block(4), "energy": [5, 6, 7, 8]}, found)
    assert [found[key].lgdo["energy"].nda[: found[key].loc].tolist() for key in (0, 1)] == [[5], [6, 7]]
    assert found[1].lgdo["waveform"]["values"].nda.tolist() == [[2, 3], [4, 5]]
    assert decoder.skipped == {7: 1}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"energy": np.zeros((3, 2))}, "do not fit the array"),
        ({"waveform": np.zeros((3, 2))}, "has no columns"),
        ({"other": np.zeros(3)}, "other columns than the table"),
        ({"energy": np.zeros(2)}, "differ in length"),
    ],
)
def test_wrong_blocks(change: dict[str, Any], text: str) -> None:
    with pytest.raises(LH5EncodeError, match=text):
        PairDecoder().deliver(0, block(3) | change, buffers())
