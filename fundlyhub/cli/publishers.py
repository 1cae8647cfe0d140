"""`fundlyhub publishers`: which types the database role of a service may publish."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import click

from fundlyhub.cli.databases import transaction
from fundlyhub.cli.options import by_option
from fundlyhub.cli.output import Answer, Table, answers, iso_times
from fundlyhub.cli.times import shown
from fundlyhub.database.audited import named
from fundlyhub.errors import WrongUse
from fundlyhub.events import publishers
from fundlyhub.events.catalogue import VERSIONS
from fundlyhub.processing.routing import pattern_regex

_role = click.argument("role")
_types = click.argument("types", metavar="TYPE...", nargs=-1, required=True)


@click.group("publishers")
def command() -> None:
    """Limit services to their types of events. A role that is not listed may publish all types."""


@command.command("allow")
@_role
@_types
@by_option
@answers
def allow(role: str, types: tuple[str, ...], who: str) -> Answer:
    """Let ROLE publish these types, and from then on no others.

    ROLE is the one that the service logs in as. A TYPE may be a pattern of known types, such as 'campaign.**'.
    """
    wanted = list(_known(types))
    with transaction("events") as db:
        new = publishers.allow(db, role, wanted, who=named(who))
    return Answer(
        {"role": role, "types": wanted, "new": new}, f"{role} may publish {len(wanted)} types, {new} are new."
    )


@command.command("revoke")
@_role
@_types
@answers
def revoke(role: str, types: tuple[str, ...]) -> Answer:
    """Take types away from ROLE. The last one stays: without any the role would not be limited."""
    with transaction("events") as db:
        gone = publishers.revoke(db, role, list(_known(types)))
    return Answer({"role": role, "revoked": gone}, f"{gone} types are taken from {role}.", good=gone > 0)


@command.command("unlimit")
@_role
@answers
def unlimit(role: str) -> Answer:
    """Let ROLE publish every type again."""
    with transaction("events") as db:
        gone = publishers.unlimit(db, role)
    return Answer({"role": role, "was_limited_to": gone}, f"{role} may publish every type.", good=gone > 0)


@command.command("list")
@answers
def show() -> Answer:
    """List the roles that are limited, and their types."""
    with transaction("events") as db:
        found = publishers.allowed(db)
    columns = ("role", "type", "allowed by", "account", "at (UTC)", "state")
    rows = [(*one[:4], shown(one.allowed_at, zone=""), "" if one.exists else "no such role") for one in found]
    title = "Limited" if rows else "No role is limited"
    return Answer([iso_times(one._asdict()) for one in found], Table(title, columns, rows))


def _known(given: Sequence[str]) -> Iterator[str]:
    """The types that are meant. Raises WrongUse for one that nobody knows: most likely a typo."""
    for name in given:
        found = sorted(kind for kind in VERSIONS if re.fullmatch(pattern_regex(name), kind))
        if not found:
            raise WrongUse(f"no such type: {name}; `fundlyhub events docs` lists them")
        yield from found
