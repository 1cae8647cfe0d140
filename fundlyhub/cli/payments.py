"""`fundlyhub payments`: donations whose payment counts already as another donation; accept or refuse them."""

from __future__ import annotations

from dataclasses import asdict
from uuid import UUID

import click
from sqlalchemy import Connection

from fundlyhub.cli.databases import transaction
from fundlyhub.cli.dlq.replaying import as_document, is_good, tell
from fundlyhub.cli.options import by_option, limit_option, reason_option
from fundlyhub.cli.output import Answer, Table, answers
from fundlyhub.cli.wiring import known_processors, publisher
from fundlyhub.database.prefixes import the_one
from fundlyhub.errors import WrongState
from fundlyhub.processing import dead_letters, payments
from fundlyhub.processing.payments import Repeated

donation_argument = click.argument("donation", metavar="DONATION")


@click.group("payments")
def command() -> None:
    """Show repeated payments: donations of one campaign that share a provider and a transaction.

    The first donation of a payment counts. Every processor keeps each further one as a dead letter (RepeatedPayment),
    and nobody gets a message about it, until somebody accepts or refuses it here. DONATION is a donation's id or the
    beginning of one.
    """


@command.command("list")
@click.option("--all", "decided", is_flag=True, help="Also those that are accepted or refused.")
@limit_option(100)
@answers
def show(decided: bool, limit: int) -> Answer:
    """List repeated payments that wait for a decision, the oldest first."""
    with transaction("events") as db:
        found = payments.find(db, decided=decided, limit=limit)
    columns = ("donation", "same payment as", "amount", "decision", "since (UTC)", "held by", "campaign", "transaction")
    rows = [
        (one.donation_id, one.first_id, f"{one.amount} {one.currency}", _decision(one), f"{one.since:%Y-%m-%d %H:%M}",
         f"{len(one.held_by)} processors", one.campaign_id, f"{one.provider} {one.transaction_id}")
        for one in found
    ]  # fmt: skip
    title = "Repeated payments" if rows else "Repeated payments: none"
    ids, optional = ("donation", "same payment as", "campaign"), ("held by", "campaign", "transaction")
    return Answer([asdict(one) for one in found], Table(title, columns, rows, ids=ids, optional=optional))


@command.command("accept")
@donation_argument
@reason_option
@by_option
@answers
def accept(donation: str, reason: str, who: str) -> Answer:
    """Accept DONATION: it was really paid twice, and counts as well. Its dead letters are replayed."""
    known_processors()
    with transaction("events") as db:
        letters = payments.accept(db, _whole(db, donation), who=who, reason=reason)
        able, _ = dead_letters.choose(db, letters)
    with publisher() as broker:
        done = dead_letters.replay(able, broker, who=who, reason=reason)
    told = ("Accepted: it counts, and its messages are sent.", *tell(done))
    return Answer({"accepted": True, **as_document(done)}, *told, good=is_good(done, no_wait=False))


@command.command("refuse")
@donation_argument
@reason_option
@by_option
@answers
def refuse(donation: str, reason: str, who: str) -> Answer:
    """Refuse DONATION: it is the same payment, and never counts. Its dead letters are discarded."""
    with transaction("events") as db:
        letters = payments.refuse(db, _whole(db, donation), who=who, reason=reason)
    return Answer(
        {"accepted": False, "discarded": letters}, "Refused: it does not count, and nobody gets a message about it."
    )


def _whole(db: Connection, beginning: str) -> UUID:
    """The donation with this id or beginning of an id. Raises WrongState, and WrongUse when there are several."""
    wanted = beginning.lower()
    found = [one.donation_id for one in payments.find(db, decided=True, limit=100_000)]
    alike = sorted({one for one in found if one.lower().startswith(wanted)})
    if not alike:
        raise WrongState(f"no repeated payment has the donation {beginning}: see `fundlyhub payments list --all`")
    return UUID(the_one(alike, "donation", beginning))


def _decision(one: Repeated) -> str:
    if one.accepted is None:
        return "none"
    return f"{'accepted' if one.accepted else 'refused'} by {one.who}"
