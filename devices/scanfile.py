"""ScanFile: the scans of a ScanDevice in one PyMoDAQ file."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from sapwood.devices.scanplan import GRID, ScanPlan
from sapwood.fileio.pymodaq.axes import Axis
from sapwood.fileio.pymodaq.data_export import DataToExport
from sapwood.fileio.pymodaq.data_export_saving import DataToExportEnlargeableSaver, DataToExportExtendedSaver
from sapwood.fileio.pymodaq.data_objects import DataRaw
from sapwood.fileio.pymodaq.data_settings import settings_to_xml
from sapwood.fileio.pymodaq.saver import H5SaverLowLevel

__all__ = ["FIXED", "GROWING", "ScanFile"]

FIXED, GROWING = "Fixed", "Growing"


class ScanFile:
    """An open file that takes one scan after the other, each in a group ``Scan000``, ``Scan001`` ...

    Parameters
    ----------
    path
        The file; scans are added to one that is there.
    swmr
        Let other processes follow each write; the file can then hold a single scan. Otherwise they
        see what is there each second.

    Raises
    ------
    FileError
        The file cannot be opened.
    """

    def __init__(self, path: str, swmr: bool = False) -> None:
        self.saver = H5SaverLowLevel.from_file(path, save_type="scan", swmr_mode=swmr)
        self.path = str(self.saver.file_path)
        self.group = ""
        self._detector = ""
        self._plan: ScanPlan | None = None
        self._keeper: Any = None
        self._first = True

    def begin(
        self,
        plan: ScanPlan,
        saving: str,
        *,
        title: str,
        units: Sequence[str],
        settings: dict[str, Any],
        configuration: str = "",
    ) -> None:
        """Make the groups of a scan.

        Parameters
        ----------
        saving
            ``Fixed``: arrays of the shape of the scan; ``Growing``: arrays that grow with each point.
        units
            Of each axis.
        settings
            Shown by browsers with the scan.
        configuration
            The settings of the tree, kept as a text.
        """
        saver = self.saver
        xml = settings_to_xml(settings).decode()
        group = saver.add_scan_group(title=title, settings_as_xml=xml)
        for axis in plan.axes:
            saver.add_act_group(group, title=axis.path)
        detector = saver.add_det_group(group, title=title)
        if configuration:
            saver.add_string_array(group, "Configuration").append(configuration)
        self.group, self._detector, self._plan, self._first = group.path, detector.path, plan, True
        labels = [axis.path for axis in plan.axes]
        if saving == GROWING:
            self._keeper = DataToExportEnlargeableSaver(saver, labels, units)
        else:
            self._keeper = DataToExportExtendedSaver(saver, plan.shape)
            self._keeper.add_nav_axes(detector, self._nav_axes(plan, labels, units))
        saver.add_log(f"{group.name} begins: {plan.points} points over {', '.join(labels)}")

    @staticmethod
    def _nav_axes(plan: ScanPlan, labels: Sequence[str], units: Sequence[str]) -> list[Axis]:
        grid = plan.mode == GRID
        return [
            Axis(label, unit, axis.numbers, index=i if grid else 0, spread_order=0 if grid else i)
            for i, (axis, label, unit) in enumerate(zip(plan.axes, labels, units, strict=True))
        ]

    def add(self, indexes: tuple[int, ...], data: Sequence[DataRaw]) -> None:
        """Save one point.

        Raises
        ------
        DataError, FileError
            The data differ from those of the first point, or the disk refuses; the points before are
            kept.
        """
        if self._plan is None:
            return
        dte = DataToExport(self.group, data=list(data), timestamp=time.time())
        if isinstance(self._keeper, DataToExportExtendedSaver):
            distribution = "uniform" if self._plan.mode == GRID else "spread"
            self._keeper.add_data(self._detector, dte, indexes, distribution)
        else:
            self._keeper.add_data(self._detector, dte, axis_values=self._plan.numbers(indexes))
        if self._first:
            self._first = False
            self.saver.flush()

    def end(self, outcome: str) -> None:
        """Note how the scan ended, and bring all of it to the disk."""
        self._plan = self._keeper = None
        self.saver.add_log(f"{self.group.rpartition('/')[2]} ends: {outcome}")
        if not self.saver.shared.swmr_active:
            self.saver.get_node(self.group).attrs["description"] = outcome
        self.saver.flush()

    @property
    def size(self) -> int:
        """Bytes of the file, as far as they are on the disk."""
        try:
            return os.stat(self.path).st_size
        except OSError:
            return 0

    def close(self) -> None:
        """Close the file."""
        self.saver.close_file()
