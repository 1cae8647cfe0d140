"""Printing: a table for people, one JSON document for programs; logs and progress go to stderr."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import click

from fundlyhub.cli.tables import fitted, printable, short_ids, terminal

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
verbose_option = click.option("-v", "--verbose", is_flag=True, help="Log more, on stderr.")


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(document, indent=2, default=str))


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    ids: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> None:
    """A table on stdout; numbers to the right. What people wrote is shown as it is: no part of it is markup.

    Columns of ``ids`` are shortened. Where the terminal is narrow, ``optional`` columns are left out, the last one
    first; where that is not enough, each row becomes a record.
    """
    body = [list(row) for row in rows]
    right = [bool(body) and all(isinstance(row[index], (int, float)) for row in body) for index in range(len(columns))]
    text = [[_text(column, cell) for column, cell in zip(columns, row, strict=True)] for row in body]
    for index in (columns.index(name) for name in ids):
        for row, short in zip(text, short_ids([row[index] for row in text]), strict=True):
            row[index] = short or ""
    cells = [[printable(cell) for cell in row] for row in text]
    console = terminal()
    console.print(fitted(title, columns, cells, right=right, optional=optional, width=console.width), crop=False)


def _text(column: str, cell: Any) -> str:
    """A number with its thousands parted, but for one that people copy into another command."""
    if isinstance(cell, int) and column not in ("id", "position"):
        return f"{cell:,}"
    return "" if cell is None else str(cell)
