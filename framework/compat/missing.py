"""What to say about names of Rogue that Sapwood does not have."""

from __future__ import annotations

from sapwood.compat.names import MODULES, homes
from sapwood.errors import nearest

__all__ = ["ADVICE", "advice"]

_DRIVER = (
    "A driver of your own is a subclass of rogue.interfaces.memory.Slave with _doTransaction(transaction) "
    "for registers, or of rogue.interfaces.stream.Master with _sendFrame(frame) for data"
)
_MAPPED = "sapwood.memory.MemMap(path, offset, size) maps the registers of a UIO or PCI device"
_CLIENT = "sapwood.remote.RemoteClient does this here"
_SERVER = "sapwood.remote.RemoteServer does this here: root.addInterface(RemoteServer(port=9500))"
_NATIVE = "It belongs to Rogue's C++ interface, which has no counterpart in Python code"
_DISPLAY = "`sapwood watch` shows a running tree, sapwood.remote.RemoteClient serves displays of your own"
_RECORDS = "root.addVarListener(function) and the logger 'pyrogue' give the same records to a function"

# The longest name that is the one asked for, or a part of the tree above it, counts.
ADVICE = {
    "pyrogue.BaseBlock": _NATIVE,
    "pyrogue.LocalBlock": "A LocalVariable keeps its value itself here",
    "pyrogue.MemoryDevice": (
        "Rogue has removed it. A RemoteVariable with numValues, valueBits and valueStride is an array of "
        "registers in one variable"
    ),
    "pyrogue.PollQueue": "Use pollInterval, setPollInterval and root.pollBlock()",
    "pyrogue.examples": "The folder examples of Sapwood has programs to start from",
    "pyrogue.gui": _DISPLAY,
    "pyrogue.hardware": f"{_MAPPED}. {_DRIVER}",
    "pyrogue.interfaces.SimpleClient": _CLIENT,
    "pyrogue.interfaces.SqlLogger": _RECORDS,
    "pyrogue.interfaces.SqlReader": _RECORDS,
    "pyrogue.interfaces.SystemLogMonitor": _CLIENT,
    "pyrogue.interfaces.VariableMonitor": _CLIENT,
    "pyrogue.interfaces.VirtualClient": _CLIENT,
    "pyrogue.interfaces.VirtualNode": _CLIENT,
    "pyrogue.interfaces.ZmqServer": _SERVER,
    "pyrogue.interfaces.simulation": (
        "MemEmulate emulates registers; for frames write a rogue.interfaces.stream.Master"
    ),
    "pyrogue.protocols": _DRIVER,
    "pyrogue.pydm": _DISPLAY,
    "pyrogue.streamTap": "Rogue has removed it. A source may have several slaves: source >> another",
    "rogue.hardware": f"{_MAPPED}. {_DRIVER}",
    "rogue.interfaces.ZmqClient": _CLIENT,
    "rogue.interfaces.ZmqServer": _SERVER,
    "rogue.interfaces.api": _NATIVE,
    "rogue.interfaces.memory": _DRIVER,
    "rogue.interfaces.memory.Block": _NATIVE,
    "rogue.interfaces.memory.TransactionLock": "`with transaction.lock():` is all that is needed",
    "rogue.interfaces.memory.Variable": _NATIVE,
    "rogue.interfaces.stream.Buffer": "A frame is one piece of memory here: use its read, write and getNumpy",
    "rogue.protocols.xilinx": _DRIVER,
}


def advice(name: str) -> str:
    """Return the text of the error for the dotted `name`: what is missing, and what to do."""
    text = f"Sapwood has no {name}"
    above, _, last = name.rpartition(".")
    near = nearest(last, homes(above)) if above in MODULES and name not in ADVICE else []
    if near:
        return f"{text}. Did you mean: {', '.join(near)}?"
    parts = name.split(".")
    for count in range(len(parts), 1, -1):
        hint = ADVICE.get(".".join(parts[:count]))
        if hint is not None:
            return f"{text}. {hint}"
    return f"{text}, and knows of no such name"
