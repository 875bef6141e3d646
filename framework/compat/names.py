"""Where each name of Rogue's Python modules is found in Sapwood.

A table: module of Rogue -> module of Sapwood -> names, separated by blanks. ``A=B`` is B of
Sapwood under the name A; ``*`` is everything in the module's ``__all__``. Later entries win.
"""

from __future__ import annotations

import functools
import importlib

__all__ = ["MODULES", "homes"]

_BLOCKS = (
    "readAndWaitBlocks readBlocks startTransaction verifyBlocks waitBlocks waitTransaction "
    "writeAndVerifyBlocks writeBlocks checkBlocks=waitBlocks checkTransaction=waitTransaction "
    "readAndCheckBlocks=readAndWaitBlocks"
)

_PYROGUE = {
    "sapwood.tree": "*",
    "sapwood.streams": "streamConnect streamConnectBiDir",
    "sapwood.devices": "DataReceiver DataWriter RunControl",
    "sapwood.compat.blocks": _BLOCKS,
    "sapwood.compat.errors": "MemoryError",
    "sapwood.compat.helpers": "addLibraryPath genBaseList logException logInit waitCntrlC",
    "sapwood.compat.version": "__version__=API_VERSION",
}

# Each class of PyRogue lives in a private module that some programs import it from.
_PRIVATE = (
    "Block Command DataReceiver DataWriter Device HelperFunctions Model Node Process Root RunControl Variable"
)

MODULES: dict[str, dict[str, str]] = {
    "pyrogue": _PYROGUE,
    **{f"pyrogue._{name}": _PYROGUE for name in _PRIVATE.split()},
    "pyrogue.interfaces": {"sapwood.memory": "OsCommandMemorySlave"},
    "pyrogue.interfaces.simulation": {"sapwood.memory": "MemEmulate"},
    "pyrogue.interfaces.stream": {"sapwood.devices": "Fifo Variable"},
    "pyrogue.protocols": {"sapwood.devices": "UdpRssiPack"},
    "pyrogue.utilities": {},
    "pyrogue.utilities.fileio": {
        "sapwood.compat.writerdevice": "StreamWriter",
        "sapwood.devices": "StreamReader",
        "sapwood.fileio": "BatchHeader FileReader FileReaderException RogueHeader",
    },
    "pyrogue.utilities.prbs": {"sapwood.devices": "PrbsPair PrbsRx PrbsTx"},
    "rogue": {
        "sapwood.errors": "GeneralError=SapwoodError",
        "sapwood.compat.logs": "Logging",
        "sapwood.compat.version": "Version __version__=API_VERSION",
    },
    "rogue.interfaces": {},
    "rogue.interfaces.memory": {
        "sapwood.memory": "Emulate Hub Master Post Read Slave TcpClient TcpServer Transaction Verify Write",
        "sapwood.compat.modelids": "*",
    },
    "rogue.interfaces.stream": {
        "sapwood.streams": "Fifo Filter Frame FrameLock Master RateDrop Slave",
        "sapwood.streams.pool": "Pool=FramePool",
        "sapwood.streams.transports": "TcpClient TcpCore TcpServer",
    },
    "rogue.protocols": {},
    "rogue.protocols.batcher": {
        "sapwood.streams.protocols": "CombinerV1 CombinerV2 InverterV1 InverterV2 SplitterV1 SplitterV2"
    },
    "rogue.protocols.packetizer": {"sapwood.streams.protocols.packetizer": "*"},
    "rogue.protocols.rssi": {"sapwood.streams.transports.rssi": "*"},
    "rogue.protocols.srp": {
        "sapwood.memory": "SrpV0 SrpV3 SrpV3Emulation",
        "sapwood.streams.protocols": "Cmd",
    },
    "rogue.protocols.udp": {"sapwood.streams.transports.udp": "Client Server"},
    "rogue.utilities": {"sapwood.streams": "Prbs StreamUnZip StreamZip"},
    "rogue.utilities.fileio": {
        "sapwood.compat.writer": "StreamWriter",
        "sapwood.fileio": "StreamReader StreamWriterChannel",
    },
}


@functools.cache
def homes(module: str) -> dict[str, tuple[str, str]]:
    """Return the names of a module of Rogue: name -> module of Sapwood, name there."""
    found: dict[str, tuple[str, str]] = {}
    for home, names in MODULES[module].items():
        listed = importlib.import_module(home).__all__ if names == "*" else names.split()
        for entry in listed:
            name, _, attribute = entry.partition("=")
            found[name] = home, attribute or name
    return found
