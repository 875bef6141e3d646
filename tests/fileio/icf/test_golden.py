"""SSDAQ's files: what they hold, and the same bytes from the same objects."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from sapwood import fileio
from sapwood.fileio.icf import (
    BACKPLANE_TO_SUPERPIXEL,
    PIXEL_MAPPINGS,
    SUPERPIXEL_TO_BACKPLANE,
    DataReader,
    Frame,
    FrameWriter,
    LogWriter,
    RawObjectReaderBase,
    RawObjectWriterBase,
    ReadoutBuilder,
    SourcePacket,
    SSReadout,
    TimestampWriter,
    TriggerWriter,
    parse,
)

WHOLE = [
    "p0_empty", "p0_one", "p0_many", "p0_sizes", "typed_v0_trigger",
    *(f"p1_{kind}_{name}" for kind in ("none", "bz2") for name in (
        "empty", "empty_ext", "one", "bunches", "sizes", "sizes_smallbunch", "meta")),
    "p1_bz2_default_bunch", "typed_log", "typed_timestamp", "typed_trigger", "typed_trigger_v3_sparse",
    "typed_frame", "typed_frame_arrow",
]  # fmt: skip
CUT = [
    "p1_none_truncated", "p1_bz2_truncated", "p1_none_zerotail", "p1_bz2_zerotail",
    "p0_truncated_payload", "p0_truncated_header",
]  # fmt: skip
EMPTY = hashlib.sha256().hexdigest()


@pytest.mark.parametrize("name", WHOLE)
def test_whole_files(golden_icf, manifest, digest_of, name) -> None:
    expected = manifest[f"{name}.sof"]["expected"]
    wanted = expected.get("sha256_of_u32le_len_then_bytes_for_all_objects", EMPTY)
    path = golden_icf / f"{name}.sof"
    with RawObjectReaderBase(path) as reader:
        count = expected["count"]
        assert reader.n_entries == len(reader) == count
        assert reader.filesize == path.stat().st_size
        header = expected["header"]
        assert reader.version == header["version"]
        assert reader.timestamp.timestamp() == header.get("timestamp_unix", 0)
        if reader.version:
            assert reader.header_ext.hex() == header["header_ext_hex"]
            assert reader.marker_ext.encode().ljust(4, b"\0").hex() == header["ext_marker_hex"]
            assert reader.n_bunches == expected.get("bunches", 0)
        else:
            assert reader.fhead == header["custom_u64"]
        objects = list(reader)
        assert digest_of(objects) == wanted
        assert list(map(len, objects)) == expected.get("sizes", [])
        assert [reader.read() for _ in range(count)] == objects
        assert [reader.read_at(i) for i in range(count)] == reader[:] == objects
        assert [reader[i - count] for i in range(count)] == objects
        batches = [batch.frame_bytes(i).tobytes() for batch in reader.batches() for i in range(len(batch))]
        assert batches == objects


@pytest.mark.parametrize("name", WHOLE)
def test_whole_files_are_found_and_clean(golden_icf, manifest, name) -> None:
    path = golden_icf / f"{name}.sof"
    assert fileio.detect(path).name == "icf"
    report = fileio.find("icf").verify(path)
    assert (report.status, report.good, report.problems) == (
        "clean",
        manifest[path.name]["expected"]["count"],
        [],
    )


@pytest.mark.parametrize("name", CUT)
def test_cut_files(golden_icf, manifest, digest_of, name, tmp_path) -> None:
    expected = manifest[f"{name}.sof"]["expected"]["intact_leading_objects"]
    path = golden_icf / f"{name}.sof"
    if name.startswith("p1"):
        with pytest.raises(RuntimeError, match=r"unable to read file index.*the file is cut") as caught:
            RawObjectReaderBase(path)
        assert isinstance(caught.value, ValueError)
    with RawObjectReaderBase(path, recover=True) as reader:
        assert (len(reader), digest_of(reader)) == (
            expected["count"],
            expected["sha256_of_u32le_len_then_bytes_for_all_objects"],
        )
        assert len(reader.problems()) == 1
        assert str(path) in reader.problems()[0]
        assert reader.torn_bytes > 0
    report = fileio.find("icf").recover(path, tmp_path / "out.sof")
    assert (report.status, report.good) == ("loss", expected["count"])
    assert report.lost == (0 if "zerotail" in name else 1)
    with RawObjectReaderBase(tmp_path / "out.sof") as again:
        assert digest_of(again) == expected["sha256_of_u32le_len_then_bytes_for_all_objects"]
        assert again.fhead == reader.fhead


@pytest.mark.parametrize("name", ["p0_truncated_payload", "p0_truncated_header"])
def test_a_cut_object_of_protocol_0_is_an_error(golden_icf, manifest, name) -> None:
    count = manifest[f"{name}.sof"]["expected"]["intact_leading_objects"]["count"]
    reader = RawObjectReaderBase(golden_icf / f"{name}.sof")
    assert reader.n_entries == count
    for _ in range(count):
        reader.read()
    for call in (reader.read, lambda: reader.read_at(count), lambda: list(reader)):
        with pytest.raises(ValueError, match=r"out of range.*offset") as caught:
            call()
        assert isinstance(caught.value, IndexError)


@pytest.mark.parametrize(
    ("name", "original", "bad"),
    [
        ("p0_bitflip", "p0_many", range(50, 51)),
        ("p1_none_bitflip", "p1_none_bunches", range(20, 21)),
        ("p1_bz2_bitflip", "p1_bz2_bunches", range(18, 35)),
    ],
)
def test_flipped_bits(golden_icf, tmp_path, name, original, bad) -> None:
    objects = RawObjectReaderBase(golden_icf / f"{original}.sof")[:]
    path = golden_icf / f"{name}.sof"
    reader = RawObjectReaderBase(path)
    good = [i for i in range(300) if i not in bad]
    assert reader[good] == [objects[i] for i in good]
    for i in range(300):
        if i not in bad:
            assert reader.read() == reader.read_at(i) == objects[i]
        else:
            for call in (reader.read, lambda i=i: reader.read_at(i)):
                with pytest.raises(RuntimeError, match="damaged") as caught:
                    call()
                assert type(caught.value).__name__ == "ChecksumError"
    assert [item for batch in reader.batches(skip_damaged=True) for item in frames(batch)] == [
        objects[i] for i in good
    ]
    with pytest.raises(RuntimeError, match="damaged"):
        list(reader)
    report = fileio.find("icf").recover(path, tmp_path / "out.sof")
    assert (report.status, report.good, report.lost) == ("loss", len(good), len(bad))
    assert RawObjectReaderBase(tmp_path / "out.sof")[:] == [objects[i] for i in good]


def frames(batch) -> list[bytes]:
    return [batch.frame_bytes(row).tobytes() for row in range(len(batch))]


@pytest.mark.parametrize("name", [name for name in WHOLE if not name.startswith("typed")])
@pytest.mark.parametrize("batches", [False, True])
def test_same_bytes_from_same_objects(golden_icf, manifest, inputs, tmp_path, name, batches) -> None:
    entry = manifest[f"{name}.sof"]
    _, _, kind = name.partition("_")
    options: dict[str, object] = {}
    if name.startswith("p0"):
        options["header"] = entry["expected"]["header"]["custom_u64"]
    else:
        kind = kind.partition("_")[2]
        header = entry["expected"]["header"]
        options |= {
            "timestamp": header["timestamp_unix"],
            "header_ext": bytes.fromhex(header["header_ext_hex"]),
            "marker_ext": bytes.fromhex(header["ext_marker_hex"]).rstrip(b"\0").decode(),
            "bunchsize": {"bunches": 1000, "sizes_smallbunch": 100}.get(kind, 1_000_000),
        }
    objects = inputs[kind]
    compressor = "bz2" if "bz2" in name else None
    with RawObjectWriterBase(tmp_path / "ours.sof", int(name[1]), compressor, **options) as writer:
        if batches:
            writer.write_many(b"".join(objects), [len(item) for item in objects])
        else:
            for item in objects:
                writer.write(item)
        assert writer.data_counter == len(objects)
    assert (tmp_path / "ours.sof").read_bytes() == (golden_icf / f"{name}.sof").read_bytes()


TYPED = {
    "typed_log": LogWriter,
    "typed_timestamp": TimestampWriter,
    "typed_trigger": TriggerWriter,
    "typed_trigger_v3_sparse": TriggerWriter,
    "typed_frame": FrameWriter,
    "typed_frame_arrow": FrameWriter,
    "typed_v0_trigger": TriggerWriter,
}


@pytest.mark.parametrize("name", TYPED)
def test_typed_files(golden_icf, manifest, tmp_path, name) -> None:
    path = golden_icf / f"{name}.sof"
    entry = manifest[path.name]
    decoded = entry["decoded"]
    if isinstance(decoded, str):
        decoded = manifest["typed_trigger.sof"]["decoded"]
    reader = DataReader(path)
    if "data_reader_metadata" in entry:
        assert reader.metadata == entry["data_reader_metadata"]
    objects = list(reader)
    assert [reader.read() is not None for _ in objects] == [True] * len(decoded)
    for item, expected in zip(objects, decoded, strict=True):
        check(item, expected)
    options = {"protocol": reader.version, "compressor": reader.compressor}
    if reader.version:
        options |= {"timestamp": reader.timestamp, "version": reader.metadata["ssdaq_version"]}
    with TYPED[name](tmp_path / "again.sof", **options) as writer:
        for item in objects:
            writer.write(item)
    assert (tmp_path / "again.sof").read_bytes() == path.read_bytes()


def check(item, expected) -> None:
    """Compare a decoded object with what the manifest says of it."""
    if "keys_in_order" in expected:
        assert isinstance(item, Frame)
        assert list(item) == expected["keys_in_order"]
        for key in item:
            if isinstance(item[key], bytes):
                assert item.class_of(key) == "PyArrowSerializer"
            else:
                check(item[key], expected[key])
    elif "patterns" in expected:
        assert type(item).__name__ == expected["class"]
        for name, value in expected.items():
            if name in ("patterns", "union"):
                bits = getattr(item, name)
                assert (list(bits.shape), int(bits.sum())) == (value["shape"], value["count_set"])
                assert (
                    hashlib.sha256(np.ascontiguousarray(bits).tobytes()).hexdigest()
                    == value["sha256_of_C_order_u8"]
                )
            elif name != "class":
                assert getattr(item, name) == value, name
        assert 1 << item.phase_index == item.phase
        assert type(item).__name__ in str(item)
    else:
        for name, value in expected.items():
            found = getattr(item, name)
            if isinstance(value, dict):
                check(found, value)
            else:
                assert found == value, name


def test_a_readout(golden_icf, manifest) -> None:
    data = (golden_icf / "wire_ssreadout.bin").read_bytes()
    expected = manifest["wire_ssreadout.bin"]["expected"]
    readout = SSReadout.unpack(data)
    for name in ("iro", "time", "cpu_t_s", "cpu_t_ns"):
        assert getattr(readout, name) == expected[name]
    assert readout.cpu_t == expected["cpu_t_s"] + expected["cpu_t_ns"] * 1e-9
    values = np.arange(2048).reshape(32, 64) * 0.25 + 2000
    values[4] = np.nan
    assert np.array_equal(readout.data, values, equal_nan=True)
    assert readout.asic_mapped[0].tolist() == expected["asic_mapped_row0"]
    assert readout.colrow_mapped[0].tolist() == expected["colrow_mapped_row0"]
    assert readout.pack() == data


@pytest.fixture
def wire(golden_icf: Path) -> dict:
    return json.loads((golden_icf / "wire.json").read_text())


def field(item, path: str):
    for name in path.split("."):
        item = getattr(item, name)
    return item


@pytest.mark.parametrize("name", ["MonitorData", "MonitorFrame", "TelData", "TriggerBunch"])
def test_messages_on_the_wire(wire, name) -> None:
    data = bytes.fromhex(wire[name]["hex"])
    found = parse(name, data)
    for path, value in wire[name]["fields"].items():
        if isinstance(value, list):
            for item, fields in zip(field(found, path), value, strict=True):
                assert all(field(item, inner) == wanted for inner, wanted in fields.items())
        else:
            assert field(found, path) == value
    assert found.SerializeToString() == data


def test_slow_signal_packets(wire) -> None:
    entry = wire["udp_slow_signal"]
    builder = ReadoutBuilder(modules=entry["module_numbers"])
    readouts = []
    for number, (address, text) in enumerate(entry["packets"].items()):
        data = bytes.fromhex(text)
        packet = SourcePacket.unpack(data)
        module = entry["module_numbers"][number]
        wanted = [[(1000 * module + 5000 * i + 1021 * j) % 65536 for j in range(64)] for i in range(2)]
        assert packet.counts.tolist() == wanted
        assert packet.pack() == data
        readouts += builder.add(data, address, 1_600_000_000_000_000_000 + 7 - number)
    assert builder.flush() == []
    for readout, expected in zip(readouts, entry["readouts"], strict=True):
        assert (readout.iro, readout.time) == (expected["iro"], expected["time"])
        there = np.flatnonzero(~np.isnan(readout.data).any(axis=1)).tolist()
        assert there == expected["modules_present"]
        for module in there:
            assert readout.data[module].tolist() == expected[f"mV_module{module}"]
        assert readout.cpu_t_s == 1_600_000_000
        assert readout.cpu_t_ns == 6 + readout.time - readouts[0].time


def test_mappings(golden_icf: Path) -> None:
    tables = json.loads((golden_icf / "mappings.json").read_text())
    for name, table in PIXEL_MAPPINGS.items():
        assert table.tolist() == tables[name]
    assert SUPERPIXEL_TO_BACKPLANE.tolist() == tables["trigger_SP2bptrigg_512"]
    assert BACKPLANE_TO_SUPERPIXEL.tolist() == tables["trigger_bptrigg2SP_512"]
