"""Migrations of other packages: which packages bring some, in which folders, and the rights on their tables.

A package names a package of its own as an entry point, ``leaderboard = "donor_leaderboard.migrations"`` in the group
``fundlyhub.migrations``. Below it is a folder for each database that it has tables in: ``events``, ``app`` or
``analytics``, with Alembic's files ``0001_totals.py``, ``0002_…``, whose revisions are ``leaderboard_0001`` and so on.
The entry point's name is the prefix of all that these make, so no two packages collide, nor one with this product.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

from fundlyhub.errors import WrongUse
from fundlyhub.installed import distribution, imported, points
from fundlyhub.settings import BRANCHES, Branch

GROUP = "fundlyhub.migrations"
"""The group of entry points by which an installed package has its migrations run."""
VERSION_TABLE = "alembic_version"
"""The table of the product's own revision; a package's has its name behind it."""

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST = 40
_FILE = re.compile(r"([0-9]{4})_\w+\.py")


@dataclass(frozen=True)
class Package:
    """A package that brings migrations. ``rights`` by role and table are beside what workers get anyway."""

    name: str
    distribution: str
    folder: Path
    rights: Mapping[str, Mapping[str, str]]

    def versions(self, branch: Branch) -> Path | None:
        """The folder of its migrations for a database, if it has any."""
        folder = self.folder / branch
        return folder if folder.is_dir() else None

    def revisions(self, branch: Branch) -> tuple[str, ...]:
        """Its revisions in a database, oldest first."""
        folder = self.versions(branch)
        found = sorted(match[1] for path in folder.iterdir() if (match := _FILE.fullmatch(path.name))) if folder else ()
        return tuple(f"{self.name}_{number}" for number in found)

    def owns(self, name: str) -> bool:
        """Whether a table, view, sequence or function of this name, without a schema, is this package's."""
        return name.startswith(f"{self.name}_")


def version_table(package: str) -> str:
    """The table of a package's revision in each schema."""
    return f"{VERSION_TABLE}_{package}"


@cache
def packages() -> Mapping[str, Package]:
    """The installed packages with migrations, by name.

    Raises WrongUse, which names the package, when one cannot be imported or its name cannot be used.
    """
    found: dict[str, Package] = {}
    for point in sorted(points(GROUP), key=lambda one: one.name):
        package = _package(point)
        other = found.setdefault(package.name, package)
        if other is not package:
            raise WrongUse(
                f"{other.distribution} and {package.distribution} both call their migrations {package.name!r}: "
                f"one of them must rename its entry point in {GROUP}"
            )
    for one in found:
        if clash := next((other for other in found if other.startswith(f"{one}_")), None):
            raise WrongUse(f"the migrations {one!r} and {clash!r}: tables of the second would be the first one's too")
    return found


def _package(point: EntryPoint) -> Package:
    where = f"the migrations {point.name!r} of {distribution(point)}"
    if not _NAME.fullmatch(point.name) or len(point.name) > _LONGEST:
        raise WrongUse(f"{where}: their name must be small letters, digits and single underscores, at most {_LONGEST}")
    module = imported(point.module, where)
    return Package(point.name, distribution(point), _folder(module, where), _rights(module, point.name, where))


def _folder(module: ModuleType, where: str) -> Path:
    folders = [Path(path) for path in getattr(module, "__path__", ())]
    found = next((one for one in folders if any((one / branch).is_dir() for branch in BRANCHES)), None)
    if found is None:
        raise WrongUse(f"{where}: {module.__name__} has no folder {', '.join(BRANCHES[:-1])} or {BRANCHES[-1]}")
    return found


def _rights(module: ModuleType, name: str, where: str) -> Mapping[str, Mapping[str, str]]:
    """Its ``RIGHTS``, by the role's short name: of tables of its own only."""
    given: Any = getattr(module, "RIGHTS", {})
    for table in _tables(given, where):
        branch, _, rest = table.partition(".")
        if branch not in BRANCHES or not rest.startswith(f"{name}_"):
            raise WrongUse(f"{where}: RIGHTS names {table!r}; a package gives rights on {name}_… in one of our schemas")
    return given  # type: ignore[no-any-return]


def _tables(given: Any, where: str) -> Iterator[str]:
    try:
        for rights in given.values():
            yield from map(str, rights.keys())
    except AttributeError:
        raise WrongUse(f'{where}: RIGHTS must be such as {{"reader": {{"analytics.x_totals": "SELECT"}}}}') from None
