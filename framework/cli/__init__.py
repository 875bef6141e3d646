"""The ``sapwood`` command line."""
