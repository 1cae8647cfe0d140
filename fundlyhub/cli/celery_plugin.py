"""Our commands below `celery -A fundlyhub`, through Celery's plug-in entry point.

Celery has commands of its own called `events`, `migrate` and `status`; ours of these names are reached as
`celery -A fundlyhub fundlyhub status`.
"""

from __future__ import annotations

import click

from fundlyhub.cli.commands import COMMANDS

CELERYS = frozenset({"events", "migrate", "status"})


def __getattr__(name: str) -> click.Command:
    """The command of an entry point's name. What it does is loaded only when it is run."""
    if name == "fundlyhub":
        return _passed_on(name, (), "All commands of FundlyHub's event processors.")
    if name not in COMMANDS or name in CELERYS:
        raise AttributeError(name)
    return _passed_on(name, (name,), COMMANDS[name])


def _passed_on(name: str, prefix: tuple[str, ...], help_text: str) -> click.Command:
    """A command that hands its arguments to the `fundlyhub` command."""

    @click.command(name, help=help_text, context_settings={"ignore_unknown_options": True, "help_option_names": []})
    @click.argument("args", nargs=-1, type=click.UNPROCESSED)
    def command(args: tuple[str, ...]) -> None:
        from fundlyhub.cli.main import cli

        cli.main([*prefix, *args], prog_name="fundlyhub")

    return command
