"""The registry of processors: every subclass that handles something, by its name."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from fundlyhub.errors import WrongUse

if TYPE_CHECKING:
    from fundlyhub.processing.processor import Processor

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
    """Import further modules, named in one text and separated by commas, so that their processors register.

    Raises WrongUse when one cannot be imported.
    """
    if modules and str(Path.cwd()) not in sys.path and "" not in sys.path:
        sys.path.append(str(Path.cwd()))  # where `celery` looks too; last, so that nothing there shadows a library
    for name in filter(None, map(str.strip, modules.split(","))):
        try:
            import_module(name)
        except ImportError as error:
            raise WrongUse(f"FUNDLYHUB_PROCESSORS: cannot import {name}: {error}") from None
