"""Recordings in the making: what the recorders of `recorder` and `batchrecorder` are built of."""
