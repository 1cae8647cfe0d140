"""docs/api-reference.md: it is current, and has each public name with an example."""

from __future__ import annotations

import fundlyhub
from fundlyhub.events import payload
from fundlyhub.events.catalogue import PAYLOADS
from tests.docs.api_reference import PAGE, SECTIONS, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run `make docs`"


def test_each_public_name_is_on_it() -> None:
    shown = {name for section in SECTIONS for name in section.names if section.module == "fundlyhub"}
    assert shown | {"Payload", *(cls.__name__ for cls in PAYLOADS.values())} == set(fundlyhub.__all__)


def test_each_field_type_and_base_is_on_it() -> None:
    functions_and_limits = {name for name in payload.__all__ if name.islower() or name.isupper()}
    text = page()
    missing = {name for name in payload.__all__ if f"`{name}`" not in text} - functions_and_limits
    assert missing == {"CamelCase"}, "the base of WireModel, which authors do not need"


def test_each_name_has_an_example() -> None:
    heading, without = "", set()
    names = {name for section in SECTIONS for name in section.names}
    for line in page().splitlines():
        if line.startswith("### "):
            heading = line.removeprefix("### ")
            without |= {heading} & names
        elif line == "```python":
            without.discard(heading)
    assert not without
