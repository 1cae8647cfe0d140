"""The code blocks of README and docs are run; what is not says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, blocks_of, complaint
from tests.docs.running import run_page
from tests.docs.scenes import scene
from tests.support import ROOT
from tests.support.platform import Platform

WALK = ROOT / "docs" / "processors.md"
"""Its blocks make and change files, so they are run in a copy of the checkout: ``test_walk.py``."""

TUTORIAL = ROOT / "docs" / "tutorial-outside.md"
"""Its blocks are the files of an example: ``test_tutorial.py`` and ``tests/test_outside_package.py``."""

LONG = {"README.md", "verify.md"}
"""Their blocks take more than ten seconds, so they run in `make chaos`."""

pages = [
    pytest.param(page, marks=[pytest.mark.chaos] if page.name in LONG else [])
    for page in PAGES
    if page not in (WALK, TUTORIAL) and any(block.not_run is None for block in blocks_of(page))
]


def test_each_block_is_run_or_says_why_not() -> None:
    complaints = [said for page in PAGES for block in blocks_of(page) if (said := complaint(block))]
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("page", pages, ids=lambda page: page.name)
def test_the_blocks_of_a_page_work(stage: Platform, page: Path) -> None:
    with scene(str(page.relative_to(ROOT)), stage):
        run_page(page, blocks_of(page), stage)
