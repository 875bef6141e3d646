"""Frames of a batch and columns of small records laid into one buffer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sapwood.streams.batch import FrameBatch
from sapwood.streams.windows import windows

__all__ = ["place", "place_rows", "words_at"]

_ONE_BY_ONE = 1024  # bytes of a frame from which a copy of its own is cheaper than one of many


def words_at(payload: NDArray[np.uint8], position: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return the 8 bytes at each byte `position`, shape (n,), as little-endian numbers, shape (n,)."""
    if not len(position):
        return np.empty(0, np.uint64)
    return windows(payload, 8)[position].view("<u8")


def place(out: NDArray[np.uint8], target: NDArray[np.int64], batch: FrameBatch) -> None:
    """Copy the payload of frame i of `batch` to byte ``target[i]`` of `out`, u1[m]."""
    rows = batch.rows()
    if rows is not None and len(rows):
        pitch = int(target[1] - target[0]) if len(rows) > 1 else len(rows[0])
        if pitch > 0 and (len(rows) < 3 or bool((target[1:] - target[:-1] == pitch).all())):
            np.ndarray(rows.shape, np.uint8, out, int(target[0]), (pitch, 1))[:] = rows
            return
    size = np.ascontiguousarray(batch.size)
    if batch.nbytes > _ONE_BY_ONE * len(batch):
        _place_singly(out, target, batch, np.arange(len(batch)))
        return
    order = np.argsort(size, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(size[order])) + 1):
        width = int(size[group[0]]) if len(group) else 0
        if len(group) < 4:
            _place_singly(out, target, batch, group)
        elif width:
            windows(out, width)[target[group]] = windows(batch.payload, width)[batch.start[group]]


def _place_singly(
    out: NDArray[np.uint8], target: NDArray[np.int64], batch: FrameBatch, picked: NDArray[np.int64]
) -> None:
    source, dest = batch.payload.data, out.data
    columns = target[picked].tolist(), batch.start[picked].tolist(), batch.size[picked].tolist()
    for at, start, size in zip(*columns, strict=True):
        dest[at : at + size] = source[start : start + size]


def place_rows(out: NDArray[np.uint8], target: NDArray[np.int64], rows: NDArray[np.uint8]) -> None:
    """Copy row i of `rows`, u1[n, width] and contiguous, to byte ``target[i]`` of `out`, u1[m]."""
    count, width = rows.shape
    if count:
        windows(out, width)[target] = rows.view(np.dtype((np.void, width)))[:, 0]
