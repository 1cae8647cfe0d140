"""`fundlyhub notifications resend`: a message once more, to the recipient on record; by default only a look."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from uuid import UUID, uuid4

import click
from sqlalchemy import Engine

from fundlyhub.channels.messages import CHANNELS, ChannelName
from fundlyhub.cli.databases import ready
from fundlyhub.cli.options import by_option
from fundlyhub.cli.output import Answer, Aside, Table, answers
from fundlyhub.cli.templates import template_option
from fundlyhub.database import get_engine
from fundlyhub.database.audited import reasoned
from fundlyhub.errors import WrongUse
from fundlyhub.processing import reruns
from fundlyhub.processors.notifications.ledger.search import Found, Wanted, find, in_full
from fundlyhub.processors.notifications.resending import Changed, obstacle, processor_of, reopen
from fundlyhub.settings import get_settings

MOST = 100
"""Messages that one command looks at. This is for support, not for a campaign."""


@click.command("resend")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--event", type=click.UUID, help="Messages of this event.")
@click.option("--donation", type=click.UUID, help="Messages about this donation, such as its receipt.")
@click.option("--user", type=click.UUID, help="Messages to this user.")
@template_option(digests=False, help="Only this message.")
@click.option("--channel", type=click.Choice(CHANNELS), help="Only this channel.")
@click.option("--held", is_flag=True, help="Only messages that were held back, over a ceiling.")
@click.option("--reason", required=True, help="The reason; it is stored.")
@click.option("--token", help="Your id of this request: the same id sends no message twice.")
@click.option("--again", is_flag=True, help="Also messages that were sent again within the last hour.")
@click.option("--yes", is_flag=True, help="Send them. Without it, only show what would be sent.")
@by_option
@answers
def command(
    ids: tuple[str, ...], event: UUID | None, donation: UUID | None, user: UUID | None, template: str | None,
    channel: ChannelName | None, held: bool, reason: str, token: str | None, again: bool, yes: bool, who: str,
) -> Answer:  # fmt: skip
    """Send messages again: those with these IDs of the ledger, or those of an event, a donation or a user.
    Messages that were held back, over a ceiling, are released by it. The beginning of an ID is enough if it is unique.

    Each is sent within a minute to the recorded recipient, at the current address, like any other message. The exit
    status is 1 if one of them cannot be sent, or none is found.
    """
    state = "held" if held else None
    wanted = Wanted(event=event, donation=donation, user=user, template=template, channel=channel, state=state)
    if not (ids or held or wanted.names_somebody):
        raise WrongUse(
            "say whose message: an ID, --event, --donation, --user or --held (`fundlyhub notifications list`)"
        )
    token = reasoned(token) if token else str(uuid4())
    sent, refused = _sent_again(ids, wanted, who, reasoned(reason), token, again, yes)
    named = [{"id": one.id, "reason": why} for one, why in refused]
    document = {"dry_run": not yes, "token": token, "resent": [one.id for one in sent], "refused": named}
    return Answer(document, *_parts(sent, refused, yes), good=bool(sent) and not refused)


def _sent_again(
    ids: tuple[str, ...], wanted: Wanted, who: str, reason: str, token: str, again: bool, yes: bool
) -> tuple[list[Found], list[tuple[Found, str]]]:
    """What is sent again, or would be, and what is not and why."""
    ready("app", "events")
    settings, app, log = get_settings(), get_engine("app"), get_engine("events")
    sent: list[Found] = []
    refused: list[tuple[Found, str]] = []
    with app.begin() as db:
        wanted = replace(wanted, ids=in_full(db, ids))
        found = find(db, wanted, settings.secret, MOST + 1)
    if len(found) > MOST:
        raise WrongUse(f"these are more than {MOST} messages: say which with --template, --event or their ids")
    for one in found:
        with app.begin() as db, log.begin() as events:
            now = datetime.now(UTC)
            run = partial(reruns.obstacle, db, events, processor_of(one), one.position, one.event_id)
            why = obstacle(db, one, settings.secret, token, now, run=run, insist=again)
        if why is None and yes:
            try:
                _send(app, log, one, who, reason, token)
            except Changed:
                why = "it has changed meanwhile: look at it again"
        if why is None:
            sent.append(one)
        else:
            refused.append((one, why))
    return sent, refused


def _send(app: Engine, log: Engine, one: Found, who: str, reason: str, token: str) -> None:
    """Announce the run of the event, then open the message: none stays open without a run that sends it."""
    processor, why = processor_of(one), "a message of it is to be sent again"
    reruns.announce(log, processor, one.position, why, after=reruns.A_WHILE)
    with app.begin() as db:
        reopen(db, one, who=who, reason=reason, token=token)
        if not reruns.unclaim(db, processor, one.position, one.event_id):
            raise Changed()
    reruns.announce(log, processor, one.position, why)


def _parts(sent: list[Found], refused: list[tuple[Found, str]], yes: bool) -> Iterator[str | Table]:
    rows = [(one.id, one.template, one.channel, one.recipient, "") for one in sent]
    rows += [(one.id, one.template, one.channel, one.recipient, why) for one, why in refused]
    columns = ("id", "message", "channel", "recipient", "not sent, because")
    if rows:
        title = "Sent again" if yes else "Would be sent again"
        yield Table(title, columns, rows, ids=("id", "recipient"), optional=("channel", "recipient"))
    else:
        yield Aside("No message of the ledger fits.")
    if sent:
        done = "will be sent again within a minute" if yes else "would be sent again: say --yes"
        yield f"{len(sent):,} {done}"
