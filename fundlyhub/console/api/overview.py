"""The platform at one look: what is wrong, what flows, and all numbers of the moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import BaseModel

from fundlyhub.console.api.routing import Call, route
from fundlyhub.console.pages.overview import Flow, Linked, look


class Number(BaseModel):
    """A number of a metric, by the values of its labels (docs/metrics.md)."""

    labels: Sequence[str]
    value: float


class Overview(BaseModel):
    """``missing`` says of each source that does not answer why; its numbers are not there."""

    at: datetime
    troubles: list[Linked]
    flow: Flow
    missing: Mapping[str, str]
    numbers: Mapping[str, list[Number]]


@route("GET", "/overview")
def overview(call: Call) -> Overview:
    """Show what is wrong, what flows, and all numbers. They are read at most once a second."""
    snapshot, troubles, flow = look(call)
    numbers = {
        metric: [Number(labels=labels, value=value) for labels, value in found.items()]
        for metric, found in snapshot.numbers.items()
    }
    return Overview(at=snapshot.at, troubles=troubles, flow=flow, missing=snapshot.missing, numbers=numbers)
