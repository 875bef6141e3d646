"""Pseudo-random frames: generator and checker."""
