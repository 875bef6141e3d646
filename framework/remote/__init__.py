"""Remote control of a tree: service, wire protocol, ZeroMQ server and client."""
