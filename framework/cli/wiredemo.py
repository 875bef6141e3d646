"""The demo's board in a process of its own, and the tree that drives it over the network."""

from __future__ import annotations

import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from sapwood.cli.board import READY
from sapwood.cli.failure import Failure

if TYPE_CHECKING:
    from sapwood.cli.check import Sent
    from sapwood.tree import Root

__all__ = ["WireDemo", "board_process"]

REFUSED_S = 0.5  # that a port is tried at which nobody listens
START_S = 30.0  # for the board's process to serve
REAP_S = 5.0  # for it to end by itself
SETTLE_S = 10.0  # for all that was sent to arrive
LOOK_S = 0.02
QUIET_S = 0.2


@contextmanager
def board_process(channels: int) -> Iterator[str]:
    """Serve a board from a process of its own while the block runs; yield its ``HOST:PORT``.

    It is not reached by a Ctrl-C at the terminal, and it ends with its standard input: so even
    if this process is killed.

    Raises
    ------
    Failure
        When it does not serve.
    """
    command = [sys.executable, "-m", "sapwood", "board", "--port", "0", "--control"]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            [*command, "--channels", str(channels)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield _address(process, errors)
        finally:
            _reap(process)


def _address(process: subprocess.Popen[bytes], errors: IO[bytes]) -> str:
    """Return what the board's first line says of where it serves."""
    line = ""
    if process.stdout is not None and select.select([process.stdout], [], [], START_S)[0]:
        line = process.stdout.readline().decode()
    if not line.startswith(READY):
        process.kill()
        process.wait()
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip() or "nothing"
        raise Failure(f"The board's process does not serve; it said: {said}")
    return line.split(" at ")[1].split()[0]


def _reap(process: subprocess.Popen[bytes]) -> None:
    """End the process, the harder the longer it takes."""
    if process.stdin is not None:
        process.stdin.close()
    for push in (process.terminate, process.kill):
        try:
            process.wait(REAP_S)
        except subprocess.TimeoutExpired:
            push()
    process.wait()


class WireDemo:
    """A tree that drives the board at `address` over UDP, RSSI and packetizer in jumbo datagrams.

    Channel n of the board is channel n + 1 of the file.

    Parameters
    ----------
    address
        ``HOST:PORT`` of the board.
    channels
        How many of the board's channels are used.
    config_channel, buffer_size
        Of the recorder.
    wait
        Longest that the start waits for the board, s.
    """

    def __init__(
        self, address: str, channels: int, config_channel: int, buffer_size: int, wait: float
    ) -> None:
        from sapwood.devices import FrontEndBoard, StreamVariable, StreamWriter, UdpRssiPack
        from sapwood.devices.board.wire import MESSAGE_DEST, REGISTER_DEST
        from sapwood.memory import SrpV3
        from sapwood.streams import Slave, streamConnectBiDir
        from sapwood.tree import Root

        host, _, port = address.rpartition(":")
        root = Root(name="Demo", pollEn=False, timeout=5)  # a busy machine is no fault of the board
        root.add(
            UdpRssiPack(
                name="Net",
                host=host,
                port=int(port),
                jumbo=True,
                packVer=2,
                waitTimeout=wait,
                refusedTimeout=REFUSED_S,
            )
        )
        self._registers = SrpV3()
        streamConnectBiDir(self._registers, root.Net.application(REGISTER_DEST))
        root.addInterface(self._registers)
        self._streams = [root.Net.application(number + 1, policy="drop_new") for number in range(channels)]
        root.add(
            FrontEndBoard(
                name="Board",
                memBase=self._registers,
                channels=channels,
                streams=self._streams,
                messages=root.Net.application(MESSAGE_DEST, policy="drop_old"),
            )
        )
        settings = {config_channel: StreamVariable(root=root)}
        root.add(StreamWriter(name="Writer", bufferSize=buffer_size, configStream=settings))
        self._arrived = Slave()
        for number, stream in enumerate(self._streams):
            stream >> self._arrived
            stream >> root.Writer.getChannel(number + 1)
        self.root: Root = root
        self.address = address
        self._fresh = True
        self._before = 0

    # ------------------------------------------------------------ before the run

    def prepare(self) -> None:
        """Bring the board to where a new one is: nothing sent, nothing on its way, counters at zero.

        Raises
        ------
        Failure
            For a board with too few channels.
        """
        board: Any = self.root.Board
        channels, used = board.Channels.get(), len(self._streams)
        if channels < used:
            raise Failure(f"The board at {self.address} has {channels} channels, the demo needs {used}")
        self._fresh = not any(channel.FrameCount.get() for channel in board.Ch.values())
        board.Run.set(False)
        for number in range(used, channels):
            self._disable(number)
        self._link_batcher(board.Batcher.get())
        self._await(lambda: False, QUIET_S if not self._fresh else 0.0)
        for channel in board.Ch.values():
            channel.Enable.set(True)
        board.CountReset()
        self._before = self._arrived.getFrameCount() + self._dropped_here()

    def _disable(self, number: int) -> None:
        """Keep a channel silent that the tree does not know."""
        from sapwood.devices.board.firmware import CHANNEL_STRIDE
        from sapwood.memory import Transaction, Write

        access = Transaction(CHANNEL_STRIDE * (number + 1), memoryview(bytearray(4)), Write, 1.0)
        self._registers._doTransaction(access)
        access.wait()

    def _link_batcher(self, version: int) -> None:
        """Take the frames out of super-frames, where the board sends such."""
        from sapwood.devices.board.wire import BATCH_DEST
        from sapwood.streams.protocols import SplitterV1, SplitterV2

        if version:
            splitter = SplitterV1() if version == 1 else SplitterV2()
            stream = self.root.Net.application(BATCH_DEST, policy="drop_new")
            self._streams.append(stream)
            stream >> splitter >> self.root.Writer.getChannel(0)
            splitter >> self._arrived

    # ------------------------------------------------------------ in and after the run

    @property
    def trouble(self) -> str | None:
        """What keeps the run from going on, or None."""
        if self.root.Net.rssiOpen.get():
            return None
        return f"The link with the board at {self.address} broke"

    def settle(self) -> tuple[dict[int, Sent], int, int]:
        """Wait until all that was sent has arrived (10 s at most); the board has stopped sending.

        Returns
        -------
        dict, int, int
            What was sent by channel of the file, the frames lost on the way (at the board, and
            here), and those that the board did not make in time.
        """
        from sapwood.cli.check import Sent

        channels: Sequence[Any] = list(self.root.Board.Ch.values())
        self._await(lambda: self._missing(channels) == 0, SETTLE_S)
        first = 0 if self._fresh else None
        sent = {
            number + 1: Sent(one.Pattern.getDisp(), one.FrameCount.get(), one.FrameSize.get(), first)
            for number, one in enumerate(channels)
        }
        lost = sum(one.DropCount.get() for one in channels) + self._dropped_here()
        return sent, lost, sum(one.SkipCount.get() for one in channels)

    def _missing(self, channels: Sequence[Any]) -> int:
        sent = sum(one.FrameCount.get() - one.DropCount.get() for one in channels)
        return int(sent - self._arrived.getFrameCount() - self._dropped_here() + self._before)

    def _dropped_here(self) -> int:
        return sum(stream.queue.counters.dropped_total for stream in self._streams)

    def _await(self, done: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not done() and time.monotonic() < end:
            time.sleep(LOOK_S)
