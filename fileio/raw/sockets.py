"""Live streams over TCP."""

from __future__ import annotations

import re
import socket

from sapwood.errors import FileError
from sapwood.fileio.raw.source import ReadingSource

__all__ = ["open_tcp"]

_ADDRESS = re.compile(r"tcp://(connect|listen)/(\d{1,5})(?:/([^/?]+))?(?:\?timeout=(\d{1,7}))?$")
_WAIT_S = 30


def open_tcp(address: str) -> ReadingSource:
    """Return the source for ``tcp://connect/<port>/<host>`` or ``tcp://listen/<port>[/<host>]``.

    Listening waits for one sender, on 127.0.0.1 unless a host is named. A stream that is silent for
    30 seconds has ended, or for as many as ``?timeout=<seconds>`` at the end of the address says.

    Raises
    ------
    FileError
        When the address is wrong, or nobody is there.
    """
    match = _ADDRESS.match(address)
    if match is None or int(match[2]) > 65535:
        raise FileError(
            f"This is no address: {address}",
            expected="tcp://connect/<port>/<host> or tcp://listen/<port>[/<host>], and ?timeout=<seconds>",
        )
    port, host, timeout_s = int(match[2]), match[3] or "127.0.0.1", max(1, int(match[4] or _WAIT_S))
    try:
        if match[1] == "connect":
            connection = socket.create_connection((host, port), timeout_s)
        else:
            with socket.create_server((host, port)) as server:
                server.settimeout(timeout_s)
                connection, _ = server.accept()
    except OSError as error:
        raise FileError(f"Failed to open {address}", file=address, seen=error.strerror or error) from error
    connection.settimeout(timeout_s)
    return _over(connection, address)


def _over(connection: socket.socket, address: str) -> ReadingSource:
    def read(nbytes: int) -> bytes:
        try:
            return connection.recv(nbytes)
        except TimeoutError:
            source.problems.append(f"{address}: nothing came for {connection.gettimeout():g} s")
        except OSError as error:
            source.problems.append(f"{address}: the connection broke: {error.strerror or error}")
        return b""

    source = ReadingSource(address, read, connection.close)
    return source
