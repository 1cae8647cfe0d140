"""`fundlyhub suppressions`: the addresses that are not written to any more, shown as hashes only."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import get_args

import click
from sqlalchemy import Connection

from fundlyhub.channels.messages import CHANNELS, ChannelName
from fundlyhub.cli.output import json_option, print_json, print_table
from fundlyhub.database.engines import make_engine
from fundlyhub.database.migrate import require_current
from fundlyhub.errors import WrongUse
from fundlyhub.processors.hashing import address_hash, normalized
from fundlyhub.processors.notifications.suppressions import Why, lift, suppress, suppressions
from fundlyhub.settings import get_settings

_channel = click.argument("channel", type=click.Choice(CHANNELS))
_address = click.argument("address")
_SHAPES = {"email": r"[^@\s]+@[^@\s]+", "sms": r"\+[0-9]{5,15}", "push": r"\S+"}


@click.group("suppressions")
def command() -> None:
    """Addresses that bounced, or whose owners complained. ADDRESS may be -: then it is read from stdin."""


@command.command("list")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many.")
@json_option
def show(limit: int, as_json: bool) -> None:
    """The suppressed addresses, the latest first."""
    with _app_db() as db:
        found = suppressions(db, limit=limit)
    if as_json:
        print_json([{**line._asdict(), "since": line.since.isoformat()} for line in found])
        return
    rows = [(*line[:3], line.since.strftime("%Y-%m-%d %H:%M:%S")) for line in found]
    print_table("Suppressed" if rows else "Suppressed: none", ("channel", "hash", "reason", "since (UTC)"), rows)


@command.command("add")
@_channel
@_address
@click.option("--reason", type=click.Choice(get_args(Why)), default="bounced", show_default=True)
def add(channel: ChannelName, address: str, reason: Why) -> None:
    """Write no more to ADDRESS; after `complained`, only what is transactional."""
    hashed = _hashed(channel, address)
    with _app_db() as db:
        suppress(db, {(channel, hashed): reason})
    click.echo(f"Suppressed: {channel} {hashed}")


@command.command("lift")
@_channel
@_address
def lift_one(channel: ChannelName, address: str) -> None:
    """Write to ADDRESS again."""
    hashed = _hashed(channel, address)
    with _app_db() as db:
        was = lift(db, channel, hashed)
    click.echo(f"{'Lifted' if was else 'Was not suppressed'}: {channel} {hashed}")


def _hashed(channel: ChannelName, address: str) -> str:
    secret = get_settings().secret
    given = sys.stdin.readline().strip() if address == "-" else address
    if re.fullmatch(_SHAPES[channel], normalized(channel, given)) is None:
        raise WrongUse(f"this is no address of the channel {channel}: write name@example.org, +49170…, or a token")
    return address_hash(channel, given, secret)


@contextmanager
def _app_db() -> Iterator[Connection]:
    require_current("app")
    with make_engine("app", get_settings(), pooled=False).begin() as db:
        yield db
