"""The asking end of a register bus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sapwood.memory import topology
from sapwood.memory.bits import anyBits, copyBits, setBits
from sapwood.memory.link import busConnect
from sapwood.memory.slave import Slave
from sapwood.memory.transaction import DEFAULT_TIMEOUT_S, Transaction

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Master"]


class Master:
    """Something that reads and writes registers over the slave it is connected to."""

    _copyBits = staticmethod(copyBits)
    _setBits = staticmethod(setBits)
    _anyBits = staticmethod(anyBits)

    def __init__(self) -> None:
        self._busSlave = Slave()
        self._busTimeout = DEFAULT_TIMEOUT_S
        self._busRequests: dict[int, Transaction] = {}
        self._busError = ""

    def _setSlave(self, slave: Slave) -> None:
        """Connect to `slave`; accesses that are under way end where they began."""
        self._busSlave = slave
        topology.changed()

    def _getSlave(self) -> Slave:
        """Return the slave; without a connection one that refuses every access."""
        return self._busSlave

    def _getMemoryMaster(self) -> Master:
        return self

    def __rshift__(self, slave: Any) -> Any:
        """Connect ``master >> slave`` and return `slave`."""
        busConnect(self, slave)
        return slave

    def _setTimeout(self, timeout_us: float) -> None:
        """Set how long later requests wait for their answers (microseconds)."""
        self._busTimeout = timeout_us / 1e6

    def _reqMinAccess(self) -> int:
        return self._busSlave._doMinAccess()

    def _reqMaxAccess(self) -> int:
        return self._busSlave._doMaxAccess()

    def _reqAddress(self) -> int:
        return self._busSlave._doAddress()

    def _reqSlaveId(self) -> int:
        return self._busSlave._doSlaveId()

    def _reqSlaveName(self) -> str:
        return self._busSlave._doSlaveName()

    def _reqTransaction(
        self, address: int, data: Buffer, size: int = 0, offset: int = 0, type: int = 1
    ) -> int:
        """Request an access and return its id without waiting for the answer.

        Parameters
        ----------
        address
            Byte address as the slave sees it.
        data
            What to write, or (writable) where the bytes read arrive.
        size, offset
            Bytes to move (0: all from `offset`), first byte in `data`.
        type
            ``Read``, ``Write``, ``Post`` or ``Verify``.
        """
        view = memoryview(data).cast("B")[offset:]
        request = Transaction(address, view[:size] if size else view, type, self._busTimeout)
        self._busRequests[request._id] = request
        request.on_done(self._finished)
        issue(self._busSlave, request)
        return request._id

    def _waitTransaction(self, id: int) -> None:
        """Wait for the request `id` (0: all of this master); failures are told by ``_getError``."""
        waited = list(self._busRequests) if id == 0 else [id]
        for one in waited:
            request = self._busRequests.get(one)
            if request is not None:
                request.wait()
                self._finished(request)

    def _finished(self, request: Transaction) -> None:
        """Forget a request that has ended, but not its failure."""
        self._busRequests.pop(request._id, None)
        if request._text:
            self._busError = request._text

    def _getError(self) -> str:
        """Return the text of the last failure, or the empty string."""
        return self._busError

    def _clearError(self) -> None:
        """Forget the last failure."""
        self._busError = ""


def issue(slave: Slave, request: Transaction) -> None:
    """Hand `request` to `slave`; whatever the slave raises becomes the request's error."""
    try:
        slave._doTransaction(request)
    except Exception as problem:  # noqa: BLE001  # slaves are user code
        request.error(f"{type(problem).__name__}: {problem}")
    if not request._state:
        request.start_timer()
