"""The stream of a tree's values."""

from __future__ import annotations

import pytest
import yaml

from sapwood.devices import StreamVariable, Variable
from sapwood.streams import disconnect
from sapwood.tree import Device, LocalVariable, Root


class Top(Root):
    def __init__(self, **groups) -> None:
        super().__init__(name="Top", pollEn=False)
        self.add(Device(name="Dev"))
        self.Dev.add(LocalVariable(name="A", value=1))
        self.Dev.add(LocalVariable(name="B", value=2, groups="Fast"))
        self.Dev.add(LocalVariable(name="Text", value=""))
        self.add(LocalVariable(name="Loud", value=1, groups=["NoStream"]))
        self.stream = Variable(self, **groups)


def texts(sink) -> list[object]:
    return [yaml.safe_load(payload) for payload in sink.payloads()]


def test_full_dump_on_request(sink):
    assert StreamVariable is Variable
    with Top() as top:
        top.stream >> sink
        top.stream.streamYaml()
    (dump,) = texts(sink)
    assert dump["Top"]["Dev"] == {"enable": True, "A": 1, "B": 2, "Text": ""}
    assert "Loud" not in dump["Top"]
    frame = sink.batches[0][0]
    assert (frame.channel, frame.flags, frame.error) == (0, 0, 0)


def test_one_frame_for_a_batch_of_updates(sink):
    with Top() as top:
        top.stream >> sink
        with top.updateGroup():
            top.Dev.B.set(5)
            top.Dev.A.set(4)
            top.Loud.set(3)
            top.Dev.A.set(6)
        top.waitOnUpdate()
        top.Loud.set(9)
        top.waitOnUpdate()
    assert texts(sink) == [{"Top.Dev.A": 6, "Top.Dev.B": 5}]
    assert sink.payloads() == [b"Top.Dev.A: 6\nTop.Dev.B: 5\n"]


def test_only_the_groups_asked_for(sink):
    with Top(incGroups="Fast", excGroups=None) as top:
        top.stream >> sink
        top.Dev.A.set(4)
        top.Dev.B.set(5)
        top.waitOnUpdate()
    assert texts(sink) == [{"Top.Dev.B": 5}]


@pytest.mark.parametrize("text", ["", "yes", "1.5", "a: b", "'q'", "# no", "two\nlines", "null", "0x10", "é"])
def test_texts_survive(sink, text):
    with Top() as top:
        top.stream >> sink
        top.Dev.Text.set(text)
        top.waitOnUpdate()
        top.stream.streamYaml()
    update, dump = texts(sink)
    assert update == {"Top.Dev.Text": text}
    assert dump["Top"]["Dev"]["Text"] == text


def test_nothing_is_made_while_nobody_listens(sink, monkeypatch):
    made = []
    with Top() as top:
        monkeypatch.setattr(top, "getYaml", lambda **kwargs: made.append("dump") or "")
        monkeypatch.setattr("sapwood.devices.variable.dataToYaml", lambda data: made.append(data) or "")
        top.stream.streamYaml()
        top.Dev.A.set(3)
        top.waitOnUpdate()
        top.stream >> sink
        disconnect(top.stream, sink)
        top.stream.streamYaml()
        assert made == []
        top.stream >> sink
        top.stream.streamYaml()
    assert made == ["dump"]
