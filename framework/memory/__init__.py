"""Registers: models, blocks, transactions and the memory bus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sapwood.extras import lazy_exports
from sapwood.memory.bits import byteCount, reverseBits, twosComplement, wordCount
from sapwood.memory.block import Block
from sapwood.memory.bulk import startTransactions
from sapwood.memory.emulate import Emulate
from sapwood.memory.field import Field, FieldSpec
from sapwood.memory.hub import Hub
from sapwood.memory.layout import build_blocks, check_overlap
from sapwood.memory.link import busConnect
from sapwood.memory.master import Master
from sapwood.memory.model import Model
from sapwood.memory.models_fixed import Fixed, String, UFixed
from sapwood.memory.models_float import (
    BFloat16,
    BFloat16BE,
    Double,
    DoubleBE,
    Float,
    Float4,
    Float4BE,
    Float6,
    Float6BE,
    Float8,
    Float8BE,
    Float16,
    Float16BE,
    FloatBE,
    TensorFloat32,
    TensorFloat32BE,
)
from sapwood.memory.models_int import Bool, Int, IntBE, UInt, UIntBE, UIntReversed
from sapwood.memory.slave import Slave
from sapwood.memory.transaction import Post, Read, Transaction, Verify, Write

if TYPE_CHECKING:
    from sapwood.memory.memmap import MemMap
    from sapwood.memory.memoryemulate import MemEmulate
    from sapwood.memory.oscommand import OsCommandMemorySlave
    from sapwood.memory.serialline import SerialMemorySlave
    from sapwood.memory.srp import SrpV0, SrpV3
    from sapwood.memory.srpserver import SrpV0Server, SrpV3Emulation, SrpV3Server
    from sapwood.memory.tcp import TcpClient, TcpServer

__all__ = [
    "BFloat16",
    "BFloat16BE",
    "Block",
    "Bool",
    "Double",
    "DoubleBE",
    "Emulate",
    "Field",
    "FieldSpec",
    "Fixed",
    "Float",
    "Float4",
    "Float4BE",
    "Float6",
    "Float6BE",
    "Float8",
    "Float8BE",
    "Float16",
    "Float16BE",
    "FloatBE",
    "Hub",
    "Int",
    "IntBE",
    "Master",
    "MemEmulate",
    "MemMap",
    "Model",
    "OsCommandMemorySlave",
    "Post",
    "Read",
    "SerialMemorySlave",
    "Slave",
    "SrpV0",
    "SrpV0Server",
    "SrpV3",
    "SrpV3Emulation",
    "SrpV3Server",
    "String",
    "TcpClient",
    "TcpServer",
    "TensorFloat32",
    "TensorFloat32BE",
    "Transaction",
    "UFixed",
    "UInt",
    "UIntBE",
    "UIntReversed",
    "Verify",
    "Write",
    "build_blocks",
    "busConnect",
    "byteCount",
    "check_overlap",
    "reverseBits",
    "startTransactions",
    "twosComplement",
    "wordCount",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "MemEmulate": "sapwood.memory.memoryemulate",
        "MemMap": "sapwood.memory.memmap",
        "OsCommandMemorySlave": "sapwood.memory.oscommand",
        "SerialMemorySlave": "sapwood.memory.serialline",
        "SrpV0": "sapwood.memory.srp",
        "SrpV0Server": "sapwood.memory.srpserver",
        "SrpV3": "sapwood.memory.srp",
        "SrpV3Emulation": "sapwood.memory.srpserver",
        "SrpV3Server": "sapwood.memory.srpserver",
        "TcpClient": "sapwood.memory.tcp",
        "TcpServer": "sapwood.memory.tcp",
    },
)
