"""The registry of processors: every subclass that handles something, by its name."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fundlyhub.errors import WrongUse
from fundlyhub.events import packages
from fundlyhub.installed import imported
from fundlyhub.installed import load as load_group

if TYPE_CHECKING:
    from fundlyhub.processing.processor import Processor

ENTRY_POINTS = "fundlyhub.processors"
"""The group of entry points by which an installed package has its processors loaded."""
MESSAGES = "fundlyhub.messages"
"""The same for its messages to people."""

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


def load(modules: str) -> Mapping[str, type[Processor]]:
    """All processors by name, once installed packages and the modules named in ``modules`` are imported.

    A package names its modules in the entry-point groups ``fundlyhub.events``, ``fundlyhub.processors`` and
    ``fundlyhub.messages``; ``modules`` is one text, separated by commas. The payload classes of each of these modules
    are entered too. Raises WrongUse, which names the package or the setting, when one cannot be imported.
    """
    packages.load()
    for group in (ENTRY_POINTS, MESSAGES):
        for module, whose in load_group(group):
            packages.register(module, whose)
    if modules and str(Path.cwd()) not in sys.path and "" not in sys.path:
        sys.path.append(str(Path.cwd()))  # where `celery` looks too; last, so that nothing there shadows a library
    for name in filter(None, map(str.strip, modules.split(","))):
        packages.register(imported(name, "FUNDLYHUB_PROCESSORS"), "FUNDLYHUB_PROCESSORS")
    return processors()
