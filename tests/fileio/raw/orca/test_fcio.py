"""FCIO records in packets of ORCA."""

from __future__ import annotations

import gzip
import io
from typing import Any

import numpy as np
import pytest

from sapwood.fileio.raw import build_raw, open_stream, read_raw
from sapwood.fileio.raw.source import ReadingSource

CONFIG, EVENT = "ORFCIOConfigDecoder", "ORFCIOEventDecoder"
HEADER, STATUS = "ORFCIOEventHeaderDecoder", "ORFCIOStatusDecoder"
CHANNELS = [(288, 0), (288, 1), (304, 5)]
KEYS = [1028800, 1028801, 1030405]
TRACES = np.arange(30).reshape(3, 10)


def head(made: Any, **settings: Any) -> bytes:
    ids = [made.RUN, made.FCIO_CONFIG, made.FCIO_EVENT, made.FCIO_HEADER, made.FCIO_STATUS]
    return bytes(made.header(made.tree(ids, **{"listeners": [1, 2], **settings})))


def both(made: Any) -> bytes:
    return bytes(made.fcio_config(2, [(400, 0)], 4, adcbits=12) + made.fcio_config(1, CHANNELS, gps=9))


def groups(result: Any, name: str) -> Any:
    return next(one for one in result.stream.decoders if type(one).__name__ == name).get_key_lists()


def test_keys_come_from_the_configurations(made: Any, decoded: Any) -> None:
    result = decoded(head(made) + made.run_record() + both(made))
    assert groups(result, CONFIG) == [["fcid_1/config", "fcid_2/config"], []]
    assert groups(result, EVENT) == [KEYS, [2040000]]
    assert groups(result, HEADER) == [["fcid_1/evt_hdr", "fcid_2/evt_hdr"], []]
    cards = [0, 0x2000, 0x2001]
    assert groups(result, STATUS) == [[f"fcid_{one}/status/card{card}" for card in cards] for one in (1, 2)]
    assert result.buffer(EVENT, 1028800).lgdo["waveform"].wf_len == 8
    assert result.buffer(EVENT, 2040000).lgdo["waveform"].wf_len == 4


def test_keys_of_stream_processors(made: Any, decoded: Any) -> None:
    result = decoded(head(made, fsp=True, listeners=[1]) + made.fcio_config(1, CHANNELS))
    assert groups(result, CONFIG) == [["fcid_1/config"], ["swtid_1/config"]]
    assert groups(result, EVENT) == [KEYS, ["swtid_1/event"]]
    assert groups(result, HEADER) == [["fcid_1/evt_hdr"], ["swtid_1/evt_hdr"]]
    assert groups(result, STATUS)[1:] == [["swtid_1/status"]]


def test_configurations(made: Any, decoded: Any) -> None:
    result = decoded(head(made) + both(made))
    assert result.column(CONFIG, "packet_id", "fcid_1/config").tolist() == [1, 2]
    assert result.column(CONFIG, "streamid", "fcid_1/config").tolist() == [65538, 65537]
    assert result.column(CONFIG, "tracemap", "fcid_1/config") == [
        [400 << 16],
        [card << 16 | number for card, number in CHANNELS],
    ]
    assert result.problems == []


def test_events(made: Any, decoded: Any) -> None:
    data = made.fcio_event(1, 7, TRACES) + made.fcio_event(2, 8, np.arange(6)[None])
    data += made.run_record() + made.fcio_event(1, 9, TRACES + 100)
    result = decoded(head(made) + both(made) + data)
    assert result.column(EVENT, "packet_id", KEYS[0]).tolist() == [3] * 3 + [6] * 3
    assert result.column(EVENT, "eventnumber", KEYS[0]).tolist() == [7] * 3 + [9] * 3
    assert result.column(EVENT, "board_id", KEYS[0]).tolist() == [288, 288, 304] * 2
    assert result.column(EVENT, "baseline", KEYS[0]).tolist() == [0, 10, 20, 100, 110, 120]
    values = result.column(EVENT, "waveform/values", KEYS[0])
    np.testing.assert_array_equal(values, np.concatenate([TRACES, TRACES + 100])[:, 2:])
    assert result.column(EVENT, "fcid", 2040000).tolist() == [2]
    assert result.column(EVENT, "waveform/dt", KEYS[0]).tolist() == [16] * 6
    assert result.column(EVENT, "waveform/dt", 2040000).tolist() == [4]
    assert result.column(EVENT, "timestamp", KEYS[0])[0] == pytest.approx(3 + 4e-9 * 7000 + 2)


def test_events_of_some_traces(made: Any, decoded: Any) -> None:
    data = made.fcio_sparse(1, 1, [2], TRACES[2:]) + made.fcio_sparse(1, 2, [0, 2], TRACES[::2])
    result = decoded(head(made) + both(made) + data + made.fcio_sparse(1, 3, [2], TRACES[2:]))
    assert result.column(EVENT, "channel", KEYS[0]).tolist() == [2, 0, 2, 2]
    assert result.column(EVENT, "packet_id", KEYS[0]).tolist() == [3, 4, 4, 5]
    assert result.column(EVENT, "waveform/values", KEYS[0])[1].tolist() == TRACES[0, 2:].tolist()
    assert result.column(EVENT, "event_type", KEYS[0]).tolist() == [11] * 4


def test_headers_of_streams_that_share_a_table_keep_their_order(made: Any, decoded: Any) -> None:
    order = [1, 2, 2, 1, 2]
    data = b"".join(made.fcio_header(fcid, row, [0]) for row, fcid in enumerate(order))
    result = decoded(head(made) + both(made) + data + made.fcio_header(1, 5, [1, 2]))
    keyed = result.buffers[HEADER]
    assert keyed["fcid_1/evt_hdr"] is keyed["fcid_2/evt_hdr"]
    assert result.column(HEADER, "fcid", "fcid_1/evt_hdr").tolist() == [*order, 1]
    assert result.column(HEADER, "eventnumber", "fcid_1/evt_hdr").tolist() == list(range(6))
    assert result.column(HEADER, "tracelist", "fcid_1/evt_hdr")[-1] == [1, 2]
    assert result.column(HEADER, "daqenergy", "fcid_1/evt_hdr")[-1] == [20, 40]


def test_status(made: Any, decoded: Any) -> None:
    result = decoded(head(made) + both(made) + made.fcio_status(1, [0, 0x2000, 0x2001]))
    key = "fcid_1/status/card0"
    assert result.column(STATUS, "id", key).tolist() == [0, 0x2000, 0x2001]
    assert result.column(STATUS, "n_link_errors", key).tolist() == [1013] * 3
    assert result.column(STATUS, "packet_id", key).tolist() == [3] * 3


def test_records_of_the_stream_processor(made: Any, decoded: Any) -> None:
    data = made.fcio_config(1, CHANNELS, before=made.fsp_config(3))
    data += made.fcio_event(1, 1, TRACES, before=made.fsp_event(5)) + made.fcio_event(1, 2, TRACES)
    data += made.fcio_sparse(1, 3, [1], TRACES[1:2], before=made.fsp_event(6))
    data += made.fcio_header(1, 4, [0], before=made.fsp_event(7))
    data += made.fcio_status(1, [0], before=made.fsp_status(12.5))
    result = decoded(head(made, fsp=True, listeners=[1]) + data)
    assert result.column(CONFIG, "buffer_max_states", "swtid_1/config").tolist() == [11]
    assert result.column(CONFIG, "dsp_wps_stop_sample", "swtid_1/config") == [[3, 4, 5]]
    assert result.column(CONFIG, "nsamples", "fcid_1/config").tolist() == [8]
    assert result.column(EVENT, "obs_hwm_hw_multiplicity", "swtid_1/event").tolist() == [5, 6]
    assert result.column(EVENT, "packet_id", "swtid_1/event").tolist() == [2, 4]
    assert result.column(EVENT, "packet_id", KEYS[0]).tolist() == [2] * 3 + [3] * 3 + [4]
    assert result.column(HEADER, "obs_hwm_hw_multiplicity", "swtid_1/evt_hdr").tolist() == [7]
    assert result.column(HEADER, "packet_id", "fcid_1/evt_hdr").tolist() == [5]
    assert result.column(STATUS, "runtime", "swtid_1/status").tolist() == [12.5]
    assert result.column(STATUS, "id", "fcid_1/status/card0").tolist() == [0]
    assert result.problems == []


def test_events_without_configuration_are_garbage(made: Any, decoded: Any) -> None:
    data = made.fcio_event(1, 1, TRACES) + made.fcio_event(3, 1, TRACES) + made.fcio_event(1, 2, TRACES)
    result = decoded(head(made) + both(made) + data)
    assert result.garbage(EVENT) == 1
    assert result.column(EVENT, "packet_id", KEYS[0]).tolist() == [3] * 3 + [5] * 3
    assert "packet 4 is of a stream without configuration" in result.problems[0]


def test_a_configuration_that_comes_late(made: Any, decoded: Any) -> None:
    data = made.fcio_config(1, CHANNELS) + made.run_record() * 300_000
    data += made.fcio_config(2, [(400, 0)], 4) + made.fcio_event(2, 1, np.arange(6)[None])
    result = decoded(head(made) + data)
    decoder = next(one for one in result.stream.decoders if type(one).__name__ == EVENT)
    assert groups(result, EVENT) == [KEYS, [2040000]]
    assert decoder.skipped == {2040000: 1}  # nobody could ask for it when the buffers were made


LONG = 5 << 20  # bytes of records between: more than is looked through at first


def _between(made: Any) -> bytes:
    return bytes(made.run_record() * (LONG // len(made.run_record())))


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "packed"])
def test_configurations_are_found_anywhere_in_a_file(made: Any, tmp_path: Any, pack: Any) -> None:
    path = tmp_path / "late.orca"
    data = head(made) + made.fcio_config(1, CHANNELS) + _between(made) + made.fcio_config(2, [(400, 0)], 4)
    path.write_bytes(pack(data + made.fcio_event(2, 8, np.arange(6)[None])))
    (rows,) = (chunk for chunk in read_raw(path, tables=["ORFCIOEvent_2040000"]))
    assert rows["ORFCIOEvent_2040000"]["waveform"]["values"].nda.tolist() == [[2, 3, 4, 5]]


def test_a_configuration_too_late_for_tables_is_told(made: Any) -> None:
    data = head(made) + made.fcio_config(1, CHANNELS) + _between(made) + made.fcio_config(2, [(400, 0)], 4)
    file = io.BytesIO(data + made.fcio_event(2, 8, np.arange(6)[None]))  # cannot be read twice
    with open_stream(ReadingSource("made.orca", file.read, file.close)) as (streamer, _):
        for _ in streamer:
            pass
        assert streamer.summary().skipped == {EVENT: {2040000: 1}}
        assert streamer.summary().problems == [
            "made.orca: FCIO stream 2 is configured too late: there are no tables for its rows"
        ]


def test_a_second_configuration_begins_times_anew(made: Any, decoded: Any) -> None:
    one, event = made.fcio_config(1, CHANNELS), made.fcio_event(1, 1, TRACES)
    result = decoded(head(made) + one + event + one + event)
    assert len(result.column(EVENT, "packet_id", KEYS[0])) == 6
    assert len(result.column(CONFIG, "packet_id", "fcid_1/config")) == 2
    assert "configured anew" in result.problems[0]


def test_other_records_than_expected_are_garbage(made: Any, decoded: Any) -> None:
    wrong = made.inside(made.FCIO_EVENT, 1, made.record(5, 1, 2))
    empty = made.packet(made.FCIO_EVENT, [1], extended=True)
    result = decoded(head(made) + both(made) + wrong + empty + made.fcio_event(1, 1, TRACES))
    assert result.garbage(EVENT) == 2
    assert len(result.column(EVENT, "packet_id", KEYS[0])) == 3


def test_a_stream_processor_that_the_header_does_not_name(made: Any, decoded: Any) -> None:
    result = decoded(head(made, listeners=[1]) + made.fcio_config(1, CHANNELS, before=made.fsp_config(3)))
    assert groups(result, EVENT) == [KEYS, ["swtid_1/event"]]
    assert result.column(CONFIG, "packet_id", "swtid_1/config").tolist() == [1]


@pytest.mark.parametrize("seed", range(8))
def test_damage_in_records_stays_in_its_packet(made: Any, tmp_path: Any, seed: int) -> None:
    random = np.random.default_rng(seed)
    begin = head(made, listeners=[1]) + made.fcio_config(1, CHANNELS)
    packets = [made.fcio_sparse(1, row, [row % 3], TRACES[:1]) for row in range(40)]
    packets += [made.fcio_event(1, 40, TRACES), made.fcio_status(1, [0]), made.fcio_header(1, 41, [0, 2])]
    for hit in random.integers(0, len(packets), 6).tolist():
        damaged = np.frombuffer(packets[hit], np.uint8).copy()
        places = random.integers(8, len(damaged), 5)
        damaged[places] = random.integers(0, 256, 5)
        packets[hit] = damaged.tobytes()
    path = tmp_path / "damaged.orca"
    path.write_bytes(begin + b"".join(packets))
    summary = build_raw(path, out_spec=str(tmp_path / "out.lh5"))
    assert summary.packets == 2 + len(packets)
    assert summary.rows[f"{tmp_path}/out.lh5:/ORFCIOEvent"] >= 34


@pytest.mark.parametrize("traces", [2401, -1])
def test_configurations_that_make_no_sense_are_told(made: Any, decoded: Any, traces: int) -> None:
    data = bytearray(made.fcio_config(1, CHANNELS))
    data[12 + 68 + 8 : 12 + 68 + 12] = np.array([traces], "<i4").tobytes()
    result = decoded(head(made) + bytes(data) + made.fcio_event(1, 1, TRACES) + made.run_record(4))
    assert "a configuration of FCIO is ignored" in result.problems[0]
    assert f"seen {traces}" in result.problems[0]
    assert (result.garbage(CONFIG), result.garbage(EVENT)) == (1, 1)
    assert result.column("ORRunDecoderForRun", "run_number").tolist() == [4]


def test_packets_without_a_configuration_in_them(made: Any, decoded: Any) -> None:
    data = made.inside(made.FCIO_CONFIG, 1, b"") + made.inside(made.FCIO_CONFIG, 1, made.record(4, 1))
    result = decoded(head(made) + data + both(made) + made.fcio_event(1, 1, TRACES))
    assert any("Missing record in FCIO stream 1." in problem for problem in result.problems)
    assert len(result.column(EVENT, "packet_id", KEYS[0])) == 3
