"""FCIO records: times, old and future layouts, several configurations, the stream processor."""

from __future__ import annotations

import importlib.util
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood.errors import FormatError
from sapwood.fileio.raw import FCStreamer, build_raw, read_raw
from sapwood.fileio.raw.fcio.records import parse_record, split_records
from sapwood.fileio.raw.fcio.times import DeadTimes, EventTimes
from sapwood.fileio.raw.source import ReadingSource

_spec = importlib.util.spec_from_file_location("fcio_streams", Path(__file__).parent / "fcio_streams.py")
assert _spec is not None
assert _spec.loader is not None
made = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(made)

SECOND = 250_000_000  # ticks


def source(data: bytes) -> ReadingSource:
    parts = [data]
    return ReadingSource("made", lambda _: parts.pop() if parts else b"", lambda: None)


def tables(*records: bytes, config: bytes | None = None) -> dict[str, Any]:
    """All rows by table."""
    found: dict[str, Any] = {}
    for chunk in read_raw(source(made.stream(config or made.config(), *records)), "FlashCam"):
        for name, table in chunk.items():
            if name in found:
                raise AssertionError(f"{name} came twice")
            found[name] = {
                column: value.nda.copy() if hasattr(value, "nda") else list(map(np.copy, value))
                for column, value in table.items()
                if column != "waveform"
            }
            if "waveform" in table:
                found[name]["values"] = table["waveform"]["values"].nda.copy()
                found[name]["dt"] = table["waveform"]["dt"].nda.copy()
    return found


def whole(number: int, pps: int, dead: tuple[int, ...] = (0, 0, 0, 0), **facts: Any) -> bytes:
    return made.sparse(
        [0, 1, 2], made.waves(3, 4, number), number, pps, 0, dead=(*dead, SECOND - 1, 0, 3), **facts
    )


def test_times_of_a_run() -> None:
    offset = (1_600_000_000, 250_000, 37, 5, 5, 2, 500_000)
    event = tables(
        whole(0, 5, offset=offset),
        whole(1, 6, (5, 0, 5, SECOND // 2), offset=offset),
        whole(2, 9, (5, 0, 5, SECOND // 2), offset=offset),
        whole(3, 10, (11, 0, 12, 0), offset=offset),
        whole(4, 13, (11, 0, 12, 0), offset=offset),
    )["FCEvent"]
    assert event["runtime"][::3].tolist() == [2.5, 3.5, 6.5, 7.5, 10.5]
    assert event["deadinterval_nsec"][::3].tolist() == [0, 500_000_000, 0, 0, 1_000_000_000]
    assert event["deadtime"][::3].tolist() == [0, 0.5, 0.5, 0.5, 1.5]
    assert event["lifetime"][::3].tolist() == [2.5, 3, 6, 7, 9]
    assert event["timestamp"][0] == pytest.approx(1_600_000_005.25, abs=1e-6)
    gps = tables(whole(0, 5, offset=offset), config=made.config(gps=10))["FCEvent"]
    assert gps["timestamp"][0] == 42


def test_the_trigger_may_be_enabled_at_the_end_of_a_dead_region_or_unknown() -> None:
    assert tables(whole(0, 5, (0, 0, 4, 0)))["FCEvent"]["runtime"].tolist() == [1.0] * 3
    assert tables(whole(0, 5, (7, 0, 8, 0)))["FCEvent"]["runtime"].tolist() == [5.000000001] * 3


def test_boards_that_trigger_on_their_own_have_times_of_their_own() -> None:
    def own(first: int, count: int, pps: int, *dead: int) -> bytes:
        return made.sparse(
            range(first, first + count), made.waves(count, 4), 0, pps, 0,
            dead=(*dead, SECOND - 1, first, count), kind=11,
        )  # fmt: skip

    event = tables(
        own(0, 1, 5, 0, 0, 0, 0),
        own(1, 2, 6, 0, 0, 3, 0),
        own(0, 1, 9, 7, 0, 8, 0),
        own(1, 2, 10, 9, 0, 9, 25),
    )["FCEvent"]
    assert event["channel"].tolist() == [0, 1, 2, 0, 1, 2]
    assert event["runtime"].tolist() == [5, 3, 3, 9, 7, 7]
    assert event["deadinterval_nsec"].tolist() == [0, 0, 0, 10**9, 100, 100]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_times_do_not_depend_on_blocks(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    step = st.lists(st.integers(0, 20), min_size=count, max_size=count)
    fpga = np.cumsum(data.draw(step))
    start = np.maximum(fpga - data.draw(step), 0)
    stop = start + data.draw(step)
    first = np.array(data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count)))
    last = np.array([data.draw(st.integers(one + 1, 3)) for one in first.tolist()])
    enable = np.where(start == 0, stop, -1)
    row_event = np.repeat(np.arange(count), 3)
    row_trace = np.tile(np.arange(3), count)
    columns = [one.astype(np.int64) for one in (fpga, start, stop, enable, first, last)]
    together = DeadTimes(3).advance(EventTimes(*columns), row_event, row_trace)
    single = DeadTimes(3)
    for event in range(count):
        one = EventTimes(*(column[event : event + 1] for column in columns))
        rows = slice(3 * event, 3 * event + 3)
        found = single.advance(one, np.zeros(3, np.int64), row_trace[rows])
        for name in ("runtime", "deadtime", "deadinterval"):
            assert getattr(found, name).tolist() == getattr(together, name)[rows].tolist()


def test_energies_of_12_bit() -> None:
    waves = made.waves(3, 4)
    waves[:, :2] = [[160, 480], [480, 160], [16, 65535]]
    config = made.config(adcbits=12, sumlength=128, blprecision=16)
    event = tables(made.event(waves), config=config)["FCEvent"]
    assert event["baseline"].tolist() == [10, 30, 1]
    rise = (waves[:, 1] - waves[:, 0]).astype(np.int64)
    assert event["daqenergy"].tolist() == (8 * rise & 0xFFFF).tolist()
    assert set(event["dt"]) == {4.0}


def test_old_streams_lack_the_map_of_traces() -> None:
    data = made.stream(made.config(tracemap=[]), made.event(made.waves(3, 4)))
    streamer = FCStreamer()
    streamer.open_stream(source(data))
    assert streamer.get_decoder_list()[1].get_key_lists() == [[0]]
    streamer.close_stream()
    assert tables(made.event(made.waves(3, 4)), config=made.config(tracemap=[]))["FCEvent"]["fcid"][0] == 0


def test_records_with_more_and_shorter_frames() -> None:
    plain = made.event(made.waves(3, 4))
    longer = plain + struct.pack("<i3s", 3, b"abc")
    short = made.event(made.waves(3, 4, 1), offset=(9, 8))
    event = tables(longer, short, plain)["FCEvent"]
    assert len(event["channel"]) == 9
    assert event["mu_offset_sec"][::3].tolist() == [1_600_000_000, 9, 1_600_000_000]
    assert event["to_master_sec"][::3].tolist() == [37, 37, 37]
    cut = made.sparse([0, 1], [made.waves(1, 2)[0], made.waves(1, 6)[0]])
    values = tables(cut)["FCEvent"]["values"]
    assert values[0].tolist() == [*made.waves(1, 2)[0, 2:], 0, 0]
    assert values[1].tolist() == made.waves(1, 6)[0, 2:6].tolist()


def test_concatenated_streams_go_on(tmp_path: Path) -> None:
    one = made.stream(made.config(), made.event(made.waves(3, 4)))
    two = made.stream(made.config(streamid=2), made.event(made.waves(3, 4, 1), 1))
    (tmp_path / "both.fcio").write_bytes(one + two)
    summary = build_raw(tmp_path / "both.fcio")
    assert summary.rows[f"{tmp_path}/both.lh5:/FCEvent"] == 3
    assert sum(summary.skipped["FCEventDecoder"].values()) == 3
    assert "another Config record" in summary.problems[0]
    longer = made.stream(made.config(samples=8), made.event(made.waves(3, 8)))
    (tmp_path / "longer.fcio").write_bytes(one + longer)
    assert build_raw(tmp_path / "longer.fcio").garbage == {"FCEventDecoder": 1}


def test_status_of_cards() -> None:
    status = tables(made.status([made.card(0), made.card(0x2000, numenv=99)], ok=0))["FCStatus"]
    assert status["id"].tolist() == [0, 0x2000]
    assert status["status"].tolist() == [False, False]
    assert status["n_link_errors"].tolist() == [24, 24]
    assert status["mb_temps"][0].tolist() == [100, 101, 102, 103, 104]
    assert [len(one) for one in status["adc_temps"]] == [2, 3]
    assert status["server_time"].tolist() == [1_700_000_003.000005] * 2


def fsp_config() -> bytes:
    def i(*values: int) -> bytes:
        return made.ints(*values)

    def f(*values: float) -> bytes:
        return struct.pack(f"<{len(values)}f", *values)

    def q(value: int) -> bytes:
        return struct.pack("<q", value)

    traces = (i(2), i(7, 8), i(1, -1), b"ab".ljust(8, b"\0") + b"cde".ljust(8, b"\0"))
    return made.record(
        made.FSP_CONFIG,
        i(3), i(1, 2), i(4), f(0.5), f(1.5), f(2.5), f(3.5, 4.5), struct.pack("<QQQ", 257, 513, 0),
        q(1), q(5), q(2), q(6), q(11), q(12), q(13), i(9), i(20), q(3), q(7),
        *traces, struct.pack("<2H", 60, 61), *traces, struct.pack("<2H", 70, 71), *traces,
        i(1), i(2), i(3), i(4), f(5.5), f(6, 7), f(8, 9), f(1, 2), i(3, 4), i(5), i(6), i(7, 8), i(9, 10),
        i(11, 12), i(13, 14),
    )  # fmt: skip


def fsp_event(multiplicity: int) -> bytes:
    flags = struct.pack("<8B8BI4x", 0, 1, *([0] * 6), 1, 0, 1, 0, 0, 1, 0, 0, 1)
    return made.record(
        made.FSP_EVENT, flags, bytes(32), made.ints(2), struct.pack("<iHHi", 3, 900, 100, multiplicity),
        struct.pack("<fiifi", 1.5, 10, 2, 0.5, 11), made.ints(4, 5), struct.pack("<2H", 44, 55),
        made.ints(1), made.ints(2), struct.pack("<f", 1), struct.pack("<3H", 1, 2, 3),
    )  # fmt: skip


def test_the_stream_processor() -> None:
    status = struct.pack("<4d6i7d", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, *range(20, 27))
    data = made.stream(
        fsp_config(),
        made.config(),
        fsp_event(1) + made.event(made.waves(3, 4)),
        fsp_event(2) + made.header([1], made.waves(1, 0)),
        made.record(made.FSP_STATUS, status) + made.status([made.card(0)]),
    )
    (chunk,) = list(read_raw(source(data), "FlashCam", buffer_size=100))[-1:]
    found: dict[str, Any] = {}
    for chunk in read_raw(source(data), "FlashCam"):
        found |= {name: table.rows(0, len(table)) for name, table in chunk.items()}
        if "FSPConfig" in chunk:
            config = chunk["FSPConfig"]
            assert config["packet_id"].nda.tolist() == [0]
            assert config["trg_pre_trigger_window_nsec"].nda.tolist() == [1_000_000_005]
            assert config["buffer_window_nsec"].nda.tolist() == [3_000_000_007]
            assert config["trg_enabled_write_flags_trigger"].nda.tolist() == [513]
            assert config["dsp_wps_gains"][0].tolist() == [6, 7]
            assert config["dsp_hwm_tracemap_label"][0].tolist() == [b"ab", b"cde"]
            assert config["dsp_wps_stop_sample"][0].tolist() == [13, 14]
    event = found["FSPEvent"]
    assert event["packet_id"].nda.tolist() == [1, 2]
    assert event["obs_hwm_sw_multiplicity"].nda.tolist() == [1, 2]
    assert event["is_extended"].nda.tolist() == event["is_ct_multiplicity"].nda.tolist() == [True, True]
    assert event["is_hwm_prescaled"].nda.tolist() == [False, False]
    assert event["obs_ct_multiplicity"].nda.tolist() == [2, 2]
    assert event["obs_ps_hwm_prescaled_trace_idx"][1].tolist() == [1, 2, 3]
    assert found["FSPStatus"]["avg_rate_discard_events"].nda.tolist() == [26.0]
    assert found["FSPStatus"]["packet_id"].nda.tolist() == found["FCStatus"]["packet_id"].nda.tolist() == [3]


@pytest.mark.parametrize(
    "facts", [{"adcs": 2401}, {"samples": 40000}, {"samples": -1}, {"cards": 1 << 30}, {"masters": -1}]
)
def test_configurations_that_make_no_sense(facts: dict[str, int]) -> None:
    with pytest.raises(FormatError, match="made"):
        tables(config=made.config(**{**facts, "tracemap": [1]}))


def test_records_one_by_one() -> None:
    data = np.frombuffer(made.stream(made.config(), fsp_event(1), made.event(made.waves(3, 4))), np.uint8)
    found = split_records(data)
    assert [layout.tag for _, layout in found] == [1, 9, 3]
    assert parse_record(data[found[2][0] :], at_end=True) == found[2][1]
    with pytest.raises(FormatError, match="cut"):
        split_records(data[:-3])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_end_well(tail: bytes) -> None:
    streamer = FCStreamer()
    streamer.open_stream(source(made.stream(made.config(), made.event(made.waves(3, 4))) + tail))
    for _ in streamer:
        pass
    assert streamer.summary().packets >= 2
    streamer.close_stream()


@pytest.mark.parametrize("tag", [2, 5, 9, 77])
def test_a_record_of_any_kind_may_be_the_last(tag: int) -> None:
    streamer = FCStreamer()
    streamer.open_stream(source(made.stream(made.config(), made.record(tag, made.ints(1), made.ints(2)))))
    for _ in streamer:
        pass
    assert streamer.summary().packets == 2
    assert streamer.summary().problems == []
