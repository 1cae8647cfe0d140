"""`fundlyhub events`: publish from files, archive and restore, and what the catalogue says of itself."""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from typing import BinaryIO

import click
from rich.console import Console
from rich.progress import Progress

from fundlyhub.cli.output import json_option, print_json
from fundlyhub.database import dispose_engines
from fundlyhub.database.migrate import require_current
from fundlyhub.errors import WrongUse
from fundlyhub.events.lines import LineReport, publish_lines
from fundlyhub.events.reference import catalogue_markdown
from fundlyhub.events.schema import all_schemas, json_schema

_ARCHIVING = {"archive": "put_away", "archives": "show", "restore": "bring_back"}


class _Commands(click.Group):
    """Archiving wants all processors, which take a second to load: only its own commands do."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_ARCHIVING])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _ARCHIVING:
            return super().get_command(ctx, cmd_name)
        found = getattr(import_module("fundlyhub.cli.archive"), _ARCHIVING[cmd_name])
        assert isinstance(found, click.Command)
        return found


@click.group("events", cls=_Commands)
def command() -> None:
    """Publish events from files; archive old ones and restore them; export schemas and docs."""


@command.command("publish")
@click.argument("file", type=click.File("rb"))
@click.option("--import", "imported", is_flag=True, help="These are history: they are taken up, and nobody is told.")
@json_option
def publish(file: BinaryIO, imported: bool, as_json: bool) -> None:
    """Publish envelopes from FILE (or - for stdin), one JSON object a line.

    Good lines are published, bad ones are reported with their number and the reason; then the exit status
    is 1. Publishing a file twice is harmless: an event id is one event.
    """
    require_current("events")
    click.get_current_context().call_on_close(partial(dispose_engines, close=True))
    report = LineReport()
    with Progress(disable=not sys.stderr.isatty(), transient=True, console=Console(stderr=True)) as progress:
        task = progress.add_task("Publishing", total=None)
        for report in publish_lines(file, imported=imported):
            progress.update(task, completed=report.lines)
    if as_json:
        print_json(
            {
                "published": report.published,
                "duplicates": report.duplicates,
                "refused": [{"line": line, "reason": reason} for line, reason in report.refused],
            }
        )
    else:
        for line, reason in report.refused:
            click.echo(f"line {line}: {reason}", err=True)
        click.echo(f"{report.published:,} published, {report.duplicates:,} duplicates, {len(report.refused):,} refused")
    if report.refused:
        sys.exit(1)


@command.command("schema")
@click.argument("type_", metavar="[TYPE]", required=False)
@click.option("--version", "version_", help="A version other than the newest.")
def schema(type_: str | None, version_: str | None) -> None:
    """Print the JSON Schema of TYPE's payload, or of all types."""
    if type_ is None and version_ is not None:
        raise WrongUse("--version wants a TYPE")
    print_json(all_schemas() if type_ is None else json_schema(type_, version_))


@command.command("docs")
def docs() -> None:
    """Print docs/events.md as the classes make it."""
    click.echo(catalogue_markdown(), nl=False)
