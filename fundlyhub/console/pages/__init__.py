"""The pages, a file for each, with the routes of all of them and the levels that they ask for."""

from __future__ import annotations

from collections.abc import Sequence

from fundlyhub.console.pages import (
    api,
    audit,
    breakers,
    correcting,
    events,
    letters,
    messages,
    overview,
    processors,
    rebuilding,
    rebuilds,
    replaying,
    reports,
    settings,
    streams,
    verify,
)
from fundlyhub.console.visits import Page

PAGES: Sequence[Page] = [
    *overview.PAGES,
    *processors.PAGES,
    *breakers.PAGES,
    *events.PAGES,
    *replaying.PAGES,
    *letters.PAGES,
    *correcting.PAGES,
    *reports.PAGES,
    *messages.PAGES,
    *streams.PAGES,
    *rebuilds.PAGES,
    *rebuilding.PAGES,
    *verify.PAGES,
    *audit.PAGES,
    *settings.PAGES,
    *api.PAGES,
]
"""Every route that asks for a session. The app has no other way to make one."""
