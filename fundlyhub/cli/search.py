"""`fundlyhub search`: what everybody finds."""

from __future__ import annotations

import re
from html import unescape

import click

from fundlyhub.cli.output import json_option, print_json
from fundlyhub.database.engines import make_engine
from fundlyhub.database.migrate import require_current
from fundlyhub.processors.projections.search_index.query import MAX_SIZE, Filters, Results
from fundlyhub.processors.projections.search_index.reading import search
from fundlyhub.processors.projections.search_index.shapes import SHAPES
from fundlyhub.settings import get_settings


@click.command("search")
@click.argument("query")
@click.option("--kind", type=click.Choice(tuple(SHAPES)), default="campaign", show_default=True, help="What to find.")
@click.option("--category", "categories", multiple=True, help="Of this category only; may be given again.")
@click.option("--status", "statuses", multiple=True, help="In this status only; may be given again.")
@click.option("--page", type=click.IntRange(1), default=1, show_default=True, help="The first page is 1.")
@click.option("--size", type=click.IntRange(1, MAX_SIZE), default=20, show_default=True, help="Hits on a page.")
@json_option
def command(
    query: str, kind: str, categories: tuple[str, ...], statuses: tuple[str, ...], page: int, size: int, as_json: bool
) -> None:
    """Find campaigns, users or organizations by QUERY: words, beginnings of words, or nearly the words.

    With an empty QUERY everything is found, the most popular and newest first.
    """
    require_current("analytics")
    with make_engine("analytics", get_settings(), pooled=False).begin() as db:
        found = search(kind, query, Filters(categories, statuses), page, size=size, db=db)
    print_json(_document(found)) if as_json else _print(found)


def _print(found: Results) -> None:
    click.echo(f"Found: {found.total:,}" if found.exact else f"Found: at least {found.total:,}")
    for hit in found.hits:
        click.echo(f"\n{click.style(hit.title, bold=True)}  ({hit.status}, score {hit.score:.3f})")
        if hit.snippet_html:
            click.echo(f"  {_plain(hit.snippet_html)}")
        click.echo(f"  {hit.id}")
    if found.hits:
        click.echo()
    for name, counts in (("categories", found.categories), ("statuses", found.statuses)):
        if counts:
            biggest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            click.echo(f"{name}: " + ", ".join(f"{value} {count:,}" for value, count in biggest[:10]))


def _plain(snippet: str) -> str:
    """A snippet for a terminal, its matches between asterisks."""
    return unescape(re.sub("</?mark>", "*", snippet))


def _document(found: Results) -> dict[str, object]:
    return {
        "total": found.total,
        "exact": found.exact,
        "hits": [hit._asdict() for hit in found.hits],
        "categories": found.categories,
        "statuses": found.statuses,
    }
