"""Slow-signal readouts: one value a pixel, all modules at one time."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sapwood.errors import FormatError
from sapwood.fileio.icf.mappings import PIXEL_MAPPINGS

__all__ = ["MODULES", "PIXELS", "READOUT_BYTES", "SSReadout"]

MODULES, PIXELS = 32, 64
_HEAD = struct.Struct("<4Q")
READOUT_BYTES = _HEAD.size + 8 * MODULES * PIXELS


class SSReadout:
    """A readout of the slow signals.

    Parameters
    ----------
    iro
        Its number.
    time
        TACK, ns.
    data
        Amplitudes in mV, shape (32, 64): module, pixel; NaN where there are none. All NaN when
        left out.
    cpu_t_s, cpu_t_ns
        Computer time, seconds and nanoseconds.
    """

    __slots__ = ("cpu_t_ns", "cpu_t_s", "data", "iro", "time")

    def __init__(
        self, iro: int = 0, time: int = 0, data: ArrayLike | None = None, cpu_t_s: int = 0, cpu_t_ns: int = 0
    ) -> None:
        self.iro = iro
        self.time = time
        self.cpu_t_s = cpu_t_s
        self.cpu_t_ns = cpu_t_ns
        self.data: NDArray[Any] = np.full((MODULES, PIXELS), np.nan) if data is None else np.asarray(data)
        if self.data.shape != (MODULES, PIXELS):
            raise FormatError(
                "The data of a readout has another shape", expected=(MODULES, PIXELS), seen=self.data.shape
            )

    @property
    def cpu_t(self) -> float:
        """Computer time, seconds."""
        return self.cpu_t_s + self.cpu_t_ns * 1e-9

    def mapped(self, name: str = "ssl2asic_ch") -> NDArray[Any]:
        """Return the data with the pixels in the order `name` of `PIXEL_MAPPINGS`, shape (32, 64)."""
        if name not in PIXEL_MAPPINGS:
            raise FormatError(f"There is no mapping {name!r}", expected=", ".join(PIXEL_MAPPINGS))
        return self.data[:, PIXEL_MAPPINGS[name]]

    @property
    def asic_mapped(self) -> NDArray[Any]:
        """The data by ASIC and channel, as the fast signals."""
        return self.mapped("ssl2asic_ch")

    @property
    def colrow_mapped(self) -> NDArray[Any]:
        """The data by column and row."""
        return self.mapped("ssl2colrow")

    def pack(self) -> bytes:
        """Return the 16,416 bytes of the readout.

        Raises
        ------
        FormatError
            (A `ValueError`) when a number does not fit.
        """
        try:
            head = _HEAD.pack(self.iro, self.time, self.cpu_t_s, self.cpu_t_ns)
        except struct.error as error:
            raise FormatError("A number of the readout does not fit", seen=str(error)) from error
        return head + np.ascontiguousarray(self.data, "<f8").tobytes()

    serialize = pack

    @classmethod
    def unpack(cls, data: bytes) -> SSReadout:
        """Return the readout that `data` holds; its array is read-only, further bytes are ignored.

        Raises
        ------
        FormatError
            (A `ValueError`) when bytes are missing.
        """
        if len(data) < READOUT_BYTES:
            raise FormatError(
                "A readout is cut", expected=f"{READOUT_BYTES} bytes", seen=f"{len(data)} bytes"
            )
        iro, time, seconds, nanoseconds = _HEAD.unpack_from(data)
        values = np.frombuffer(data, "<f8", MODULES * PIXELS, _HEAD.size)
        return cls(iro, time, values.reshape(MODULES, PIXELS), seconds, nanoseconds)

    deserialize = unpack

    def __repr__(self) -> str:
        there = int((~np.isnan(self.data).all(axis=1)).sum())
        return f"SSReadout(iro={self.iro}, time={self.time}, {there} modules)"
