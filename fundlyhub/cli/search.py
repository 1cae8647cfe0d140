"""`fundlyhub search`: what everybody finds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

import click

from fundlyhub.cli.databases import transaction
from fundlyhub.cli.output import Answer, answers
from fundlyhub.processors.projections.search_index.query import MAX_SIZE, Filters, Results
from fundlyhub.processors.projections.search_index.reading import search
from fundlyhub.processors.projections.search_index.shapes import SHAPES


@click.command("search")
@click.argument("query")
@click.option("--kind", type=click.Choice(tuple(SHAPES)), default="campaign", show_default=True, help="What to find.")
@click.option("--category", "categories", multiple=True, help="Only this category; may be given several times.")
@click.option("--status", "statuses", multiple=True, help="Only this status; may be given several times.")
@click.option("--page", type=click.IntRange(1), default=1, show_default=True, help="Number of the page.")
@click.option("--size", type=click.IntRange(1, MAX_SIZE), default=20, show_default=True, help="Hits on a page.")
@answers
def command(
    query: str, kind: str, categories: tuple[str, ...], statuses: tuple[str, ...], page: int, size: int
) -> Answer:
    """Find campaigns, users or organizations by QUERY: words, beginnings of words, or words with a typing error.

    An empty QUERY finds everything, the most popular and newest first.
    """
    with transaction("analytics") as db:
        found = search(kind, query, Filters(categories, statuses), page, size=size, db=db)
    return Answer(_document(found), *_parts(found))


def _parts(found: Results) -> Iterator[str]:
    yield f"Found: {found.total:,}" if found.exact else f"Found: at least {found.total:,}"
    for hit in found.hits:
        yield f"\n{click.style(hit.title, bold=True)}  ({hit.status}, score {hit.score:.3f})"
        if hit.snippet_html:
            yield f"  {_plain(hit.snippet_html)}"
        yield f"  {hit.id}"
    if found.hits:
        yield ""
    for name, counts in (("categories", found.categories), ("statuses", found.statuses)):
        if counts:
            biggest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            yield f"{name}: " + ", ".join(f"{value} {count:,}" for value, count in biggest[:10])


def _plain(snippet: str) -> str:
    """A snippet for a terminal, its matches between asterisks."""
    return unescape(re.sub("</?mark>", "*", snippet))


def _document(found: Results) -> dict[str, object]:
    return {**found._asdict(), "hits": [hit._asdict() for hit in found.hits]}
