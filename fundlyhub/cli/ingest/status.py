"""`fundlyhub ingest status`: lag, pending entries and consumers of each stream, and how much is in quarantine."""

from __future__ import annotations

from functools import partial

import click

from fundlyhub.cli.output import json_option, print_json, print_table
from fundlyhub.database import dispose_engines, get_engine
from fundlyhub.database.migrate import require_current
from fundlyhub.settings import get_settings
from fundlyhub.streams import quarantine
from fundlyhub.streams.ingest import stream_names
from fundlyhub.streams.reader import client_of
from fundlyhub.streams.status import stream_status


@click.command("status")
@json_option
def status(as_json: bool) -> None:
    """Per stream what is not read, what is read and not acknowledged, the oldest of it, and who reads."""
    settings = get_settings()
    require_current("events")
    click.get_current_context().call_on_close(partial(dispose_engines, close=True))
    with client_of(settings.streams) as client:
        streams = stream_status(client, stream_names(settings), settings.ingest_group)
    with get_engine("events").connect() as db:
        held = quarantine.count(db)
    if as_json:
        print_json({"group": settings.ingest_group, "streams": streams, "quarantine": {"open": held}})
        return
    print_table(
        f"Group {settings.ingest_group}; in quarantine: {held:,}",
        ("stream", "entries", "not read", "pending", "oldest, s", "consumers"),
        [
            (one["stream"], one["length"], "?" if one["lag"] is None else one["lag"], one["pending"],
             one["lag_seconds"], len(one["consumers"]))
            for one in streams
        ],
    )  # fmt: skip
