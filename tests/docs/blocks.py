"""Reads the code blocks of README, its neighbours and docs, and what each says of itself: how it is run, or why not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.support import ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]

HOW = {
    "python": "the blocks of a page are one program, in a process with the settings of a real platform",
    "sql": "in a real database",
    "sh": "each command of `fundlyhub` or Celery is run, and must end with status 0",
    "console": "the same, for lines that begin with a dollar sign; the others are what they printed",
    "json": "parsed",
    "yaml": "parsed",
    "toml": "parsed",
    "ini": "each variable must be a setting",
    "text": "no code: output and drawings",
}
"""What is done with a block of each language."""

_REASON = re.compile(r"<!--\s*not run:\s*(\S.*?)\s*-->", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its page, the line of its fence, its language, its text, and what it says of itself."""

    page: Path
    line: int
    language: str
    text: str
    file: str | None
    """The file that it is, in a walk: ``file=PATH`` behind the language."""
    not_run: str | None
    """The reason, from the comment above: ``<!-- not run: REASON -->``."""

    @property
    def place(self) -> str:
        """Where it stands, for people."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def padded(self) -> str:
        """The text with as many lines before it as on its page, so that a traceback names the page's line."""
        return "\n" * self.line + self.text


@cache
def blocks_of(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order."""
    return list(_blocks(page))


@cache
def outline(page: Path) -> list[Token]:
    """The blocks of a page, code and prose; what is inside them is not parsed, which takes half of the time."""
    return MarkdownIt("commonmark").disable("inline").parse(page.read_text())


def _blocks(page: Path) -> Iterator[Block]:
    reason = None
    for token in outline(page):
        if token.type == "html_block":
            found = _REASON.search(token.content)
            reason = " ".join(found[1].split()) if found else None
        elif token.type == "fence":
            assert token.map is not None
            language, _, more = token.info.strip().partition(" ")
            file = more.removeprefix("file=") if more.startswith("file=") else None
            yield Block(page, token.map[0] + 1, language, token.content, file, reason)
            reason = None
        else:
            reason = None


def complaint(block: Block) -> str | None:
    """Why a block may not stay as it is: it is neither run nor says why; None where all is well. Pure."""
    if block.language not in HOW and block.not_run is None:
        return f"{block.place}: say the language, one of {', '.join(HOW)}; output is `text`"
    if block.not_run is not None and block.language == "text":
        return f"{block.place}: nobody would run `{block.language}`: no reason is wanted"
    if block.language == "text" and re.search(r"\A(fundlyhub|celery) |^\$ ", block.text, re.MULTILINE):
        return f"{block.place}: these are commands: call it `sh` or `console`"
    return None
