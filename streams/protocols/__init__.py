"""Wire protocols as state machines: bytes and events in, bytes and events out, no socket, no clock."""
