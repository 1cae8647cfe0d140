"""`fundlyhub claims`: show the partitions of the claims and why each is kept; drop old ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click
import psycopg
from psycopg.rows import dict_row

from fundlyhub.cli.options import by_option
from fundlyhub.cli.output import Answer, Table, answers, iso_times
from fundlyhub.cli.wiring import known_processors
from fundlyhub.database.revisions import require_current
from fundlyhub.errors import Unavailable, WrongUse
from fundlyhub.processing.processor import Processor
from fundlyhub.relay.keeper import branches, judge, places, prune
from fundlyhub.retention.claims.dropping import Verdict
from fundlyhub.retention.horizon import retention_of
from fundlyhub.settings import Branch, get_settings

_DROPPED = "SELECT low, high, claims, who, account, role, dropped_at FROM dropped_claims ORDER BY low"
_IN_DEFAULT = "SELECT count(*) FROM processed_events_default"


@click.group("claims")
def command() -> None:
    """Show the partitions of the claims and why each is kept; drop those that are no longer needed."""


@command.command("status")
@answers
def show() -> Answer:
    """Show all partitions and why each is kept; and what was dropped, when and by whom."""
    processors = known_processors()
    require_current("events", "app", "analytics")
    found = {branch: _of(branch, processors) for branch in branches(processors)}
    document = {"retention_days": get_settings().claims_retention or None, "databases": found}
    return Answer(document, *_parts(found))


def _parts(found: Mapping[Branch, Mapping[str, Any]]) -> Iterator[str | Table]:
    for branch, one in found.items():
        rows = [(part["name"], part["low"], part["high"], "; ".join(part["kept_by"])) for part in one["partitions"]]
        yield Table(f"Claims in the {branch} database", ("partition", "from", "to", "kept, since it is"), rows)
        for gone in one["dropped"]:
            claims = f"{gone['low']:,} to {gone['high']:,}: {sum(gone['claims'].values()):,} claims"
            yield f"{claims} dropped by {gone['who']} at {gone['dropped_at']}"
        if one["in_default"]:
            yield f"{one['in_default']:,} claims wait in the default partition for one of their own"


def _of(branch: Branch, processors: Mapping[str, type[Processor]]) -> dict[str, Any]:
    settings = get_settings()
    with places(settings, branch) as (events, db):
        judged = judge(events, db, branch, processors, retention_of(settings, processors))
        (waiting,) = db.execute(_IN_DEFAULT).fetchone() or (0,)
        dropped = [iso_times(row) for row in db.cursor(row_factory=dict_row).execute(_DROPPED)]
    return {"partitions": [_as_dict(one) for one in judged], "dropped": dropped, "in_default": waiting}


def _as_dict(one: Verdict) -> dict[str, Any]:
    return {"name": one.partition.name, **one.partition.range._asdict(), "kept_by": list(one.kept_by)}


@command.command("prune")
@click.option("--dry-run", is_flag=True, help="Show what would be dropped; drop nothing.")
@by_option
@answers
def drop(dry_run: bool, who: str) -> Answer:
    """Drop old partitions now, as the relay does from time to time. This cannot be undone.

    A partition is dropped when it is older than FUNDLYHUB_CLAIMS_RETENTION, every processor is beyond it, and it has
    neither open dead letters nor attempts. Its events are refused from then on, whatever sends them.
    """
    processors = known_processors()
    if not get_settings().claims_retention:
        raise WrongUse("FUNDLYHUB_CLAIMS_RETENTION is 0: all claims are kept")
    require_current("events", "app", "analytics")
    gone = list(_drop(processors, who, dry_run))
    done = "would be dropped" if dry_run else "dropped"
    lines = [f"{one['database']}: {one['name']}, positions {one['low']:,} to {one['high']:,}, {done}" for one in gone]
    return Answer({"dry_run": dry_run, "dropped": gone}, *lines, f"{len(gone)} partitions {done}")


def _drop(processors: Mapping[str, type[Processor]], who: str, dry_run: bool) -> Iterator[dict[str, Any]]:
    settings = get_settings()
    retention = retention_of(settings, processors)
    assert retention is not None
    for branch in branches(processors):
        with places(settings, branch) as (events, db):
            if dry_run:
                for one in judge(events, db, branch, processors, retention):
                    if not one.kept_by:
                        yield {"database": branch, **{k: v for k, v in _as_dict(one).items() if k != "kept_by"}}
                continue
            try:
                for gone in prune(events, db, branch, processors, retention, who=who):
                    yield {"database": branch, "name": gone.name, "low": gone.low, "high": gone.high,
                           "claims": dict(gone.claims)}  # fmt: skip
            except psycopg.errors.LockNotAvailable:
                raise Unavailable(f"the claims of the {branch} database are in use: try again in a moment") from None
