"""The names that users of pygama.raw know, and streamers and decoders written for it."""

from __future__ import annotations

import inspect
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
import pytest

from sapwood.fileio import lh5, raw
from sapwood.fileio.raw import DataDecoder, DataStreamer, RawBuffer, RawBufferList, write_to_lh5_and_clear

NAMES = {
    "build_raw": "in_stream in_stream_type out_spec buffer_size n_max overwrite",
    "DataDecoder": "garbage_length packet_size_guess",
    "DataDecoder.buffer_is_full": "rb",
    "DataDecoder.decode_packet": "packet",
    "DataDecoder.get_decoded_values": "key",
    "DataDecoder.get_key_list": "",
    "DataDecoder.get_max_rows_in_packet": "",
    "DataDecoder.make_lgdo": "key size",
    "DataDecoder.put_in_garbage": "packet packet_id code",
    "DataDecoder.write_out_garbage": "filename group lh5_store",
    "DataStreamer.build_default_rb_lib": "out_stream",
    "DataStreamer.close_stream": "",
    "DataStreamer.get_decoder_list": "",
    "DataStreamer.open_stream": "stream_name rb_lib buffer_size chunk_mode out_stream",
    "DataStreamer.read_chunk": "chunk_mode_override rp_max clear_full_buffers",
    "DataStreamer.read_packet": "",
    "RawBuffer": "lgdo key_list out_stream out_name",
    "RawBuffer.is_full": "",
    "RawBufferLibrary": "json_dict kw_dict",
    "RawBufferLibrary.clear_full": "",
    "RawBufferLibrary.get_list_of": "attribute unique",
    "RawBufferLibrary.set_from_json_dict": "json_dict kw_dict",
    "RawBufferList.clear_full": "",
    "RawBufferList.get_keyed_dict": "",
    "RawBufferList.get_list_of": "attribute",
    "RawBufferList.set_from_json_dict": "json_dict kw_dict",
    "expand_rblist_json_dict": "json_dict kw_dict",
    "write_to_lh5_and_clear": "raw_buffers lh5_store wo_mode",
}


@pytest.mark.parametrize("name", NAMES)
def test_names_and_arguments(name: str) -> None:
    arguments = inspect.signature(attrgetter(name)(raw)).parameters
    assert set(NAMES[name].split()) <= set(arguments)


STREAMERS = {
    "FCStreamer": "synth-sparse.fcio",
    "OrcaStreamer": "synth-sis3302.orca",
    "CompassStreamer": "compass_test_data.BIN",
    "LLAMAStreamer": "20241218-150158-pulser.bin",
}


@pytest.mark.parametrize("name", STREAMERS)
def test_streamers_by_their_names(name: str, golden_daq: Path) -> None:
    path, kind = golden_daq / STREAMERS[name], getattr(raw, name)
    assert isinstance(raw.get_streamer(path), kind)
    streamer = kind()
    header = streamer.open_stream(str(path))
    assert [one.loc for one in header] == [1]
    assert sum(one.loc for chunk in streamer for one in chunk) > 10
    assert streamer.n_bytes_read == path.stat().st_size
    streamer.close_stream()


def test_orca_streamers_know_their_header(golden_daq: Path) -> None:
    path = golden_daq / "synth-sis3302.orca"
    assert raw.OrcaStreamer.is_orca_stream(str(path))
    assert not raw.OrcaStreamer.is_orca_stream(golden_daq / "synth-sparse.fcio")
    streamer = raw.OrcaStreamer()
    streamer.open_stream(path)
    assert "ORSIS3302DecoderForEnergy" in streamer.header.get_decoder_list()
    streamer.close_stream()


class BytesDecoder(DataDecoder):
    """Sets the elements of rows one by one, and names its keys by `get_key_list`."""

    decoded_values: ClassVar = {
        "packet_id": {"dtype": "uint32"},
        "waveform": {
            "dtype": "uint16",
            "datatype": "waveform",
            "wf_len": 3,
            "dt": 16,
            "dt_units": "ns",
            "t0_units": "ns",
        },
        "parts": {"dtype": "uint8", "datatype": "array<1>{array<1>{real}}", "length_guess": 2},
    }

    def get_key_list(self) -> list[Any]:
        return [0, 1]

    def decode_packet(self, packet: Any, evt_rbkd: Any, packet_id: int) -> bool:
        buffer = evt_rbkd.get_keyed_dict()[packet[0] % 2]
        table, row = buffer.lgdo, buffer.loc
        table["packet_id"].nda[row] = packet_id
        table["waveform"]["values"].nda[row][:] = packet[0]
        table["parts"][row] = list(packet) * (packet_id % 3)
        buffer.loc += 1
        return buffer.is_full()


class BytesStreamer(DataStreamer):
    """A packet is a byte."""

    file: BinaryIO

    def __init__(self) -> None:
        super().__init__()
        self.decoder = BytesDecoder()

    def get_decoder_list(self) -> list[DataDecoder]:
        return [self.decoder]

    def open_stream(self, stream_name: Any, *arguments: Any, **keywords: Any) -> list[RawBuffer]:
        self.file = open(stream_name, "rb")  # noqa: SIM115  # closed by close_stream
        super().open_stream(stream_name, *arguments, **keywords)
        return []

    def read_packet(self) -> bool:
        packet = self.file.read(1)
        if packet:
            self.packet_id += 1
            self.any_full = self.decoder.decode_packet(packet, self.rb_lib["BytesDecoder"], self.packet_id)
        return bool(packet)

    def close_stream(self) -> None:
        self.file.close()


def test_elements_may_be_set_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(bytes(range(12)))
    streamer, out = BytesStreamer(), tmp_path / "out.lh5"
    assert streamer.open_stream(tmp_path / "bytes", buffer_size=5, out_stream=str(out)) == []
    assert streamer.rb_lib["BytesDecoder"][0].key_list == [0, 1]
    sizes = []
    for chunk in streamer:
        sizes += [one.loc for one in chunk]
        write_to_lh5_and_clear(chunk, None, "append")
    streamer.close_stream()
    assert sizes == [5, 5, 2]
    table = lh5.read("Bytes", str(out))
    assert table["packet_id"].nda.tolist() == list(range(1, 13))
    assert table["waveform"]["values"].nda[:, 2].tolist() == list(range(12))
    assert set(table["waveform"]["dt"].nda) == {16.0}
    assert [list(row) for row in table["parts"]][:4] == [[0], [1, 1], [], [3]]


def test_tables_have_the_size_asked_for() -> None:
    buffer = RawBuffer(BytesDecoder().make_lgdo(0, 10), [0])
    assert (len(buffer), buffer.is_full(), BytesDecoder().buffer_is_full(buffer)) == (10, False, False)


def test_garbage_is_kept(tmp_path: Path) -> None:
    decoder, file = BytesDecoder(), str(tmp_path / "garbage.lh5")
    decoder.put_in_garbage(b"abc", 3, 7)
    decoder.put_in_garbage(np.arange(2, dtype="<u4"), 4, 8)
    decoder.write_out_garbage(file, "bad")
    table = lh5.read("bad/garbage", file)
    assert [bytes(row) for row in table["packets"]] == [b"abc", bytes([0, 0, 0, 0, 1, 0, 0, 0])]
    assert (table["packet_id"].nda.tolist(), table["garbage_code"].nda.tolist()) == ([3, 4], [7, 8])


def test_lists_of_buffers_take_settings() -> None:
    buffers = RawBufferList()
    settings = {"ch{key}": {"key_list": [[3, 4]], "out_stream": "{run}.lh5"}}
    buffers.set_from_json_dict(settings, {"run": "r1"})
    assert buffers.get_list_of("out_stream") == ["r1.lh5"]
    assert sorted(buffers.get_keyed_dict()) == [3, 4]
    assert settings == {"ch{key}": {"key_list": [[3, 4]], "out_stream": "{run}.lh5"}}
