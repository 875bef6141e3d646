"""How datasets are stored when nothing else is said, and what was said for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sapwood.fileio.lh5.lgdo import LGDO

__all__ = ["DEFAULT_HDF5_SETTINGS", "NOT_WRITTEN", "dataset_settings", "default_hdf5_settings"]

_FACTORY: dict[str, Any] = {"shuffle": True, "compression": "gzip"}

DEFAULT_HDF5_SETTINGS: dict[str, Any] = dict(_FACTORY)
"""Keywords of h5py's ``create_dataset`` for every new dataset; change it to change all that follow."""

NOT_WRITTEN = frozenset({"compression", "hdf5_settings"})  # attributes that are orders, not facts


def default_hdf5_settings() -> dict[str, Any]:
    """Return what `DEFAULT_HDF5_SETTINGS` holds in the beginning."""
    return dict(_FACTORY)


def dataset_settings(obj: LGDO, keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings for the datasets of `obj`: later ones win.

    In order: `DEFAULT_HDF5_SETTINGS`, `keywords` of the call, the object's attribute
    ``compression`` unless it is a codec of waveforms, its attribute ``hdf5_settings``.
    """
    found = {**DEFAULT_HDF5_SETTINGS, **keywords}
    compression = obj.attrs.get("compression")
    if compression is not None:
        found["compression"] = compression
    found.update(obj.attrs.get("hdf5_settings") or {})
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}
