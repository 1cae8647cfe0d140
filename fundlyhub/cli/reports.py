"""`fundlyhub notifications reports`: delivery reports that could not be applied; retry and discard them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import click
from sqlalchemy import Connection

from fundlyhub.cli.databases import transaction
from fundlyhub.cli.options import ID, by_option, limit_option, reason_option
from fundlyhub.cli.output import Answer, Aside, Table, answers, iso_times
from fundlyhub.database import get_engine
from fundlyhub.errors import WrongUse
from fundlyhub.processors.notifications.delivery_reports import failed

_ids = click.argument("ids", metavar="[ID]...", nargs=-1, type=ID)
_all = click.option("--all", "everything", is_flag=True, help="All failed reports.")


@click.group("reports")
def command() -> None:
    """List delivery reports that could not be applied; retry and discard them.

    A provider reports that a message was delivered, bounced or complained about. Such a report holds hashes and ids,
    and no address. A failed one holds up no other.
    """


@command.command("list")
@click.option("--discarded", is_flag=True, help="Those that were discarded, by whom and why.")
@limit_option(50)
@answers
def list_(discarded: bool, limit: int) -> Answer:
    """List failed reports, the newest first."""
    with transaction("app") as db:
        found = failed.find(db, discarded=discarded, limit=limit)
    columns = ["id", "provider", "error", "messages", "received", "failed"]
    rows = [[str(one.id), one.provider, one.error, len(one.messages), one.received_at, one.failed_at] for one in found]
    if discarded:
        columns += ["discarded", "by", "reason"]
        rows = [
            [*row, one.discarded_at, one.discarded_by, one.discard_reason] for row, one in zip(rows, found, strict=True)
        ]
    title = f"{'Discarded' if discarded else 'Failed'} delivery reports{'' if rows else ': none'}"
    return Answer(
        [iso_times(asdict(one)) for one in found], Table(title, columns, rows, optional=("received", "messages"))
    )


@command.command("retry")
@_ids
@_all
@answers
def retry(ids: tuple[int, ...], everything: bool) -> Answer:
    """Apply failed reports again, after a fix: those of these IDs, or all.

    The exit status is 0 when each of them is applied. A report that fails again stays, with its new error.
    """
    with transaction("app") as db:
        chosen = _chosen(db, ids, everything)
    done = failed.retry(get_engine("app"), chosen)
    return Answer(
        {"applied": done.applied, "failed": [{"id": id, "error": error} for id, error in done.failed.items()],
         "unknown": done.unknown},
        *(Aside(f"{id}: failed again ({error})") for id, error in done.failed.items()),
        *_unknown(done.unknown),
        f"{len(done.applied):,} applied, {len(done.failed):,} failed again",
        good=not done.failed and not done.unknown,
    )  # fmt: skip


@command.command("discard")
@_ids
@_all
@reason_option
@by_option
@answers
def discard(ids: tuple[int, ...], everything: bool, reason: str, who: str) -> Answer:
    """Discard failed reports: those of these IDs, or all. They are kept, and not applied again."""
    with transaction("app") as db:
        chosen = _chosen(db, ids, everything)
        done = failed.discard(db, chosen, who=who, reason=reason)
    unknown = [id for id in chosen if id not in done]
    document = {"discarded": done, "unknown": unknown}
    return Answer(document, *_unknown(unknown), f"{len(done):,} discarded", good=not unknown)


def _chosen(db: Connection, ids: Sequence[int], everything: bool) -> list[int]:
    if bool(ids) == everything:
        raise WrongUse("say which: IDs, or --all")
    return list(dict.fromkeys(ids)) if ids else failed.open_ids(db)


def _unknown(ids: Sequence[int]) -> list[Aside]:
    return [Aside(f"{id}: there is no such failed report") for id in ids]
