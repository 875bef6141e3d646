"""Stream ends that reach beyond the process: sockets and replayed files."""
