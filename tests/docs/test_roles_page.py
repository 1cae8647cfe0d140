"""docs/roles-rights.md says what is granted."""

from __future__ import annotations

from tests.docs.roles_page import PAGE, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run `make docs`"
