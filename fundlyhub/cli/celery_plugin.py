"""Our commands below `celery -A fundlyhub`, through Celery's plug-in entry point.

Celery has commands of its own called `events`, `migrate` and `status`; ours of these names are reached as
`celery -A fundlyhub fundlyhub status`.
"""

from __future__ import annotations

import click


def _passed_on(name: str, prefix: tuple[str, ...], help_text: str) -> click.Command:
    """A command that hands its arguments to the `fundlyhub` command, which is loaded only then."""

    @click.command(name, help=help_text, context_settings={"ignore_unknown_options": True, "help_option_names": []})
    @click.argument("args", nargs=-1, type=click.UNPROCESSED)
    def command(args: tuple[str, ...]) -> None:
        from fundlyhub.cli.main import cli

        cli.main([*prefix, *args], prog_name="fundlyhub")

    return command


fundlyhub = _passed_on("fundlyhub", (), "All commands of FundlyHub's event processors.")
relay = _passed_on("relay", ("relay",), "Move events from the log to the queues.")
up = _passed_on("up", ("up",), "Start everything that is not given, and keep it running.")
demo = _passed_on("demo", ("demo",), "Publish a stream of events and verify every number.")
