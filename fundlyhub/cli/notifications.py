"""`fundlyhub notifications`: previews of what users are told, the ledger, and the table of messages as a page."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from sqlalchemy import text

from fundlyhub.channels.messages import CHANNELS, ChannelName
from fundlyhub.cli import reports, resending
from fundlyhub.cli.databases import transaction
from fundlyhub.cli.options import limit_option
from fundlyhub.cli.output import Answer, Table, answers, say
from fundlyhub.cli.templates import template_option
from fundlyhub.cli.wiring import known_processors
from fundlyhub.errors import WrongUse
from fundlyhub.processors.notifications.catalogue import TEMPLATES, Notice
from fundlyhub.processors.notifications.contacts import Person
from fundlyhub.processors.notifications.ledger.search import Wanted, find
from fundlyhub.processors.notifications.ledger.state import STATES
from fundlyhub.processors.notifications.reference import page
from fundlyhub.processors.notifications.rendering.render import LOCALES, render
from fundlyhub.processors.notifications.rendering.template_values import sample
from fundlyhub.settings import get_settings

SITE = "https://fundlyhub.example"
_COUNTS = text("SELECT template, channel, state, count(*) FROM notifications GROUP BY 1, 2, 3 ORDER BY 1, 2, 3")

_BROADCASTS = text("""
    SELECT position, template, channel, told, skipped, begun_at, finished_at FROM broadcasts
    ORDER BY position DESC, channel LIMIT :limit
""")


@click.group("notifications")
def command() -> None:
    """Messages to people: previews, the ledger, failed delivery reports, and the table of messages."""


@command.command("preview")
@click.argument("template", required=False)
@click.option("--all", "everything", is_flag=True, help="All messages, through all their channels; needs --output.")
@click.option("--channel", type=click.Choice(CHANNELS), default="email", show_default=True, help="Its channel.")
@click.option("--locale", default=LOCALES[0], show_default=True, help="Such as de, or de_AT.")
@click.option("--time-zone", default="UTC", show_default=True, help="Such as Europe/Berlin.")
@click.option("--html", is_flag=True, help="The HTML part of a mail in place of its text.")
@click.option("--output", type=click.Path(path_type=Path), help="Write to this file, or with --all to this folder.")
@answers
def preview(
    template: str | None, everything: bool, channel: ChannelName, locale: str, time_zone: str, html: bool,
    output: Path | None,
) -> Answer | None:  # fmt: skip
    """Show the message TEMPLATE with sample values."""
    known_processors()  # those of other packages bring messages
    reader = Person(None, "Amara Castillo", locale=locale, time_zone=time_zone)
    if everything:
        if output is None:
            raise WrongUse("say with --output FOLDER where all previews go")
        _write_all(output, reader)
        return None
    notice = TEMPLATES.get(template or "")
    if notice is None:
        raise WrongUse(f"no such message: {template or 'none was named'}; there are {', '.join(TEMPLATES)}")
    if channel not in notice.channels:
        raise WrongUse(f"{notice.template} goes by {', '.join(notice.channels)} alone")
    subject, text_part, html_part = _rendered(notice, channel, reader)
    said = html_part if html else f"{subject}\n\n{text_part}\n".lstrip()
    if output is not None:
        output.write_text(said)
        return None
    return Answer({"subject": subject, "text": text_part, "html": html_part or None}, said)


@command.command("list")
@click.option("--state", type=click.Choice(STATES), help="Messages in this state.")
@click.option("--recipient", help="Messages to this user id or address hash, or its beginning.")
@click.option("--event", type=click.UUID, help="Messages of this event.")
@click.option("--donation", type=click.UUID, help="Messages about this donation.")
@click.option("--user", type=click.UUID, help="Messages to this user.")
@click.option("--address", help="Messages to this address or number; - reads it from stdin.")
@template_option(digests=True, help="Messages of this template.")
@click.option("--channel", type=click.Choice(CHANNELS), help="Messages through this channel.")
@limit_option(50, most=10_000)
@answers
def list_(limit: int, address: str | None, **wanted: Any) -> Answer:
    """List the ledger, the newest change first. It holds no addresses: recipients are user ids or hashes."""
    address = sys.stdin.readline().strip() if address == "-" else address
    with transaction("app") as db:
        found = find(db, Wanted(address=address, **wanted), get_settings().secret, limit)
    columns = ("id", "position", "template", "channel", "recipient", "state", "reason", "tries", "changed")
    rows = [
        (one.id, one.position, one.template, one.channel, one.recipient, one.state, one.reason, one.tries,
         one.changed_at)
        for one in found
    ]  # fmt: skip
    ids, optional = ("id", "recipient"), ("changed", "channel", "recipient", "position", "tries")
    return Answer([asdict(one) for one in found], Table("Messages", columns, rows, ids=ids, optional=optional))


@command.command("count")
@answers
def count() -> Answer:
    """Count the messages by template, channel and state."""
    rows = _ask(_COUNTS)
    columns = ("template", "channel", "state", "count")
    return Answer(rows, Table("Messages", columns, [list(row.values()) for row in rows]))


@command.command("broadcasts")
@limit_option(50, most=10_000)
@answers
def broadcasts(limit: int) -> Answer:
    """List broadcasts, the newest first: how many were told, and how many were skipped, by reason."""
    rows = _ask(_BROADCASTS, limit=limit)
    columns = ("position", "template", "channel", "told", "skipped", "begun_at", "finished_at")
    told = [[_by_reason(row[name]) if name == "skipped" else row[name] for name in columns] for row in rows]
    return Answer(rows, Table("Broadcasts", columns, told))


def _by_reason(skipped: dict[str, int]) -> str:
    return ", ".join(f"{number} {reason}" for reason, number in sorted(skipped.items()))


@command.command("docs")
def docs() -> None:
    """Print the table of messages as Markdown: docs/notifications.md."""
    say(page(), end="")


def _rendered(notice: Notice, channel: ChannelName, reader: Person) -> tuple[str, str, str]:
    leave = None if notice.transactional else f"{SITE}/unsubscribe/example"
    return render(
        notice.template, channel, sample(notice.facts), reader, site_url=SITE, unsubscribe_url=leave,
        preferences_url=f"{SITE}/settings/notifications",
    )  # fmt: skip


def _write_all(folder: Path, reader: Person) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for notice in TEMPLATES.values():
        for channel in notice.channels:
            subject, text_part, html_part = _rendered(notice, channel, reader)
            name = f"{notice.template}.{channel}.{reader.locale}"
            (folder / f"{name}.txt").write_text(f"{subject}\n\n{text_part}\n".lstrip())
            if html_part:
                (folder / f"{name}.html").write_text(html_part)
    say(f"Wrote {len(TEMPLATES)} messages to {folder}.", err=True)


def _ask(query: Any, **values: Any) -> list[dict[str, Any]]:
    with transaction("app") as db:
        return [dict(row) for row in db.execute(query, values).mappings()]


command.add_command(resending.command)
command.add_command(reports.command)
