"""`python -m tests.processing.handed_over POSITION`: runs an event through a processor and the one that takes it over.

A process of its own registers them, so that no other test knows them.
"""

from __future__ import annotations

import sys

from fundlyhub.processing.shared import execute_shared
from tests.support.processors import TestCountProcessor


class FormerProcessor(TestCountProcessor):
    """Has handed donations over."""

    handles = ("search.**", "search.query.submitted")


class SuccessorProcessor(TestCountProcessor):
    """Has donations now."""

    handles = ("donation.initiated", "search.**")
    takes_over = "former"


if __name__ == "__main__":
    execute_shared((FormerProcessor, SuccessorProcessor), [int(sys.argv[1])])
