"""The API: what pages show and do, as JSON, by token. A file for each subject; the routes of all of them are here."""

from __future__ import annotations

from collections.abc import Sequence

from fundlyhub.console.api import (
    audit,
    breakers,
    events,
    letters,
    messages,
    openapi,
    overview,
    processors,
    rebuilds,
    replays,
    reports,
    settings,
    streams,
    verify,
)
from fundlyhub.console.api.routing import Route

ROUTES: Sequence[Route] = [
    *openapi.ROUTES,
    *overview.ROUTES,
    *processors.ROUTES,
    *breakers.ROUTES,
    *events.ROUTES,
    *replays.ROUTES,
    *letters.ROUTES,
    *reports.ROUTES,
    *messages.ROUTES,
    *streams.ROUTES,
    *rebuilds.ROUTES,
    *verify.ROUTES,
    *audit.ROUTES,
    *settings.ROUTES,
]
"""Every route below /api/v1. The app has no other way to make one, and the OpenAPI document is made from them."""
