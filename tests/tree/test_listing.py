"""Lists of a tree: register maps, variable lists, nested dicts, pages of documentation."""

from __future__ import annotations

import csv
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import sapwood.tree as pr

COLUMNS = [
    "Path", "TypeStr", "Address", "Offset", "Mode", "BitOffset", "BitSize", "Minimum", "Maximum", "Enum",
    "OverlapEn", "Verify", "ModelId", "ByteReverse", "BitReverse", "BinPoint", "BulkEn", "UpdateNotify",
    "MemBaseName", "BlockName", "BlockSize", "NumValues", "ValueBits", "ValueStride", "RetryCount",
    "Description",
]  # fmt: skip


@pytest.fixture
def chips(start: Any, bus: Any) -> pr.Root:
    bus.setName("Bus")
    chip = pr.Device(name="Chip[0]", memBase=bus, offset=0x1000, description="One chip. Of several")
    chip.add(
        pr.RemoteVariable(
            name="gain", offset=6, bitOffset=3, bitSize=5, description='A "gain"\nof\tit', pollInterval=2
        )
    )
    chip.add(
        pr.RemoteVariable(name="mode", offset=8, bitSize=1, base=pr.Bool, groups=["A", "B"], retryCount=2)
    )
    chip.add(pr.RemoteVariable(name="ram", offset=16, numValues=4, valueBits=12, valueStride=16))
    chip.add(pr.RemoteVariable(name="split", offset=[32, 36], bitSize=[4, 4], base=pr.UInt))
    chip.add(pr.RemoteVariable(name="wide", offset=40, bitSize=96, mode="RO"))
    chip.add(pr.RemoteCommand(name="kick", offset=64, bitSize=8, function=pr.BaseCommand.touchOne))
    inner = pr.Device(name="Inner", description="Below")
    inner.add(pr.LocalVariable(name="x", value=0.5, units="V"))
    chip.add(inner)
    return start(chip)


def rows(path: Path, delimiter: str) -> list[dict[str, str]]:
    quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    with open(path, newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter, quoting=quoting))


@pytest.mark.parametrize(("name", "delimiter"), [("map.txt", "\t"), ("map.csv", ",")])
def test_address_map(chips: pr.Root, tmp_path: Path, name: str, delimiter: str) -> None:
    chips.dataDir = tmp_path
    chips.saveAddressMap(name)
    table = rows(tmp_path / name, delimiter)
    assert list(table[0]) == COLUMNS
    assert [row["Path"].rpartition(".")[2] for row in table] == [
        "gain",
        "mode",
        "ram",
        "split",
        "wide",
        "kick",
    ]
    gain, mode, ram, split = table[:4]
    assert (gain["Path"], gain["TypeStr"], gain["Mode"]) == ("top.Chip[0].gain", "UInt5", "RW")
    assert (gain["Address"], gain["Offset"], gain["BitOffset"], gain["BitSize"]) == (
        "0x1004",
        "0x4",
        "[19]",
        "[5]",
    )
    assert (gain["Minimum"], gain["Maximum"], gain["ModelId"]) == ("0", "31", "2")
    assert gain["Enum"] == ("None" if delimiter == "\t" else "")
    assert (gain["MemBaseName"], gain["BlockName"], gain["BlockSize"]) == ("Bus", "top.Chip[0].gain", "0x4")
    assert gain["Description"] == ('A "gain" of it' if delimiter == "\t" else 'A "gain"\nof\tit')
    assert (mode["Enum"], mode["RetryCount"]) == ("{False: 'False', True: 'True'}", "2")
    assert (ram["NumValues"], ram["ValueBits"], ram["ValueStride"]) == ("4", "12", "16")
    assert split["BitOffset"] == "[0, 32]"
    assert (table[5]["Verify"], table[5]["BulkEn"]) == ("False", "False")


def test_c_header(chips: pr.Root, tmp_path: Path) -> None:
    chips.saveAddressMap(str(tmp_path / "regs.h"))
    chips.saveAddressMap(str(tmp_path / "same"), headerEn=True)
    text = (tmp_path / "regs.h").read_text()
    assert text == (tmp_path / "same").read_text()
    defines = dict(line.split()[1:3] for line in text.splitlines() if line.startswith("#define TOP_CHIP"))
    assert defines["TOP_CHIP_0_GAIN_ADDRESS"] == "0x1006ULL"
    assert (defines["TOP_CHIP_0_GAIN_SHIFT"], defines["TOP_CHIP_0_GAIN_MASK"]) == ("3", "0x1FULL")
    assert (defines["TOP_CHIP_0_RAM_COUNT"], defines["TOP_CHIP_0_RAM_STRIDE"]) == ("4", "16")
    assert defines["TOP_CHIP_0_RAM_MASK"] == "0xFFFULL"
    assert "TOP_CHIP_0_WIDE_MASK" not in defines
    assert "TOP_CHIP_0_SPLIT_MASK" not in defines
    assert defines["TOP_CHIP_0_WIDE_ADDRESS"] == "0x1028ULL"


def test_the_c_header_compiles(chips: pr.Root, tmp_path: Path) -> None:
    chips.saveAddressMap(str(tmp_path / "regs.h"))
    (tmp_path / "a.c").write_text('#include "regs.h"\nunsigned long long x = TOP_CHIP_0_GAIN_ADDRESS;\n')
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    done = subprocess.run([compiler, "-Werror", "-fsyntax-only", "a.c"], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_variable_list(chips: pr.Root, tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    chips.saveVariableList(str(file))
    table = rows(file, "\t")
    assert list(table[0]) == ["Path", "TypeStr", "Mode", "Enum", "PollInterval", "Groups", "Description"]
    assert [row["Path"] for row in table] == [one.path for one in chips.variableList]
    assert "top.Chip[0].kick" in [row["Path"] for row in table]
    chips.saveVariableList(str(file), polledOnly=True)
    assert [(row["Path"], row["PollInterval"]) for row in rows(file, "\t") if "Chip" in row["Path"]] == [
        ("top.Chip[0].gain", "2")
    ]
    chips.saveVariableList(str(file), incGroups="B")
    assert [(row["Path"], row["Groups"]) for row in rows(file, "\t")] == [("top.Chip[0].mode", "['A', 'B']")]


def test_tree_dict(chips: pr.Root) -> None:
    chip = chips.treeDict()["top"]["Chip[0]"]
    assert list(chip) == ["enable", "gain", "mode", "ram", "split", "wide", "Inner"]
    assert (chip["gain"]["path"], chip["gain"]["value"], chip["gain"]["class"]) == (
        "top.Chip[0].gain", 0, "RemoteVariable"
    )  # fmt: skip
    assert list(chips.treeDict(modes=["RO"])["top"]["Chip[0]"]) == ["wide"]
    assert chips.treeDict(incGroups="none") == {"top": {}}
    assert list(chips.treeDict(excGroups=["Enable", "A"])["top"]["Chip[0]"]) == [
        "gain",
        "ram",
        "split",
        "wide",
        "Inner",
    ]
    plain = chips.treeDict(properties=False)["top"]["Chip[0]"]["Inner"]["x"]
    assert isinstance(plain, pr.VariableValue)
    assert (plain.value, plain.valueDisp) == (0.5, "0.5")


def test_tree_yaml(chips: pr.Root) -> None:
    chip = yaml.safe_load(chips.treeYaml())["top"]["Chip[0]"]
    assert (chip["gain"]["nativeType"], chip["gain"]["units"], chip["ram"]["ndType"]) == (
        "int",
        None,
        "uint16",
    )
    assert chip["mode"]["enum"] == {False: "False", True: "True"}
    assert {"hasAlarm", "alarmStatus", "lowWarning"} <= set(chip["gain"])
    chips.node("Chip[0]").gain.set(3)
    text = chips.treeYaml(properties=False)
    assert "alarm" not in text.lower()
    assert yaml.safe_load(text)["top"]["Chip[0]"]["gain"] == 3


def test_documents(chips: pr.Root, tmp_path: Path) -> None:
    chips.genDocuments(str(tmp_path / "doc"), incGroups=None, excGroups=["Hidden", "A"])
    made = sorted(path.name for path in (tmp_path / "doc").iterdir())
    assert made[:3] == ["top.rst", "top_Chip[0].rst", "top_Chip[0]_Inner.rst"]
    page = (tmp_path / "doc" / "top_Chip[0].rst").read_text()
    assert page.startswith("top.Chip[0]\n***********\n\n| One chip.\n| Of several.\n")
    assert "   top_Chip[0]_Inner\n" in page
    assert "\ngain\n^^^^\n" in page
    assert "\nmode\n" not in page
    assert "0x1000" in page
    inner = (tmp_path / "doc" / "top_Chip[0]_Inner.rst").read_text()
    assert "|units  " in inner
    assert "sapwood.tree.node.Node" in inner


def test_document_helpers() -> None:
    assert pr.genDocTableHeader(["a", "bc"], 1, 3) == " +---+---+\n |a  |bc |\n +===+===+"
    assert pr.genDocTableRow(["1", "2"], 0, 2) == "|1 |2 |\n+--+--+"
    assert pr.genDocDesc("One. Two.", 2) == "  | One.\n  | Two.\n"
    assert pr.genDocDesc("", 2) == ""
