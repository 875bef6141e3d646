"""DataReceiver: what counts, what is shown, when it listens."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from sapwood.devices import DataReceiver, Fifo
from sapwood.streams import Frame, FrameBatch, Master
from sapwood.tree import Root


def tree(receiver: DataReceiver) -> Root:
    root = Root(name="Top", pollEn=False)
    root.add(receiver)
    return root


def counts(receiver: DataReceiver) -> tuple[int, int, int]:
    return tuple(receiver.node(name).value() for name in ("FrameCount", "ByteCount", "ErrorCount"))


def frames(*payloads: bytes, errors: tuple[int, ...] = ()) -> FrameBatch:
    batch = FrameBatch.gather([Frame(payload) for payload in payloads])
    return batch.replace(error=np.array(errors, np.uint8)) if errors else batch


def test_nodes():
    receiver = DataReceiver(name="Rx")
    names = list(receiver.nodes)[3:]
    assert names == ["RxEnable", "FrameCount", "ErrorCount", "ByteCount", "Updated", "Data"]
    assert [receiver.node(name).mode for name in names] == ["RW", "RO", "RO", "RO", "RW", "RW"]
    assert [receiver.node(name).pollInterval for name in names] == [0, 1, 1, 1, 0, 0]
    data = receiver.Data
    assert data.hidden
    assert {"NoState", "NoStream", "NoConfig"} <= set(data.groups)
    assert data.typeStr == "UInt8[np]"
    assert data.disp == ""
    assert data.value().tolist() == [0]
    assert data.value().dtype == np.uint8
    other = DataReceiver(name="Rx", hideData=False, typeStr="Int16[np]", value="none yet")
    assert not other.Data.hidden
    assert (other.Data.typeStr, other.Data.value()) == ("Int16[np]", "none yet")


def test_frames_count_and_show():
    receiver, source = DataReceiver(name="Rx"), Master()
    source >> receiver
    with tree(receiver) as root:
        seen: list[tuple[str, Any]] = []
        root.addVarListener(lambda path, value: seen.append((path, value.value)))
        source._sendFrame(Frame(b"\x01\x02\x03"))
        source._sendFrame(Frame(b"bad", error=4))
        assert counts(receiver) == (1, 3, 1)
        assert receiver.Data.value().tolist() == [1, 2, 3]
        assert receiver.Updated.value() is True
        root.waitOnUpdate()
        mine = [path for path, _ in seen if path.startswith("Top.Rx.")]
        assert mine == ["Top.Rx.Data", "Top.Rx.Updated"]
        receiver.Updated.set(False)
        source._sendFrame(Frame(b"\x09"))
        assert receiver.Updated.value() is True
        assert counts(receiver) == (2, 4, 1)


def test_data_is_a_copy():
    receiver, source = DataReceiver(name="Rx"), Master()
    receiver << source
    with tree(receiver):
        buffer = bytearray(b"abc")
        source._sendFrame(Frame(buffer))
        buffer[:] = b"xyz"
        data = receiver.Data.value()
        assert data.tobytes() == b"abc"
        data[0] = 0  # and may be written


def test_batches():
    receiver, source = DataReceiver(name="Rx"), Master()
    source >> receiver
    with tree(receiver) as root:
        updates: list[Any] = []
        receiver.Data.addListener(lambda path, value: updates.append(bytes(value.value)))
        source._sendBatch(frames(b"one", b"bad!", b"three", errors=(0, 1, 0)))
        root.waitOnUpdate()
        assert counts(receiver) == (2, 8, 1)
        assert updates == [b"three"]
        source._sendBatch(frames(b"bad", errors=(7,)))
        assert counts(receiver) == (2, 8, 2)
        assert receiver.Data.value().tobytes() == b"three"


def test_an_override_of_process_sees_every_good_frame():
    class Mine(DataReceiver):
        def process(self, frame: Frame) -> None:
            taken.append(bytes(frame.payload))
            self.Data.set(frame.getNumpy(dtype="<u2").tolist())

    taken: list[bytes] = []
    receiver, source = Mine(name="Rx"), Master()
    source >> receiver
    with tree(receiver):
        source._sendBatch(frames(b"aa", b"bb", b"cc", errors=(0, 2, 0)))
        source._sendFrame(Frame(b"\x01\x00\x02\x00"))
        assert taken == [b"aa", b"cc", b"\x01\x00\x02\x00"]
        assert receiver.Data.value() == [1, 2]  # any type is taken
        assert receiver.Updated.value() is False
        receiver.Data.set({"a": 1})
        assert receiver.Data.value() == {"a": 1}


def test_what_process_raises_reaches_the_sender():
    class Bad(DataReceiver):
        def process(self, frame: Frame) -> None:
            raise ValueError("no such event")

    receiver, source = Bad(name="Rx"), Master()
    source >> receiver
    with tree(receiver), pytest.raises(ValueError, match="no such event"):
        source._sendFrame(Frame(b"x"))


def test_it_listens_while_it_runs_and_is_enabled():
    receiver, source = DataReceiver(name="Rx"), Master()
    source >> receiver
    root = tree(receiver)
    source._sendFrame(Frame(b"early"))
    assert counts(receiver) == (0, 0, 0)
    with root:
        assert receiver.RxEnable.value() is True
        receiver.RxEnable.set(False)
        source._sendFrame(Frame(b"x"))
        source._sendFrame(Frame(b"x", error=1))
        source._sendBatch(frames(b"x"))
        assert counts(receiver) == (0, 0, 0)
        receiver.RxEnable.set(True)
        source._sendFrame(Frame(b"x"))
        assert counts(receiver) == (1, 1, 0)
    assert receiver.RxEnable.value() is False
    source._sendFrame(Frame(b"late"))
    assert counts(receiver) == (1, 1, 0)
    with root:
        assert receiver.RxEnable.value() is True


def test_not_enabled_on_start():
    receiver = DataReceiver(name="Rx", enableOnStart=False)
    with tree(receiver):
        assert receiver.RxEnable.value() is False


def test_count_reset():
    receiver, source = DataReceiver(name="Rx"), Master()
    source >> receiver
    with tree(receiver) as root:
        source._sendBatch(frames(b"a", b"b", errors=(0, 1)))
        root.CountReset()
        assert counts(receiver) == (0, 0, 0)
        source._sendFrame(Frame(b"abc"))
        assert counts(receiver) == (1, 3, 0)


def test_queued_frames_arrive_before_the_tree_has_stopped():
    receiver, source, queue = DataReceiver(name="Rx"), Master(), Fifo(name="Queue")
    source >> queue >> receiver
    root = tree(receiver)
    root.add(queue)
    with root:
        for number in range(100):
            source._sendFrame(Frame(b"%02d" % number))
    assert counts(receiver) == (100, 200, 0)
    assert receiver.Data.value().tobytes() == b"99"


def test_data_stay_out_of_configurations():
    receiver = DataReceiver(name="Rx", hideData=False)
    with tree(receiver) as root:
        assert "Data" not in root.getYaml(modes=["RW"], excGroups="NoConfig")


def test_process_has_the_frame_locked():
    free: list[bool] = []

    class Receiver(DataReceiver):
        def process(self, frame: Frame) -> None:
            def look() -> None:
                free.append(lock.acquire(blocking=False))

            lock = frame._lock
            other = threading.Thread(target=look)
            other.start()
            other.join()

    receiver, source = Receiver(name="Rx"), Master()
    source >> receiver
    with tree(receiver):
        source._sendFrame(Frame(b"one"))
        source._sendBatch(frames(b"two", b"three"))
    assert free == [False] * 3
