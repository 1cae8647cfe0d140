"""`fundlyhub status`: the whole line in one look."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from fundlyhub.cli.databases import log_connection
from fundlyhub.cli.output import Answer, Table, answers
from fundlyhub.cli.queues import without_worker, work_queues
from fundlyhub.cli.times import span
from fundlyhub.cli.wiring import known_processors
from fundlyhub.database import get_engine
from fundlyhub.errors import Unavailable, WrongUse
from fundlyhub.monitoring.status import status
from fundlyhub.settings import get_settings

_REFUSED = "SELECT count(*) FROM search_documents WHERE refused IS NOT NULL"


@click.command("status")
@answers
def command() -> Answer:
    """Show the progress of the relay, the processors and the queues.

    Per processor: events that are applied, waiting, retrying and dead, the age of the oldest that waits, and whether
    it is paused, or blocked because its database lacks something. Per queue: messages and workers. Also how many
    documents Elasticsearch refused.
    """
    processors = known_processors()
    with log_connection("app", "analytics") as db:
        found = status(db, processors)
    found["queues"], away = _queues()
    found["search_documents_refused"] = _refused()
    return Answer(found, *_parts(found, away))


def _parts(found: dict[str, Any], away: str) -> Iterator[str | Table]:
    relay = found["relay"]
    yield Table(
        f"Head of the log: position {found['log']['head']:,}; not relayed: {relay['lag_events']:,} events, "
        f"the oldest for {relay['lag_seconds']:.1f} s",
        ("processor", "applied", "waiting", "oldest", "retrying", "dead", "state"),
        [
            (name, one["applied"], one["waiting"], span(one["oldest_waiting_seconds"]), one["retrying"], one["dead"],
             "paused" if one["paused"] else "blocked" if one["blocked"] else "")
            for name, one in found["processors"].items()
        ],
    )  # fmt: skip
    if away:
        yield f"Queues: {away}"
    else:
        rows = [(name, one["messages"], one["consumers"]) for name, one in found["queues"].items()]
        yield Table("Queues", ("queue", "messages", "workers"), rows)
    for name, one in found["processors"].items():
        if pause := one["paused"]:
            yield f"{name} is paused ({pause['kind']}, by {pause['who']}): {pause['reason']}"
        if blocked := one["blocked"]:
            yield f"{blocked['events']:,} events wait for {name}, whose database lacks something: {blocked['reason']}"
    if idle := without_worker(found["queues"] or {}):
        yield f"No worker consumes {', '.join(idle)}."
    if wrong := found["log"]["future_xids"] + found["log"]["future_positions"]:
        yield (
            f"{wrong:,} rows of the log break its rules: somebody wrote into the table itself. "
            "`fundlyhub verify` lists them, and docs/verify.md says what to do."
        )
    if refused := found["search_documents_refused"]:
        yield f"Elasticsearch refused {refused:,} documents, and does not find them: docs/search.md says what to do."
    if found["of_other_releases"]:
        names = ", ".join(one["name"] for one in found["of_other_releases"])
        yield f"Registered by another release, and not part of this one: {names}"


def _refused() -> int | None:
    """Documents that Elasticsearch refused; None where PostgreSQL searches."""
    if get_settings().search_backend != "elasticsearch":
        return None
    with get_engine("analytics").connect() as db:
        return int(db.exec_driver_sql(_REFUSED).scalar_one())


def _queues() -> tuple[dict[str, dict[str, int]] | None, str]:
    """Messages and consumers of each queue; or none, and why: the log is there without a broker too."""
    try:
        return {name: one._asdict() for name, one in work_queues().items()}, ""
    except (Unavailable, WrongUse) as error:
        return None, str(error)
