"""Look-ups in the header, and the records of runs."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from sapwood.errors import FormatError
from sapwood.fileio.raw.orca import OrcaHeader


@pytest.fixture
def header(made: Any) -> OrcaHeader:
    cards = [made.flashcam_card(0, 288), made.flashcam_card(3, 1040), made.sis3316_card(2, 5, 16)]
    return OrcaHeader(made.tree([made.RUN, made.FLASHCAM, made.SHORT], cards=cards, listeners=[1, 4]))


def test_ids(made: Any, header: OrcaHeader) -> None:
    assert header.get_id_to_decoder_name_dict(False) == {
        0: "OrcaHeaderDecoder",
        made.RUN: "ORRunDecoderForRun",
        made.FLASHCAM: "ORFlashCamADCWaveformDecoder",
        made.SHORT: "ORBlinkDecoder",
    }
    assert list(header.get_id_to_decoder_name_dict()) == [0, 2, 3, 0xA4000000 >> 26]
    assert header.get_decoder_list()[0] == "OrcaHeaderDecoder"
    assert len(header.get_decoder_list()) == 4


def test_negative_ids_are_those_of_short_records(made: Any) -> None:
    content = made.tree([made.RUN])
    content["dataDescription"]["Model0"]["Record"]["dataId"] = made.SHORT - (1 << 32)
    assert OrcaHeader(content).data_ids() == {made.SHORT: "ORRunDecoderForRun"}


@pytest.mark.parametrize("entry", [{"dataId": "x", "decoder": "D"}, {"dataId": 4}, {"decoder": "D"}])
def test_incomplete_descriptions(entry: Any) -> None:
    with pytest.raises(FormatError, match="incomplete"):
        OrcaHeader({"dataDescription": {"A": {"B": entry}}}).data_ids()


def test_two_decoders_of_one_id() -> None:
    entries = {name: {"dataId": 0x80000, "decoder": name} for name in "AB"}
    with pytest.raises(FormatError, match="share data id 0x80000"):
        OrcaHeader({"dataDescription": {"A": entries}}).data_ids()


def test_hardware(header: OrcaHeader) -> None:
    cards = header.get_object_info("ORFlashCamADCModel")
    assert {slot: card["CardAddress"] for slot, card in cards[0].items()} == {0: 288, 3: 1040}
    both = header.get_object_info(["ORFlashCamADCModel", "ORSIS3316Model"])
    assert sorted(both[0]) == [0, 2, 3]
    assert header.get_object_info("Nothing") == {}
    assert [entry["uniqueID"] for entry in header.get_auxhw_info("ORFlashCamListenerModel")] == [1, 4]
    assert header.get_auxhw_info("ORFlashCamListenerModel", 4)[0]["eventSamples"] == 8
    assert header.get_readout_info("ORFlashCamListenerModel", 1)[0]["children"][0]["station"] == 0
    assert header.get_readout_info("Nothing") == []


def test_run_number(header: OrcaHeader) -> None:
    assert header.get_run_number() == 17
    with pytest.raises(ValueError, match="no run number"):
        OrcaHeader().get_run_number()


def test_the_header_is_a_text_in_json(made: Any, decoded: Any) -> None:
    content = made.tree([made.RUN])
    content["made"] = datetime(2024, 1, 2, 3, 4, 5)  # as property lists have it
    content["seal"] = b"\x00\xff"
    result = decoded(made.header(content))
    buffer = result.buffer("OrcaHeaderDecoder")
    assert buffer.loc == 1
    text = json.loads(buffer.lgdo.value)
    assert text["made"] == "2024-01-02T03:04:05"
    assert text["seal"] == "AP8="
    again = OrcaHeader()
    again.set_from_lgdo(buffer.lgdo)
    assert again["ObjectInfo"] == content["ObjectInfo"]


def test_runs(made: Any, decoded: Any) -> None:
    data = made.header(made.tree([made.RUN]))
    data += b"".join(made.run_record(-bit, flags=1 << bit, subrun=bit) for bit in range(6))
    result = decoded(data + made.packet(made.RUN, [1]))
    names = "runstartorstop quickstartrun remotecontrolrun heartbeatrecord endsubrunrecord startsubrunrecord"
    for bit, name in enumerate(names.split()):
        assert result.column("ORRunDecoderForRun", name).tolist() == [bit == row for row in range(6)]
    assert result.column("ORRunDecoderForRun", "subrun_number").tolist() == list(range(6))
    assert result.column("ORRunDecoderForRun", "run_number").tolist() == [0, -1, -2, -3, -4, -5]
    assert result.garbage("ORRunDecoderForRun") == 1
    assert result.problems == ["made.orca: ORRunDecoderForRun: packet 7 is too short"]
