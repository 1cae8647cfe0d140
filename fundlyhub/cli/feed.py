"""`fundlyhub feed`: the home feed of a user, or the activities of one user, organization or campaign."""

from __future__ import annotations

from uuid import UUID

import click

from fundlyhub.cli.output import json_option, print_json, print_table
from fundlyhub.database.engines import make_engine
from fundlyhub.database.migrate import require_current
from fundlyhub.processors.shared.last_writer_fields import Entity
from fundlyhub.processors.writes.activity_feed.reading import (
    MAX_PAGE,
    Line,
    Mark,
    Named,
    Page,
    home_feed,
    profile_feed,
)
from fundlyhub.settings import get_settings

KINDS = ("user", "organization", "campaign")


@click.command("feed")
@click.argument("who", metavar="USER", type=click.UUID)
@click.option(
    "--profile",
    type=click.Choice(KINDS),
    help="Show the activities of the entity of this kind with the id USER instead.",
)
@click.option("--before", metavar="MARK", help="Continue after a page; each page prints its mark.")
@click.option("--limit", type=click.IntRange(1, MAX_PAGE), default=20, show_default=True, help="Lines on a page.")
@json_option
def command(who: UUID, profile: str | None, before: str | None, limit: int, as_json: bool) -> None:
    """Show the home feed of USER (an id): activities of those that USER follows, the newest first."""
    mark = Mark.parse(before) if before else None
    require_current("app")
    with make_engine("app", get_settings(), pooled=False).begin() as db:
        if profile:
            page = profile_feed(db, Entity(profile, who), before=mark, limit=limit)
        else:
            page = home_feed(db, who, before=mark, limit=limit)
    print_json(_document(page)) if as_json else _print(page, profile)


def _print(page: Page, profile: str | None) -> None:
    title = f"What this {profile} did" if profile else "Home feed"
    rows = [(line.occurred_at.strftime("%Y-%m-%d %H:%M:%S"), line.text) for line in page.lines]
    print_table(title if rows else f"{title}: nothing yet", ("when (UTC)", "what"), rows)
    if page.next:
        click.echo(f"There is more: --before {page.next}", err=True)


def _document(page: Page) -> dict[str, object]:
    return {"lines": [_line(line) for line in page.lines], "next": str(page.next) if page.next else None}


def _line(line: Line) -> dict[str, object]:
    return {
        "occurred_at": line.occurred_at.isoformat(),
        "position": line.position,
        "type": line.type,
        "text": line.text,
        "actor": _named(line.actor),
        "target": _named(line.target),
        "detail": _named(line.detail),
        "amount": line.amount,
        "currency": line.currency,
    }


def _named(part: Named | None) -> dict[str, object] | None:
    return part._asdict() if part else None
