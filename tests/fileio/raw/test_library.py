"""Libraries of buffers: shorthand, wildcards, both schemes of keys, the page that users know."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest

from sapwood.fileio.raw import (
    DataDecoder,
    DataStreamer,
    RawBuffer,
    RawBufferLibrary,
    RawBufferList,
    expand_rblist_dict,
    expand_rblist_json_dict,
)

# The example of the page that users of pygama.raw know.
PAGE = {
    "FCEventDecoder": {
        "g{key:0>3d}": {"key_list": [[24, 64]], "out_stream": "$DATADIR/{file_key}_geds.lh5:/geds"},
        "spms": {"key_list": [[6, 23]], "out_stream": "$DATADIR/{file_key}_spms.lh5:/spms"},
        "puls": {"key_list": [0], "out_stream": "$DATADIR/{file_key}_auxs.lh5:/auxs"},
        "muvt": {"key_list": [1, 5], "out_stream": "$DATADIR/{file_key}_auxs.lh5:/auxs"},
    },
    "*": {"{name}": {"key_list": ["*"], "out_stream": "$DATADIR/{file_key}_{name}.lh5"}},
}


class FCEventDecoder(DataDecoder):
    """Seventy traces whose keys are not their indices."""

    decoded_values: ClassVar = {"energy": {"dtype": "uint16"}}

    def get_key_lists(self) -> list[list[Any]]:
        return [[1_000_000 + index for index in range(70)]]

    def get_key_aliases(self) -> Mapping[Any, Any]:
        return {index: 1_000_000 + index for index in range(70)}


class FCStatusDecoder(DataDecoder):
    decoded_values: ClassVar = {"state": {"dtype": "bool"}}


class GroupsDecoder(DataDecoder):
    decoded_values: ClassVar = {"energy": {"dtype": "uint16"}}

    def get_key_lists(self) -> list[list[Any]]:
        return [[7], [1, 2], [270, 271, 280]]

    def get_max_rows_in_packet(self) -> int:
        return 4


def places(library: RawBufferLibrary, name: str) -> list[tuple[list[Any], str, str]]:
    return [(one.key_list, one.out_stream, one.out_name) for one in library[name]]


def test_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATADIR", "/data")
    before = json.dumps(PAGE)
    library = RawBufferLibrary()
    library.set_from_json_dict(PAGE, {"file_key": "r1"})
    assert json.dumps(PAGE) == before
    library.match([FCEventDecoder(), FCStatusDecoder()])
    named = {one.out_name: one for one in library["FCEventDecoder"]}
    assert len(named) == 3 + 41
    assert named["g024"].key_list == [1_000_024]
    assert named["g064"].out_stream == "/data/r1_geds.lh5:/geds"
    assert named["spms"].key_list == [1_000_000 + index for index in range(6, 24)]
    assert named["puls"].out_stream == named["muvt"].out_stream == "/data/r1_auxs.lh5:/auxs"
    assert places(library, "FCStatusDecoder") == [([None], "/data/r1_FCStatus.lh5", "FCStatus")]
    assert "*" not in library
    assert RawBufferLibrary(json_dict=PAGE, kw_dict={"file_key": "r1"}).get_list_of("out_stream")[0] == (
        "/data/r1_spms.lh5:/spms"
    )


def test_true_keys_win_over_indices() -> None:
    library = RawBufferLibrary({"FCEventDecoder": {"a": {"key_list": [3, 1_000_005]}}})
    library.match([FCEventDecoder()])
    assert library["FCEventDecoder"][0].key_list == [3, 1_000_005]


def test_expansion() -> None:
    config = {
        "one": {"key_list": [4], "out_stream": "{key}_{name}.lh5"},
        "ch{key:03d}": {"key_list": [[1, 2], "7"], "out_stream": "f{key}.lh5", "proc_spec": {"drop": []}},
        "many": {"key_list": [8, 9], "out_stream": "x.lh5", "out_name": "{tag}/t"},
    }
    found = expand_rblist_dict(config, {"tag": "T"})
    assert list(found) == ["one", "many", "ch001", "ch002", "ch007"]
    assert found["one"]["out_stream"] == "4_one.lh5"
    assert found["ch007"] == {
        "key_list": ["7"], "out_stream": "f7.lh5", "out_name": "ch007", "proc_spec": {"drop": []}
    }  # fmt: skip
    assert found["many"]["out_name"] == "T/t"
    assert config["ch{key:03d}"]["key_list"] == [[1, 2], "7"]
    assert expand_rblist_json_dict(config, {"tag": "T"}) == found


def test_every_entry_has_words_of_its_own() -> None:
    config = {
        "a": {"key_list": [4], "out_stream": "{key}.lh5"},
        "b": {"key_list": [5, 6], "out_stream": "{key}.lh5"},
    }
    library = RawBufferLibrary({"GroupsDecoder": config})
    library["GroupsDecoder"].append(RawBuffer(None, [], "", ""))
    library.match([GroupsDecoder()])
    assert [one.out_stream for one in library["GroupsDecoder"]][:3] == ["4.lh5", "5.lh5", "6.lh5"]
    assert expand_rblist_dict(config, {"key": "mine"})["b"]["out_stream"] == "mine.lh5"


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "/here")
    monkeypatch.delenv("NOWHERE", raising=False)
    config = {"a": {"key_list": [1], "out_stream": "$PLACE/${PLACE}/$NOWHERE/{w}.lh5"}}
    assert expand_rblist_dict(config, {"w": "$PLACE"})["a"]["out_stream"] == "/here//here/$NOWHERE//here.lh5"


@pytest.mark.parametrize(
    ("config", "kind", "text"),
    [
        ({"a": {}}, ValueError, "'a' is missing key_list"),
        ({"": {"key_list": [1]}}, ValueError, "buffer name can't be empty"),
        (
            {"a": {"key_list": [1], "out_stream": "{x}"}},
            KeyError,
            "variable 'x' dereferenced in 'out_stream'",
        ),
        ({"a": {"key_list": [[3, 1]]}}, ValueError, "no range"),
        ({"a": {"key_list": [[1, 2, 3]]}}, ValueError, "no range"),
        ({"a": {"key_list": [[0, 1 << 40]]}}, ValueError, "too long"),
        ({"ch{key:d}": {"key_list": ["x"]}}, ValueError, "does not fit"),
        ({"a{": {"key_list": [1]}}, ValueError, "braces"),
        ({"{other}{key}": {"key_list": [1]}}, KeyError, "other"),
    ],
)
def test_descriptions_that_are_wrong(config: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        expand_rblist_dict(config, {})


def test_wildcards_share_out_the_keys(caplog: pytest.LogCaptureFixture) -> None:
    library = RawBufferLibrary(
        {
            "GroupsDecoder": {
                "rest": {"key_list": ["*"]},
                "ch{key}": {"key_list": ["27*"], "out_stream": "{key}.lh5:g"},
                "text": {"key_list": ["7"]},
                "none": {"key_list": ["99*"]},
            },
            "NobodyDecoder": {"a": {"key_list": [1]}},
        }
    )
    with caplog.at_level(logging.WARNING):
        library.match([GroupsDecoder()])
    assert places(library, "GroupsDecoder") == [
        ([1, 2, 280], "", "rest"),
        ([270], "270.lh5:g", "ch270"),
        ([271], "271.lh5:g", "ch271"),
        ([7], "", "text"),
        ([], "", "none"),
    ]
    assert "NobodyDecoder" in caplog.text
    assert "99*" in caplog.text
    twice = RawBufferLibrary({"GroupsDecoder": {"a": {"key_list": ["*"]}, "b": {"key_list": ["*"]}}})
    with pytest.raises(KeyError, match="Only one"):
        twice.match([GroupsDecoder()])


def test_any_decoder() -> None:
    library = RawBufferLibrary({"*": {"extra/{name}": {"key_list": ["*"], "out_stream": "o.lh5"}}})
    library.match([GroupsDecoder(), FCStatusDecoder()])
    assert [one[2] for one in places(library, "GroupsDecoder")] == [
        "extra/Groups_7",
        "extra/Groups_1",
        "extra/Groups_2",
    ]
    assert places(library, "FCStatusDecoder") == [([None], "o.lh5", "extra/FCStatus")]


def test_lists_and_buffers(caplog: pytest.LogCaptureFixture) -> None:
    decoder, buffers = GroupsDecoder(), RawBufferList()
    buffers.set_from_json_dict({"a": {"key_list": [1, 2]}, "b": {"key_list": [2], "out_stream": "x.lh5"}})
    with caplog.at_level(logging.WARNING):
        keyed = buffers.get_keyed_dict()
    assert "several buffers" in caplog.text
    assert keyed is buffers.get_keyed_dict()
    assert keyed[2] is buffers[1]
    assert buffers.get_list_of("out_stream") == ["", "x.lh5"]
    library = RawBufferLibrary()
    library["GroupsDecoder"] = buffers
    with pytest.raises(ValueError, match="at least length 4"):
        library.prepare([decoder], 3)
    library.prepare([decoder], 6)
    buffer = buffers[0]
    assert (len(buffer), buffer.loc, buffer.fill_safety, buffer.is_full()) == (6, 0, 4, False)
    decoder.deliver(np.array([1, 1, 9, 2, 1]), {"energy": np.arange(5, dtype=np.uint16)}, keyed)
    assert buffer.lgdo["energy"].nda.tolist() == [0, 1, 4]
    assert decoder.skipped == {9: 1}
    assert buffer.is_full()
    assert decoder.buffer_is_full(buffer)
    assert decoder.get_key_list() == [7, 1, 2, 270, 271, 280]
    assert buffer.nbytes == 6
    library.clear_full()
    assert buffer.loc == 0
    assert len(RawBuffer()) == 0


class CountingStreamer(DataStreamer):
    """A streamer as users of pygama write them: a packet is a number."""

    def __init__(self, packets: int) -> None:
        super().__init__()
        self.decoder, self.left = CountingDecoder(), packets

    def get_decoder_list(self) -> list[DataDecoder]:
        return [self.decoder]

    def open_stream(self, *arguments: Any, **keywords: Any) -> list[RawBuffer]:
        super().open_stream(*arguments, **keywords)
        return []

    def read_packet(self) -> bool:
        if not self.left:
            return False
        self.left -= 1
        buffers = self.rb_lib["CountingDecoder"]
        self.any_full |= self.decoder.decode_packet(np.array([self.left], np.uint8), buffers, self.left)
        return True

    def close_stream(self) -> None:
        self.left = 0


class CountingDecoder(DataDecoder):
    decoded_values: ClassVar = {"number": {"dtype": "uint8"}}

    def decode_packet(self, packet: Any, evt_rbkd: Any, packet_id: int) -> bool:
        buffer = evt_rbkd.get_keyed_dict()[None]
        buffer.put({"number": packet})
        return buffer.is_full()


@pytest.mark.parametrize(("mode", "sizes"), [("any_full", [4, 4, 2]), ("single_packet", [1] * 10)])
def test_streamers_of_the_old_kind(mode: str, sizes: list[int]) -> None:
    streamer = CountingStreamer(10)
    streamer.open_stream("somewhere", buffer_size=4, chunk_mode=mode)
    seen: list[list[int]] = [chunk[0].lgdo["number"].nda[: chunk[0].loc].tolist() for chunk in streamer]
    assert [len(one) for one in seen] == sizes
    assert [number for one in seen for number in one] == list(range(9, -1, -1))
    with pytest.raises(ValueError, match="unknown chunk_mode"):
        streamer.read_chunk("sometimes")
