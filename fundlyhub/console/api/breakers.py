"""The circuit breakers of outside services: states and history; open and close one by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from fundlyhub.channels.breaker import SERVICES
from fundlyhub.channels.breaker.shared import as_document
from fundlyhub.console.api.fields import Named, Why
from fundlyhub.console.api.routing import Call, route
from fundlyhub.console.pages.breakers import close_one, open_one, require, seen, uses


class Breaker(BaseModel):
    """A breaker, as `fundlyhub breakers --json` has it, and what its service is for (empty: not in use)."""

    service: str
    state: str
    since: datetime | None
    rest_left_seconds: float | None
    probing: bool
    failures: int
    calls: int
    failures_in_a_row: int
    reason: str | None
    who: str | None
    used_for: str


class BreakerHistory(Breaker):
    """A breaker and its last changes, the newest first, as `fundlyhub breakers history --json` has them."""

    history: Sequence[Mapping[str, Any]]


class Done(BaseModel):
    """Whether this request changed it, and how it stands now."""

    changed: bool
    breaker: Breaker


@route("GET", "/breakers")
def breakers(call: Call) -> list[Breaker]:
    """List all breakers."""
    return [_one(call, name) for name in SERVICES]


@route("GET", "/breakers/{name}")
def breaker(call: Call, params: Named) -> BreakerHistory:
    """Show one breaker and its last changes."""
    name = require(params.name)
    return BreakerHistory(**dict(_one(call, name)), history=seen(call, name)[1])


@route("POST", "/breakers/{name}/open", "operator")
def open_(call: Call, params: Named, body: Why) -> Done:
    """Let no call to a service through until somebody closes its breaker."""
    open_one(call, require(params.name), body.reason)
    return Done(changed=True, breaker=_one(call, params.name))


@route("POST", "/breakers/{name}/close", "operator")
def close(call: Call, params: Named, body: Why) -> Done:
    """Let calls to a service through again, few at first."""
    done = close_one(call, require(params.name), body.reason)
    return Done(changed=done, breaker=_one(call, params.name))


def _one(call: Call, name: str) -> Breaker:
    return Breaker(**as_document(seen(call, name)[0]), used_for=uses(call.site.settings).get(name, ""))
