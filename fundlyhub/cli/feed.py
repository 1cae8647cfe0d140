"""`fundlyhub feed`: the home feed of a user, or the activities of one user, organization or campaign."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import click

from fundlyhub.cli.databases import transaction
from fundlyhub.cli.options import limit_option
from fundlyhub.cli.output import Answer, Aside, Table, answers, iso_times
from fundlyhub.cli.times import shown
from fundlyhub.processors.shared.last_writer_fields import Entity
from fundlyhub.processors.writes.activity_feed import reading
from fundlyhub.processors.writes.activity_feed.reading import Line, Mark, Named, Page

KINDS = ("user", "organization", "campaign")


@click.command("feed")
@click.argument("who", metavar="USER", type=click.UUID)
@click.option("--profile", type=click.Choice(KINDS), help="Show what this entity did; USER is then its id.")
@click.option("--before", metavar="MARK", help="Show the next page: the mark that the page before printed.")
@limit_option(20, most=reading.MAX_PAGE)
@answers
def command(who: UUID, profile: str | None, before: str | None, limit: int) -> Answer:
    """Show the home feed of USER (an id): activities of those that USER follows, the newest first."""
    mark = Mark.parse(before) if before else None
    with transaction("app") as db:
        if profile:
            page = reading.profile_feed(db, Entity(profile, who), before=mark, limit=limit)
        else:
            page = reading.home_feed(db, who, before=mark, limit=limit)
    return Answer(_document(page), *_parts(page, profile))


def _parts(page: Page, profile: str | None) -> Iterator[str | Table]:
    title = f"What this {profile} did" if profile else "Home feed"
    rows = [(shown(line.occurred_at, zone=""), line.text) for line in page.lines]
    yield Table(title if rows else f"{title}: nothing yet", ("when (UTC)", "what"), rows)
    if page.next:
        yield Aside(f"There is more: --before {page.next}")


def _document(page: Page) -> dict[str, object]:
    return {"lines": [_line(line) for line in page.lines], "next": str(page.next) if page.next else None}


def _line(line: Line) -> dict[str, object]:
    rest = {name: one._asdict() if isinstance(one, Named) else one for name, one in line._asdict().items()}
    first = {name: rest.pop(name) for name in ("occurred_at", "position", "type")}
    return iso_times({**first, "text": line.text, **rest})
