"""The table of messages as a page: made from the code, so that it cannot be wrong."""

from __future__ import annotations

from collections.abc import Iterator

from fundlyhub.processors.notifications.notices import NOTICES, Notice
from fundlyhub.processors.notifications.people import UNASKED
from fundlyhub.processors.notifications.verdict import PER_HOUR, QUIET

_HEAD = """\
# Messages

Written by `fundlyhub notifications docs` from the code; do not edit it.

A message that is **transactional** goes whatever its recipient has opted out of; the others go by his wishes, per
category and channel (table `preferences`). Only *urgent* ones make a sound in quiet hours. *If unknown* is what becomes
of a message that may have gone out or not, because its worker died in the call or the answer was lost: a dead letter,
for a person to decide, or another try.

*About* is a message's matter: the fields of the event's payload by which the ledger knows that its recipient has been
told. A second event of the same matter tells nobody. `event` is the event itself, `day` the day on which it happened.

| message | event | about | to | channels | category | priority | | if unknown | facts |
|---|---|---|---|---|---|---|---|---|---|
"""


def page() -> str:
    """docs/notifications.md."""
    return _HEAD + "".join(f"{_row(notice)}\n" for notice in NOTICES) + "\n" + "\n".join(_rules()) + "\n"


def _row(notice: Notice) -> str:
    unknown = ", ".join(f"{channel}: {notice.if_unknown(channel)}" for channel in notice.channels)
    cells = (
        f"`{notice.template}`", f"`{notice.payload.event_type}`", ", ".join(notice.matter), notice.recipient,
        ", ".join(notice.channels), notice.category, notice.priority,
        "transactional" if notice.transactional else "may be opted out of", unknown, ", ".join(notice.facts) or "none",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _rules() -> Iterator[str]:
    yield "## Rules"
    yield ""
    limits = ", ".join(f"{limit} by {channel}" for channel, limit in PER_HOUR.items())
    yield f"* At most {limits} an hour and recipient; what is beyond is skipped. Transactional ones do not count."
    yield f"* Push and text messages wait from {QUIET[0]:%H:%M} to {QUIET[1]:%H:%M} in the recipient's time zone, or in"
    yield "  the quiet hours that he has set (`contacts.quiet_from`, `quiet_until`)."
    for (category, channel), wanted in UNASKED.items():
        usual = "gets" if wanted else "does not get"
        yield f"* Who has said nothing {usual} {category} messages by {channel}; all others he gets."
