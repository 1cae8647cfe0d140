"""`fundlyhub console user` and `link`: who may use the console."""

from __future__ import annotations

import sys
from dataclasses import asdict
from types import ModuleType

import click

from fundlyhub.cli.databases import transaction
from fundlyhub.cli.options import by_option
from fundlyhub.cli.output import Answer, Table, answers, iso_times
from fundlyhub.console.levels import LEVELS, Level
from fundlyhub.errors import WrongUse

EXTRA = 'the console needs its extra: pip install "fundlyhub[console]"'
_name = click.argument("name")
_level = click.option(
    "--level",
    type=click.Choice(LEVELS),
    default="viewer",
    show_default=True,
    help="What the user may do: see; also act; also reveal payloads and messages.",
)


@click.group("user")
def user() -> None:
    """Show and change who may use the console. Run this as the owner's role."""


@user.command("list")
@answers
def list_() -> Answer:
    """List the users with their levels, and when a session of theirs was last used."""
    with transaction("events") as db:
        found = _users().listed(db)
    rows = [(one.name, one.level, "yes" if one.has_password else "no", one.last_seen, one.disabled_at) for one in found]
    table = Table("Users of the console", ("name", "level", "password", "last seen", "disabled"), rows)
    return Answer([iso_times(asdict(one)) for one in found], table)


@user.command("add")
@_name
@_level
@click.option("--no-password", is_flag=True, help="For a trusted proxy or one-time links.")
@by_option
@answers
def add(name: str, level: Level, no_password: bool, who: str) -> Answer:
    """Add a user. The password is asked for, or read from stdin where that is no terminal."""
    users = _users()
    password = None if no_password else _password()
    with transaction("events") as db:
        users.add(db, name, level, password, who=who)
    return Answer({"name": name, "level": level}, f"{name} may use the console, as {level}.")


@user.command("level")
@_name
@click.argument("level", type=click.Choice(LEVELS))
@by_option
@answers
def level_(name: str, level: Level, who: str) -> Answer:
    """Change what a user may do, from the next click on."""
    with transaction("events") as db:
        _users().set_level(db, name, level, who=who)
    return Answer({"name": name, "level": level}, f"{name} is {level} now.")


@user.command("password")
@_name
@by_option
@answers
def password_(name: str, who: str) -> Answer:
    """Change a user's password. All sessions of the user end; tokens of the API stay: see `token disable`."""
    users, new = _users(), _password()
    with transaction("events") as db:
        users.set_password(db, name, new, who=who)
    return Answer({"name": name}, f"The password of {name} is changed; sessions have ended, tokens stay.")


@user.command("disable")
@_name
@by_option
@answers
def disable(name: str, who: str) -> Answer:
    """Let a user do nothing more. All sessions of the user end, and tokens of the API are disabled for good."""
    with transaction("events") as db:
        _users().disable(db, name, who=who)
    return Answer({"name": name}, f"{name} is disabled; sessions and tokens have ended.")


@user.command("enable")
@_name
@by_option
@answers
def enable(name: str, who: str) -> Answer:
    """Let a disabled user in again."""
    with transaction("events") as db:
        _users().enable(db, name, who=who)
    return Answer({"name": name}, f"{name} may use the console again.")


def _users() -> ModuleType:
    try:
        from fundlyhub.console import users
    except ImportError:
        raise WrongUse(EXTRA) from None
    return users


def _password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().rstrip("\r\n")


@click.command("link")
@_name
@click.option("--url", default="http://127.0.0.1:8020", show_default=True, help="Where the console is.")
@by_option
@answers
def link(name: str, url: str, who: str) -> Answer:
    """Print a link that signs a user in once, within half an hour."""
    from fundlyhub.console import sessions

    users = _users()
    with transaction("events") as db:
        if users.level_of(db, name) is None:
            raise WrongUse(f"there is no user {name[:64]!r} who may sign in; see `fundlyhub console user list`")
        token = sessions.make_link(db, name, who=who)
    made = f"{url.rstrip('/')}/sign-in/link/{token}"
    return Answer({"link": made}, made)
