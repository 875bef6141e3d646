"""Slow-signal monitor files of SSDAQ."""
