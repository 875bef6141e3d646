"""The modules ``pyrogue`` and ``rogue``, made when they are imported."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from sapwood.compat.missing import advice
from sapwood.compat.names import MODULES, homes

__all__ = ["install", "offer"]

ROOTS = frozenset(name.partition(".")[0] for name in MODULES)


class ProxyLoader(Loader):
    """Fills a module with the names that lead to Sapwood; each is looked up when first used."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave it to Python to make the module."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Give `module` its names."""
        public = sorted(name for name in homes(module.__name__) if not name.startswith("_"))
        module.__doc__ = f"The names of {module.__name__} that Sapwood has."
        vars(module).update(
            __all__=public, __getattr__=_getter(module), __dir__=lambda: sorted({*vars(module), *public})
        )


def _getter(module: ModuleType) -> Callable[[str], object]:
    """Return the ``__getattr__`` (PEP 562) of a proxy module."""
    names = homes(module.__name__)

    def __getattr__(name: str) -> object:  # noqa: N807  # installed under this name in the module
        full = f"{module.__name__}.{name}"
        if name in names:
            home, attribute = names[name]
            value: object = getattr(importlib.import_module(home), attribute)
            setattr(module, name, value)
            return value
        if full in MODULES:
            return importlib.import_module(full)
        if name.startswith("__"):
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        raise AttributeError(advice(full))

    return __getattr__


class ProxyFinder(MetaPathFinder):
    """Finds the proxy modules, and says what to do about modules of Rogue that Sapwood has not.

    It comes before other finders, since these take any folder that is called ``rogue``, such as a
    checkout, for a package without code.
    """

    takes_over = False
    """Whether the names are Sapwood's even where Rogue is installed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a proxy; None for modules of others, those of a real Rogue included.

        Raises
        ------
        ImportError
            For a module of Rogue that Sapwood does not have.
        """
        root, _, rest = fullname.partition(".")
        if root not in ROOTS or (rest and not _is_proxy(sys.modules.get(root))):
            return None
        if not rest and not self.takes_over and _installed(root):
            return None
        if fullname not in MODULES:
            # not ModuleNotFoundError, which `from module import name` would swallow
            raise ImportError(advice(fullname), name=fullname)
        return ModuleSpec(fullname, LOADER, is_package=True)


LOADER = ProxyLoader()
FINDER = ProxyFinder()


def _installed(root: str) -> bool:
    """Tell if another finder has code for the package `root`."""
    specs = (finder.find_spec(root, None) for finder in sys.meta_path if finder is not FINDER)
    return any(spec is not None and spec.loader is not None for spec in specs)


def _is_proxy(module: ModuleType | None) -> bool:
    return isinstance(getattr(module, "__loader__", None), ProxyLoader)


def offer() -> None:
    """Make ``pyrogue`` and ``rogue`` importable where they are not; does nothing the second time."""
    if FINDER not in sys.meta_path:
        sys.meta_path.insert(0, FINDER)


def install() -> None:
    """Make ``pyrogue`` and ``rogue`` lead to Sapwood, even where Rogue is installed.

    Raises
    ------
    ImportError
        A real Rogue has been imported already.
    """
    for root in sorted(ROOTS):
        present = sys.modules.get(root)
        if present is not None and not _is_proxy(present):
            raise ImportError(
                f"{root} is already imported from {getattr(present, '__file__', 'elsewhere')}: "
                "call sapwood.compat.install() first",
                name=root,
            )
    if FINDER in sys.meta_path:
        sys.meta_path.remove(FINDER)
    offer()
    FINDER.takes_over = True
