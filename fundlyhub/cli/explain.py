"""`fundlyhub explain`: the events that moved a row, each with what it changed, and whether the live row is the same."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import click

from fundlyhub.cli.options import limit_option
from fundlyhub.cli.output import Answer, Table, answers, iso_times
from fundlyhub.cli.wiring import known_processors
from fundlyhub.database.revisions import require_current
from fundlyhub.errors import WrongUse
from fundlyhub.settings import get_settings
from fundlyhub.verification.explaining import MOST, WITHHELD, Explanation, Key, Rows, Step, explain, explainable


@click.command("explain")
@click.argument("name", metavar="PROCESSOR")
@click.argument("aggregate", metavar="ID", type=click.UUID)
@limit_option(1_000, most=MOST)
@answers
def command(name: str, aggregate: UUID, limit: int) -> Answer:
    """Explain the rows that PROCESSOR keeps of the campaign, user or other thing with this ID: what changed them.

    The events are replayed one by one in a separate schema by the processor's own code, the last ones up to --limit;
    earlier ones together. Of values that may be personal data only that they changed is shown. The exit status is 1 if
    a live row differs from what follows from the events.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the schema goes, as at Ctrl-C
    processors = known_processors()
    able = explainable(processors)
    if name not in able:
        raise WrongUse(f"the rows of {name} cannot be explained; those of {', '.join(able)} can")
    require_current("events", "app", "analytics", with_packages=True)
    told = explain(get_settings(), processors[name], aggregate, limit=limit)
    return Answer(_document(told), *_parts(told), good=not told.differs)


def _parts(told: Explanation) -> Iterator[str | Table]:
    if told.earlier:
        yield f"{told.earlier:,} earlier events are applied together; --limit explains more."
    if not told.earlier and not told.steps:
        yield f"No event that {told.processor} wants is about it."
    rows = [(one.position, one.occurred_at, one.type, _changes(told, one)) for one in told.steps]
    yield Table(f"Events that moved the rows of {told.processor}", ("position", "happened", "type", "changed"), rows)
    yield _rows("What follows from them", told, told.rows)
    if told.differs:
        yield _rows("The live rows", told, told.live)
        yield from (f"The live rows differ: {what}" for what in told.differs)
    else:
        yield "The live rows are the same."


def _rows(title: str, told: Explanation, rows: Rows) -> Table:
    return Table(title, ("row", "values"), [(_key(told, key), _values(row)) for key, row in rows.items()])


def _changes(told: Explanation, step: Step) -> str:
    if not step.applied:
        return "not applied: it waits, or is a dead letter (`fundlyhub events story`)"
    return "; ".join(f"{_key(told, key)}: {_moves(columns)}" for key, columns in step.changed.items()) or "nothing"


def _moves(columns: Mapping[str, tuple[str | None, str | None]]) -> str:
    moves = (
        f"{name} changed" if was == now == WITHHELD else f"{name} {was or '-'} → {now or '-'}"
        for name, (was, now) in columns.items()
    )
    return ", ".join(moves) or "the row"


def _key(told: Explanation, key: Key) -> str:
    table, *values = key
    named = ", ".join(f"{name} {value}" for name, value in zip(told.keys[table], values, strict=True))
    return f"{table} ({named})" if len(told.keys) > 1 else named


def _values(row: Mapping[str, str | None]) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.items() if value is not None)


def _document(told: Explanation) -> dict[str, Any]:
    def rows(found: Mapping[Key, Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [
            {"table": key[0], **dict(zip(told.keys[key[0]], key[1:], strict=True)), **values}
            for key, values in found.items()
        ]

    steps = [
        {"position": one.position, "event_id": one.event_id, "type": one.type, "occurred_at": one.occurred_at,
         "applied": one.applied, "changed": rows(one.changed)}
        for one in told.steps
    ]  # fmt: skip
    return {
        "processor": told.processor, "tables": list(told.keys), "earlier": told.earlier,
        "steps": [iso_times(step) for step in steps], "rows": rows(told.rows), "live": rows(told.live),
        "differs": list(told.differs),
    }  # fmt: skip
