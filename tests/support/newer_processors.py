"""A processor that a newer release brings, or that an older one still had."""

from __future__ import annotations

from tests.support.processors import TestCountProcessor


class TestNewerProcessor(TestCountProcessor):
    """Writes a row for each gift that begins, and for each that fails."""

    handles = ("donation.initiated", "donation.failed")
