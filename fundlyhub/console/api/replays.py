"""Replays of dead letters: a fixed set is chosen first, then sent in waves; each can be followed and stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from fundlyhub.console.api.fields import Given, Reason, Text
from fundlyhub.console.api.letters import Chosen, Ids, Undecided, filter_of, undecided
from fundlyhub.console.api.routing import Call, route
from fundlyhub.console.choosing import FIELDS
from fundlyhub.console.pages.replaying import end, frozen, the_run
from fundlyhub.console.replays import Run
from fundlyhub.errors import WrongUse
from fundlyhub.processing.dead_letters import Terms


class Choice(BaseModel):
    """The letters that a filter means now, by their ids: decide about these.

    The rest is as `fundlyhub dlq replay --dry-run --json` has it: which of them would be replayed, and which not.
    """

    ids: list[int]
    would_replay: list[int]
    unchanged: list[Undecided]


class Replaying(Given):
    """Which letters, and how: letters a second, and the share of a wave that may fail again."""

    ids: Ids
    reason: Reason
    rate: Annotated[float | None, Field(ge=0.01, le=100_000)] = None
    max_failures: Annotated[float, Field(ge=0, le=1)] = 0.1


class Replay(BaseModel):
    """A replay: how many letters came to which end, the first that failed again, and why it stopped, if it did."""

    key: str
    letters: int
    who: str
    began: datetime
    counts: Mapping[str, int]
    failed: Sequence[int]
    stopped: str | None
    is_over: bool


class Key(Given):
    """The key of a replay."""

    run: Text


@route("GET", "/letters/choice", "operator")
def choice(call: Call, params: Chosen) -> Choice:
    """Choose letters by a filter: a dry run. What is decided afterwards is decided about these ids."""
    if not any(getattr(params, name) for name in FIELDS):
        raise WrongUse(f"choose by one of {', '.join(FIELDS)} at least")
    ids, able, unable = frozen(call, filter_of(params))
    return Choice(ids=ids, would_replay=able, unchanged=undecided(unable))


@route("POST", "/letters/replays", "operator", begins="/letters/replays/{key}")
def replay(call: Call, body: Replaying) -> Replay:
    """Begin to replay letters: first 1, then 10, then the rest. What was applied before is not applied again."""
    ids, terms = list(dict.fromkeys(body.ids)), Terms(rate=body.rate, max_failures=body.max_failures)
    return _shown(call.site.replays.start(ids, who=call.who, reason=body.reason, terms=terms))


@route("GET", "/letters/replays")
def replays(call: Call) -> list[Replay]:
    """List the last replays that this console has begun, the newest first."""
    return [_shown(run) for run in call.site.replays.newest()]


@route("GET", "/letters/replays/{run}")
def progress(call: Call, params: Key) -> Replay:
    """Show how far a replay is."""
    return _shown(the_run(call, params.run))


@route("POST", "/letters/replays/{run}/stop", "operator")
def stop(call: Call, params: Key) -> Replay:
    """Send no more letters of a replay."""
    return _shown(end(call, params.run))


def _shown(run: Run) -> Replay:
    return Replay(
        key=run.key, letters=len(run.letters), who=run.who, began=run.began, counts=run.counts, failed=run.failed,
        stopped=run.stopped, is_over=run.is_over,
    )  # fmt: skip
