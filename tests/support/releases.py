"""Other releases of the package: a newer one, made of a copy of the code, and the former one, as it was."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT
from tests.support.wheel import require_index, wheel_of

FORMER = "940ee05"
"""The revision that stands for the release before this one. Set it anew with each release."""

NEWER_CLASSES = '''

class SearchQueryPut(
    SearchQuerySubmitted, type="search.query.submitted", version="3.0.0", aggregate=("search_session", "session_id")
):
    """Someone has searched, and says where."""

    place: Line


class SearchQueryForgotten(Payload, type="search.query.forgotten", aggregate=("search_session", "session_id")):
    """Someone wants a search to be forgotten."""

    query: Reference
    session_id: UUID | None = None
'''
NEWER_UPCASTER = """

@upcasts("search.query.submitted", "1.0.0", "3.0.0")
def _on_the_page_where_no_place(payload: Wire) -> Wire:
    return _fill(payload, "place", "page")
"""


def newer_release(folder: Path) -> dict[str, Any]:
    """Make it in a folder; the variables with which a process runs it instead of the checkout."""
    shutil.copytree(ROOT / "fundlyhub", folder / "fundlyhub", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "celeryconfig.py", folder)
    for name, more in (("catalogue/search.py", NEWER_CLASSES), ("upcasters.py", NEWER_UPCASTER)):
        module = folder / "fundlyhub" / "events" / name
        module.write_text(module.read_text() + more)
    # The folder of the command would come before them.
    return {"PYTHONPATH": f"{folder}:{ROOT}", "PYTHONSAFEPATH": "1", **NEWER_PROCESSORS}


def former_release(folder: Path) -> str:
    """The Python of an environment with the former release, for processes to run on.

    ``FORMER_RELEASE`` names the environment. Without it one is made in a folder, from the history of this checkout and
    a package index; without these the test is skipped.
    """
    if made := os.environ.get("FORMER_RELEASE"):
        return f"{made}/bin/python"
    archive, source, python = folder / "former.zip", folder / "source", folder / "environment" / "bin" / "python"
    git = ["git", "archive", f"--output={archive}", FORMER]
    if subprocess.run(git, cwd=ROOT, capture_output=True, check=False).returncode != 0:
        pytest.skip(f"the history of this checkout has no {FORMER}, and FORMER_RELEASE names no environment")
    shutil.unpack_archive(archive, source)
    subprocess.run([sys.executable, "-m", "venv", str(folder / "environment")], check=True)
    require_index(python)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "--require-hashes", "-r", str(source / "requirements" / "run.txt")], check=True)
    subprocess.run([*install, "--no-deps", str(wheel_of(source, folder))], check=True)
    return str(python)


NEWER_PROCESSORS: Mapping[str, Any] = {
    "FUNDLYHUB_PROCESSORS": "tests.support.processors,tests.support.newer_processors"
}
"""The variables of a process that has one processor more."""
