"""Formats that tables are converted to."""
