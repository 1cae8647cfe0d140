"""`fundlyhub events`: find and follow, publish from files, archive and restore, and what the catalogue says."""

from __future__ import annotations

from importlib import import_module
from typing import BinaryIO

import click

from fundlyhub.cli.databases import ready
from fundlyhub.cli.lines import read_lines
from fundlyhub.cli.output import Answer, answers, print_json, say
from fundlyhub.errors import WrongUse
from fundlyhub.events import packages
from fundlyhub.events.lines import LineReport, publish_lines
from fundlyhub.events.reference import catalogue_markdown
from fundlyhub.events.schema import all_schemas, json_schema

_ELSEWHERE = {
    "archive": ("archive", "put_away"),
    "archives": ("archive", "show"),
    "restore": ("archive", "bring_back"),
    "list": ("history", "list_"),
    "show": ("history", "show"),
    "story": ("history", "tell"),
    "tail": ("history", "tail"),
}


class _Commands(click.Group):
    """Archiving wants all processors, which take a second to load: only its own commands do."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_ELSEWHERE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module, name = _ELSEWHERE[cmd_name]
        found = getattr(import_module(f"fundlyhub.cli.{module}"), name)
        assert isinstance(found, click.Command)
        return found


@click.group("events", cls=_Commands)
def command() -> None:
    """Find events and follow them; publish events from files; archive and restore old ones; export schemas and docs."""


@command.command("publish")
@click.argument("file", type=click.File("rb"))
@click.option("--import", "imported", is_flag=True, help="Import history: apply the events, and send no messages.")
@answers
def publish(file: BinaryIO, imported: bool) -> Answer:
    """Publish envelopes from FILE (or - for stdin), one JSON object a line.

    Bad lines are reported with their number and the reason, and make the exit status 1; all others are published.
    Publishing a file twice is harmless: an event id is one event.
    """
    packages.load()
    ready("events")
    return read_lines("Publishing", publish_lines(file, imported=imported), LineReport(), "published", "duplicates")


@command.command("schema")
@click.argument("type_", metavar="[TYPE]", required=False)
@click.option("--version", "version_", help="Version of the type.  [default: the newest]")
def schema(type_: str | None, version_: str | None) -> None:
    """Print the JSON Schema of TYPE's payload, or of all types."""
    if type_ is None and version_ is not None:
        raise WrongUse("--version wants a TYPE")
    packages.load()
    print_json(all_schemas() if type_ is None else json_schema(type_, version_))


@command.command("docs")
def docs() -> None:
    """Print docs/events.md, generated from the event classes."""
    say(catalogue_markdown(), end="")
