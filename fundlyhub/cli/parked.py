"""`fundlyhub relay parked`: messages that nobody could make sense of."""

from __future__ import annotations

import base64
from typing import Any

import click

from fundlyhub.cli.output import json_option, print_json, print_table
from fundlyhub.relay.collecting.parked import Parked, parking_queue
from fundlyhub.settings import get_settings

limit_option = click.option(
    "--limit", type=click.IntRange(1, 100_000), default=1_000, show_default=True, help="Messages at most."
)
bodies_option = click.option("--bodies", is_flag=True, help="What they hold, too: it may be people's data.")


@click.group("parked")
def command() -> None:
    """Messages that are no work, or of no processor of this release: list, release or discard them."""


@command.command("list")
@limit_option
@bodies_option
@json_option
def show(limit: int, bodies: bool, as_json: bool) -> None:
    """Show them, the oldest first; they stay where they are."""
    with parking_queue(get_settings()) as queue:
        found = queue.look(limit)
        depth = queue.depth()
    if as_json:
        print_json({"depths": depth, "messages": [document(one, bodies) for one in found]})
        return
    columns = ("parked at", "queue", "task", "reason", "bytes", *(["body"] if bodies else []))
    rows = [(one.parked_at, one.queue, one.task, one.reason, len(one.body), *([text(one)] if bodies else []))
            for one in found]  # fmt: skip
    print_table(f"Parked messages ({len(found)} shown)", columns, rows)


@command.command("release")
@limit_option
@json_option
def release(limit: int, as_json: bool) -> None:
    """Send them to their queues again: for a release that can read them. What it cannot read is parked again."""
    with parking_queue(get_settings()) as queue:
        released = queue.release(limit)
    if as_json:
        print_json({"released": released})
    else:
        click.echo(f"Sent {released:,} messages to their queues.")


@command.command("discard")
@limit_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def discard(limit: int, yes: bool, as_json: bool) -> None:
    """Throw them away, and print what they were. No event is lost by it: events are in the log."""
    if not yes:
        click.confirm(f"Throw up to {limit:,} messages away?", abort=True, err=True)
    with parking_queue(get_settings()) as queue:
        gone = [document(one, bodies=True) for one in queue.discard(limit)]
    if as_json:
        print_json({"discarded": len(gone), "messages": gone})
    else:
        print_table(f"Thrown away: {len(gone)} messages", ("parked at", "queue", "task", "reason"),
                    [(one["parked_at"], one["queue"], one["task"], one["reason"]) for one in gone])  # fmt: skip


def document(one: Parked, bodies: bool) -> dict[str, Any]:
    """A message for programs; its body in base64, since it may be anything."""
    body = {"body": base64.b64encode(one.body).decode()} if bodies else {}
    return {"parked_at": one.parked_at, "queue": one.queue, "task": one.task, "reason": one.reason,
            "bytes": len(one.body), **body}  # fmt: skip


def text(one: Parked) -> str:
    """The beginning of a body, as far as it is text."""
    return one.body[:200].decode(errors="replace")
