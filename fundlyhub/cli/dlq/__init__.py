"""`fundlyhub dlq`: what operators do with dead letters."""

from __future__ import annotations

import click

from fundlyhub.cli.dlq.deciding import discard, restore
from fundlyhub.cli.dlq.editing import edit
from fundlyhub.cli.dlq.looking import list_, show
from fundlyhub.cli.dlq.moving import export, import_
from fundlyhub.cli.dlq.replaying import replay


@click.group("dlq")
def command() -> None:
    """Dead letters: events that a processor gave up on, kept with their error until a person decides.

    None is ever deleted, and who did what is kept with each. What an event says is people's data: it is shown only
    where --payload asks for it.
    """


for one in (list_, show, edit, replay, discard, restore, export, import_):
    command.add_command(one)
