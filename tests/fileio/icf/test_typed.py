"""Typed objects: limits and damage of payloads, files that do not say what they hold."""

from __future__ import annotations

import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood.errors import SapwoodError
from sapwood.fileio import DataReader
from sapwood.fileio.icf import (
    BusyTriggerPacketV1,
    Frame,
    FrameWriter,
    LogReader,
    LogWriter,
    NominalTriggerPacketV1,
    RawTriggerWriter,
    ReadoutBuilder,
    SourcePacket,
    SSReadout,
    TimestampReader,
    TriggerPacket,
    TriggerPacketV2,
    TriggerPacketV3,
    TriggerReader,
    TriggerWriter,
    message,
    messages,
    parse,
)
from sapwood.fileio.icf.slowpackets import module_number


def log(**fields):
    given = {
        "systemType": 1, "severity": 20, "sender": "me", "message": "text", "time": 5, "pid": 7,
        "sourceFile": "a.py", "line": 3,
    }  # fmt: skip
    return message("LogData", **{**given, **fields})


def patterns(bins: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random((bins, 512)) < 0.01).astype(np.uint8)


class TestFiles:
    @pytest.mark.parametrize(
        "made",
        [
            ("p0", 0), ("p0", 5), ("p0", 2**60), ("p1", b""), ("p1", b"\1\0\3\0"), ("p1", b"\1\0\0\0\0"),
            ("p1", b"\1\0\5\0\0"), ("p1", b"\1\0\1\0\3ab"), ("p1", b"\1\0\1\0\1ab"),
        ],
    )  # fmt: skip
    def test_no_type(self, p0, p1, write, made) -> None:
        kind, value = made
        path = write(p0([b"x"], value) if kind == "p0" else p1([[b"x"]], extension=value))
        with pytest.raises(ValueError, match=r"No compatible reader.*RawObjectReaderBase") as caught:
            DataReader(path)
        assert isinstance(caught.value, IndexError)
        assert isinstance(caught.value, TypeError)

    def test_another_file_version_is_taken(self, p1, write) -> None:
        data = log().SerializeToString()
        reader = DataReader(write(p1([[data]], extension=struct.pack("<2HB", 9, 1, 2) + b"ab")))
        assert reader.metadata["chec_file_version"] == 9
        assert reader.read() == log()

    @pytest.mark.parametrize("protocol", [0, 1])
    def test_decoded_everywhere(self, tmp_path, protocol) -> None:
        items = [log(line=i) for i in range(10)]
        with LogWriter(tmp_path / "a.sof", protocol, version="x" * 300) as writer:
            for item in items:
                writer.write(item)
        with LogReader(tmp_path / "a.sof") as reader:
            assert [reader.read() for _ in items] == list(reader) == reader[:] == items
            assert (reader[3], reader.read_at(-1), reader[[1, 2]]) == (items[3], items[9], items[1:3])
            assert list(reader.readobjects()) == items
            assert protocol == 0 or len(reader.metadata["ssdaq_version"]) == 255
        for other in (TriggerReader, TimestampReader):
            with pytest.raises(ValueError, match="No compatible reader"):
                other(tmp_path / "a.sof")

    def test_objects_of_another_type(self, p0, write, tmp_path) -> None:
        reader = DataReader(write(p0([b"\xff\xff", log().SerializeToString()], 1)))
        with pytest.raises(ValueError, match="no LogData"):
            reader.read()
        assert reader.read() == log()
        for writer, wrong in ((LogWriter, b"x"), (TriggerWriter, log()), (FrameWriter, {})):
            with writer(tmp_path / "b.sof") as file, pytest.raises(TypeError, match="The file takes"):
                file.write(wrong)

    def test_raw_triggers(self, tmp_path) -> None:
        packet = TriggerPacketV2(patterns=patterns(8))
        with RawTriggerWriter(tmp_path / "a.sof") as writer:
            writer.write(packet.pack())
        assert TriggerReader(tmp_path / "a.sof").read().pack() == packet.pack()


class TestTriggers:
    @given(
        kind=st.sampled_from([NominalTriggerPacketV1, BusyTriggerPacketV1, TriggerPacketV2, TriggerPacketV3]),
        phase=st.integers(0, 7),
        width=st.integers(0, 16),
        numbers=st.lists(st.integers(0, 2**16 - 1), min_size=5, max_size=5),
        seed=st.integers(0, 9),
    )
    @settings(deadline=None, max_examples=80)
    def test_round_trip(self, kind, phase, width, numbers, seed) -> None:
        old = issubclass(kind, NominalTriggerPacketV1)
        tack, readouts, pps, clock, source = numbers
        extra = {} if old else {"message_type": tack % 256, "error_flags": pps % 256}
        packet = kind(
            tack, 1 << phase, patterns(16 if old else 8 * width, seed), ro_count=readouts, pps_count=pps,
            clock_count=clock, source=source, **extra,
        )  # fmt: skip
        data = packet.pack()
        again = TriggerPacket.unpack(data)
        assert type(again) is kind
        assert (again.patterns == packet.patterns).all()
        assert (again.union == packet.union).all()
        assert again.pack() == data
        assert (again.busy, again.phase_index, str(again)) == (packet.busy, phase, str(packet))
        for cut in range(0, len(data), max(len(data) // 40, 1)):
            with pytest.raises(ValueError, match=r"cut|trigger packet"):
                TriggerPacket.unpack(data[:cut])

    def test_which_bin_triggered(self) -> None:
        packet = NominalTriggerPacketV1(phase=1, patterns=patterns(16))
        assert (packet.phase_index, packet.phase_index_peer) == (0, 1)
        assert (packet.trigg == packet.patterns[0]).all()
        assert (packet.trigg_peer == packet.patterns[1]).all()
        assert BusyTriggerPacketV1(patterns=patterns(16)).busy
        assert len(NominalTriggerPacketV1().pack()) == 1115
        assert len(TriggerPacketV2(patterns=patterns(128)).pack()) == 8285

    def test_what_cannot_be_packed(self) -> None:
        for make in (
            lambda: TriggerPacketV2(patterns=patterns(9)).pack(),
            lambda: NominalTriggerPacketV1(patterns=patterns(8)).pack(),
            lambda: NominalTriggerPacketV1(phase=0).pack(),
            lambda: NominalTriggerPacketV1(phase=3).pack(),
            lambda: TriggerPacketV2(patterns=np.zeros((8, 511))),
            lambda: TriggerPacketV2(union=np.zeros(3)),
        ):
            with pytest.raises(ValueError, match=r"shape|bins|one bit"):
                make()

    def test_what_cannot_be_unpacked(self) -> None:
        data = bytearray(NominalTriggerPacketV1().pack())
        for at, value in ((0, 0), (2, 4), (12, 3), (12, 0)):
            wrong = bytes(data[:at]) + bytes([value]) + bytes(data[at + 1 :])
            with pytest.raises(ValueError, match="trigger packet"):
                TriggerPacket.unpack(wrong)


class TestFrames:
    def full(self) -> Frame:
        frame = Frame()
        frame.add("readout", SSReadout(3, 4))
        frame["log"] = log()
        frame["trigger"] = TriggerPacketV3(patterns=patterns(8))
        inner = Frame()
        inner["é"] = message("TelData", time={"sec": 1, "nsec": 2}, ra=0.5)
        frame["inner"] = inner
        return frame

    def test_members(self) -> None:
        data = self.full().serialize()
        frame = Frame.deserialize(data)
        assert list(frame) == list(frame.keys()) == ["readout", "log", "trigger", "inner"]
        assert len(frame) == 4
        assert "log" in frame
        assert frame["log"] == log()
        assert frame["readout"].time == 4
        assert frame["inner"]["é"].ra == 0.5
        assert dict(frame.items())["trigger"].pack() == self.full()["trigger"].pack()
        assert frame.get("nothing") is None
        with pytest.raises(KeyError):
            frame["nothing"]
        assert frame.serialize() == data
        assert "readout: SSReadout" in repr(frame)

    def test_empty(self) -> None:
        assert Frame().serialize() == bytes(12)
        assert len(Frame.deserialize(bytes(12))) == 0

    def test_names_counted_in_characters(self) -> None:
        """SSDAQ counts characters of the names where bytes are meant."""
        data = bytearray(self.full()["inner"].serialize())
        count = struct.unpack_from("<I", data, len(data) - 12)[0]
        struct.pack_into("<I", data, len(data) - 12, count - 1)
        assert Frame.deserialize(bytes(data))["é"].ra == 0.5

    def test_nothing_is_imported(self) -> None:
        lines = b"a,system,os\nb,SSReadout,evil.module\nc,PyArrowSerializer,ssdaq.data._dataimpl.frame\n"
        data = b"xyyzzz" + struct.pack("<3I", 1, 3, 6) + lines + struct.pack("<3I", len(lines), 3, 6)
        frame = Frame.deserialize(data)
        assert [frame[key] for key in frame] == [b"x", b"yy", b"zzz"]
        assert frame.class_of("a") == "system"
        assert frame.serialize() == data

    @pytest.mark.parametrize("value", [b"bytes", 5, np.zeros(3), (1, 2), None])
    def test_values_no_frame_holds(self, value) -> None:
        with pytest.raises(AttributeError, match="cannot hold"):
            Frame()["key"] = value

    @pytest.mark.parametrize("key", ["a,b", "a\nb", ""])
    def test_keys_no_frame_holds(self, key) -> None:
        with pytest.raises(ValueError, match="key of a frame"):
            Frame().add(key, SSReadout())

    def test_damage(self) -> None:
        data = self.full().serialize()
        for at in range(len(data) - 300, len(data)):
            for wrong in (data[:at], data[:at] + bytes([data[at] ^ 0x81]) + data[at + 1 :]):
                with contextlib.suppress(SapwoodError, ValueError):
                    list(Frame.deserialize(wrong).items())


class TestReadouts:
    def test_round_trip(self) -> None:
        values = np.random.default_rng(0).random((32, 64)).astype(np.float32)
        readout = SSReadout(1, 2, values, 3, 4)
        data = readout.pack()
        assert len(data) == 16_416
        again = SSReadout.unpack(data + b"more")
        assert (again.data == values).all()
        assert not again.data.flags.writeable
        assert (again.iro, again.time, again.cpu_t) == (1, 2, 3 + 4e-9)
        assert repr(SSReadout(5)) == "SSReadout(iro=5, time=0, 0 modules)"

    def test_limits(self) -> None:
        with pytest.raises(ValueError, match="cut"):
            SSReadout.unpack(bytes(16_415))
        with pytest.raises(ValueError, match="shape"):
            SSReadout(data=np.zeros((64, 32)))
        with pytest.raises(ValueError, match="does not fit"):
            SSReadout(-1).pack()
        with pytest.raises(ValueError, match="no mapping"):
            SSReadout().mapped("other")

    def packet(self, *tacks: int, value: int = 0x8000) -> bytes:
        tack = np.repeat(np.array(tacks, np.uint64), 2).reshape(-1, 2)
        return SourcePacket(tack, np.full((len(tacks), 64), value, np.uint16)).pack()

    def test_modules(self) -> None:
        assert [module_number(f"10.0.0.{last}") for last in (0, 31, 100, 131, 231)] == [0, 31, 0, 31, 31]
        for address in ("10.0.0.32", "10.0.0.199", "nowhere"):
            with pytest.raises(RuntimeError, match="address"):
                module_number(address)
        assert module_number("10.0.0.199", relaxed=True) == 99 % 32

    def test_matching(self) -> None:
        builder = ReadoutBuilder(modules=[1, 2])
        assert builder.add(self.packet(1_000_000, 2_000_000), "a.1", 50) == []
        (first, second) = builder.add(self.packet(1_099_000, 1_950_000, value=0x8001), "a.2", 40)
        assert (first.iro, first.time, second.iro, second.time) == (1, 1_000_000, 2, 2_000_000)
        assert first.data[2, 63] == 0.0763
        assert first.data[1, 0] == 0
        assert np.isnan(first.data[0]).all()
        assert builder.add(self.packet(1_000_000_000_000), "a.1", 60) == []
        assert builder.add(self.packet(1_000_000_200_000), "a.2", 60) == []
        late = builder.flush()
        assert [readout.time for readout in late] == [1_000_000_000_000, 1_000_000_200_000]

    def test_waiting_ends(self) -> None:
        builder = ReadoutBuilder(hold_ns=1000, readout_tw=10, most_open=3)
        assert builder.add(self.packet(100), "a.1", 0) == []
        assert [item.time for item in builder.add(self.packet(2000), "a.1", 0)] == [100]
        assert builder.add(self.packet(120), "a.1", 0) == []
        assert builder.skipped == 2
        done = builder.add(self.packet(2020, 2040, 2060), "a.1", 0)
        assert [item.time for item in done] == [2000]

    def test_wrong_lengths_are_skipped(self) -> None:
        builder = ReadoutBuilder()
        assert builder.add(b"", "a.1", 0) == builder.add(bytes(143), "a.1", 0) == []
        assert builder.skipped == 2
        with pytest.raises(ValueError, match="multiple of 144"):
            SourcePacket.unpack(bytes(100))


class TestMessages:
    def test_fields(self) -> None:
        known = messages()
        assert known.LogData.Severity.Name(40) == "ERROR"
        stamp = known.TriggerMessage()
        assert (stamp.type, stamp.status) == (1, 5)
        query = known.Query(type=[2, 666], error="e", clock=3, readout={"simulation": {"rms_in_ps": 1.5}})
        assert parse("Query", query.SerializeToString()) == query
        monitor = message(
            "MonitorData", time={"sec": 1, "nsec": 2}, reciver={"name": "n", "from_tm": [1, 300]}
        )
        assert monitor.SerializeToString().endswith(b"\x2a\x03\x01\xac\x02")

    def test_missing_fields(self) -> None:
        with pytest.raises(ValueError, match=r"no LogData.*no systemType"):
            parse("LogData", b"")
        with pytest.raises(Exception, match="missing required fields") as caught:
            message("LogData").SerializeToString()
        assert type(caught.value).__name__ == "EncodeError"

    @given(data=st.binary(max_size=60), name=st.sampled_from(["LogData", "TriggerMessage", "Query"]))
    @settings(deadline=None, max_examples=60)
    def test_noise(self, data, name) -> None:
        with contextlib.suppress(ValueError):
            parse(name, data)
