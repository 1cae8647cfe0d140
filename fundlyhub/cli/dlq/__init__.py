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
    """Dead letters: events that a processor gave up on, kept with their error until an operator decides.

    A dead letter is never deleted, and its history is kept. Payloads hold personal data: they are shown only with
    --payload.
    """


for one in (list_, show, edit, replay, discard, restore, export, import_):
    command.add_command(one)
