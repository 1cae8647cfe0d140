"""Rows of queries that have one whatever the tables hold: a count, a snapshot, what a function returns."""

from __future__ import annotations

from typing import Any

import psycopg


def the_row(found: psycopg.Cursor[Any]) -> Any:
    """The row."""
    row = found.fetchone()
    assert row is not None
    return row


def the_value(found: psycopg.Cursor[Any]) -> Any:
    """Its first column."""
    return the_row(found)[0]
