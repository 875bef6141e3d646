"""What docs/formats/pymodaq.md shows runs, and the signatures that PyMoDAQ's users know are there."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from sapwood.fileio.pymodaq.enums import DataType, FileType, GroupType
from sapwood.fileio.pymodaq.saver import H5SaverLowLevel

PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats" / "pymodaq.md"


def test_the_examples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[:3]:
        exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102  # the page of this repository
    assert capsys.readouterr().out.splitlines() == [
        "/RawData/Detector000/EnlData00 (10, 4) ['ten records']",
        "{'RawData/Logger': 1, 'RawData/Detector000': 10, 'RawData/Detector000/Axis00': 4}",
        "(10, 4)",
        "/RawData/Detector000 (GROUP) 'Camera' GaAs",
        "True 250",
    ]


SIGNATURES = {
    "__init__": "save_type='scan', backend=None",
    "from_file": "path, save_type='scan', new_file=False, metadata=None",
    "add_act_group": "where, title='', settings_as_xml='', metadata=None",
    "add_array": "where, name, data_type, array_to_save=None, data_shape=None, array_type=None, "
    "fill_value=None, data_dimension=None, scan_shape=(), add_scan_dim=False, "
    "enlargeable=False, title='', metadata=None",
    "add_ch_group": "where, title='', settings_as_xml='', metadata=None",
    "add_data_group": "where, data_dim, title='', settings_as_xml='', metadata=None, group_name=None",
    "add_det_group": "where, title='', settings_as_xml='', metadata=None",
    "add_generic_group": "where='/RawData', title='', settings_as_xml='', metadata=None, "
    f"group_type={GroupType.scan!r}",
    "add_incremental_group": "group_type, where, title='', settings_as_xml='', metadata=None",
    "add_log": "msg",
    "add_move_group": "where, title='', settings_as_xml='', metadata=None",
    "add_scan_group": "where='/RawData', title='', settings_as_xml='', metadata=None",
    "add_string_array": "where, name, title='', metadata=None",
    "get_groups": "where, group_type",
    "get_last_group": "where, group_type",
    "get_node_from_attribute_match": "where, attr_name, attr_value",
    "get_node_from_title": "where, title",
    "get_set_group": "where, name, title='', **kwargs",
    "get_set_logger": "where=None",
    "init_file": "file_name, raw_group_name='RawData', new_file=False, metadata=None, swmr_mode=False",
    "save_file": "filename=None",
    "set_swmr_flush_interval": "interval",
    "tick_flush": "",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures(name: str) -> None:
    parameters = inspect.signature(getattr(H5SaverLowLevel, name)).parameters.values()
    texts = [str(one.replace(annotation=inspect.Parameter.empty)) for one in parameters if one.name != "self"]
    assert ", ".join(texts).startswith(SIGNATURES[name])


def test_enumerations() -> None:
    assert DataType.to_dict() == {
        "axis": "Axis", "bkg": "Bkg", "data": "Data", "data_enlargeable": "EnlData", "error": "ErrorBar",
        "external_h5": "ExtData", "live_scan": "Live", "strings": "Strings",
    }  # fmt: skip
    assert FileType.to_dict() == {"actuator": 1, "axis": 2, "detector": 0, "scan": 3}


def test_every_name_comes_from_the_package() -> None:
    from sapwood.fileio import pymodaq

    peers = {"H5SaverLowLevel", "DataType", "FileType", "SaveType", "GroupType", "GROUP", "EARRAY", "Axis",
             "DataLoader", "DataToExportTimedSaver", "DataBundle", "DataRaw", "DataDim"}  # fmt: skip
    assert peers <= set(pymodaq.__all__)
    assert all(getattr(pymodaq, name).__name__ == name for name in pymodaq.__all__)
