"""For processes: the type that nobody can read is known here, and a processor wants it."""

from __future__ import annotations

from tests.support.processors import TestCountProcessor
from tests.support.unreadable import TYPE, enter

enter()


class TestUnreadableProcessor(TestCountProcessor):
    """Writes a row for each search that comes between events which nobody can read."""

    handles = ("search.**", TYPE)
