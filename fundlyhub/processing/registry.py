"""The registry of processors: every subclass that handles something, by its name."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from fundlyhub.errors import WrongUse

if TYPE_CHECKING:
    from fundlyhub.processing.processor import Processor

ENTRY_POINTS = "fundlyhub.processors"
"""The group of entry points by which an installed package has its processors and event types loaded."""

_registry: dict[str, type[Processor]] = {}


def add(cls: type[Processor]) -> None:
    """Enter a processor under its name; called when its class is defined.

    Raises WrongUse when the name is taken by another class.
    """
    other = _registry.setdefault(cls.name, cls)
    if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
        raise WrongUse(f"two processors are called {cls.name!r}: {other.__qualname__} and {cls.__qualname__}")


def processors() -> Mapping[str, type[Processor]]:
    """All registered processors by name."""
    return dict(sorted(_registry.items()))


def load(modules: str) -> None:
    """Import the modules of installed packages and those named in ``modules``, so that their processors register.

    A package names its module in the entry-point group ``fundlyhub.processors``; ``modules`` is one text, separated by
    commas. Raises WrongUse, which names the package or the setting, when one cannot be imported.
    """
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: (point.value, point.name)):
        package = point.dist.name if point.dist else "a package"
        _import(point.module, f"the entry point {point.name} of {package}")
    if modules and str(Path.cwd()) not in sys.path and "" not in sys.path:
        sys.path.append(str(Path.cwd()))  # where `celery` looks too; last, so that nothing there shadows a library
    for name in filter(None, map(str.strip, modules.split(","))):
        _import(name, "FUNDLYHUB_PROCESSORS")


def _import(module: str, whose: str) -> None:
    try:
        import_module(module)
    except ImportError as error:
        raise WrongUse(f"{whose}: cannot import {module}: {error}") from None
