"""The settings that this console runs with: their values, where they come from, and no secret."""

from __future__ import annotations

import os
from dataclasses import dataclass

from starlette.responses import Response

from fundlyhub.console.masking import masked
from fundlyhub.console.visits import Visit, page
from fundlyhub.settings import PREFIX, Settings


@dataclass(frozen=True, slots=True)
class Row:
    """A setting: its variable, its value as it may be shown, where it comes from, and what it is for."""

    variable: str
    value: str
    source: str
    purpose: str


@page("/settings", "operator")
def settings(visit: Visit) -> Response:
    """All settings."""
    return visit.page("settings.html", rows=rows(visit.site.settings))


def rows(values: Settings) -> list[Row]:
    """The settings in their order, without secrets."""
    return [
        Row(f"{PREFIX}{name.upper()}", masked(name, getattr(values, name)), _source(name), field.description or "")
        for name, field in type(values).model_fields.items()
    ]


def _source(name: str) -> str:
    variable = f"{PREFIX}{name.upper()}"
    if os.environ.get(variable):
        return "environment"
    return "file" if os.environ.get(f"{variable}_FILE") else "default"
