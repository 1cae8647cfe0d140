"""The settings that this console runs with, without secrets."""

from __future__ import annotations

from fundlyhub.console.api.routing import Call, route
from fundlyhub.console.pages.settings import Row, rows


@route("GET", "/settings", "operator")
def settings(call: Call) -> list[Row]:
    """List the settings: their values without secrets, and where they come from."""
    return rows(call.site.settings)
