"""Register tables in YAML give the nodes that ``self.add`` gives, or name what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import sapwood as sw

TABLE = """\
# The registers of a board
Scratch: {offset: 0x4, bits: 16, description: Free for tests}
Status:
  offset: 0x8
  bits: 2
  mode: RO
  enum: {0: Idle, 1: Busy}
  pollInterval: 1
Level: {offset: 0xC, bits: 16, base: "Fixed(16, 8)", units: V, minimum: 0, maximum: 10}
Split: {offset: [0x10, 0x14], bits: [4, 4], bitOffset: [0, 8]}
Wave: {offset: 0x40, numValues: 4, valueBits: 16, valueStride: 16}
Temp: {offset: 0x50, base: Float, groups: [Slow, NoConfig], disp: "{:.2f}", highAlarm: 60.5}
Mask: {offset: 0x100, number: 3, stride: 8, bits: 12}
Reset: {kind: command, offset: 0x20, function: touchOne}
Gain: {kind: local, value: 1.0, units: dB, hidden: true}
"""


class Added(sw.Device):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add(sw.RemoteVariable(name="Scratch", offset=0x4, bitSize=16, description="Free for tests"))
        texts = {0: "Idle", 1: "Busy"}
        self.add(
            sw.RemoteVariable(name="Status", offset=0x8, bitSize=2, mode="RO", enum=texts, pollInterval=1)
        )
        fixed = sw.Fixed(16, 8)
        self.add(
            sw.RemoteVariable(
                name="Level", offset=0xC, bitSize=16, base=fixed, units="V", minimum=0, maximum=10
            )
        )
        self.add(sw.RemoteVariable(name="Split", offset=[0x10, 0x14], bitSize=[4, 4], bitOffset=[0, 8]))
        self.add(sw.RemoteVariable(name="Wave", offset=0x40, numValues=4, valueBits=16, valueStride=16))
        self.add(
            sw.RemoteVariable(
                name="Temp",
                offset=0x50,
                base=sw.Float,
                groups=["Slow", "NoConfig"],
                disp="{:.2f}",
                highAlarm=60.5,
            )
        )
        self.addRemoteVariables(3, 8, name="Mask", offset=0x100, bitSize=12)
        self.add(sw.RemoteCommand(name="Reset", offset=0x20, function=sw.RemoteCommand.touchOne))
        self.add(sw.LocalVariable(name="Gain", value=1.0, units="dB", hidden=True))


def facts(device: sw.Device) -> list[Any]:
    return [
        (
            node.describe() | {"class": None, "bases": None} if node is device else node.describe(),
            getattr(node, "address", None) if isinstance(node, sw.RemoteVariable) else None,
        )
        for node in [device, *device.nodeList]
    ]


def exercise(device: Any) -> list[str]:
    device.Scratch.set(0x1234)
    device.Split.set(0xA5)
    device.Mask[1].set(7)
    device.Level.set(1.5)
    device.Temp.set(36.6)
    device.Reset()
    device.readAndWaitBlocks(recurse=True)
    device.writeAndVerifyBlocks(force=True)
    return [variable.getDisp() for variable in device.variables.values()]


@pytest.mark.parametrize("by_file", [True, False])
def test_the_same_nodes_as_by_add(start: Any, bus: Any, tmp_path: Path, by_file: bool) -> None:
    source: Any = TABLE
    if by_file:
        source = tmp_path / "board.yaml"
        source.write_text(TABLE)
    other_bus = type(bus)()
    one = sw.Device.fromTable(source, name="D", memBase=bus)
    other = Added(name="D", memBase=other_bus)
    start(one)
    start(other)
    assert facts(one) == facts(other)
    assert exercise(one) == exercise(other)
    log = bus.take()
    assert log == other_bus.take()
    assert "W 0x20 4" in log
    assert bus.ram == other_bus.ram


def test_a_table_serves_many_devices() -> None:
    table = sw.load_registers(TABLE)
    assert list(table)[:2] == ["Scratch", "Status"]
    assert len(table) == 9
    assert table["Scratch"].keywords["offset"] == 4

    class Board(sw.Device):
        Own = sw.Register(0x200)

        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.addTable(table)

    one, other = Board(name="A"), Board(name="B")
    assert one.Scratch is not other.Scratch
    assert list(one.nodes)[3:5] == ["Own", "Scratch"]


def test_anchors_and_merges() -> None:
    text = "A: &word {offset: 0, bits: 8, units: V}\nB: {<<: *word, offset: 4}\n"
    device = sw.Device.fromTable(text)
    assert device.B.offset == 4
    assert device.B.bitSize == [8]
    assert device.B.units == "V"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("A: {offset: 0}\nB: {offset: 0, bitz: 4}", "text:2: B.bitz is no known key, did you mean bits?"),
        ("A:\n  offset: 0\n  bits: x", "text:3: A.bits must be an integer or a list of integers, not 'x'"),
        ("A: {offset: 0, bits: true}", "text:1: A.bits must be an integer"),
        ("A:\n  bits: 3", "text:1: A lacks the key offset"),
        ("A: {offset: 0, mode: RX}", "text:1: A.mode must be RW or RO or WO, not 'RX'"),
        ("A: {offset: 0, hidden: 1}", "text:1: A.hidden must be true or false, not 1"),
        ("A: {offset: 0, units: [V]}", "text:1: A.units must be a text, not a list"),
        ("A: {offset: 0, enum: {0: off, 1: on}}", "need quotes"),
        ("A: {offset: 0, base: Uint}", "text:1: A.base must name a model, not 'Uint', did you mean UInt?"),
        ("A: {offset: 0, base: 'Fixed(16)'}", "text:1: A.base "),
        ("A: {offset: 0, base: \"Float('x')\"}", "text:1: A.base must name a model"),
        ("A: {offset: 0, number: 4}", "text:1: A lacks the key stride"),
        ("A: {offset: 0, kind: link}", "text:1: A.kind must be register, command, local, not 'link'"),
        ("A: {kind: command, offset: 0, function: eval}", "text:1: A.function must be one of nothing"),
        ("A: {kind: local, value: 1, localGet: x}", "text:1: A.localGet is no known key"),
        ("A: {kind: local}", "text:1: A lacks the key value"),
        ("A: 3", "text:1: A must be a mapping like {offset: 0x4}, not 3"),
        ("'A b': {offset: 0}", "text:1: A b is no name of a node"),
        ("? [A]\n: {offset: 0}", "text:1: ['A'] is no name of a node"),
        ("A: {offset: 0, [1]: 2}", "text:1: A.[1] is no known key"),
        ("A: {offset: 0, kind: [register]}", "text:1: A.kind must be register, command, local, not a list"),
        ("A: {offset: [0, 4], number: 2, stride: 4}", "text:1: A cannot be built"),
        ("7: {offset: 0}", "text:1: 7 is no name of a node"),
        ("A: {offset: 0}\nA: {offset: 4}", "text:2: A is there twice"),
        ("A: {offset: 0, bits: 99999999999999999999}", "text:1: A cannot be built: too many digits"),
        ("A: {offset: 0, bits: 0}", "text:1: A cannot be built: BitSize of 0 is invalid"),
        (
            "A: {offset: 0, bits: 8, bitSize: 8}",
            "text:1: A cannot be built: A register takes bits or bitSize",
        ),
    ],
)
def test_faults_name_line_and_key(text: str, fault: str) -> None:
    with pytest.raises(sw.ConfigError) as caught:
        sw.load_registers(text + "\n")
    assert fault in str(caught.value)
    assert len(caught.value.problems) == 1


def test_all_faults_at_once_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "board.yaml"
    path.write_text("A: {offset: x}\nB: {offset: 0, widht: 3}\n")
    with pytest.raises(sw.ConfigError) as caught:
        sw.load_registers(str(path))
    assert [str(problem).split()[0] for problem in caught.value.problems] == [f"{path}:1:", f"{path}:2:"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A: {offset: [}\n", "not valid YAML"),
        ("A: !!python/object/apply:os.getcwd []\n", "not valid YAML"),
        ("A: {offset: 0, value: &v [*v]}\n", "alias of itself"),
        ("A: {offset: !!int x}\n", "not valid YAML"),
        ("A: {offset: 0, hidden: !!bool x}\n", "not valid YAML"),
        ("A: {offset: 0, units: !!timestamp x}\n", "not valid YAML"),
        ("A: !include other.yaml\n", "is refused"),
        ("- 1\n", "is no register table"),
        ("\n", "is no register table"),
    ],
)
def test_what_is_no_table(text: str, said: str) -> None:
    with pytest.raises(sw.ConfigError, match=said):
        sw.load_registers(text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sw.load_registers(tmp_path / "none.yaml")
