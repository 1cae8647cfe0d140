"""`fundlyhub relay parked`: task messages that this release cannot read or has no processor for."""

from __future__ import annotations

import base64
from typing import Any

import click

from fundlyhub.cli.audit import disclose
from fundlyhub.cli.options import by_option, limit_option
from fundlyhub.cli.output import Answer, Table, answers
from fundlyhub.relay.collecting.parked import Parked, parking_queue
from fundlyhub.settings import get_settings

bodies_option = click.option("--bodies", is_flag=True, help="Show the bodies too: they may hold personal data.")


@click.group("parked")
def command() -> None:
    """Task messages that this release cannot read, or has no processor for: list, release or discard them."""


@command.command("list")
@limit_option(1_000)
@bodies_option
@by_option
@answers
def show(limit: int, bodies: bool, who: str) -> Answer:
    """List parked messages, the oldest first. `fundlyhub audit` tells who saw their bodies."""
    if bodies:
        disclose(who, f"up to {limit} parked messages")
    with parking_queue(get_settings()) as queue:
        found = queue.look(limit)
        depth = queue.depth()
    columns = ("parked at", "queue", "task", "reason", "bytes", *(["body"] if bodies else []))
    rows = [(one.parked_at, one.queue, one.task, one.reason, len(one.body), *([text(one)] if bodies else []))
            for one in found]  # fmt: skip
    return Answer(
        {"depths": depth, "messages": [document(one, bodies) for one in found]},
        Table(f"Parked messages ({len(found)} shown)", columns, rows),
    )


@command.command("release")
@limit_option(1_000)
@answers
def release(limit: int) -> Answer:
    """Send parked messages to their queues, for a release that can read them. Any other is parked again."""
    with parking_queue(get_settings()) as queue:
        released = queue.release(limit)
    return Answer({"released": released}, f"Sent {released:,} messages to their queues.")


@command.command("discard")
@limit_option(1_000)
@click.option("--yes", is_flag=True, help="Do not ask.")
@by_option
@answers
def discard(limit: int, yes: bool, who: str) -> Answer:
    """Discard parked messages, and print them. No event is lost: events are in the log."""
    if not yes:
        click.confirm(f"Throw up to {limit:,} messages away?", abort=True, err=True)
    disclose(who, f"up to {limit} parked messages, which are discarded")
    with parking_queue(get_settings()) as queue:
        gone = [document(one, bodies=True) for one in queue.discard(limit)]
    columns = ("parked at", "queue", "task", "reason")
    rows = [(one["parked_at"], one["queue"], one["task"], one["reason"]) for one in gone]
    return Answer(
        {"discarded": len(gone), "messages": gone}, Table(f"Thrown away: {len(gone)} messages", columns, rows)
    )


def document(one: Parked, bodies: bool) -> dict[str, Any]:
    """A message for programs; its body in base64, since it may be anything."""
    body = {"body": base64.b64encode(one.body).decode()} if bodies else {}
    return {"parked_at": one.parked_at, "queue": one.queue, "task": one.task, "reason": one.reason,
            "bytes": len(one.body), **body}  # fmt: skip


def text(one: Parked) -> str:
    """The beginning of a body, as far as it is text."""
    return one.body[:200].decode(errors="replace")
