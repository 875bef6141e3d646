r"""The lines a serial memory slave and its device exchange.

Printable ASCII, one request or reply a line, fields joined by one blank, ended by ``\n`` (a
``\r`` before it is ignored). Numbers are hexadecimal, data two digits a byte, lowest address
first. The device answers each request with one line of the same tag, a number from 00 to ff::

    R <tag> <address> <length> <check>      r <tag> <data> <check>
    W <tag> <address> <data> <check>        w <tag> <check>
                                            e <tag> <text, blanks allowed> <check>

The check is four digits: CRC-CCITT (polynomial 1021, start ffff) of all before its own blank.
Reading 4 bytes at 0x10: ``R 01 00000010 4 bb16`` is answered by ``r 01 efbeadde 9dc9``.
"""

from __future__ import annotations

import binascii

from sapwood.errors import ProtocolError

__all__ = ["read_request", "seal", "unseal", "write_request"]


def seal(text: str) -> bytes:
    """Return the line that carries `text`: with its check and line end."""
    data = text.encode("ascii")
    return b"%s %04x\n" % (data, binascii.crc_hqx(data, 0xFFFF))


def unseal(line: bytes) -> str:
    """Return the text a line carries.

    Raises
    ------
    ProtocolError
        The check is missing or wrong: the line was damaged, or is none of this protocol.
    """
    data, _, check = line.rstrip(b"\r\n").rpartition(b" ")
    wanted = b"%04x" % binascii.crc_hqx(data, 0xFFFF)
    if check.lower() != wanted or not data.isascii():
        raise ProtocolError("Damaged line", expected=f"check {wanted.decode()}", seen=repr(line))
    return data.decode("ascii")


def read_request(tag: int, address: int, size: int) -> bytes:
    """Return the line that asks for `size` bytes at `address`."""
    return seal(f"R {tag:02x} {address:08x} {size:x}")


def write_request(tag: int, address: int, data: bytes) -> bytes:
    """Return the line that writes `data` at `address`."""
    return seal(f"W {tag:02x} {address:08x} {data.hex()}")
