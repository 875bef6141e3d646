"""Tree devices made from streams, recorders and registers."""
