"""What pages say of the repository: files and modules that they name are there, and the layers are current."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from tests.architecture import page
from tests.docs.blocks import PAGES, blocks_of
from tests.support import ROOT

ROOTS = ("fundlyhub", "tests", "docs", "docker", "examples", "benchmarks", "requirements")
_PATH = re.compile(r"(?<![\w/.@-])[\w…-]+(?:/[\w.…-]*)+")
_FILE = re.compile(r"(?<![\w/.-])[\w-]+\.(?:py|toml|j2|sql|yaml)\b")
_MODULE = re.compile(r"(?<![\w/.@-])fundlyhub(?:\.\w+)+")
NO_MODULES = re.compile(r"fundlyhub\.(dlx|dead|parked|attempt|outcome|migrations|event\.\w+)$")
"""Queues and exchanges of RabbitMQ, attributes of spans, and a group of entry points."""
YOURS = {
    "docker/.env", "docker/settings.env", "docker/providers.env", "docker/webhooks.env", "docker/secrets",
    "migrations/…",
}  # fmt: skip
"""Files that a reader makes."""


@cache
def places() -> tuple[Path, ...]:
    """All files and folders of the repository that pages may name."""
    below = (path for root in ROOTS for path in (ROOT / root).rglob("*") if "node_modules" not in path.parts)
    return (*ROOT.iterdir(), *below)


def code(page: Path) -> str:
    """What stands between backquotes on a page, with its blocks."""
    text = page.read_text()
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    return "\n".join([*inline, *(block.text for block in blocks_of(page))])


def is_there(named: str, made: set[str]) -> bool:
    """Whether a file or folder ends like this, or is made by the page itself."""
    wanted = f"/{named.rstrip('/')}"
    return named in made | YOURS or any(str(path).endswith(wanted) for path in places())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_and_modules_that_a_page_names_are_there(page: Path) -> None:
    made = {block.file for block in blocks_of(page) if block.file}
    made |= {name.rpartition("/")[2] for name in made} | {name[: -len(".py")].replace("/", ".") for name in made}
    text = code(page)
    missing = {
        *(path for path in _PATH.findall(text) if path.split("/")[0] in ROOTS and not is_there(path, made)),
        *(path for path in _PATH.findall(text) if path.endswith(".py") and not is_there(path, made)),
        *(name for name in _FILE.findall(text) if not is_there(name, made)),
        *(name for name in _MODULE.findall(text) if not (NO_MODULES.match(name) or name in made or exists(name))),
    }
    assert not missing


def exists(name: str) -> bool:
    """Whether a dotted name is a module, or a name that stands in one."""
    place = ROOT / name.replace(".", "/")
    if place.is_dir() or place.with_suffix(".py").is_file():
        return True
    module, last = place.parent, place.name
    source = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
    return source.is_file() and re.search(rf"\b{last}\b", source.read_text()) is not None


def test_the_layers_on_the_page_are_those_that_are_checked() -> None:
    assert page.PAGE.read_text() == page.page(), "run `make docs`"
