"""LH5: LEGEND's conventions for HDF5."""
