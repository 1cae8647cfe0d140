"""How many examples a property is tried with: a quarter in the quick loop of `make unit`, all of them elsewhere."""

from __future__ import annotations

import os


def examples(number: int) -> int:
    """So many; for properties without a server whose examples take long."""
    return number // 4 if os.environ.get("QUICK_EXAMPLES") else number
