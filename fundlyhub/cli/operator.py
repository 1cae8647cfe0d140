"""Who gives a command: the name that stands in histories and audits."""

from __future__ import annotations

import getpass

import click

from fundlyhub.errors import WrongUse


def _named(ctx: click.Context, parameter: click.Parameter, given: str | None) -> str:
    if given:
        return given
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        raise WrongUse("this account has no name: say who you are with --by") from None


by_option = click.option(
    "--by", "who", callback=_named, help="Who does it; without it, the account that runs the command."
)
