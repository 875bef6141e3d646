"""Rogue data files: a bare chain of framed records, or raw payload bytes."""
