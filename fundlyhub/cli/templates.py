"""The name of a message as an option: also of another package's, which are loaded when one is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from fundlyhub.cli.wiring import known_processors
from fundlyhub.processors.notifications.catalogue import BY_TEMPLATE, TEMPLATES


def template_option(*, digests: bool, help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option --template: a message, with ``digests`` also the digest of one."""
    names = TEMPLATES if digests else BY_TEMPLATE

    def check(ctx: click.Context, parameter: click.Parameter, given: str | None) -> str | None:
        if given is not None:
            known_processors()
            if given not in names:
                raise click.BadParameter(f"{given!r} is not one of {', '.join(names)}")
        return given

    return click.option("--template", callback=check, metavar="NAME", help=help)
