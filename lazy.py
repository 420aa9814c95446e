"""Public names that load their module when they are first used (PEP 562)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, modules: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package.

    Args:
        package: the name of the package.
        modules: the public names, and the module of each, relative to the package.

    Example:
        >>> __getattr__, __dir__ = lazy_names(__name__, {"load_documents": ".data.loading"})  # doctest: +SKIP
    """
    names = vars(sys.modules[package])

    def find(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = names[name] = getattr(import_module(modules[name], package), name)
        return value

    return find, lambda: sorted({*names, *modules})
