"""`fundlyhub console token`: tokens for the console's API."""

from __future__ import annotations

from dataclasses import asdict
from types import ModuleType

import click

from fundlyhub.cli.console.users import EXTRA
from fundlyhub.cli.databases import transaction
from fundlyhub.cli.options import by_option
from fundlyhub.cli.output import Answer, Aside, Table, answers, iso_times
from fundlyhub.console.levels import LEVELS, Level
from fundlyhub.errors import WrongUse

_name = click.argument("name")


@click.group("token")
def token() -> None:
    """Show and change the tokens of the console's API. Run this as the owner's role."""


@token.command("add")
@_name
@click.option("--user", required=True, help="The user whom the token belongs to.")
@click.option("--level", type=click.Choice(LEVELS), help="Its level, at most the user's.  [default: the user's]")
@click.option("--days", type=click.IntRange(1, 366), default=90, show_default=True, help="Days for which it is good.")
@by_option
@answers
def add(name: str, user: str, level: Level | None, days: int, who: str) -> Answer:
    """Make a token and print it, this once: the database keeps its hash alone."""
    with transaction("events") as db:
        made: str = _tokens().add(db, name, user, days=days, level=level, who=who)
    said = Aside("Keep it as a secret; it is not shown again. Send it as `Authorization: Bearer TOKEN`.")
    return Answer({"name": name, "user": user, "token": made}, said, made)


@token.command("list")
@answers
def list_() -> Answer:
    """List the tokens: whose they are, until when they are good, and when they were last used."""
    with transaction("events") as db:
        found = _tokens().listed(db)
    rows = [(one.name, one.user, one.level, one.until, one.used_at, one.disabled_at) for one in found]
    table = Table("Tokens of the console's API", ("name", "user", "level", "until", "last used", "disabled"), rows)
    return Answer([iso_times(asdict(one)) for one in found], table)


@token.command("disable")
@_name
@by_option
@answers
def disable(name: str, who: str) -> Answer:
    """Let nobody in with this token any more."""
    with transaction("events") as db:
        _tokens().disable(db, name, who=who)
    return Answer({"name": name}, f"The token {name} is disabled.")


def _tokens() -> ModuleType:
    try:
        from fundlyhub.console import tokens
    except ImportError:
        raise WrongUse(EXTRA) from None
    return tokens
