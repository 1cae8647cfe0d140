"""`fundlyhub notifications`: previews of what users are told, the ledger, and the table of messages as a page."""

from __future__ import annotations

import sys
from datetime import UTC
from pathlib import Path
from typing import Any

import click
from sqlalchemy import text

from fundlyhub.channels.messages import CHANNELS, ChannelName
from fundlyhub.cli import resending
from fundlyhub.cli.output import json_option, print_json, print_table
from fundlyhub.database.engines import make_engine
from fundlyhub.database.migrate import require_current
from fundlyhub.errors import WrongUse
from fundlyhub.processors.notifications.catalogue import TEMPLATES, Notice
from fundlyhub.processors.notifications.contacts import Person
from fundlyhub.processors.notifications.ledger.search import Wanted, find
from fundlyhub.processors.notifications.ledger.state import STATES
from fundlyhub.processors.notifications.reference import page
from fundlyhub.processors.notifications.rendering.render import LOCALES, Rendered, render
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
    """What users are told: previews, the ledger, and the table of messages."""


@command.command("preview")
@click.argument("template", required=False)
@click.option("--all", "everything", is_flag=True, help="All messages, through all their channels; wants --output.")
@click.option("--channel", type=click.Choice(CHANNELS), default="email", show_default=True)
@click.option("--locale", default=LOCALES[0], show_default=True, help="Such as de, or de_AT.")
@click.option("--time-zone", default="UTC", show_default=True, help="Such as Europe/Berlin.")
@click.option("--html", is_flag=True, help="The HTML part of a mail instead of its text.")
@click.option("--output", type=click.Path(path_type=Path), help="A file to write, or with --all a folder.")
@json_option
def preview(
    template: str | None, everything: bool, channel: ChannelName, locale: str, time_zone: str, html: bool,
    output: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """TEMPLATE with made-up facts, as its reader gets it."""
    reader = Person(None, "Amara Castillo", locale=locale, time_zone=time_zone)
    if everything:
        if output is None:
            raise WrongUse("say with --output FOLDER where all previews go")
        _write_all(output, reader)
        return
    notice = TEMPLATES.get(template or "")
    if notice is None:
        raise WrongUse(f"no such message: {template or 'none was named'}; there are {', '.join(TEMPLATES)}")
    if channel not in notice.channels:
        raise WrongUse(f"{notice.template} goes by {', '.join(notice.channels)} alone")
    found = _rendered(notice, channel, reader)
    said = (found.html or "") if html else f"{found.subject}\n\n{found.text}\n".lstrip()
    if output is not None:
        output.write_text(said)
    elif as_json:
        print_json({"subject": found.subject, "text": found.text, "html": found.html})
    else:
        click.echo(said)


@command.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only those in this state.")
@click.option("--recipient", help="Only those to this user id or hash; its beginning is enough.")
@click.option("--event", type=click.UUID, help="Only what this event told.")
@click.option("--donation", type=click.UUID, help="Only what is about this donation.")
@click.option("--user", type=click.UUID, help="Only what this user was told.")
@click.option("--address", help="Only those to this address or number, which is not kept; - reads it from stdin.")
@click.option("--template", type=click.Choice([*TEMPLATES]), help="Only this message.")
@click.option("--channel", type=click.Choice(CHANNELS), help="Only through this channel.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@json_option
def list_(limit: int, as_json: bool, address: str | None, **wanted: Any) -> None:
    """The ledger, the newest change first. No address is in it: recipients are user ids or hashes."""
    address = sys.stdin.readline().strip() if address == "-" else address
    require_current("app")
    settings = get_settings()
    with make_engine("app", settings, pooled=False).begin() as db:
        found = find(db, Wanted(address=address, **wanted), settings.secret, limit)
    if as_json:
        print_json([one._asdict() for one in found])
        return
    columns = ("id", "position", "template", "channel", "recipient", "state", "reason", "tries", "changed")
    rows = [
        (one.id, one.position, one.template, one.channel, one.recipient, one.state, one.reason, one.tries,
         f"{one.changed_at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}")
        for one in found
    ]  # fmt: skip
    print_table(
        "Messages",
        columns,
        rows,
        ids=("id", "recipient"),
        optional=("changed", "channel", "recipient", "position", "tries"),
    )


@command.command("count")
@json_option
def count(as_json: bool) -> None:
    """How many messages are in which state."""
    rows = _ask(_COUNTS)
    if as_json:
        print_json(rows)
        return
    print_table("Messages", ("template", "channel", "state", "count"), [list(row.values()) for row in rows])


@command.command("broadcasts")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@json_option
def broadcasts(limit: int, as_json: bool) -> None:
    """Messages to many, the newest first: how many are told, and how many are not, by reason."""
    rows = _ask(_BROADCASTS, limit=limit)
    if as_json:
        print_json(rows)
        return
    told = [
        {**row, "skipped": ", ".join(f"{number} {reason}" for reason, number in sorted(row["skipped"].items()))}
        for row in rows
    ]
    print_table("Broadcasts", ("position", "template", "channel", "told", "skipped", "begun_at", "finished_at"),
                [list(row.values()) for row in told])  # fmt: skip


@command.command("docs")
def docs() -> None:
    """The table of messages as Markdown: docs/notifications.md."""
    click.echo(page(), nl=False)


def _rendered(notice: Notice, channel: ChannelName, reader: Person) -> Rendered:
    leave = None if notice.transactional else f"{SITE}/unsubscribe/example"
    return render(
        notice.template, channel, sample(notice.facts), reader, site_url=SITE, unsubscribe_url=leave,
        preferences_url=f"{SITE}/settings/notifications",
    )  # fmt: skip


def _write_all(folder: Path, reader: Person) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for notice in TEMPLATES.values():
        for channel in notice.channels:
            found = _rendered(notice, channel, reader)
            name = f"{notice.template}.{channel}.{reader.locale}"
            (folder / f"{name}.txt").write_text(f"{found.subject}\n\n{found.text}\n".lstrip())
            if found.html:
                (folder / f"{name}.html").write_text(found.html)
    click.echo(f"Wrote {len(TEMPLATES)} messages to {folder}.", err=True)


def _ask(query: Any, **values: Any) -> list[dict[str, Any]]:
    require_current("app")
    with make_engine("app", get_settings(), pooled=False).begin() as db:
        return [dict(row) for row in db.execute(query, values).mappings()]


command.add_command(resending.command)
