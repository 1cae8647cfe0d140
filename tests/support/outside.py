"""Packages of other authors as pip leaves them in a folder: modules, and the entry points that name them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fundlyhub.database.packages import packages
from fundlyhub.database.revisions import revisions
from tests.support import ROOT
from tests.support.command import environment

Points = Mapping[str, Mapping[str, str]]
"""Entry points by group and name."""


def install(folder: Path, name: str, files: Mapping[str, str], points: Points) -> None:
    """Put a package into a folder: its files by their paths."""
    about = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    groups = (
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in some.items()) for group, some in points.items()
    )
    (about / "entry_points.txt").write_text("\n".join(groups))
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def beside(folder: Path, variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a process that has the folder's packages beside this checkout."""
    return environment({"PYTHONPATH": f"{folder}:{ROOT}", **(variables or {})})


@contextmanager
def seen_here(folder: Path) -> Iterator[None]:
    """Their migrations are this process's too, until the block ends."""
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    forget_packages()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]
        forget_packages()


def forget_packages() -> None:
    """Look anew which packages bring migrations, and which."""
    packages.cache_clear()
    revisions.cache_clear()


def migration(package: str, number: int, upgrade: str) -> str:
    """The text of a migration that runs SQL."""
    before = f"{package}_{number - 1:04}" if number > 1 else None
    return f'''"""A migration."""

from alembic import op

revision = "{package}_{number:04}"
down_revision = {before!r}


def upgrade() -> None:
    op.execute("""{upgrade}""")


def downgrade() -> None:
    raise NotImplementedError
'''
