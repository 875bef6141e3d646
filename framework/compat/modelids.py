"""Numbers of the models, as ``rogue.interfaces.memory`` names them."""

from __future__ import annotations

__all__ = [
    "BFloat16",
    "Bool",
    "Bytes",
    "Double",
    "Fixed",
    "Float",
    "Float4",
    "Float6",
    "Float8",
    "Float16",
    "Int",
    "PyFunc",
    "String",
    "TensorFloat32",
    "UFixed",
    "UInt",
]

PyFunc, Bytes, UInt, Int, Bool, String, Float, Double, Fixed, UFixed = range(10)
Float16, Float8, BFloat16, TensorFloat32, Float6, Float4 = range(10, 16)
