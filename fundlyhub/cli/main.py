"""The `fundlyhub` command: its groups, loaded when they are used, and errors in one line.

The same commands hang below `celery -A fundlyhub` through Celery's plug-in entry point.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

import click

from fundlyhub.cli.commands import COMMANDS
from fundlyhub.errors import FundlyHubError, WrongUse
from fundlyhub.garbage import look_seldom
from fundlyhub.printable import one_line


class Commands(click.Group):
    """A group whose commands are imported only when they are run: `--help` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"fundlyhub.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in the help, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the options that stand before the command."""
        with errors_in_one_line():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with errors_in_one_line():
            return super().invoke(ctx)


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Say what went wrong in one line, and leave: exit status 1, or 2 for wrong use."""
    try:
        yield
        sys.stdout.flush()  # a disk that is full says so here, and not when the interpreter ends
    except (click.exceptions.NoArgsIsHelpError, click.exceptions.Exit, click.Abort):  # help, and Ctrl-C at a question
        raise
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "fundlyhub"
        fail(f"{error.format_message().rstrip('.')}; see `{where} --help`", 2)
    except FundlyHubError as error:
        fail(str(error), 2 if isinstance(error, WrongUse) else 1)
    except OSError as error:
        if error.errno == errno.EPIPE:  # the reader has seen enough: click ends in silence
            raise
        where = f" {error.filename}" if error.filename else ""
        _forget_output()
        fail(f"cannot read or write{where}: {error.strerror or type(error).__name__}", 1)
    except Exception as error:
        from fundlyhub.cli.database_faults import told  # it loads the drivers, which a command has loaded that failed

        if (said := told(error)) is None:
            raise
        fail(said, 1)


def _forget_output() -> None:
    """Give up on what waits to be written to stdout, or the interpreter's end complains of it once more."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fail(message: str, status: int) -> None:
    """Print one line on stderr and leave."""
    click.echo(f"fundlyhub: {one_line(message)}", err=True)
    sys.exit(status)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="fundlyhub", prog_name="fundlyhub")
def cli() -> None:
    """FundlyHub's event processors: from publish_event() to exactly-once effects.

    Settings come from the environment, with the prefix FUNDLYHUB_; see docs/settings.md.
    """
    from fundlyhub.observability.logs import configure  # --help alone needs none of it

    with suppress(WrongUse):  # a command that needs the settings says what is wrong with them
        configure(logging.WARNING)  # commands that run on say more


def main() -> None:
    """The console script."""
    look_seldom()
    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks a letter shows its escape, and goes on
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    cli(prog_name="fundlyhub")
