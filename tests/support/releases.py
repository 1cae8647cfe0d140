"""A newer release of the package: a copy of the code with what a next version might bring."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support import ROOT

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


NEWER_PROCESSORS: Mapping[str, Any] = {
    "FUNDLYHUB_PROCESSORS": "tests.support.processors,tests.support.newer_processors"
}
"""The variables of a process that has one processor more."""
