"""What a command answers: text and tables for people, or one JSON document; logs and progress go to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import wraps
from typing import Any, NamedTuple

import click

from fundlyhub.cli.times import shown
from fundlyhub.database.audited import AuditEntry
from fundlyhub.printable import printable, printable_json


class Table(NamedTuple):
    """A table for people, numbers to the right. Text from outside is shown as it is: none of it is markup.

    Columns of ``ids`` are shortened. Where the terminal is narrow, ``optional`` columns are left out, the last one
    first; where that is not enough, each row becomes a record.
    """

    title: str
    columns: Sequence[str]
    rows: Iterable[Sequence[Any]]
    ids: Sequence[str] = ()
    optional: Sequence[str] = ()

    def print(self) -> None:
        """Print it on stdout."""
        from fundlyhub.cli.tables import fitted, short_ids, terminal  # rich is loaded only for a table

        body = [list(row) for row in self.rows]
        right = [bool(body) and all(isinstance(row[n], (int, float)) for row in body) for n in range(len(self.columns))]
        text = [[_text(column, cell) for column, cell in zip(self.columns, row, strict=True)] for row in body]
        for index in map(self.columns.index, self.ids):
            for row, short in zip(text, short_ids([row[index] for row in text]), strict=True):
                row[index] = short or ""
        cells = [[printable(cell) for cell in row] for row in text]
        console = terminal()
        title, width = printable(self.title), console.width
        table = fitted(title, self.columns, cells, right=right, optional=self.optional, width=width)
        console.print(table, crop=False)


class Aside(str):
    """A line for people that goes to stderr."""

    __slots__ = ()


class Answer:
    """A document for programs, and what people read in place of it. Without ``good`` the exit status is 1."""

    def __init__(self, document: Any, *parts: str | Table, good: bool = True) -> None:
        self.document, self.parts, self.good = document, parts, good

    def print(self, as_json: bool) -> None:
        """Print it for programs or for people."""
        if as_json:
            print_json(self.document)
            return
        for part in self.parts:
            if isinstance(part, Table):
                part.print()
            else:
                say(part, err=isinstance(part, Aside))


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """The option --json: the function gets it as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")(function)


def answers(function: Callable[..., Answer | None]) -> Callable[..., None]:
    """Give a command the option --json, and print the Answer that it returns; None prints nothing."""

    @json_option
    @wraps(function)
    def command(*args: Any, as_json: bool, **options: Any) -> None:
        answer = function(*args, **options)
        if answer is not None:
            answer.print(as_json)
            if not answer.good:
                sys.exit(1)

    return command


def say(text: str, *, err: bool = False, end: str = "\n") -> None:
    """Print a text on stdout, or on stderr; control characters, which may come from outside, as their escapes."""
    click.echo(printable(text) + end, err=err, nl=False)


def timeline(entries: Iterable[AuditEntry]) -> Table:
    """What happened to something, and who did it."""
    rows = [(one.at, one.who, one.account, one.role, one.action, one.details) for one in entries]
    columns = ("at", "who", "account", "role", "what", "details")
    return Table("Timeline", columns, rows, optional=("role", "account"))


def print_json(document: Any) -> None:
    """Print one JSON document on stdout; bytes are one already."""
    text = document.decode() if isinstance(document, bytes) else json.dumps(document, indent=2, default=str)
    click.echo(printable_json(text))


def print_json_line(document: bytes) -> None:
    """Print one JSON document, which has no line break, as a line on stdout: a list is a document a line."""
    click.echo(printable_json(document.decode()))


def iso_times(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with each time as ISO 8601."""
    return {name: one.isoformat() if isinstance(one, datetime) else one for name, one in values.items()}


def _text(column: str, cell: Any) -> str:
    """A time in UTC; a number with separated thousands, except one that people copy into another command."""
    if isinstance(cell, datetime):
        return shown(cell)
    if isinstance(cell, int) and column not in ("id", "position"):
        return f"{cell:,}"
    return "" if cell is None else str(cell)
