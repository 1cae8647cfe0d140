"""Verify: compare a sample of the log with what came of it, and send again what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from fundlyhub.console import runs, verifications
from fundlyhub.console.api.fields import Text, Why
from fundlyhub.console.api.routing import Call, route
from fundlyhub.console.pages import verify as page
from fundlyhub.console.pages.verify import LEAST, MOST


class Verification(BaseModel):
    """A verification, which is a process beside the console: how far it is. ``failed`` says why it has no report."""

    key: str
    command: str
    who: str
    began: datetime
    ended: datetime | None
    what: str
    done: int
    of: int
    is_stopped: bool
    is_over: bool
    failed: str | None


class Repair(BaseModel):
    """Events that are sent again, beside requests. ``sent`` is how many were; ``failed`` why not all of them were."""

    key: str
    who: str
    began: datetime
    is_over: bool
    sent: int | None
    failed: str | None


class State(BaseModel):
    """The newest verification and its report, as `fundlyhub verify --json` has it.

    ``repairable`` counts, by processor, the events that `POST /verify/repair` would send again; ``repair`` is what it
    has begun for this report. ``restricted`` names the console's database role where that may not compare tables.
    """

    verification: Verification | None
    report: Mapping[str, Any] | None
    repairable: Mapping[str, int]
    repair: Repair | None
    restricted: str | None
    missing: str | None


class Starting(Why):
    """Why, how many events; of which processors (of all of them if none is named); whether tables are compared too."""

    sample: Annotated[int, Field(ge=LEAST, le=MOST)]
    processors: Annotated[Sequence[Text], Field(max_length=100)] = ()
    tables: bool = False


class Repairing(Why):
    """Why, and the ``key`` of the verification whose report you looked at: a newer one may say something else."""

    report: Text


@route("GET", "/verify")
def verify(call: Call) -> State:
    """Show the verification that runs, or the last one and its report."""
    now = page.state(call)
    return State(
        verification=None if now.newest is None else _shown(now.newest), report=now.report, repairable=now.again,
        repair=None if now.repair is None else _repair(now.repair), restricted=now.restricted or None,
        missing=now.missing or None,
    )  # fmt: skip


@route("POST", "/verify/start", "operator", begins="/verify")
def start(call: Call, body: Starting) -> Verification:
    """Begin to verify a random sample. One runs at a time."""
    return _shown(page.begin(call, body.sample, body.processors, tables=body.tables, reason=body.reason))


@route("POST", "/verify/stop", "operator")
def stop(call: Call) -> State:
    """End the verification that runs: it drops what it made."""
    page.end(call)
    return verify(call)


@route("POST", "/verify/repair", "operator", begins="/verify")
def repair(call: Call, body: Repairing) -> Repair:
    """Begin to send again exactly the events that a report lists as missing or overdue."""
    return _repair(page.send_again(call, body.report, body.reason))


def _shown(one: verifications.Verification) -> Verification:
    return Verification(
        key=one.key, command=one.command, who=one.who, began=one.began, ended=one.ended, what=one.what, done=one.done,
        of=one.of, is_stopped=one.is_stopped, is_over=one.is_over, failed=one.failed or None,
    )  # fmt: skip


def _repair(run: runs.Run) -> Repair:
    return Repair(
        key=run.key, who=run.who, began=run.began, is_over=run.is_over, sent=run.result, failed=run.failed or None
    )
