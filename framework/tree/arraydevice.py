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
        Keywords for each of them, or a list with the keywords of each; ``name`` there replaces
        ``Class``.
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
        shared = arrayArgs if isinstance(arrayArgs, Sequence) else [arrayArgs or {}] * number
        for index, given in enumerate(shared[:number]):
            args = dict(given)
            args["name"] = f"{args.get('name', kind)}[{index}]"
            self.add(arrayClass(offset=index * stride, **args))
