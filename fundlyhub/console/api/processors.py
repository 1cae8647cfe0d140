"""The processors: how far each is; pause and resume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, Field

from fundlyhub.console.api.fields import Given, Named, Reason, Why, all_of
from fundlyhub.console.api.routing import Call, route
from fundlyhub.console.pages.processors import Processor, require, row, rows
from fundlyhub.errors import WrongUse
from fundlyhub.processing import pauses
from fundlyhub.processing.pauses import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorHistory(Processor):
    """A processor and its pauses, the newest first, as `fundlyhub processors history --json` has them."""

    history: Sequence[Entry]


class Pausing(Given):
    """Why, and until when; without ``until`` until somebody resumes it."""

    reason: Reason
    until: Annotated[AwareDatetime | None, Field(description="A time to come, with its zone.")] = None


class Paused(BaseModel):
    """As `fundlyhub processors pause --json` has it."""

    name: str
    paused: bool
    until: datetime | None


class Resumed(BaseModel):
    """``resumed`` is false for a processor that was not paused."""

    name: str
    resumed: bool


@route("GET", "/processors")
def processors(call: Call) -> list[Processor]:
    """List all processors."""
    return rows(call)


@route("GET", "/processors/{name}")
def processor(call: Call, params: Named) -> ProcessorHistory:
    """Show one processor and its last pauses."""
    one, history = row(call, params.name)
    return ProcessorHistory(**all_of(one), history=history)


@route("POST", "/processors/{name}/pause", "operator")
def pause(call: Call, params: Named, body: Pausing) -> Paused:
    """Pause a processor: its events wait. One that is paused gets the new reason and time."""
    if body.until is not None and body.until <= datetime.now(UTC):
        raise WrongUse("until must be a time to come")
    require(call, params.name)
    with call.transaction() as db:
        pauses.pause_by_hand(db, params.name, who=call.who, reason=body.reason, until=body.until)
    call.site.forget()
    return Paused(name=params.name, paused=True, until=body.until)


@route("POST", "/processors/{name}/resume", "operator")
def resume(call: Call, params: Named, body: Why) -> Resumed:
    """Resume a processor, even if it paused itself."""
    require(call, params.name)
    with call.transaction() as db:
        done = pauses.end_by_hand(db, params.name, who=call.who, reason=body.reason)
    call.site.forget()
    return Resumed(name=params.name, resumed=done)
