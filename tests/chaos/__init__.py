"""The chaos suite: faults of every kind, at every boundary, and nothing lost, doubled or stuck."""

import pytest

pytest.register_assert_rewrite("tests.chaos.arena", "tests.chaos.load")
