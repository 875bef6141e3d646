"""The control tree: Root, Device, Variable, Command."""

from __future__ import annotations

from sapwood.errors import CommandError, ConfigError, DeviceError, NodeError, UnknownNode, VariableError
from sapwood.memory import (
    BFloat16,
    BFloat16BE,
    Bool,
    Double,
    DoubleBE,
    Fixed,
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
    Int,
    IntBE,
    Model,
    String,
    TensorFloat32,
    TensorFloat32BE,
    UFixed,
    UInt,
    UIntBE,
    UIntReversed,
    busConnect,
    byteCount,
    reverseBits,
    twosComplement,
    wordCount,
)
from sapwood.tree.arraydevice import ArrayDevice
from sapwood.tree.bulk import (
    readAndWaitBlocks,
    readBlocks,
    startTransaction,
    verifyBlocks,
    waitBlocks,
    waitTransaction,
    writeAndVerifyBlocks,
    writeBlocks,
)
from sapwood.tree.callbacks import functionWrapper
from sapwood.tree.command import BaseCommand, Command, LocalCommand
from sapwood.tree.configprocess import LoadConfigProcess, SaveConfigProcess
from sapwood.tree.declare import (
    Action,
    Child,
    Declaration,
    Link,
    Local,
    Register,
    RegisterArray,
    RegisterCommand,
)
from sapwood.tree.device import Device
from sapwood.tree.documents import genDocDesc, genDocTableHeader, genDocTableRow
from sapwood.tree.enable import EnableVariable
from sapwood.tree.exposed import expose
from sapwood.tree.link import LinkVariable
from sapwood.tree.local import LocalVariable
from sapwood.tree.logs import logName, setLogLevel
from sapwood.tree.node import Node
from sapwood.tree.plan import Difference
from sapwood.tree.process import Process
from sapwood.tree.registertable import RegisterTable, load_registers
from sapwood.tree.remotecommand import RemoteCommand
from sapwood.tree.remotevar import RemoteVariable
from sapwood.tree.root import Root
from sapwood.tree.value import VariableValue
from sapwood.tree.variable import BaseVariable
from sapwood.tree.wait import VariableWait, VariableWaitClass
from sapwood.tree.yamlio import dataToYaml, dictUpdate, keyValueUpdate, yamlToData, yamlUpdate

__all__ = [
    "Action",
    "ArrayDevice",
    "BFloat16",
    "BFloat16BE",
    "BaseCommand",
    "BaseVariable",
    "Bool",
    "Child",
    "Command",
    "CommandError",
    "ConfigError",
    "Declaration",
    "Device",
    "DeviceError",
    "Difference",
    "Double",
    "DoubleBE",
    "EnableVariable",
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
    "Int",
    "IntBE",
    "Link",
    "LinkVariable",
    "LoadConfigProcess",
    "Local",
    "LocalCommand",
    "LocalVariable",
    "Model",
    "Node",
    "NodeError",
    "Process",
    "Register",
    "RegisterArray",
    "RegisterCommand",
    "RegisterTable",
    "RemoteCommand",
    "RemoteVariable",
    "Root",
    "SaveConfigProcess",
    "String",
    "TensorFloat32",
    "TensorFloat32BE",
    "UFixed",
    "UInt",
    "UIntBE",
    "UIntReversed",
    "UnknownNode",
    "VariableError",
    "VariableValue",
    "VariableWait",
    "VariableWaitClass",
    "busConnect",
    "byteCount",
    "dataToYaml",
    "dictUpdate",
    "expose",
    "functionWrapper",
    "genDocDesc",
    "genDocTableHeader",
    "genDocTableRow",
    "keyValueUpdate",
    "load_registers",
    "logName",
    "readAndWaitBlocks",
    "readBlocks",
    "reverseBits",
    "setLogLevel",
    "startTransaction",
    "twosComplement",
    "verifyBlocks",
    "waitBlocks",
    "waitTransaction",
    "wordCount",
    "writeAndVerifyBlocks",
    "writeBlocks",
    "yamlToData",
    "yamlUpdate",
]
