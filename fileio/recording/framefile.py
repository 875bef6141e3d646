"""Between a recorder and formats whose files are made by objects: a file that takes frames."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.filelayer import FileLayer
from sapwood.streams import FrameBatch

__all__ = ["FrameFile", "FrameFormat", "larger"]


class FrameFile(Protocol):
    """A file being recorded. One thread calls its methods; every prefix of the file is readable."""

    @property
    def frames(self) -> int:
        """Frames of this file that the system has whole; after `close`, or a failure, the last word."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of this file, with what is on its way to it; after `close` those on the disk."""
        ...

    @property
    def room(self) -> int | None:
        """Frames that the file takes for sure; None for any number, 0 when another file is needed."""
        ...

    def write(self, batch: FrameBatch) -> None:
        """Take frames; `frames` may count them at once or after `flush`."""
        ...

    def flush(self) -> None:
        """Give everything taken to the system."""
        ...

    def sync(self) -> None:
        """Return when everything taken lies on the disk."""
        ...

    def close(self) -> None:
        """Complete the file and bring it to the disk."""
        ...

    def abort(self) -> None:
        """Give the file back, without what is in memory as far as the format allows."""
        ...


class FrameFormat(Protocol):
    """What a recorder makes files with."""

    @property
    def endings(self) -> tuple[str, ...]:
        """Usual ends of file names, the first for new files."""
        ...

    @property
    def overhead(self) -> int:
        """Bytes that a frame takes in a file beside its payload, about."""
        ...

    @property
    def keeps_channels(self) -> bool:
        """Files tell the channels of frames, so that configuration records can be told from data."""
        ...

    def begin(self) -> None:
        """Forget what was learnt from the frames of an earlier recording."""
        ...

    def unfit(self, size: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """Return which frames cannot be recorded, shape (n,), None when all can.

        Producers call it, one at a time.

        Parameters
        ----------
        size
            Payload bytes of each, i8, shape (n,).
        """
        ...

    def create(self, path: str, files: FileLayer) -> FrameFile:
        """Begin a file; an empty one of that name is there and is replaced.

        Raises
        ------
        OSError, SapwoodError
            When it cannot be made.
        """
        ...


def larger(size: NDArray[np.int64], limit: int) -> NDArray[np.bool_] | None:
    """Return which of `size` exceed `limit`, None when none does: for `FrameFormat.unfit`."""
    return size > limit if len(size) and int(size.max()) > limit else None
