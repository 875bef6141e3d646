"""PyMoDAQ's HDF5 files: saver, data layer, readers."""
