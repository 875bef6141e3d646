"""Registers: models, blocks, transactions and the memory bus."""

from __future__ import annotations

from sapwood.memory.bits import byteCount, reverseBits, twosComplement, wordCount
from sapwood.memory.block import Block
from sapwood.memory.emulate import Emulate
from sapwood.memory.field import Field, FieldSpec
from sapwood.memory.hub import Hub
from sapwood.memory.link import busConnect
from sapwood.memory.master import Master
from sapwood.memory.model import Model
from sapwood.memory.slave import Slave
from sapwood.memory.transaction import Post, Read, Transaction, Verify, Write

__all__ = [
    "Block",
    "Emulate",
    "Field",
    "FieldSpec",
    "Hub",
    "Master",
    "Model",
    "Post",
    "Read",
    "Slave",
    "Transaction",
    "Verify",
    "Write",
    "busConnect",
    "byteCount",
    "reverseBits",
    "twosComplement",
    "wordCount",
]
