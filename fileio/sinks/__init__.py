"""Formats that tables are converted to.

Each format is the module of its name: `arrow` (Arrow IPC and Parquet), `csv`, `ecsv`, `fits`, `hdf5`,
`jsonlines`, `mcap`, `npz`, `root`. What one of them alone needs stands beside it under a name that begins
like its own: `fitsheader`, `hdf5growing`, `jsonrows` ... What they share:

============================== ================================================================
`base`, `plainfile`            the sinks that all others derive from
`sinkformat`                   a sink as a format: its name, endings and options
`kinds`, `counted`, `refusing` what a sink takes, and how it refuses the rest
`flat`                         ragged columns as plain arrays
`facts`                        attributes of tables and columns
`rowtext`, `valuetext`         rows and numbers as text
`texts`                        columns that are text
============================== ================================================================
"""
