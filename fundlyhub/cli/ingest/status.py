"""`fundlyhub ingest status`: lag, pending entries and consumers of each stream, and how much is in quarantine."""

from __future__ import annotations

import click

from fundlyhub.cli.databases import transaction
from fundlyhub.cli.output import Answer, Table, answers
from fundlyhub.settings import get_settings
from fundlyhub.streams import quarantine
from fundlyhub.streams.ingest import stream_names
from fundlyhub.streams.reader import client_of
from fundlyhub.streams.status import stream_status


@click.command("status")
@answers
def status() -> Answer:
    """Show per stream what is not read, what is not acknowledged, the age of the oldest, and the consumers."""
    settings = get_settings()
    with transaction("events") as db, client_of(settings.streams) as client:
        streams = stream_status(client, stream_names(settings), settings.ingest_group)
        held = quarantine.count(db)
    columns = ("stream", "entries", "not read", "pending", "oldest, s", "consumers")
    rows = [
        (one["stream"], one["length"], "?" if one["lag"] is None else one["lag"], one["pending"],
         one["lag_seconds"], len(one["consumers"]))
        for one in streams
    ]  # fmt: skip
    return Answer(
        {"group": settings.ingest_group, "streams": streams, "quarantine": {"open": held}},
        Table(f"Group {settings.ingest_group}; in quarantine: {held:,}", columns, rows),
    )
