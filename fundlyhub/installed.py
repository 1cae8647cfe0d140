"""Entry points of installed packages: the modules that they name, in one order, with errors that name the package."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

from fundlyhub.errors import FundlyHubError, WrongUse


def points(group: str) -> list[EntryPoint]:
    """The entry points of a group, in an order that does not depend on where packages are installed."""
    return sorted(entry_points(group=group), key=lambda point: (point.value, point.name))


def distribution(point: EntryPoint) -> str:
    """The package that has an entry point, as pip calls it."""
    return point.dist.name if point.dist else "a package"


def imported(module: str, whose: str) -> ModuleType:
    """A module of another package. Raises WrongUse, which names the package, when that fails."""
    try:
        return import_module(module)
    except ImportError as error:
        raise WrongUse(f"{whose}: cannot import {module}: {error}") from None
    except FundlyHubError as error:
        raise WrongUse(f"{whose}: {error}") from None
    except Exception as error:
        raise WrongUse(f"{whose}: {module} fails when it is imported: {type(error).__name__}: {error}") from error


def load(group: str) -> list[tuple[ModuleType, str]]:
    """Import the module of each entry point; each with a name for errors. Raises WrongUse."""
    found = []
    for point in points(group):
        whose = f"the entry point {point.name} of {distribution(point)}"
        found.append((imported(point.module, whose), whose))
    return found
