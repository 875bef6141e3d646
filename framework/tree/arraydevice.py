"""ArrayDevice: several devices of one kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sapwood.tree.device import Device

__all__ = ["ArrayDevice"]


class ArrayDevice(Device):
    """Holds `number` devices ``Class[i]`` at ``i * stride``.

    Parameters
    ----------
    arrayClass
        Class of the devices.
    stride
        Bytes from one to the next.
    arrayArgs
        Keywords for each of them, where ``name`` replaces ``Class``; or a list with the keywords of
        each, where it replaces ``Class[i]``.
    """

    def __init__(
        self,
        *,
        arrayClass: Callable[..., Device],
        number: int,
        stride: int = 0,
        arrayArgs: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        kind = getattr(arrayClass, "__name__", "Device")
        kwargs.setdefault("name", f"{kind}Array")
        super().__init__(**kwargs)
        if isinstance(arrayArgs, Sequence):
            each = [dict(args) for args in arrayArgs[:number]]
        else:
            shared = dict(arrayArgs or {})
            kind = shared.pop("name", kind)
            each = [dict(shared) for _ in range(number)]
        for index, args in enumerate(each):
            args.setdefault("name", f"{kind}[{index}]")
            self.add(arrayClass(offset=index * stride, **args))
