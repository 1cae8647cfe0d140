"""`fundlyhub suppressions`: the addresses that are not written to any more, shown as hashes only, and the way back."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import wraps
from typing import Any, TypeVar, get_args

import click
from sqlalchemy import Connection

from fundlyhub.channels.messages import CHANNELS, ChannelName
from fundlyhub.cli.operator import by_option
from fundlyhub.cli.output import json_option, print_json, print_table
from fundlyhub.cli.times import moment
from fundlyhub.database.audited import named
from fundlyhub.database.engines import make_engine
from fundlyhub.database.migrate import require_current
from fundlyhub.errors import WrongUse
from fundlyhub.processors.notifications.suppressions import (
    Cause,
    Filter,
    Lifted,
    Suppression,
    Why,
    lift,
    lifted,
    skipped_messages,
    suppress,
    suppressions,
    undo,
)
from fundlyhub.processors.shared.address_hashes import address_hash, address_hashes, normalized
from fundlyhub.settings import get_settings

F = TypeVar("F", bound=Callable[..., Any])

NAMED = 1_000
"""Skipped messages whose ids are told."""

_channel = click.argument("channel", type=click.Choice(CHANNELS))
_address = click.argument("address")
_SHAPES = {"email": r"[^@\s]+@[^@\s]+", "sms": r"\+[0-9]{5,15}", "push": r"\S+"}
_FILTERS = (
    click.option("--since", type=moment, metavar="TIME", help="Told at TIME or later: 2026-03-01T14:00 (UTC), or 2h."),
    click.option("--until", type=moment, metavar="TIME", help="Told before TIME."),
    click.option("--channel", "only", type=click.Choice(CHANNELS), help="Of this channel only."),
    click.option("--reason", type=click.Choice((*get_args(Why), "gone")), help="With this reason only."),
)


@click.group("suppressions")
def command() -> None:
    """Addresses that bounced, or whose owners complained. ADDRESS may be -: then it is read from stdin."""


def _filters(told_by: str) -> Callable[[F], F]:
    """The options of a filter; the function gets them as ``wanted``."""

    def decorate(function: F) -> F:
        @wraps(function)
        def given(
            *args: Any, since: datetime | None, until: datetime | None, only: str | None, reason: str | None,
            told_by: str | None, **rest: Any,
        ) -> Any:  # fmt: skip
            return function(*args, wanted=Filter(since, until, only, reason, told_by), **rest)

        by = click.option(told_by, "told_by", metavar="NAME", help="Told by this provider, such as smtp, or person.")
        for option in reversed((*_FILTERS, by)):
            option(given)
        return given  # type: ignore[return-value]

    return decorate


@command.command("list")
@_filters("--by")
@click.option("--lifted", "were_lifted", is_flag=True, help="Those that were lifted again, when and by whom.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="At most so many.")
@json_option
def show(wanted: Filter, were_lifted: bool, limit: int, as_json: bool) -> None:
    """Who is suppressed, by what and since when, the latest first; devices that are gone are among them."""
    with _app_db() as db:
        found = (lifted if were_lifted else suppressions)(db, wanted, limit=limit)
    if as_json:
        print_json([_document(line) for line in found])
        return
    columns = ["since (UTC)", "channel", "hash", "user", "reason", "by", "what was told"]
    rows: list[list[Any]] = [[_time(one.since), *one[:4], one.told_by, one.said] for one in found]
    if were_lifted:
        columns += ["lifted (UTC)", "lifted by"]
        rows = [
            [*row, one.lifted_at and _time(one.lifted_at), one.lifted_by] for row, one in zip(rows, found, strict=True)
        ]
    print_table("Suppressed" if rows else "Suppressed: none", columns, rows)


@command.command("add")
@_channel
@_address
@click.option("--reason", type=click.Choice(get_args(Why)), default="bounced", show_default=True)
@by_option
def add(channel: ChannelName, address: str, reason: Why, who: str) -> None:
    """Write no more to ADDRESS; after `complained`, only what is transactional."""
    hashed = _hashed(channel, _given(address))
    with _app_db() as db:
        suppress(db, [Cause(channel, hashed, reason, named(who), "added by hand")])
    click.echo(f"Suppressed: {channel} {hashed}")


@command.command("lift")
@_channel
@_address
@by_option
def lift_one(channel: ChannelName, address: str, who: str) -> None:
    """Write to ADDRESS again."""
    given = _given(address)
    hashed = _hashed(channel, given)
    token = given if channel == "push" else None
    with _app_db() as db:
        was = False
        for one in address_hashes(channel, given, get_settings().secret):
            was |= lift(db, channel, one, who=who, token=token)
    click.echo(f"{'Lifted' if was else 'Was not suppressed'}: {channel} {hashed}")


@command.command("undo")
@_filters("--told-by")
@click.option("--yes", is_flag=True, help="Do it. Without this, it is only said what would be lifted.")
@by_option
@json_option
def undo_all(wanted: Filter, yes: bool, who: str, as_json: bool) -> None:
    """Lift all that was suppressed within a time, such as the bad hour of a mail server.

    What is also suppressed by something else stays so. Messages that were skipped are counted and named, and not sent:
    `fundlyhub notifications resend` does that.
    """
    if wanted.since is None:
        raise WrongUse("say with --since from when on")
    if wanted.until is not None and wanted.until <= wanted.since:
        raise WrongUse("--until must be later than --since")
    with _app_db(keep=yes) as db:
        causes = undo(db, wanted, who=who)
        freed = [one for one in causes if one.free]
        count, ids = skipped_messages(db, freed, limit=NAMED)
    if as_json:
        print_json({
            "dry_run": not yes, "lifted": len(causes), "freed": len({one[:2] for one in freed}),
            "causes": [_document(one) for one in causes],
            "skipped_messages": {"count": count, "ids": [str(one) for one in ids]},
        })  # fmt: skip
        return
    rows = [[_time(one.since), *one[:4], one.told_by, one.said, "yes" if one.free else "no"] for one in causes]
    columns = ("since (UTC)", "channel", "hash", "user", "reason", "by", "what was told", "free")
    print_table("Lifted" if yes else "Would be lifted", columns, rows)
    click.echo(f"{len({one[:2] for one in freed}):,} addresses {'are' if yes else 'would be'} written to again.")
    click.echo(f"{count:,} messages were skipped since, and stay so: `fundlyhub notifications list --state skipped`.")
    if not yes and causes:
        click.echo("Nothing has changed. Say --yes to lift them.")


def _document(line: Suppression | Lifted) -> dict[str, Any]:
    """For programs; what is not known is null."""
    found = line._asdict()
    known = {"by": found.pop("told_by"), "cause": found.pop("said")}
    if isinstance(line, Suppression) and line.lifted_at is None:
        del found["lifted_at"], found["lifted_by"]
    times = {key: value.isoformat() for key, value in found.items() if isinstance(value, datetime)}
    return {**found, **known, **times}


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")


def _given(address: str) -> str:
    return sys.stdin.readline().strip() if address == "-" else address


def _hashed(channel: ChannelName, given: str) -> str:
    if re.fullmatch(_SHAPES[channel], normalized(channel, given)) is None:
        raise WrongUse(f"this is no address of the channel {channel}: write name@example.org, +49170…, or a token")
    return address_hash(channel, given, get_settings().secret)


@contextmanager
def _app_db(*, keep: bool = True) -> Iterator[Connection]:
    """A transaction on the App DB; without ``keep`` nothing of it is kept."""
    require_current("app")
    with make_engine("app", get_settings(), pooled=False).connect() as db, db.begin() as transaction:
        yield db
        if not keep:
            transaction.rollback()
