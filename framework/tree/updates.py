"""Updates: what changed is collected, and handed to the listeners by one thread."""

from __future__ import annotations

import copy
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from sapwood.memory import Block
from sapwood.tree.groups import GroupFilter, Groups
from sapwood.tree.value import VariableValue, same

if TYPE_CHECKING:
    from sapwood.tree.variable import BaseVariable

__all__ = ["BatchListener", "UpdateGroup", "UpdateWorker"]

BatchListener = Callable[[dict[str, VariableValue]], Any]
Batch = dict["BaseVariable | Block", None]
"""What changed, in order: variables, and blocks that stand for the variables in their ``told``."""

Variables = dict["BaseVariable", None]

HEARTBEAT_S = 1.0
"""How often the worker calls its heartbeat (s)."""

JOIN_S = 5.0
"""How long `UpdateWorker.stop` waits for the thread (s)."""


class _Local(threading.local):
    """What a thread has collected in its outermost update group."""

    batch: Batch | None = None
    depth = 0
    period = 0.0
    last = 0.0


class UpdateGroup:
    """Collects the updates of this thread until the outermost group ends; see `UpdateWorker.group`."""

    __slots__ = ("_period", "_worker")

    def __init__(self, worker: UpdateWorker, period: float) -> None:
        self._worker = worker
        self._period = period

    def __enter__(self) -> None:
        local = self._worker._local
        if local.batch is None:
            local.batch = {}
            local.last = time.monotonic()
        local.depth += 1
        if self._period > 0 and (local.period == 0 or self._period < local.period):
            local.period = self._period

    def __exit__(self, *exc: object) -> None:
        local = self._worker._local
        local.depth -= 1
        if local.depth == 0:
            batch, local.batch, local.period = local.batch, None, 0.0
            if batch:
                self._worker._put(batch)


class _Listener:
    """A root listener: a function of whole batches, behind a group filter."""

    __slots__ = ("done", "filter", "function", "identity")

    def __init__(self, identity: Any, function: BatchListener, done: Any, groups: GroupFilter) -> None:
        self.identity = identity
        self.function = function
        self.done = done
        self.filter = groups


class UpdateWorker:
    """The thread that builds values and calls listeners, one batch after the other.

    Whatever a listener raises, and whatever cannot be decoded, is logged; the thread goes on.

    Parameters
    ----------
    log
        Where failures are told.
    heartbeat
        Called about once a second by the thread.
    quiet
        Variables (the log itself) whose failing listeners are marked in the log record, so that
        telling about them does not publish these variables again.
    """

    def __init__(
        self, log: Callable[[], logging.Logger], heartbeat: Callable[[], None], quiet: Iterable[str] = ()
    ) -> None:
        self._log = log
        self._heartbeat = heartbeat
        self._quiet = frozenset(quiet)
        self._local = _Local()
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._listeners: tuple[_Listener, ...] = ()
        self._change = threading.Lock()
        self._thread: threading.Thread | None = None
        self._open = False
        self._told: dict[Any, str] = {}

    # ---- producers

    def publish(self, variable: BaseVariable) -> None:
        """Queue an update of `variable` if anybody listens, or add it to this thread's group."""
        local = self._local
        batch = local.batch
        if batch is None:
            if self._open and (self._listeners or variable._functions or variable._followers):
                self._queue.put(variable)
        else:
            batch[variable] = None
            if local.period:
                self._flush_if_due()

    def publish_block(self, block: Block) -> None:
        """Publish the variables that `block` was given in ``told``, as one batch."""
        batch = self._local.batch
        if batch is None:
            if self._open and (
                self._listeners or any(one._functions or one._followers for one in block.told)
            ):
                self._queue.put(block)
        else:
            batch[block] = None
            if self._local.period:
                self._flush_if_due()

    def publish_blocks(self, blocks: list[Block]) -> None:
        """Publish the variables of several blocks: as one batch each, or into this thread's group."""
        batch = self._local.batch
        if batch is None:
            for block in blocks:
                self.publish_block(block)
        else:
            batch.update(dict.fromkeys(blocks))
            if self._local.period:
                self._flush_if_due()

    def _flush_if_due(self) -> None:
        local, now = self._local, time.monotonic()
        if local.batch and now - local.last >= local.period:
            batch, local.batch, local.last = local.batch, {}, now
            self._put(batch)

    def _put(self, batch: Batch) -> None:
        if self._open:
            self._queue.put(batch)

    def group(self, period: float = 0) -> UpdateGroup:
        """Return a context that collects the updates of this thread into one batch.

        Groups nest. The batch is queued when the outermost ends and, with `period` > 0, whenever
        that many seconds have passed.
        """
        return UpdateGroup(self, period)

    def wait(self) -> None:
        """Return when every update queued before this call was delivered.

        Returns at once when nothing runs, and in a listener, which cannot wait for itself.
        """
        if not self._open or threading.current_thread() is self._thread:
            return
        mark = threading.Event()
        self._queue.put(mark)
        self._release_if_over()
        mark.wait()

    # ---- listeners

    def add_batch(
        self,
        function: BatchListener,
        *,
        incGroups: Groups = None,
        excGroups: Groups = None,
        done: Callable[[], Any] | None = None,
        identity: Any = None,
    ) -> None:
        """Call ``function({path: VariableValue})`` for each batch, then ``done()``.

        A function known already (by `identity`, default the function itself) is not added again.
        """
        key = function if identity is None else identity
        with self._change:
            if not any(known.identity == key for known in self._listeners):
                self._listeners += (_Listener(key, function, done, GroupFilter(incGroups, excGroups)),)

    def add_each(
        self,
        function: Callable[[str, VariableValue], Any],
        *,
        done: Callable[[], Any] | None = None,
        incGroups: Groups = None,
        excGroups: Groups = None,
        onlyChanges: bool = False,
    ) -> None:
        """Call ``function(path, VariableValue)`` for each variable of each batch, then ``done()``.

        With `onlyChanges` a value equal to the one before is left out.
        """
        last: dict[str, Any] = {}

        def each(batch: dict[str, VariableValue]) -> None:
            for path, value in batch.items():
                if onlyChanges:
                    if path in last and same(last[path], value.value):
                        continue
                    last[path] = copy.copy(value.value)
                self._guard(function, path, path in self._quiet, path, value)

        self.add_batch(each, incGroups=incGroups, excGroups=excGroups, done=done, identity=function)

    def remove(self, identity: Any) -> None:
        """Undo `add_batch`."""
        with self._change:
            self._listeners = tuple(known for known in self._listeners if known.identity != identity)

    # ---- the thread

    def start(self, name: str) -> None:
        """Start the thread."""
        self._queue = SimpleQueue()
        self._open = True
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Deliver what is queued, then end the thread."""
        thread = self._thread
        if thread is None:
            return
        self._open = False
        self._queue.put(None)
        if thread is not threading.current_thread():
            thread.join(JOIN_S)
        self._release_if_over()
        self._thread = None

    def _release_if_over(self) -> None:
        """Let go whoever waits for a mark that nobody will set any more."""
        thread = self._thread
        if thread is not None and thread.is_alive():
            return
        while True:
            try:
                item = self._queue.get_nowait()
            except Empty:
                return
            if isinstance(item, threading.Event):
                item.set()

    def _run(self) -> None:
        queue, beat = self._queue, time.monotonic()
        try:
            while True:
                left = beat - time.monotonic()
                if left <= 0:
                    self._guard(self._heartbeat, "heartbeat", False)
                    beat = time.monotonic() + HEARTBEAT_S
                    continue
                try:
                    item = queue.get(timeout=left)
                except Empty:
                    continue
                if item is None:
                    return
                if isinstance(item, threading.Event):
                    item.set()
                else:
                    self._deliver(item if isinstance(item, dict) else (item,))
        finally:
            self._open = False

    def _deliver(self, changed: Iterable[BaseVariable | Block]) -> None:
        listeners = self._listeners
        values: dict[str, VariableValue] = {}
        groups: dict[str, Sequence[str]] = {}
        for variable in _with_followers(_variables(changed, everything=bool(listeners))):
            functions = variable._functions
            if not functions and not listeners:
                continue
            path = variable._path
            quiet = path in self._quiet
            try:
                value = VariableValue(variable)
            except Exception as error:  # noqa: BLE001  # a getter of the user, or bytes that mean nothing
                self._tell(variable, error, quiet, "Update of %s failed: %s", path)
                continue
            if self._told:
                self._told.pop(variable, None)
            values[path] = value
            groups[path] = variable._groups
            for function in functions:
                self._guard(function, path, quiet, path, value)
        if not values:
            return
        quiet = not self._quiet.isdisjoint(values)
        for listener in listeners:
            wanted = values
            if not listener.filter.open:
                wanted = {path: value for path, value in values.items() if listener.filter(groups[path])}
                if not wanted:
                    continue
            self._guard(listener.function, "root listener", quiet, wanted)
            if listener.done is not None:
                self._guard(listener.done, "done function", quiet)

    def _guard(self, function: Callable[..., Any], what: str, quiet: bool, *args: Any) -> None:
        try:
            function(*args)
        except Exception as error:  # noqa: BLE001  # listeners are the user's; the thread must live on
            self._tell(function, error, quiet, "Listener of %s failed: %s", what)

    def _tell(self, key: Any, error: Exception, quiet: bool, text: str, what: str) -> None:
        """Log `error`, once as long as the same object fails in the same way."""
        kind = f"{type(error).__name__}: {error}"
        if self._told.get(key) == kind:
            return
        if len(self._told) > 1000:
            self._told.clear()
        self._told[key] = kind
        self._log().error(text, what, kind, exc_info=error, extra={"fromSystemLog": quiet})


def _variables(changed: Iterable[BaseVariable | Block], *, everything: bool) -> Variables:
    """Return the variables in `changed`; of its blocks all, or only those that anybody follows."""
    found: Variables = {}
    for one in changed:
        if isinstance(one, Block):
            if everything:
                found.update(one.told)
                continue
            for variable in one.told:
                if variable._functions or variable._followers:
                    found[variable] = None
        else:
            found[one] = None
    return found


def _with_followers(changed: Variables) -> Variables:
    """Return `changed` with the variables that follow them, and those that follow these, at the end."""
    pending = [variable for variable in changed if variable._followers]
    if not pending:
        return changed
    found, seen = dict(changed), set(changed)
    while pending:
        reached = [follower for variable in pending for follower in variable._followers]
        pending = []
        for follower in reached:
            if follower not in seen:
                seen.add(follower)
                pending.append(follower)
                if follower._updateNotify:
                    found[follower] = None
    return found
