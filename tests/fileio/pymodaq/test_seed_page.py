"""The page of the peer's module ``saving``: every method on it does what the page says."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sapwood.fileio.pymodaq.enums import DataType, GroupType
from sapwood.fileio.pymodaq.saver import H5SaverLowLevel


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
