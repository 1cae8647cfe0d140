"""The table of messages as a page, generated from the code."""

from __future__ import annotations

from collections.abc import Iterator

from fundlyhub.processors.notifications.catalogue import DIGESTS, NOTICES, Notice
from fundlyhub.processors.notifications.contacts import UNASKED
from fundlyhub.processors.notifications.policy import PER_HOUR, QUIET

_HEAD = """\
# Messages

Written by `fundlyhub notifications docs` from the code; do not edit it.

A **transactional** message is sent even if its recipient has opted out. For the others, recipients choose per
category and channel (table `preferences`). Only *urgent* messages make a sound in quiet hours. *If unknown* says what
happens to a message that may or may not have been sent, because its worker died in the call or the answer was lost:
it becomes a dead letter, for an operator to decide, or it is sent again.

*About* is the matter of a message (its business key): the fields of the payload by which the ledger knows that its
recipient was told. A second event of the same matter sends nothing. `event` is the event itself, `day` the day on
which it happened.

| message | event | about | to | channels | category | priority | | if unknown | facts |
|---|---|---|---|---|---|---|---|---|---|
"""


def page() -> str:
    """docs/notifications.md."""
    return (
        _HEAD
        + "".join(f"{_row(notice)}\n" for notice in (*NOTICES, *DIGESTS.values()))
        + "\n"
        + "\n".join(_rules())
        + "\n"
    )


def _row(notice: Notice) -> str:
    unknown = ", ".join(f"{channel}: {notice.if_unknown(channel)}" for channel in notice.channels)
    about = ", ".join(notice.matter) or "several"
    cells = (
        f"`{notice.template}`", f"`{notice.payload.event_type}`", about, notice.recipient,
        ", ".join(notice.channels), notice.category, notice.priority,
        _kind(notice), unknown, ", ".join(notice.facts) or "none",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _kind(notice: Notice) -> str:
    if notice.transactional:
        return "transactional"
    return "may be opted out of" if notice.is_limited else "may be opted out of; not limited"


def _rules() -> Iterator[str]:
    yield "## Rules"
    yield ""
    limits = ", ".join(f"{limit} by {channel}" for channel, limit in PER_HOUR.items())
    yield f"* At most {limits} per recipient and hour; further ones are gathered for an"
    yield "  hour and sent as one message (`…_digest`), which names nobody. Transactional messages, and those"
    yield "  marked *not limited*, do not count and are never held back."
    yield f"* Push and text messages wait from {QUIET[0]:%H:%M} to {QUIET[1]:%H:%M} in the recipient's time zone, or in"
    yield "  the quiet hours that they have set (`contacts.quiet_from`, `quiet_until`)."
    for (category, channel), wanted in UNASKED.items():
        usual = "on" if wanted else "off"
        yield f"* {category.capitalize()} messages by {channel} are {usual} by default; every other category is on."
