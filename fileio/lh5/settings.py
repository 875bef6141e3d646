"""How datasets are stored when nothing else is said, and what was said for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sapwood.fileio.lh5.lgdo import LGDO

__all__ = ["DEFAULT_HDF5_SETTINGS", "NOT_WRITTEN", "dataset_settings", "default_hdf5_settings", "merged"]

_FACTORY: dict[str, Any] = {"shuffle": True, "compression": "gzip"}

DEFAULT_HDF5_SETTINGS: dict[str, Any] = dict(_FACTORY)
"""Keywords of h5py's ``create_dataset`` for every new dataset; change it to change all that follow."""

NOT_WRITTEN = frozenset({"compression", "hdf5_settings"})  # attributes that are orders, not facts


def default_hdf5_settings() -> dict[str, Any]:
    """Return what `DEFAULT_HDF5_SETTINGS` holds in the beginning."""
    return dict(_FACTORY)


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of all `layers`, later ones win; options go with the compression they are for."""
    found: dict[str, Any] = {}
    for layer in layers:
        if "compression" in layer:
            found.pop("compression_opts", None)
        found.update(layer)
    return found


def dataset_settings(obj: LGDO, keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings for the datasets of `obj`: later ones win.

    In order: `DEFAULT_HDF5_SETTINGS`, `keywords` of the call, the object's attribute
    ``compression`` (of a codec of waveforms nothing is left by then), its attribute ``hdf5_settings``.
    """
    compression = obj.attrs.get("compression")
    own = {} if compression is None else {"compression": compression}
    found = merged(DEFAULT_HDF5_SETTINGS, keywords, own, obj.attrs.get("hdf5_settings") or {})
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}
