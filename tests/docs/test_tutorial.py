"""The tutorial for packages of other authors: its files are those of the example, whose own tests run from a wheel."""

from __future__ import annotations

import subprocess

from tests.docs.blocks import blocks_of
from tests.docs.test_blocks import TUTORIAL
from tests.support import ROOT

EXAMPLE = ROOT / "examples" / "outside_package"


def test_the_files_on_the_page_are_those_of_the_example_and_none_is_left_out() -> None:
    shown = {block.file: block.text for block in blocks_of(TUTORIAL) if block.file is not None}
    listed = subprocess.run(["git", "ls-files"], cwd=EXAMPLE, capture_output=True, text=True, check=True).stdout.split()
    assert {*shown, "README.md"} == set(listed)
    assert [name for name, text in shown.items() if (EXAMPLE / name).read_text() != text] == []
