"""Stream ends and the links between them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, TypeVar

from sapwood.errors import LinkError, StreamError, combine
from sapwood.streams.batch import FrameBatch
from sapwood.streams.frame import Frame
from sapwood.streams.gap import Gap
from sapwood.streams.pool import FramePool

__all__ = [
    "Master",
    "Slave",
    "StreamEnd",
    "closed_for",
    "connect",
    "disconnect",
    "downstream",
    "drain",
    "streamConnect",
    "streamConnectBiDir",
]

_Other = TypeVar("_Other")
_GRAPH = threading.RLock()  # guards the lists of slaves of all masters
_COUNTS = threading.Lock()  # guards the counts of all plain slaves: several masters may send to one at once
_DEBUG_LINE = 8  # bytes that `setDebug` shows on a line
_MAX_PROBLEMS = 8  # kept of the frames of a batch that a slave refused


class StreamEnd:
    """Gives ``>>``, ``<<`` and ``==`` to whatever has a stream master, a stream slave or both.

    A class offers its ends by the hooks ``_getStreamMaster()`` and ``_getStreamSlave()``.
    ``a >> b`` returns b and ``b << a`` returns a. ``a == b`` joins two ends that can both send
    and receive, and returns False; with anything else it is plain identity.
    """

    def __rshift__(self, other: _Other) -> _Other:
        streamConnect(self, other)
        return other

    def __lshift__(self, other: _Other) -> _Other:
        streamConnect(other, self)
        return other

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if _is_bidirectional(self) and _is_bidirectional(other):
            streamConnectBiDir(self, other)
        return False

    def __ne__(self, other: object) -> bool:
        return self is not other

    def __hash__(self) -> int:
        return id(self)


class Master(StreamEnd):
    """Sends frames, batches and gaps to the slaves linked to it.

    Slaves are served in the reverse order of their connection, in the caller's thread. When
    slaves raise, every other slave is served first; then the error is raised to the sender
    (several as one `StreamError` whose ``problems`` lists them).
    """

    _slaves: tuple[Slave, ...] = ()
    _frame_sinks: tuple[Callable[[Frame], None], ...] = ()
    _batch_sinks: tuple[Callable[[FrameBatch], None], ...] = ()
    _gap_sinks: tuple[Callable[[Gap], None], ...] = ()

    forwards: ClassVar[bool] = False
    """What this end receives it sends on by itself; a ring of such stages alone cannot be linked."""

    def __init__(self) -> None:
        self._set_slaves(())

    def _getStreamMaster(self) -> Master:
        return self

    def _addSlave(self, slave: Any) -> None:
        """Link `slave`; linked twice it is served twice.

        Raises
        ------
        LinkError
            When it is no stream slave, or the link would close a ring of stages that forward: a frame
            would go round in it for ever.
        """
        target = _slave_of(slave)
        with _GRAPH:
            ring = _ring(self, target)
            if ring:
                names = " -> ".join(type(stage).__name__ for stage in ring)
                raise LinkError(
                    f"The link would close a ring of stages that forward: {names}",
                    hint="Frames would go round in it for ever.",
                )
            self._set_slaves((*self._slaves, target))

    def _removeSlave(self, slave: Any) -> None:
        """Undo one link to `slave`.

        Raises
        ------
        LinkError
            When it is not linked.
        """
        target = _slave_of(slave)
        with _GRAPH:
            for index, linked in enumerate(self._slaves):
                if linked is target:
                    self._set_slaves(self._slaves[:index] + self._slaves[index + 1 :])
                    return
        raise LinkError(f"{slave!r} is not linked to {self!r}")

    def _set_slaves(self, slaves: tuple[Slave, ...]) -> None:
        self._slaves = slaves
        served = slaves[::-1]
        self._frame_sinks = tuple(slave._acceptFrame for slave in served)
        self._batch_sinks = tuple(slave._acceptBatch for slave in served)
        self._gap_sinks = tuple(slave._acceptGap for slave in served)

    def _slaveCount(self) -> int:
        """Return the number of links."""
        return len(self._slaves)

    def _reqFrame(self, size: int, zeroCopy: bool = False) -> Frame:
        """Return an empty frame with room for `size` bytes, from the pool of the slave linked first.

        `zeroCopy` is accepted, without effect.
        """
        slaves = self._slaves
        return slaves[0]._allocate(size) if slaves else Frame.reserve(size)

    def _sendFrame(self, frame: Frame) -> None:
        """Deliver one frame; without slaves it is discarded."""
        sinks = self._frame_sinks
        if len(sinks) == 1:
            sinks[0](frame)
        else:
            _deliver(sinks, frame)

    def _sendBatch(self, batch: FrameBatch) -> None:
        """Deliver a batch; its buffer belongs to the receivers from now on."""
        sinks = self._batch_sinks
        if len(sinks) == 1:
            sinks[0](batch)
        else:
            _deliver(sinks, batch)

    def _sendGap(self, gap: Gap) -> None:
        """Tell the slaves of lost frames."""
        _deliver(self._gap_sinks, gap)

    def _stop(self) -> None:
        """Stop sending; overridden by masters that own a thread."""


class Slave(FramePool, StreamEnd):
    """Receives frames.

    A subclass overrides `_acceptFrame`, `_acceptBatch` or both. When only one is overridden it
    serves both: a batch is handed on frame by frame, a frame as a batch of one. This is decided
    once for each class. What `_acceptFrame` raises for frames of a batch is raised when all of
    them were handed on.
    """

    _frameCount = 0
    _byteCount = 0
    _debug: tuple[int, logging.Logger] | None = None

    def __init__(self) -> None:
        self._frameCount = 0
        self._byteCount = 0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        frame_at, batch_at = _defined_at(cls, "_acceptFrame"), _defined_at(cls, "_acceptBatch")
        if frame_at < batch_at:
            cls._acceptBatch = _batch_by_frames  # type: ignore[method-assign]  # the adaptor
        elif batch_at < frame_at:
            cls._acceptFrame = _frame_by_batch  # type: ignore[method-assign]  # the adaptor

    def _getStreamSlave(self) -> Slave:
        return self

    def _acceptFrame(self, frame: Frame) -> None:
        """Take one frame; here: count it, and log it when `setDebug` was called."""
        size = frame.size
        with _COUNTS:
            self._frameCount += 1
            self._byteCount += size
        if self._debug is not None:
            _log_frame(frame, *self._debug)

    def _acceptBatch(self, batch: FrameBatch) -> None:
        """Take a batch; here: count its frames, and log them when `setDebug` was called."""
        frames, nbytes = len(batch), batch.nbytes
        with _COUNTS:
            self._frameCount += frames
            self._byteCount += nbytes
        if self._debug is not None:
            for frame in batch.frames():
                _log_frame(frame, *self._debug)

    def _acceptGap(self, gap: Gap) -> None:
        """Take note of lost frames; a slave that is a master too passes the note on."""
        if isinstance(self, Master):
            self._sendGap(gap)

    def getFrameCount(self) -> int:
        """Return the frames counted so far."""
        return self._frameCount

    def getByteCount(self) -> int:
        """Return the payload bytes counted so far."""
        return self._byteCount

    def setDebug(self, count: int, name: str) -> None:
        """Log size, error and the first `count` bytes of each frame at level critical to ``sapwood.<name>``.

        It takes effect where this class counts frames: a subclass that overrides `_acceptFrame` or
        `_acceptBatch` has to call them for it. Without a handler for the logger, Python prints to stderr.

        Raises
        ------
        StreamError
            For a negative count.
        """
        if count < 0:
            raise StreamError("Invalid number of bytes to show", expected="0 or more", seen=count)
        self._debug = (count, logging.getLogger(f"sapwood.{name}"))

    def _drain(self, deadline: float) -> bool:
        """Wait until everything accepted was passed on, at the latest at monotonic time `deadline`.

        Returns
        -------
        bool
            False when something is still held.
        """
        return True

    def _stop(self) -> None:
        """Stop receiving; overridden by slaves that own a thread."""


def _batch_by_frames(self: Slave, batch: FrameBatch) -> None:
    """Hand on frame by frame; a frame that is refused does not cost the slave the frames behind it."""
    refused = 0
    problems: list[Exception] = []
    for frame in batch.frames():
        try:
            self._acceptFrame(frame)
        except Exception as error:  # noqa: BLE001  # the other frames come first; raised below
            refused += 1
            if refused <= _MAX_PROBLEMS:
                problems.append(error)
    if problems:
        raise combine(f"{refused} of {len(batch)} frames were refused", problems, StreamError)


def _frame_by_batch(self: Slave, frame: Frame) -> None:
    self._acceptBatch(FrameBatch.gather((frame,)))


_ADAPTORS = (_batch_by_frames, _frame_by_batch)


def _defined_at(cls: type, name: str) -> int:
    """Return how far up the inheritance of `cls` its real method `name` is."""
    for index, base in enumerate(cls.__mro__):
        method = base.__dict__.get(name)
        if method is not None and method not in _ADAPTORS:
            return index
    raise TypeError(f"{cls.__name__} has no method {name}")


def _deliver(sinks: tuple[Callable[[Any], None], ...], item: object) -> None:
    problems: list[Exception] = []
    for sink in sinks:
        try:
            sink(item)
        except Exception as error:  # noqa: BLE001  # the other sinks come first; raised below
            problems.append(error)
    if problems:
        raise combine(f"{len(problems)} sinks failed", problems, StreamError)


def _log_frame(frame: Frame, count: int, logger: logging.Logger) -> None:
    shown = [f" 0x{byte:02x}" for byte in memoryview(frame.buffer)[:count]]
    lines = ["".join(shown[at : at + _DEBUG_LINE]) for at in range(0, len(shown), _DEBUG_LINE)]
    logger.critical("Got Size=%d, Error=%d, Data:%s", frame.size, frame.error, "\n".join(lines))


def _ring(source: Master, target: Slave) -> list[Master]:
    """Return the stages of the ring that a link from `source` to `target` would close, if all forward."""
    if not (source.forwards and isinstance(target, Master) and target.forwards):
        return []
    before: dict[int, Master | None] = {id(target): None}
    waiting: list[Master] = [target]
    while waiting:
        stage = waiting.pop()
        if stage is source:
            way: list[Master] = [target]
            back: Master | None = stage
            while back is not None:
                way.append(back)
                back = before[id(back)]
            return way[::-1]
        for slave in stage._slaves:
            if isinstance(slave, Master) and slave.forwards and id(slave) not in before:
                before[id(slave)] = stage
                waiting.append(slave)
    return []


def _is_bidirectional(end: object) -> bool:
    return hasattr(end, "_getStreamMaster") and hasattr(end, "_getStreamSlave")


def _master_of(end: Any, sign: str = "<<") -> Master:
    hook = getattr(end, "_getStreamMaster", None)
    master = hook() if hook is not None else None
    if not isinstance(master, Master):
        raise LinkError(f"Attempt to use {sign} with incompatable stream master", seen=repr(end))
    return master


def _slave_of(end: Any, sign: str = ">>") -> Slave:
    hook = getattr(end, "_getStreamSlave", None)
    slave = hook() if hook is not None else None
    if not isinstance(slave, Slave):
        article = "an " if sign == "==" else ""
        raise LinkError(f"Attempt to use {sign} with {article}incompatible stream slave", seen=repr(end))
    return slave


def streamConnect(source: Any, dest: Any) -> None:
    """Link `source` to `dest`; each is a stream end or an object that offers one by its hook.

    Raises
    ------
    LinkError
        When one of them is no stream end of the kind needed.
    """
    _master_of(source)._addSlave(_slave_of(dest))


connect = streamConnect


def streamConnectBiDir(a: Any, b: Any) -> None:
    """Link two ends in both directions."""
    slaves = _slave_of(a, "=="), _slave_of(b, "==")
    masters = _master_of(a, "=="), _master_of(b, "==")
    masters[0]._addSlave(slaves[1])
    masters[1]._addSlave(slaves[0])


def disconnect(source: Any, dest: Any) -> None:
    """Remove one link from `source` to `dest`.

    Raises
    ------
    LinkError
        When they are not linked.
    """
    _master_of(source)._removeSlave(dest)


def downstream(end: Any) -> list[Slave]:
    """Return every slave reached from the master of `end`, each after all that feed it."""
    order: list[Slave] = []
    seen: set[int] = set()

    def walk(slaves: Iterator[Slave]) -> None:
        for slave in slaves:
            if id(slave) not in seen:
                seen.add(id(slave))
                if isinstance(slave, Master):
                    walk(iter(slave._slaves))
                order.append(slave)

    with _GRAPH:
        walk(iter(_master_of(end)._slaves))
    return order[::-1]


def closed_for(master: Master) -> float:
    """Return how long the link that `master` sends by has been closed, s; 0 while it is open.

    A slave that is the end of such a link tells by its ``closedFor()``; 0, too, where none does.
    """
    for slave in master._slaves:
        ask: Callable[[], float] | None = getattr(slave, "closedFor", None)
        if ask is not None:
            return ask()
    return 0.0


def drain(end: Any, deadline: float) -> bool:
    """Wait for the queues behind the master of `end` to run empty, in link order.

    Parameters
    ----------
    end
        A stream master, or an object that offers one.
    deadline
        Monotonic time at which waiting ends, seconds.

    Returns
    -------
    bool
        False when a stage still held frames at the deadline.
    """
    done = [slave._drain(deadline) for slave in downstream(end)]
    return all(done)
