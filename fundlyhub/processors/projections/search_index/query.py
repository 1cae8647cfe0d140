"""Queries and results of a search, the same for every engine. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from typing import NamedTuple
from uuid import UUID

from fundlyhub.errors import WrongUse
from fundlyhub.processors.projections.search_index.shapes import SHAPES
from fundlyhub.processors.projections.search_index.texts import START, STOP, folded

MAX_TEXT = 1_000
"""Characters of a query that are looked at."""
MAX_FILTERS = 50
MAX_WORDS = 12
MAX_WORD = 64
MAX_SIZE = 100
"""Hits on a page at most."""
REACH = 500
"""How many hits can be paged through."""

_WORD = re.compile(r"[^\W_]+")


def words_of(query: str) -> list[str]:
    """The words of a query: letters and digits only, without accents or capitals."""
    found = _WORD.findall(folded(query[:MAX_TEXT]))
    return list(dict.fromkeys(word[:MAX_WORD] for word in found))[:MAX_WORDS]


def sendable(text: str) -> str:
    """A text as a database takes it; one that it would refuse becomes another one, which matches nothing."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()[:MAX_TEXT]


@dataclass(frozen=True, slots=True)
class Filters:
    """What is to be found only: of one of these categories, and in one of these statuses. Empty is any."""

    categories: Sequence[str] = ()
    statuses: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in ("categories", "statuses"):
            values = getattr(self, name)
            if len(values) > MAX_FILTERS:
                raise WrongUse(f"{name}: must be at most {MAX_FILTERS}")
            object.__setattr__(self, name, tuple(map(sendable, values)))


@dataclass(frozen=True, slots=True)
class Search:
    """A query. Raises WrongUse for an invalid kind, page or size."""

    kind: str
    query: str
    filters: Filters = field(default_factory=Filters)
    page: int = 1
    size: int = 20

    def __post_init__(self) -> None:
        if self.kind not in SHAPES:
            raise WrongUse(f"kind: must be one of {', '.join(SHAPES)}")
        if not 1 <= self.size <= MAX_SIZE:
            raise WrongUse(f"size: must be from 1 to {MAX_SIZE}")
        if self.page < 1 or self.page * self.size > max(REACH, self.size):
            raise WrongUse(f"page: must be from 1 to {max(1, REACH // self.size)} with {self.size} on a page")

    @property
    def offset(self) -> int:
        """Hits before this page."""
        return (self.page - 1) * self.size


class Hit(NamedTuple):
    """One thing that was found. What ends in ``_html`` is safe to show, with ``<mark>`` around matches."""

    id: UUID
    title: str
    title_html: str
    snippet_html: str
    status: str
    created_at: datetime | None
    score: float


class Results(NamedTuple):
    """A page. ``total`` and the facets are exact, or, where ``exact`` is false, those of the first ones counted.

    A facet counts what would be found if its own filter were not set.
    """

    total: int
    exact: bool
    hits: Sequence[Hit]
    categories: Mapping[str, int]
    statuses: Mapping[str, int]


def marked(text: str) -> str:
    """A snippet as HTML: all of it escaped, the matches in ``<mark>``."""
    return escape(text.strip()).replace(START, "<mark>").replace(STOP, "</mark>")
