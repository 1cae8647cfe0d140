"""Printing: a table for people, one JSON document for programs; logs and progress go to stderr."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
verbose_option = click.option("-v", "--verbose", is_flag=True, help="Log more, on stderr.")


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(document, indent=2, default=str))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table on stdout; numbers to the right. What people wrote is shown as it is: no part of it is markup."""
    body = [list(row) for row in rows]
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for index, column in enumerate(columns):
        numeric = bool(body) and all(isinstance(row[index], (int, float)) for row in body)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in body:
        table.add_row(
            *(Text("" if cell is None else f"{cell:,}" if isinstance(cell, int) else str(cell)) for cell in row)
        )
    Console().print(table)
