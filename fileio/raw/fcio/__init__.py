"""Streams of FlashCam: records, tables, times."""
