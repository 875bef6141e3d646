"""FlashCam traces that ORCA packed, and what listeners say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

WAVES, OLD = "ORFlashCamADCWaveformDecoder", "ORFlashCamWaveformDecoder"
CONFIG, STATUS = "ORFlashCamListenerConfigDecoder", "ORFlashCamListenerStatusDecoder"
WAVE = np.arange(1000, 1008)
TIMES = [
    1_700_000_000,
    500_000,
    1_700_000_001,
    7,
    8,
    9,
    10,
    1,
    50,
    2,
    75,
    100,
    33,
    12,
    125_000_000,
    249_999_999,
]


def head(made: Any, **settings: Any) -> bytes:
    ids = [made.RUN, made.FLASHCAM, made.OLD_FLASHCAM, made.CONFIG, made.STATUS]
    cards = [made.flashcam_card(0, 288, (True, False, True)), made.flashcam_card(3, 1040)]
    settings = {"listeners": [1, 4]} | settings
    return bytes(made.header(made.tree(ids, cards=cards, **settings)))


def test_inputs_that_are_enabled_are_keys(made: Any, decoded: Any) -> None:
    result = decoded(head(made))
    decoder = next(one for one in result.stream.decoders if type(one).__name__ == WAVES)
    assert decoder.get_key_lists() == [[1028800, 1028802], [4104000 + number for number in range(6)]]
    assert result.buffer(WAVES, 1028800).lgdo["waveform"].wf_len == 8


def test_a_trace(made: Any, decoded: Any) -> None:
    data = made.flashcam(0, 288, 5, 2, WAVE, times=TIMES, baseline=60_000, energy=50_000, event_type=11)
    result = decoded(head(made) + made.run_record() + data)
    expected = {
        "packet_id": 2,
        "fcid": 1,
        "board_id": 288,
        "fc_input": 2,
        "channel": 5,
        "crate": 0,
        "slot": 0,
        "event_type": 11,
        "numtraces": 1,
        "baseline": 60_000,
        "daqenergy": 50_000,
        "eventnumber": 33,
        "ts_pps": 12,
        "ts_ticks": 125_000_000,
        "ts_maxticks": 249_999_999,
        "mu_offset_sec": 1_700_000_000,
        "mu_offset_usec": 500_000,
        "to_master_sec": 1_700_000_001,
        "delta_mu_usec": 7,
        "abs_delta_mu_usec": 8,
        "to_start_sec": 9,
        "to_start_usec": 10,
        "dr_start_pps": 1,
        "dr_start_ticks": 50,
        "dr_stop_pps": 2,
        "dr_stop_ticks": 75,
        "dr_maxticks": 100,
        "dr_ch_idx": 0,
        "dr_ch_len": 2,
        "runtime": 12.5,
        "timestamp": 1_700_000_013.0,
        "deadtime": 1.25,
        "lifetime": 0,
        "deadinterval_nsec": 0,
    }
    for name, value in expected.items():
        assert result.column(WAVES, name, 1028802).tolist() == [value], name
    assert set(expected) | {"waveform"} == set(result.buffer(WAVES, 1028802).lgdo)
    assert result.column(WAVES, "waveform/values", 1028802).tolist() == [WAVE.tolist()]
    assert result.column(WAVES, "waveform/dt", 1028802).tolist() == [16]
    assert result.problems == []


def test_gps_time(made: Any, decoded: Any) -> None:
    data = made.listener_config(1, [(288, 0), (288, 2)], 8, gps=5)
    data += made.flashcam(0, 288, 1, 2, WAVE, times=TIMES)
    result = decoded(head(made) + data)
    assert result.column(WAVES, "timestamp", 1028802).tolist() == [1_700_000_013.5]


def test_packets_of_older_versions(made: Any, decoded: Any) -> None:
    result = decoded(head(made) + made.flashcam(3, 1040, 0x155, 5, WAVE, old=True))
    assert result.column(OLD, "fc_input", 4104005).tolist() == [5]
    assert result.column(OLD, "channel", 4104005).tolist() == [0x155]


def test_rows_come_in_the_order_of_packets(made: Any, decoded: Any) -> None:
    order = [0, 2, 2, 0, 2, 0, 0]
    traces = b"".join(
        made.flashcam(0, 288, 0, number, WAVE + row) + made.run_record() for row, number in enumerate(order)
    )
    result = decoded(head(made) + traces)
    assert result.column(WAVES, "fc_input", 1028800).tolist() == order
    assert result.column(WAVES, "waveform/values", 1028800)[:, 0].tolist() == list(range(1000, 1007))
    assert result.column(WAVES, "packet_id", 1028800).tolist() == list(range(1, 15, 2))


def test_the_listener_knows_the_samples_better(made: Any, decoded: Any, caplog: Any) -> None:
    wave = np.arange(20)
    data = made.run_record() + made.listener_config(1, [(288, 0)], 20) + made.flashcam(0, 288, 0, 0, wave)
    result = decoded(head(made) + data)
    assert result.column(WAVES, "waveform/values", 1028800).tolist() == [wave.tolist()]
    assert "orca miscalculated nsamples = 8 for fcid 1, updating to 20" in caplog.text
    assert result.buffer(WAVES, 4104000).lgdo["waveform"].wf_len == 8


def test_a_set_up_that_comes_late_counts_from_the_first_row_on(made: Any, decoded: Any) -> None:
    many = made.run_record() * (300_000)  # beyond what is looked through before tables are made
    wave = np.arange(20)
    data = many + made.listener_config(1, [(288, 0)], 20) + made.flashcam(0, 288, 0, 0, wave)
    result = decoded(head(made) + data)
    assert result.column(WAVES, "waveform/values", 1028800).tolist() == [wave.tolist()]


def test_a_set_up_behind_rows_does_not_change_their_table(made: Any, decoded: Any) -> None:
    many = made.flashcam(0, 288, 0, 0, WAVE) + made.run_record() * 300_000
    data = many + made.listener_config(1, [(288, 0)], 20) + made.flashcam(0, 288, 0, 0, np.arange(20))
    result = decoded(head(made) + data)
    values = result.column(WAVES, "waveform/values", 1028800)
    assert values.tolist() == [WAVE.tolist(), list(range(8))]
    assert any("cut or filled up" in problem for problem in result.problems)


def test_traces_of_other_lengths(made: Any, decoded: Any) -> None:
    data = made.flashcam(0, 288, 0, 0, WAVE[:3]) + made.flashcam(0, 288, 0, 0, np.arange(11))
    values = decoded(head(made) + data).column(WAVES, "waveform/values", 1028800)
    assert values.tolist() == [[1000, 1001, 1002, 0, 0, 0, 0, 0], list(range(8))]


def test_boards_by_the_map_of_the_listener(made: Any, decoded: Any) -> None:
    data = made.listener_config(1, [(288, 0), (304, 2)], 8)
    data += made.flashcam(0, 288, 0, 0, WAVE) + made.flashcam(0, 288, 1, 2, WAVE)
    result = decoded(head(made) + data)
    assert result.column(WAVES, "board_id", 1028800).tolist() == [288, 304]
    assert sum("differ from the map of listener 1" in problem for problem in result.problems) == 1


def test_unknown_cards_are_skipped_and_told(made: Any, decoded: Any) -> None:
    data = made.flashcam(9, 288, 0, 0, WAVE) + made.flashcam(0, 289, 0, 0, WAVE)
    result = decoded(head(made) + data + made.flashcam(0, 288, 0, 1, WAVE))
    decoder = next(one for one in result.stream.decoders if type(one).__name__ == WAVES)
    assert sum(decoder.skipped.values()) == 2  # one input is not enabled
    assert result.column(WAVES, "packet_id", 1028800).tolist() == [2]
    assert any("no card in crate 0, slot 9" in problem for problem in result.problems)
    assert any("packets of card 288 have another board number" in problem for problem in result.problems)


def test_traces_that_lie_about_their_size_are_garbage(made: Any, decoded: Any) -> None:
    good = made.flashcam(0, 288, 0, 0, WAVE)
    lying = bytearray(good)
    lying[5] |= 0xF0
    data = good + bytes(lying) + made.packet(made.FLASHCAM, [1]) + made.packet(made.FLASHCAM, [0] * 30) + good
    result = decoded(head(made) + data)
    assert result.column(WAVES, "packet_id", 1028800).tolist() == [1, 5]
    assert result.garbage(WAVES) == 3


@pytest.mark.parametrize(
    ("settings", "text"),
    [({"listeners": [0, 1]}, "no usable number"), ({"samples": 70_000}, "impossible eventSamples")],
)
def test_headers_that_make_no_sense(made: Any, decoded: Any, settings: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        decoded(head(made, **settings))


def test_listener_config(made: Any, decoded: Any) -> None:
    uids = [0x1234_5678_9ABC_DEF0, 5, 1 << 63]
    data = made.listener_config(1, [(288, 0), (1040, 5)], 8, gps=3, revisions=[1, 200, 3], uids=uids)
    result = decoded(head(made) + data + made.listener_config(4, [], 8) + made.packet(made.CONFIG, [0] * 3))
    assert result.column(CONFIG, "fcid").tolist() == [1, 4]
    assert result.column(CONFIG, "packet_len").tolist() == [13 + 2 + 1 + 6, 13]
    assert result.column(CONFIG, "gps").tolist() == [3, 0]
    assert result.column(CONFIG, "ch_board_id") == [[288, 1040], []]
    assert result.column(CONFIG, "ch_inputnum") == [[0, 5], []]
    assert result.column(CONFIG, "board_rev") == [[1, 200, 3], []]
    assert result.column(CONFIG, "board_uid") == [uids, []]
    assert result.garbage(CONFIG) == 1


def test_listener_config_with_more_channels_than_words(made: Any, decoded: Any) -> None:
    data = bytearray(made.listener_config(1, [(288, 0)], 8))
    data[12:16] = b"\xff\xff\xff\x7f"
    result = decoded(head(made) + bytes(data) + made.run_record(2))
    assert result.garbage(CONFIG) == 1
    assert result.column("ORRunDecoderForRun", "run_number").tolist() == [2]


def test_listener_status(made: Any, decoded: Any) -> None:
    cards = [
        made.card_state(1, daughters=2, ctis=1, links=3),
        made.card_state(2, daughters=9, ctis=0, links=1),
    ]
    result = decoded(head(made) + made.listener_status(4, cards) + made.listener_status(1, []))
    assert result.column(STATUS, "fcid").tolist() == [4, 1]
    assert result.column(STATUS, "statustime").tolist() == [7.25, 7.25]
    assert result.column(STATUS, "cputime").tolist() == [1_700_000_000.5] * 2
    assert result.column(STATUS, "n_cards").tolist() == [2, 0]
    assert result.column(STATUS, "card_eventnumber") == [[1002, 2002], []]
    assert result.column(STATUS, "card_n_link_errors") == [[1013, 2013], []]
    assert result.column(STATUS, "card_temps") == [[*range(1019, 1024), *range(2019, 2024)], []]
    assert result.column(STATUS, "card_voltages") == [[*range(1024, 1030), *range(2024, 2030)], []]
    assert result.column(STATUS, "card_humidity") == [[1031, 2031], []]
    assert result.column(STATUS, "card_adc_temps") == [[1032, 1033, 2032, 2033, 2034], []]
    assert result.column(STATUS, "card_cti_links") == [[1035], []]
    assert result.column(STATUS, "card_link_states") == [[1039, 1040, 1041, 2039], []]


def test_listener_status_with_too_many_cards(made: Any, decoded: Any) -> None:
    data = bytearray(made.listener_status(1, [made.card_state(1)]))
    data[4 * 13] = 200
    result = decoded(head(made) + bytes(data))
    assert result.garbage(STATUS) == 1
