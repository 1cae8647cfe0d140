"""`fundlyhub suppressions`: the addresses that are not written to any more, shown as hashes only, and the way back."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any, get_args

import click

from fundlyhub.channels.messages import CHANNELS, ChannelName
from fundlyhub.cli.databases import transaction
from fundlyhub.cli.options import by_option, gathered, limit_option
from fundlyhub.cli.output import Answer, Table, answers, iso_times, say
from fundlyhub.cli.times import moment, shown
from fundlyhub.database.audited import named
from fundlyhub.errors import WrongUse
from fundlyhub.processors.notifications import suppressions
from fundlyhub.processors.notifications.suppressions import Cause, Filter, Lifted, Suppression, Why
from fundlyhub.processors.shared.address_hashes import address_hash, address_hashes, normalized
from fundlyhub.settings import get_settings

NAMED = 1_000
"""Skipped messages whose ids are told."""

_channel = click.argument("channel", type=click.Choice(CHANNELS))
_address = click.argument("address")
_COLUMNS = ("since (UTC)", "channel", "hash", "user", "reason", "by", "what was told")
_IDS = ("hash", "user")
_SHAPES = {"email": r"[^@\s]+@[^@\s]+", "sms": r"\+[0-9]{5,15}", "push": r"\S+"}


def _filters(told_by: str) -> Callable[..., Any]:
    """The options of a filter; the function gets them as ``wanted``."""
    return gathered(
        "wanted",
        Filter,
        click.option(
            "--since", type=moment, metavar="TIME", help="Reported at TIME or later: 2026-03-01T14:00 (UTC), or 2h."
        ),
        click.option("--until", type=moment, metavar="TIME", help="Reported before TIME."),
        click.option("--channel", type=click.Choice(CHANNELS), help="Only this channel."),
        click.option("--reason", type=click.Choice((*get_args(Why), "gone")), help="Only this reason."),
        click.option(told_by, "told_by", metavar="NAME", help="Reported by this provider, such as smtp, or person."),
    )


@click.group("suppressions")
def command() -> None:
    """Addresses that bounced, or whose owners complained. If ADDRESS is -, it is read from stdin."""


@command.command("list")
@_filters("--by")
@click.option("--lifted", "were_lifted", is_flag=True, help="Those that were lifted, when and by whom.")
@limit_option(100)
@answers
def show(wanted: Filter, were_lifted: bool, limit: int) -> Answer:
    """List suppressed addresses and devices that are gone, why and since when; the latest first."""
    with transaction("app") as db:
        found = (suppressions.lifted if were_lifted else suppressions.suppressions)(db, wanted, limit=limit)
    columns: tuple[str, ...] = _COLUMNS
    rows = [_row(one) for one in found]
    if were_lifted:
        columns = (*columns, "lifted (UTC)", "lifted by")
        rows = [(*row, shown(one.lifted_at, zone=""), one.lifted_by) for row, one in zip(rows, found, strict=True)]
    title = "Suppressed" if rows else "Suppressed: none"
    return Answer([_document(line) for line in found], Table(title, columns, rows, _IDS))


@command.command("add")
@_channel
@_address
@click.option("--reason", type=click.Choice(get_args(Why)), default="bounced", show_default=True, help="Why.")
@by_option
def add(channel: ChannelName, address: str, reason: Why, who: str) -> None:
    """Suppress ADDRESS: it gets no more messages, or with `complained` only transactional ones."""
    hashed = _hashed(channel, _given(address))
    with transaction("app") as db:
        suppressions.suppress(db, [Cause(channel, hashed, reason, named(who), "added by hand")])
    say(f"Suppressed: {channel} {hashed}")


@command.command("lift")
@_channel
@_address
@by_option
def lift_one(channel: ChannelName, address: str, who: str) -> None:
    """Lift the suppression of ADDRESS: it gets messages again."""
    given = _given(address)
    hashed = _hashed(channel, given)
    token = given if channel == "push" else None
    with transaction("app") as db:
        was = False
        for one in address_hashes(channel, given, get_settings().secret):
            was |= suppressions.lift(db, channel, one, who=who, token=token)
    say(f"{'Lifted' if was else 'Was not suppressed'}: {channel} {hashed}")


@command.command("undo")
@_filters("--told-by")
@click.option("--yes", is_flag=True, help="Lift them. Without it, only show what would be lifted.")
@by_option
@answers
def undo_all(wanted: Filter, yes: bool, who: str) -> Answer:
    """Lift all suppressions of a period, such as a bad hour of a mail server.

    An address that has another cause stays suppressed. Skipped messages are counted and listed, and not sent:
    `fundlyhub notifications resend` sends them.
    """
    if wanted.since is None:
        raise WrongUse("say with --since from when on")
    if wanted.until is not None and wanted.until <= wanted.since:
        raise WrongUse("--until must be later than --since")
    with transaction("app", keep=yes) as db:
        causes = suppressions.undo(db, wanted, who=who)
        freed = [one for one in causes if one.free]
        count, ids = suppressions.skipped_messages(db, freed, limit=NAMED)
    addresses = len({one[:2] for one in freed})
    document = {
        "dry_run": not yes, "lifted": len(causes), "freed": addresses, "causes": [_document(one) for one in causes],
        "skipped_messages": {"count": count, "ids": [str(one) for one in ids]},
    }  # fmt: skip
    rows = [(*_row(one), "yes" if one.free else "no") for one in causes]
    where = "`fundlyhub notifications list --state skipped`"
    return Answer(
        document,
        Table("Lifted" if yes else "Would be lifted", (*_COLUMNS, "free"), rows, _IDS),
        f"{addresses:,} addresses {'are' if yes else 'would be'} written to again.",
        f"{count:,} messages were skipped since, and stay so: {where}.",
        *(["Nothing has changed. Say --yes to lift them."] if causes and not yes else []),
    )


def _row(one: Suppression | Lifted) -> tuple[Any, ...]:
    return (shown(one.since, zone=""), *one[:4], one.told_by, one.said)


def _document(line: Suppression | Lifted) -> dict[str, Any]:
    """For programs; what is not known is null."""
    found = line._asdict()
    known = {"by": found.pop("told_by"), "cause": found.pop("said")}
    if isinstance(line, Suppression) and line.lifted_at is None:
        del found["lifted_at"], found["lifted_by"]
    return iso_times({**found, **known})


def _given(address: str) -> str:
    return sys.stdin.readline().strip() if address == "-" else address


def _hashed(channel: ChannelName, given: str) -> str:
    if re.fullmatch(_SHAPES[channel], normalized(channel, given)) is None:
        raise WrongUse(f"this is no address of the channel {channel}: write name@example.org, +49170…, or a token")
    return address_hash(channel, given, get_settings().secret)
