"""The pages themselves: links, the index, the settings with their defaults, and a rule of their language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from pydantic_core import PydanticUndefined

from fundlyhub.settings import Settings
from tests.docs.blocks import PAGES, outline
from tests.support import ROOT

_ROW = re.compile(r"^\| `([A-Z_]+)` \|(.*?)\| .+ \|$", re.MULTILINE)
ELSEWHERE = {"streams_url": "`REDIS_URL`", "data_dir": "the platform's data folder"}
"""Defaults that are told in words."""
PERSON = re.compile(r"\b(he|him|his|himself|she|hers?|herself|who(?:m|se)?ever)\b", re.IGNORECASE)
"""Pronouns of one person. A thing is "it", and a person is "they", so no text of ours needs them."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        target, _, anchor = unquote(link).partition("#")
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), f"{link} leads nowhere"
        if anchor and found.suffix == ".md":
            assert anchor in anchors(found), f"{link}: {found.name} has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_pronoun_of_a_person_stands_for_a_thing(page: Path) -> None:
    found = [f"{page.name}:{line}: {text}" for line, text in prose(page) if PERSON.search(text)]
    assert not found, 'a thing is "it", a person "they"'


def test_no_pronoun_of_a_person_stands_for_a_thing_in_the_code() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted((ROOT / "fundlyhub").rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if PERSON.search(line)
    ]
    assert not found, 'a thing is "it", a person "they"'


@pytest.mark.parametrize("folder", ["docs", "docs/decisions"])
def test_each_page_is_in_the_index_of_its_folder(folder: str) -> None:
    index = ROOT / folder / "README.md"
    missing = {page.name for page in PAGES if page.parent == index.parent} - {index.name} - set(links(index))
    assert not missing, f"{folder}/README.md names every page"


def test_the_pages_beside_the_readme_are_linked_from_it() -> None:
    readme = ROOT / "README.md"
    assert {page.name for page in PAGES if page.parent == ROOT} - {readme.name} <= set(links(readme))


def test_the_settings_page_has_each_setting_with_its_default() -> None:
    rows = {
        name.lower(): default.strip() for name, default in _ROW.findall((ROOT / "docs" / "settings.md").read_text())
    }
    assert rows == {name: default_of(name) for name in Settings.model_fields}


def default_of(name: str) -> str:
    """A setting's default as the page shows it."""
    if name in ELSEWHERE:
        return ELSEWHERE[name]
    default = Settings.model_fields[name].default
    if default in (None, "", PydanticUndefined):
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    shown = f"{default:g}" if isinstance(default, float) else str(default)
    return f"`{shown}`" if "<" in shown else shown


@cache
def anchors(page: Path) -> set[str]:
    """The headings of a page, as GitHub turns them into anchors."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> Iterator[str]:
    """Where a page's links and pictures lead, those to other hosts apart."""
    for token in tokens(MarkdownIt("commonmark").enable("table").parse(page.read_text())):
        target = str(token.attrs.get("href") or token.attrs.get("src") or "")
        if target and "://" not in target and not target.startswith("mailto:"):
            yield target


def tokens(these: list[Token]) -> Iterator[Token]:
    """All tokens, those inside others too."""
    for token in these:
        yield token
        yield from tokens(token.children or [])


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """The lines of a page, with their numbers; fenced blocks and quotes of code apart."""
    text = page.read_text()
    fenced: set[int] = set()
    for token in outline(page):
        if token.type == "fence" and token.map is not None:
            fenced.update(range(*token.map))
    for number, line in enumerate(text.splitlines()):
        if number not in fenced:
            yield number + 1, re.sub(r"`[^`]*`", "", line)


def test_the_walks_migration_follows_the_last_one() -> None:
    """A new migration takes the number that the page gave to its reader's."""
    page = (ROOT / "docs" / "processors.md").read_text()
    last = max(path.name[:4] for path in (ROOT / "fundlyhub/database/migrations/analytics/versions").glob("0*.py"))
    assert f'down_revision = "analytics_{last}"' in page
    assert f"versions/{int(last) + 1:04}_favourites.py" in page
