"""Encoded vectors: what a codec makes of waveforms, one vector of bytes each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sapwood.fileio.lh5 import datatype
from sapwood.fileio.lh5.array import Array
from sapwood.fileio.lh5.errors import LH5EncodeError
from sapwood.fileio.lh5.lgdo import LGDO
from sapwood.fileio.lh5.scalar import Scalar
from sapwood.fileio.lh5.vectors import RaggedBlock, VectorOfVectors

__all__ = ["ArrayOfEncodedEqualSizedArrays", "EncodedBlock", "VectorOfEncodedVectors"]


class EncodedBlock(NamedTuple):
    """Rows to be put into a `VectorOfEncodedVectors`.

    Parameters
    ----------
    encoded
        Bytes and lengths of the rows.
    decoded_size
        Samples of each row, shape (n,).
    """

    encoded: RaggedBlock | VectorOfVectors | tuple[Any, ArrayLike]
    decoded_size: ArrayLike


class _Encoded(LGDO):
    """What both kinds share."""

    kind: str
    encoded_data: VectorOfVectors

    def _set_encoded(self, encoded_data: VectorOfVectors | None) -> None:
        if encoded_data is None:
            ends = np.zeros(0, np.uint32)
            encoded_data = VectorOfVectors(flattened_data=np.zeros(0, np.uint8), cumulative_length=ends)
        self.encoded_data = encoded_data

    def form_datatype(self) -> str:
        """Return the text of the attribute ``datatype``; what was encoded are numbers."""
        return datatype.form(self.kind, "real", (1, 1) if self.kind == datatype.ENCODED_ARRAYS else (1,))

    def reserve_capacity(self, capacity: int) -> None:
        """Make room for `capacity` rows without having them."""
        self.encoded_data.reserve_capacity(capacity)

    def clear(self, trim: bool = False) -> None:
        """Have no rows; the memory is kept for new ones unless `trim`."""
        self.resize(0, trim)

    def resize(self, new_size: int, trim: bool = False) -> None:
        """Have `new_size` rows; new ones are empty."""
        self.encoded_data.resize(new_size, trim)

    def __len__(self) -> int:
        return len(self.encoded_data)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, i: int) -> Any:
        return self.encoded_data[i]

    __hash__ = None  # type: ignore[assignment]  # it changes


class ArrayOfEncodedEqualSizedArrays(_Encoded):
    """Encoded arrays of one size.

    Parameters
    ----------
    encoded_data
        Bytes of each row.
    decoded_size
        Samples of every row.
    attrs
        ``codec`` and its parameters, see `LGDO` for the rest.
    """

    kind = datatype.ENCODED_ARRAYS

    def __init__(
        self,
        encoded_data: VectorOfVectors | None = None,
        decoded_size: Scalar | int | None = None,
        attrs: Mapping[str, Any] | None = None,
    ) -> None:
        self._set_encoded(encoded_data)
        self.decoded_size = (
            decoded_size if isinstance(decoded_size, Scalar) else Scalar(int(decoded_size or 0))
        )
        self._set_attrs(attrs)

    def put(self, loc: int, block: RaggedBlock | VectorOfVectors | tuple[Any, ArrayLike]) -> int:
        """Set encoded rows from `loc` on, see `VectorOfVectors.put`."""
        return self.encoded_data.put(loc, block)

    def extend(self, block: RaggedBlock | VectorOfVectors | tuple[Any, ArrayLike]) -> None:
        """Append encoded rows."""
        self.encoded_data.extend(block)

    def append(self, value: ArrayLike) -> None:
        """Append the bytes of one row."""
        self.encoded_data.append(value)

    def rows(self, start: int, stop: int) -> Self:
        """Return rows `start` to `stop`."""
        return type(self)(self.encoded_data.rows(start, stop), self.decoded_size, self.attrs)

    def take(self, index: NDArray[np.int64]) -> Self:
        """Return the rows `index`, copied."""
        return type(self)(self.encoded_data.take(index), self.decoded_size, self.attrs)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ArrayOfEncodedEqualSizedArrays):
            return NotImplemented
        same = self.attrs == other.attrs and self.decoded_size.value == other.decoded_size.value
        return bool(same) and self.encoded_data == other.encoded_data

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.encoded_data!r}, {self.decoded_size.value}, attrs={self.attrs!r})"
        )


class VectorOfEncodedVectors(_Encoded):
    """Encoded vectors of sizes of their own.

    Parameters
    ----------
    encoded_data
        Bytes of each row.
    decoded_size
        Samples of each row.
    attrs
        ``codec`` and its parameters, see `LGDO` for the rest.
    """

    kind = datatype.ENCODED_VECTORS

    def __init__(
        self,
        encoded_data: VectorOfVectors | None = None,
        decoded_size: Array | ArrayLike | None = None,
        attrs: Mapping[str, Any] | None = None,
    ) -> None:
        self._set_encoded(encoded_data)
        if decoded_size is None:
            decoded_size = np.zeros(len(self.encoded_data), np.uint32)
        self.decoded_size = decoded_size if isinstance(decoded_size, Array) else Array(decoded_size)
        if len(self.decoded_size) != len(self.encoded_data):
            raise LH5EncodeError(
                "Sizes and encoded rows differ in number",
                expected=len(self.encoded_data),
                seen=len(self.decoded_size),
            )
        self._set_attrs(attrs)

    def resize(self, new_size: int, trim: bool = False) -> None:
        """Have `new_size` rows; new ones are empty."""
        super().resize(new_size, trim)
        self.decoded_size.resize(new_size, trim)

    def put(self, loc: int, block: EncodedBlock | VectorOfEncodedVectors | tuple[Any, ArrayLike]) -> int:
        """Set encoded rows from `loc` on; return the row after the last."""
        if isinstance(block, VectorOfEncodedVectors):
            block = EncodedBlock(block.encoded_data, block.decoded_size)
        encoded, sizes = block
        end = self.encoded_data.put(loc, encoded)
        self.decoded_size.put(loc, sizes)
        return end

    def extend(self, block: EncodedBlock | VectorOfEncodedVectors | tuple[Any, ArrayLike]) -> None:
        """Append encoded rows."""
        self.put(len(self), block)

    def append(self, value: tuple[ArrayLike, int]) -> None:
        """Append the bytes of one row, and how many samples they stand for."""
        self.encoded_data.append(value[0])
        self.decoded_size.append(value[1])

    def rows(self, start: int, stop: int) -> Self:
        """Return rows `start` to `stop`."""
        return type(self)(
            self.encoded_data.rows(start, stop), self.decoded_size.rows(start, stop), self.attrs
        )

    def take(self, index: NDArray[np.int64]) -> Self:
        """Return the rows `index`, copied."""
        return type(self)(self.encoded_data.take(index), self.decoded_size.take(index), self.attrs)

    def __getitem__(self, i: int) -> tuple[NDArray[np.uint8], int]:
        """Return the bytes of row `i`, and how many samples they stand for."""
        return self.encoded_data[i], int(self.decoded_size[i])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, VectorOfEncodedVectors):
            return NotImplemented
        same = self.attrs == other.attrs and np.array_equal(self.decoded_size.nda, other.decoded_size.nda)
        return same and self.encoded_data == other.encoded_data

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.encoded_data!r}, {self.decoded_size.nda!r}, attrs={self.attrs!r})"
        )
