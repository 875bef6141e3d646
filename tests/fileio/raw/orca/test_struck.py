"""Struck digitisers read out by ORCA."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

ENERGY, WAVES = "ORSIS3302DecoderForEnergy", "ORSIS3316WaveformDecoder"
WAVE = np.arange(100, 116)


def head(made: Any, **settings: Any) -> bytes:
    cards = [made.sis3302_card(6, 0b1001, 0b100000, [16, 16, 16, 8]), made.sis3316_card(2, 0b110, 16)]
    return bytes(made.header(made.tree([made.RUN, made.SIS3302, made.SIS3316], cards=cards, **settings)))


def test_keys_are_the_channels_of_the_masks(made: Any, decoded: Any) -> None:
    result = decoded(head(made))
    assert sorted(result.buffers[ENERGY]) == [96, 99, 101]
    assert sorted(result.buffers[WAVES]) == [33, 34]


def test_sis3302(made: Any, decoded: Any) -> None:
    times = [5, (1 << 47) + 9, 0xFFFF_FFFF_FFFF]
    data = b"".join(made.sis3302(6, 3, time, WAVE + row) for row, time in enumerate(times))
    result = decoded(
        head(made) + data + made.sis3302(6, 1, 1, WAVE) + made.sis3302(6, 0, 8, WAVE, energies=[1, 2])
    )
    assert result.column(ENERGY, "timestamp", 99).tolist() == times
    assert result.column(ENERGY, "packet_id", 99).tolist() == [1, 2, 3]
    assert result.column(ENERGY, "energy", 99).tolist() == [503] * 3
    assert result.column(ENERGY, "energy_first", 99).tolist() == [403] * 3
    assert result.column(ENERGY, "channel", 99).tolist() == [3] * 3
    assert result.column(ENERGY, "card", 99).tolist() == [6] * 3
    np.testing.assert_array_equal(result.column(ENERGY, "waveform/values", 99), WAVE + np.arange(3)[:, None])
    assert result.column(ENERGY, "waveform/dt", 99).tolist() == [10] * 3
    assert result.column(ENERGY, "packet_id", 96).tolist() == [5]
    skipped = next(one.skipped for one in result.stream.decoders if type(one).__name__ == ENERGY)
    assert skipped == {97: 1}
    assert result.problems == []


@pytest.mark.parametrize("last", [0, 4, 15])
def test_sis3302_wrapped_buffers_begin_behind_the_last_sample(made: Any, decoded: Any, last: int) -> None:
    data = made.sis3302(6, 0, 1, np.roll(WAVE, last + 1), wrap=last) + made.sis3302(6, 0, 2, WAVE)
    data += made.sis3302(6, 0, 3, np.roll(WAVE, last + 1), wrap=last)
    values = decoded(head(made) + data).column(ENERGY, "waveform/values", 96)
    assert values.tolist() == [WAVE.tolist()] * 3


def test_sis3302_garbage(made: Any, decoded: Any) -> None:
    good = made.sis3302(6, 0, 1, WAVE)
    wrong_size = bytearray(made.sis3302(6, 0, 2, WAVE))
    wrong_size[8] = 99
    data = good + wrong_size + made.sis3302(6, 0, 3, WAVE, trailer=7) + made.packet(made.SIS3302, [1]) + good
    result = decoded(head(made) + data)
    assert result.column(ENERGY, "packet_id", 96).tolist() == [1, 5]
    assert result.garbage(ENERGY) == 3
    assert result.problems == [f"made.orca: {ENERGY}: packet 4 is too short"]


def test_other_lengths_than_stated(made: Any, decoded: Any) -> None:
    data = (
        made.sis3302(6, 0, 1, WAVE[:4]) + made.sis3302(6, 0, 1, np.arange(20)) + made.sis3302(6, 0, 1, WAVE)
    )
    result = decoded(head(made) + data)
    values = result.column(ENERGY, "waveform/values", 96)
    assert values.tolist() == [[*WAVE[:4], *[0] * 12], list(range(16)), WAVE.tolist()]
    assert len(result.problems) == 1
    assert "the header says 16" in result.problems[0]


def test_sis3316(made: Any, decoded: Any) -> None:
    times = [[((7 * packet + row) << 32) + 100 * packet for row in range(3)] for packet in range(4)]
    data = b"".join(
        made.sis3316(2, 1 + packet % 2, [made.sis3316_event(1, time, WAVE) for time in times[packet]])
        for packet in range(4)
    )
    result = decoded(head(made) + data)
    assert result.column(WAVES, "timestamp", 33).tolist() == times[0] + times[2]
    assert result.column(WAVES, "packet_id", 34).tolist() == [2, 2, 2, 4, 4, 4]
    expected = {"peakHighValue": 777, "peakHighIndex": 9, "information": 0xA5, "mawMax": 71, "mawBefore": 72}
    expected |= {"mawAfter": 73, "startEnergy": 81, "maxEnergy": 82, "energy": 82, "energy_first": 81}
    expected |= {f"accSum{index}": index for index in range(1, 9)}
    for name, value in expected.items():
        assert result.column(WAVES, name, 33).tolist() == [value] * 6, name
    assert result.column(WAVES, "waveform/values", 33).tolist() == [WAVE.tolist()] * 6
    assert result.column(WAVES, "waveform/dt", 33).tolist() == [8] * 6


@pytest.mark.parametrize("bits", range(16))
def test_sis3316_fields_that_are_missing_are_zero(made: Any, decoded: Any, bits: int) -> None:
    whole = made.sis3316(2, 1, [made.sis3316_event(1, 1, WAVE)])
    part = made.sis3316(2, 1, [made.sis3316_event(1, 2, WAVE, bits)] * 2)
    result = decoded(head(made) + whole + part + whole)
    for bit, (name, value) in enumerate(
        [("accSum6", 6), ("accSum8", 8), ("mawAfter", 73), ("maxEnergy", 82)]
    ):
        there = value if bits >> bit & 1 else 0
        assert result.column(WAVES, name, 33).tolist() == [value, there, there, value]
    assert result.column(WAVES, "timestamp", 33).tolist() == [1, 2, 2, 1]
    assert result.column(WAVES, "waveform/values", 33).tolist() == [WAVE.tolist()] * 4


def test_sis3316_garbage(made: Any, decoded: Any) -> None:
    event = made.sis3316_event(1, 1, WAVE)
    good = made.sis3316(2, 1, [event])
    lying = made.sis3316(2, 1, [event, [*event[:16], 0xE0000001, *event[17:]]])
    too_many = bytearray(good)
    too_many[8] = 200
    result = decoded(head(made) + good + lying + bytes(too_many) + made.packet(made.SIS3316, [1, 2]) + good)
    assert result.column(WAVES, "packet_id", 33).tolist() == [1, 2, 5]
    assert result.garbage(WAVES) == 3


def test_sis3316_knows_its_crate(made: Any, decoded: Any) -> None:
    data = made.sis3316(2, 1, [made.sis3316_event(1, 1, WAVE)], crate=3)
    result = decoded(head(made) + data)
    skipped = next(one.skipped for one in result.stream.decoders if type(one).__name__ == WAVES)
    assert skipped == {(3 << 9) + 33: 1}


@pytest.mark.parametrize(
    "settings", [{"enabledMask": "x"}, {"rawDataBufferLen": -1}, {"rawDataBufferLen": []}]
)
def test_cards_with_senseless_settings_have_no_channels(made: Any, decoded: Any, settings: Any) -> None:
    card = made.sis3316_card(2, 5, 16) | settings
    result = decoded(made.header(made.tree([made.SIS3316], cards=[card])))
    assert result.buffers[WAVES] == {}
