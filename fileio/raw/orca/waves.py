"""Waveforms of many packets as rows of one length."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["alike", "fitted", "waveform"]


def fitted(samples: NDArray[Any], length: int) -> NDArray[Any]:
    """Return rows of `samples` cut to `length`, or filled up with zeros."""
    if samples.shape[1] >= length:
        return samples[:, :length]
    out = np.zeros((len(samples), length), samples.dtype)
    out[:, : samples.shape[1]] = samples
    return out


def waveform(samples: NDArray[Any], dt: float) -> dict[str, NDArray[Any]]:
    """Return the columns of waveforms that begin at 0."""
    rows = len(samples)
    return {
        "t0": np.broadcast_to(np.float32(0), rows),
        "dt": np.broadcast_to(np.float32(dt), rows),
        "values": samples,
    }


def alike(*columns: NDArray[Any]) -> list[NDArray[np.intp]]:
    """Return the rows, in order, of each combination of values that occurs in the columns."""
    if all(column.min() == column.max() for column in columns):
        return [np.arange(len(columns[0]))]
    _, group = np.unique(
        np.stack([column.astype(np.int64) for column in columns]), axis=1, return_inverse=True
    )
    group = group.reshape(-1)
    order = np.argsort(group, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
