"""The page of the peer's module ``saving``: every name on it is here and does what the page says."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest

from sapwood.fileio.pymodaq.enums import DataType, FileType, GroupType
from sapwood.fileio.pymodaq.saver import H5SaverLowLevel

GROUP = "where title settings_as_xml metadata"
SIGNATURES = {
    "__init__": "save_type backend",
    "from_file": "path save_type new_file metadata",
    "add_act_group": GROUP,
    "add_array": "where name data_type array_to_save data_shape array_type fill_value data_dimension "
    "scan_shape add_scan_dim enlargeable title metadata",
    "add_ch_group": GROUP,
    "add_data_group": "where data_dim title settings_as_xml metadata group_name",
    "add_det_group": GROUP,
    "add_generic_group": f"{GROUP} group_type",
    "add_incremental_group": f"group_type {GROUP}",
    "add_log": "msg",
    "add_move_group": GROUP,
    "add_scan_group": GROUP,
    "add_string_array": "where name title metadata",
    "get_groups": "where group_type",
    "get_last_group": "where group_type",
    "get_node_from_attribute_match": "where attr_name attr_value",
    "get_node_from_title": "where title",
    "get_set_group": "where name title kwargs",
    "get_set_logger": "where",
    "init_file": "file_name raw_group_name new_file metadata swmr_mode",
    "save_file": "filename",
    "set_swmr_flush_interval": "interval",
    "tick_flush": "",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_parameters_have_the_names_and_order_of_the_page(name: str) -> None:
    parameters = list(inspect.signature(getattr(H5SaverLowLevel, name)).parameters)
    wanted = SIGNATURES[name].split()
    found = [parameter for parameter in parameters if parameter != "self"]
    assert found[: len(wanted)] == wanted


def test_enumerations_have_the_members_of_the_page() -> None:
    assert DataType.to_dict() == {
        "axis": "Axis", "bkg": "Bkg", "data": "Data", "data_enlargeable": "EnlData", "error": "ErrorBar",
        "external_h5": "ExtData", "live_scan": "Live", "strings": "Strings",
    }  # fmt: skip
    assert FileType.to_dict() == {"actuator": 1, "axis": 2, "detector": 0, "scan": 3}


def test_everything_on_the_page_can_be_done(tmp_path: Path) -> None:
    saver = H5SaverLowLevel.from_file(
        tmp_path / "page.h5", save_type="scan", new_file=True, metadata={"run": 7}
    )
    assert saver.raw_group.attrs["run"] == 7
    scan = saver.add_scan_group(title="a scan", settings_as_xml="<a/>", metadata={"more": 1})
    detector = saver.add_det_group(scan, title="a camera")
    for add in (saver.add_act_group, saver.add_move_group, saver.add_ch_group):
        assert add(scan).parent_node == scan
    assert saver.add_generic_group(group_type=GroupType.scan).name == "Scan001"
    assert saver.add_incremental_group("my_type", "/RawData").name == "My_type000"
    group = saver.add_data_group(detector, "Data1D", title="spectra")
    array = saver.add_array(
        group, "spectrum", DataType.data, data_shape=(4,), array_type=np.dtype(np.float32), fill_value=-1,
        data_dimension="Data1D", scan_shape=(2, 3), add_scan_dim=True, title="s", metadata={"gain": 2},
    )  # fmt: skip
    assert (array.shape, array.dtype, array[0, 0].tolist()) == ((2, 3, 4), np.float32, [-1] * 4)
    rows = saver.add_array(group, "rows", DataType.data_enlargeable, data_shape=(4,), enlargeable=True,
                           array_type=np.int32, data_dimension="Data1D")  # fmt: skip
    rows.append(np.arange(4, dtype=np.int32))
    assert len(rows) == 1
    texts = saver.add_string_array(group, "notes", title="n")
    texts.append("ragged")
    saver.add_log("a line")
    assert saver.get_set_logger().read()[-1] == "a line"
    assert [node.name for node in saver.get_groups("/RawData", GroupType.scan)] == ["Scan000", "Scan001"]
    assert saver.get_last_group("/RawData", "scan").name == "Scan001"
    assert saver.get_node_from_title("/RawData", "a camera") == detector
    assert saver.get_node_from_attribute_match("/RawData", "gain", 2) == array
    assert saver.get_set_group("/RawData", "other", title="o").title == "o"
    saver.set_swmr_flush_interval(1)
    saver.tick_flush()
    saver.save_file(tmp_path / "copy.h5")
    saver.close_file()
    assert saver.init_file(tmp_path / "copy.h5", raw_group_name="RawData", mode="r") is False
    saver.close_file()
    assert saver.init_file(tmp_path / "new.h5", new_file=True, swmr_mode=True) is True
    saver.close_file()
