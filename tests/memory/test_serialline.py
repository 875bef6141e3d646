from __future__ import annotations

import os
import threading
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapwood.errors import BusError, ProtocolError
from sapwood.memory import Emulate, Master, Post, Read, SerialMemorySlave, Transaction, Verify, Write
from sapwood.memory.serialprotocol import read_request, seal, unseal, write_request


class Board:
    """The far end of the line: answers requests from emulated memory, or as `answers` says."""

    def __init__(self) -> None:
        self.ram = Emulate()
        self.requests: list[bytes] = []
        self.answers: list[Callable[[str, bytes], bytes]] = []
        self.got_request = threading.Semaphore(0)

    def answer(self, line: bytes) -> bytes:
        self.requests.append(line)
        kind, tag, address, content = unseal(line).split(" ")
        if kind == "R":
            data = bytearray(int(content, 16))
            self.ram._direct(Read, int(address, 16), data, 0, len(data))
            reply = seal(f"r {tag} {data.hex()}")
        else:
            data = bytearray.fromhex(content)
            self.ram._direct(Write, int(address, 16), data, 0, len(data))
            reply = seal(f"w {tag}")
        if self.answers:
            reply = self.answers.pop(0)(tag, reply)
        self.got_request.release()
        return reply


class Terminal:
    """A board behind a pseudo terminal."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.path = os.ttyname(self.slave)
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self) -> None:
        try:
            self.serve()
        except OSError:  # nobody has the terminal open any more, or it is unplugged
            os.close(self.master)

    def serve(self) -> None:
        rest = b""
        while True:
            rest += os.read(self.master, 1000)
            *lines, rest = rest.split(b"\n")
            for line in lines:
                os.write(self.master, self.board.answer(line + b"\n"))

    def close(self) -> None:
        os.close(self.slave)
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def terminal(board: Board) -> Iterator[Terminal]:
    made = Terminal(board)
    yield made
    made.close()


@pytest.fixture
def slave(terminal: Terminal) -> Iterator[SerialMemorySlave]:
    made = SerialMemorySlave(terminal.path)
    yield made
    made._stop()


class Port:
    """An object with `read` and `write` in front of a board."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.arrived = bytearray()
        self.rest = b""

    def read(self, count: int) -> bytes | None:
        data = bytes(self.arrived[:count])
        del self.arrived[:count]
        return data or None

    def write(self, data: bytes) -> int:
        """Take 7 bytes at most, as a full line would."""
        taken = data[:7]
        *lines, self.rest = (self.rest + taken).split(b"\n")
        for line in lines:
            self.arrived += self.board.answer(line + b"\n")
        return len(taken)


def request(slave: Any, type: int, address: int, data: bytearray, timeout: float = 5.0) -> Transaction:
    transaction = Transaction(address, memoryview(data), type, timeout)
    slave._doTransaction(transaction)
    transaction.start_timer()
    return transaction


def access(slave: Any, type: int, address: int, data: bytearray, timeout: float = 5.0) -> str:
    transaction = request(slave, type, address, data, timeout)
    transaction.wait()
    return transaction.errorText


def test_accesses_over_a_terminal(slave: SerialMemorySlave, board: Board) -> None:
    assert access(slave, Write, 0x10, bytearray(b"\xde\xad\xbe\xef\x0a\x0d\x00\xff")) == ""
    data = bytearray(8)
    for type in (Read, Verify):
        assert access(slave, type, 0x10, data) == ""
        assert data == b"\xde\xad\xbe\xef\x0a\x0d\x00\xff"
    assert access(slave, Post, 0x1_0000_0000, bytearray(b"far!")) == ""
    assert access(slave, Read, 0x1_0000_0000, data) == ""
    assert data[:4] == b"far!"
    assert [line.split(b" ")[:3] for line in board.requests] == [
        [b"W", b"01", b"00000010"],
        [b"R", b"02", b"00000010"],
        [b"R", b"03", b"00000010"],
        [b"W", b"04", b"100000000"],
        [b"R", b"05", b"100000000"],
    ]


def test_many_requests_queue_and_their_timers_wait_for_each_other(slave: SerialMemorySlave) -> None:
    master = Master()
    master >> slave
    values = [bytearray(n.to_bytes(4, "little")) for n in range(300)]
    for n, value in enumerate(values):
        master._reqTransaction(4 * n, value, 4, 0, Write)
    master._waitTransaction(0)
    read = [bytearray(4) for _ in values]
    for n, value in enumerate(read):
        master._reqTransaction(4 * n, value, 4, 0, Read)
    master._waitTransaction(0)
    assert master._getError() == ""
    assert read == values  # the tag went round


@pytest.mark.parametrize("kind", ["object", "descriptor"])
def test_other_kinds_of_lines(kind: str, board: Board, terminal: Terminal) -> None:
    line: Any = Port(board) if kind == "object" else terminal.slave
    slave = SerialMemorySlave(line)
    assert access(slave, Write, 0x10, bytearray(b"abcd")) == ""
    data = bytearray(4)
    assert access(slave, Read, 0x10, data) == ""
    assert data == b"abcd"
    slave._stop()
    if kind == "descriptor":
        os.fstat(line)  # not ours: still open


def wrong_check(tag: str, reply: bytes) -> bytes:
    return reply.replace(b"r ", b"r0", 1)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (lambda tag, reply: seal(f"e {tag} no such register"), "no such register"),
        (lambda tag, reply: seal(f"e {tag} "), "Unknown error"),
        (lambda tag, reply: wrong_check(tag, reply), "Damaged line"),
        (lambda tag, reply: b"\xff\xfe\n", "Damaged line"),
        (lambda tag, reply: seal(f"w {tag}"), "Unexpected answer"),
        (lambda tag, reply: seal(f"r {tag} 0102"), "expected 4 bytes, seen 2 bytes"),
        (lambda tag, reply: seal(f"r {tag} 010203zz"), "hexadecimal"),
        (lambda tag, reply: b"x" * 265, "No line end"),
    ],
)
def test_bad_answers_fail_that_access_only(
    slave: SerialMemorySlave, board: Board, answer: Callable[[str, bytes], bytes], error: str
) -> None:
    board.answers.append(answer)
    data = bytearray(b"....")
    assert error in access(slave, Read, 0, data)
    assert data == b"...."
    assert access(slave, Read, 0, data) == ""
    assert data == bytes(4)


def test_late_answers_are_dropped(slave: SerialMemorySlave, board: Board) -> None:
    board.ram._direct(Write, 0, bytearray(b"new!"), 0, 4)
    board.answers.append(lambda tag, reply: seal("r fe 6f6c6421") + reply)
    data = bytearray(4)
    assert access(slave, Read, 0, data) == ""
    assert data == b"new!"


def test_noise_between_accesses_is_dropped(
    slave: SerialMemorySlave, board: Board, terminal: Terminal
) -> None:
    assert access(slave, Write, 0, bytearray(b"abcd")) == ""
    os.write(terminal.master, b"board says hello\n")
    data = bytearray(4)
    assert access(slave, Read, 0, data) == ""
    assert data == b"abcd"


def test_without_an_answer_the_access_times_out(slave: SerialMemorySlave, board: Board) -> None:
    board.answers.append(lambda tag, reply: b"")
    assert access(slave, Read, 0, bytearray(4), timeout=0.1)
    assert access(slave, Read, 0, bytearray(4)) == ""


def test_stop_ends_what_is_under_way(slave: SerialMemorySlave, board: Board) -> None:
    board.answers.append(lambda tag, reply: b"")
    first = request(slave, Read, 0, bytearray(4), timeout=60)
    second = request(slave, Read, 4, bytearray(4), timeout=60)
    assert board.got_request.acquire(timeout=20)
    slave._stop()
    for transaction in (first, second):
        assert not transaction.wait()
        assert "is stopped" in transaction.errorText
    assert slave._slaveName not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(BusError, match="is stopped"):
        request(slave, Read, 0, bytearray(4))
    slave._start()
    assert access(slave, Read, 0, bytearray(4)) == ""


def test_no_thread_before_the_start(terminal: Terminal) -> None:
    before = set(threading.enumerate())
    slave = SerialMemorySlave(terminal.path)
    assert set(threading.enumerate()) <= before
    slave._stop()
    with pytest.raises(BusError, match="is stopped"):
        request(slave, Read, 0, bytearray(4))


def test_a_line_that_broke_is_opened_anew(board: Board, terminal: Terminal, tmp_path: Path) -> None:
    def unplug(tag: str, reply: bytes) -> bytes:
        raise OSError("unplugged")

    path = tmp_path / "ttyUSB0"
    path.symlink_to(terminal.path)
    slave = SerialMemorySlave(path)
    assert access(slave, Write, 0, bytearray(b"abcd")) == ""
    board.answers.append(unplug)
    error = access(slave, Read, 0, bytearray(4))
    assert error.startswith(f"SerialMemorySlave({path}): ")
    path.unlink()
    assert "Cannot open" in access(slave, Read, 0, bytearray(4))
    again = Terminal(board)
    path.symlink_to(again.path)
    data = bytearray(4)
    assert access(slave, Read, 0, data) == ""
    assert data == b"abcd"
    slave._stop()
    again.close()


def test_lines_that_cannot_be_opened(tmp_path: Path, terminal: Terminal) -> None:
    with pytest.raises(BusError, match=r"Cannot open .*ttyUSB9"):
        SerialMemorySlave(tmp_path / "ttyUSB9")._start()
    with pytest.raises(BusError, match=r"Unknown serial rate.*seen 12345"):
        SerialMemorySlave(terminal.path, baud=12345)._start()
    with pytest.raises(BusError, match="No serial line"):
        SerialMemorySlave(None)._start()


def test_lines_of_the_protocol() -> None:
    assert read_request(1, 0x10, 4) == b"R 01 00000010 4 bb16\n"
    assert write_request(0xAB, 0x10, b"\x01\xff") == seal("W ab 00000010 01ff")
    assert unseal(b"r 01 efbeadde 9DC9\r\n") == "r 01 efbeadde"


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)), st.data())
def test_a_changed_byte_is_noticed(text: str, data: st.DataObject) -> None:
    line = seal(text)
    assert unseal(line) == text
    place = data.draw(st.integers(0, len(line) - 2))
    other = data.draw(
        st.integers(32, 126).filter(lambda code: bytes([code]).lower() != line[place : place + 1].lower())
    )
    with pytest.raises(ProtocolError, match="Damaged line"):
        unseal(line[:place] + bytes([other]) + line[place + 1 :])
