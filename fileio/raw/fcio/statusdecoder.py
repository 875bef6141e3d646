"""States of cards: a row for every card in a record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FormatError
from sapwood.fileio.lh5 import RaggedBlock
from sapwood.fileio.raw.buffer import RawBuffer
from sapwood.fileio.raw.fcio.columns import STATUS_COLUMNS
from sapwood.fileio.raw.fcio.records import by_layout
from sapwood.fileio.raw.fcio.statedecoder import StateDecoder
from sapwood.streams import FrameBatch

__all__ = ["CARD", "FCStatusDecoder"]

CARD = np.dtype(
    [
        ("reqid", "<u4"), ("status", "<u4"), ("eventno", "<u4"), ("pps", "<u4"), ("ticks", "<u4"),
        ("maxticks", "<u4"), ("numenv", "<u4"), ("numctilinks", "<u4"), ("numlinks", "<u4"), ("dummy", "<u4"),
        ("totalerrors", "<u4"), ("enverrors", "<u4"), ("ctierrors", "<u4"), ("linkerrors", "<u4"),
        ("othererrors", "<u4", 5), ("environment", "<i4", 16), ("ctilinks", "<u4", 4),
        ("linkstates", "<u4", 256),
    ]
)  # fmt: skip

_MASTER, _TRIGGER, _ADC = 0x4000, 0x1000, 0x2000
_TEMPS, _VOLTAGES, _CURRENT, _HUMIDITY, _DAUGHTERS = slice(0, 5), slice(5, 11), 11, 12, 13


class FCStatusDecoder(StateDecoder):
    """Table ``FCStatus``, keys ``fcid_<n>/status/card<id>``."""

    columns = STATUS_COLUMNS
    is_event = False

    def get_key_lists(self) -> list[list[Any]]:
        """Return a key for every card of the configuration: they share a table."""
        config = self.config
        masters = [0, *(_MASTER + i for i in range(config.mastercards))] if config.mastercards > 1 else [0]
        cards = [
            *masters,
            *(_TRIGGER + i for i in range(config.triggercards)),
            *(_ADC + i for i in range(config.adccards)),
        ]
        return [[f"fcid_{config.fcid}/status/card{card}" for card in cards]]

    def get_max_rows_in_packet(self) -> int:
        """Return the number of cards."""
        config = self.config
        return max(1, config.mastercards + config.triggercards + config.adccards)

    def decode_batch(
        self, packets: FrameBatch, packet_ids: NDArray[np.uint32], buffers: Mapping[Any, RawBuffer]
    ) -> None:
        """Add a row for each card."""
        blocks = [
            self._cards(packets[row : row + 1], packet_ids[row : row + 1]) for row in range(len(packets))
        ]
        for keys, block in blocks:
            if len(keys):
                self.deliver(keys, block, buffers)

    def _cards(
        self, packet: FrameBatch, packet_id: NDArray[np.uint32]
    ) -> tuple[NDArray[np.str_], dict[str, Any]]:
        ((layout, _, rows),) = by_layout(packet)
        if len(layout.begin) < 4 or layout.size[1] < 40:
            raise FormatError("A status is cut", expected="4 frames", seen=len(layout.begin))
        cards = np.zeros(len(layout.begin) - 4, CARD)
        raw = cards.view(np.uint8).reshape(len(cards), CARD.itemsize)
        for card in range(len(cards)):
            data = layout.values(rows, 4 + card, "u1")[0, : CARD.itemsize]
            raw[card, : len(data)] = data
        clock = layout.values(rows, 1, "<i4")[0, :10].astype(np.int64)
        count = len(cards)
        constant = {
            "packet_id": packet_id[0],
            "status": layout.number(rows, 0)[0] == 1,
            "fpga_time": clock[0] + clock[1] / 1e6,
            "server_time": clock[2] + clock[3] / 1e6,
            "fpga_start_time": clock[5] + clock[6] / 1e6,
        }
        block: dict[str, Any] = {
            name: np.full(count, value, STATUS_COLUMNS[name]["dtype"]) for name, value in constant.items()
        }
        block |= _of_cards(cards)
        fcid = self.state.config.fcid
        return np.array([f"fcid_{fcid}/status/card{one}" for one in cards["reqid"].tolist()]), block


def _of_cards(cards: NDArray[Any]) -> dict[str, Any]:
    environment = cards["environment"]
    nanoseconds = cards["pps"].astype(np.uint64) * np.uint64(1_000_000_000) + 4 * cards["ticks"].astype(
        np.uint64
    )
    return {
        "id": cards["reqid"],
        "eventnumber": cards["eventno"],
        "fpga_time_nsec": nanoseconds.astype(np.uint32),  # wraps, as LEGEND's software has it
        "n_total_errors": cards["totalerrors"],
        "n_environment_errors": cards["enverrors"],
        "n_cti_errors": cards["ctierrors"],
        "n_link_errors": cards["linkerrors"],
        "n_other_errors": cards["othererrors"],
        "mb_temps": environment[:, _TEMPS],
        "mb_voltages": environment[:, _VOLTAGES],
        "mb_current": environment[:, _CURRENT],
        "mb_humidity": environment[:, _HUMIDITY],
        "adc_temps": _first(environment[:, _DAUGHTERS:], cards["numenv"].astype(np.int64) - _DAUGHTERS),
        "cti_links": _first(cards["ctilinks"], cards["numctilinks"]),
        "link_states": _first(cards["linkstates"], cards["numlinks"]),
    }


def _first(values: NDArray[Any], count: NDArray[Any]) -> RaggedBlock:
    """Return the first `count` values of each row."""
    sizes = np.clip(count.astype(np.int64), 0, values.shape[1])
    return RaggedBlock(values[np.arange(values.shape[1]) < sizes[:, np.newaxis]], sizes)
