"""Rows that name the event they are of: a position alone does not, once a log has lost its tail."""

from __future__ import annotations

from typing import Any

from fundlyhub.processing import DerivedTable


def names_event(table: str, **more: Any) -> DerivedTable:
    """A table with a column ``event_id``, for the ``tables`` of its processor; ``more`` as for DerivedTable.

    The column is not compared: rows of an older release name no event.
    """
    reason = "rows of an older release name none"
    return DerivedTable(table, ignored={"event_id": reason}, rewritten=("event_id",), **more)
