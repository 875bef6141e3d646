"""The header of an ORCA stream: which packets there are, and how the hardware was set up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sapwood.errors import FormatError
from sapwood.fileio.raw.orca.packets import LONG_ID, SHORT, SHORT_ID
from sapwood.fileio.raw.orca.plist import as_json

__all__ = ["HEADER_DECODER", "OrcaHeader"]

HEADER_DECODER = "OrcaHeaderDecoder"


class OrcaHeader(dict[str, Any]):
    """The dictionary of the header, with look-ups in its sections.

    Sections that are missing, or are not what they should be, count as empty.
    """

    def set_from_lgdo(self, lgdo_scalar: Any) -> None:
        """Take over the header that `OrcaHeaderDecoder` has put into a scalar."""
        self.clear()
        self.update(json.loads(lgdo_scalar.value))

    def as_json(self) -> str:
        """Return it as JSON text."""
        return json.dumps(self, default=as_json)

    # Data ids

    def data_ids(self) -> dict[int, str]:
        """Return the decoder's name of each data id, as it stands in word 0 of a packet.

        Raises
        ------
        FormatError
            When an id is no number or two decoders share one.
        """
        ids: dict[int, str] = {}
        for group in _dicts(_dict(self.get("dataDescription")).values()):
            for entry in _dicts(group.values()):
                name, data_id = entry.get("decoder"), entry.get("dataId")
                if not isinstance(name, str) or not isinstance(data_id, int):
                    raise FormatError("An entry of dataDescription is incomplete", seen=repr(entry)[:200])
                word = data_id & 0xFFFFFFFF
                word &= SHORT_ID if word & SHORT else LONG_ID
                if ids.setdefault(word, name) != name:
                    raise FormatError(f"Two decoders share data id {word:#x}", seen=f"{ids[word]}, {name}")
        return ids

    def get_id_to_decoder_name_dict(self, shift_data_id: bool = True) -> dict[int, str]:
        """Return data id -> name of the decoder, 0 for the header.

        Parameters
        ----------
        shift_data_id
            Whether ids are moved to bit 0 (by 18 bits, 26 those of short records).
        """
        named = {0: HEADER_DECODER} | self.data_ids()
        if not shift_data_id:
            return named
        return {word >> (26 if word & SHORT else 18): name for word, name in named.items()}

    def get_decoder_list(self) -> list[str]:
        """Return the names of the decoders, each once, that of the header first."""
        return list(dict.fromkeys([HEADER_DECODER, *self.data_ids().values()]))

    # Hardware

    def get_object_info(self, orca_class_name: str | list[str]) -> dict[int, dict[int, dict[str, Any]]]:
        """Return the cards of a class, or of several: crate -> card -> settings."""
        names = [orca_class_name] if isinstance(orca_class_name, str) else orca_class_name
        found: dict[int, dict[int, dict[str, Any]]] = {}
        for crate in _dicts(self._object_info("Crates")):
            for card in _dicts(crate.get("Cards")):
                number, slot = crate.get("CrateNumber"), card.get("Card")
                if card.get("Class Name") in names and isinstance(number, int) and isinstance(slot, int):
                    found.setdefault(number, {})[slot] = card
        return found

    def get_auxhw_info(self, orca_class_name: str, unique_id: int = -1) -> list[dict[str, Any]]:
        """Return the auxiliary hardware of a class; only that with `unique_id`, unless negative."""
        return [
            entry
            for entry in _dicts(self._object_info("AuxHw"))
            if entry.get("Class Name") == orca_class_name and _is(entry, unique_id)
        ]

    def get_readout_info(self, orca_class_name: str, unique_id: int = -1) -> list[dict[str, Any]]:
        """Return the readout tasks of a class; only that with `unique_id`, unless negative."""
        return [
            entry
            for entry in _dicts(self.get("ReadoutDescription"))
            if entry.get("name") == orca_class_name and _is(entry, unique_id)
        ]

    def get_run_number(self) -> int:
        """Return the number of the run.

        Raises
        ------
        FormatError
            When the header has none (it is a ValueError).
        """
        for entry in _dicts(self._object_info("DataChain")):
            number = _dict(entry.get("Run Control")).get("RunNumber")
            if isinstance(number, int):
                return number
        raise FormatError("The header has no run number", expected="ObjectInfo/DataChain/Run Control")

    def _object_info(self, section: str) -> Any:
        return _dict(self.get("ObjectInfo")).get(section)


def _dict(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _dicts(values: Any) -> list[dict[str, Any]]:
    """Return those of `values` that are dictionaries; values of something else are none."""
    if values is None or isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__iter__"):
        return []
    return [value for value in values if isinstance(value, dict)]


def _is(entry: Mapping[str, Any], unique_id: int) -> bool:
    return unique_id < 0 or entry.get("uniqueID") == unique_id
