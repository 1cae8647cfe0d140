"""Whether a message goes out, when, and what becomes of one that is on its way: pure rules, as tables."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest

from fundlyhub.errors import OutcomeUnknown, Permanent, Snooze, Transient
from fundlyhub.processors.notifications.catalogue import BY_TEMPLATE, NOTICES
from fundlyhub.processors.notifications.combining import combined
from fundlyhub.processors.notifications.contacts import Person
from fundlyhub.processors.notifications.ledger.state import Row, Step, next_step
from fundlyhub.processors.notifications.policy import GATHERED, quiet_until, send_after, skip_reason

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
NIGHT = datetime(2026, 7, 1, 23, 30, tzinfo=UTC)
ME = UUID(int=1)
RECEIPT, DONATION, FOLLOWER, SIGN_IN = (
    BY_TEMPLATE[name] for name in ("donation_receipt", "new_donation", "new_follower", "new_sign_in")
)


def skip_of(notice: Any, channel: Any = "email", *, address: str | None = "a@b.c", suppression: str | None = None,
            recent: int = 0, **person: Any) -> str | None:  # fmt: skip
    return skip_reason(notice, channel, Person(ME, **person), address, suppression, recent)


@pytest.mark.parametrize(
    ("options", "skip"),
    [
        ({}, None),
        ({"address": None}, "no address"),
        ({"address": None, "channel": "push"}, "no device"),
        ({"deleted": True}, "account deleted"),
        ({"suspended": True}, "account suspended"),
        ({"suppression": "bounced"}, "address bounced"),
        ({"suppression": "complained"}, "recipient complained"),
        ({"wishes": {"donations/email": False}}, "opted out"),
        ({"wishes": {"*/email": False}}, "opted out"),
        ({"wishes": {"*/email": False, "donations/email": True}}, None),
        ({"wishes": {"donations/push": False}}, None),
        ({"recent": 19}, None),
        ({"recent": 20}, GATHERED),
    ],
)
def test_what_may_be_declined_is_declined(options: dict[str, Any], skip: str | None) -> None:
    assert skip_of(DONATION, **options) == skip


@pytest.mark.parametrize(
    ("options", "skip"),
    [
        ({"suspended": True}, None),
        ({"suppression": "complained"}, None),
        ({"wishes": {"receipts/email": False, "*/email": False}}, None),
        ({"recent": 1_000}, None),
        ({"suppression": "bounced"}, "address bounced"),
        ({"deleted": True}, "account deleted"),
    ],
)
def test_what_is_transactional_goes_wherever_somebody_is(options: dict[str, Any], skip: str | None) -> None:
    assert skip_of(RECEIPT, **options) == skip


def test_followers_are_mailed_about_only_to_those_who_asked() -> None:
    assert skip_of(FOLLOWER) == "opted out"
    assert skip_of(FOLLOWER, wishes={"social/email": True}) is None
    assert skip_of(FOLLOWER, "push") is None


@pytest.mark.parametrize(
    ("zone", "now", "quiet", "until"),
    [
        ("UTC", NOON, None, None),
        ("UTC", NIGHT, None, NIGHT + timedelta(hours=8, minutes=30)),
        ("Asia/Tokyo", NOON, None, None),  # 21:00 there
        ("Asia/Tokyo", datetime(2026, 7, 1, 13, tzinfo=UTC), None, datetime(2026, 7, 1, 23, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 7, 1, 11, 59, tzinfo=UTC), None, NOON),  # 7:59 there, summer time
        ("America/New_York", NOON, None, None),
        ("Nowhere/Land", NIGHT, None, NIGHT + timedelta(hours=8, minutes=30)),
        ("UTC", NOON, (time(11), time(13)), datetime(2026, 7, 1, 13, tzinfo=UTC)),
        ("UTC", NIGHT, (time(11), time(13)), None),
        ("Europe/Berlin", datetime(2026, 10, 24, 22, tzinfo=UTC), None, datetime(2026, 10, 25, 7, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_quiet_hours_are_those_of_the_recipients_clock(
    zone: str, now: datetime, quiet: tuple[time, time] | None, until: datetime | None
) -> None:
    begin, end = quiet or (None, None)
    assert quiet_until(Person(ME, time_zone=zone, quiet_from=begin, quiet_until=end), now) == until


@pytest.mark.parametrize(
    ("notice", "channel", "held"),
    [(DONATION, "push", True), (DONATION, "email", False), (SIGN_IN, "sms", False), (SIGN_IN, "push", False)],
)
def test_at_night_only_what_is_urgent_makes_a_sound(notice: Any, channel: Any, held: bool) -> None:
    assert (send_after(notice, channel, Person(ME), NIGHT) is not None) is held


def row(state: str, *, wait: float = 0, accepted: bool = False) -> Row:
    return Row(ME, ME, state, accepted, NOON, wait)


BEFORE, AFTER = NOON - timedelta(seconds=1), NOON + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("given", "again", "replayed", "step"),
    [
        (row("queued"), False, None, "send"),
        (row("queued", wait=0), False, None, "send"),
        (row("queued", wait=5), False, None, "wait"),
        (row("sending", wait=9), False, None, "wait"),
        (row("sending", wait=9), True, None, "wait"),
        (row("sending", wait=9), False, AFTER, "wait"),
        (row("sending", wait=0), False, None, "unknown"),
        (row("sending", wait=0), True, None, "send"),
        (row("unknown"), False, None, "unknown"),
        (row("unknown"), True, None, "unknown"),
        (row("unknown"), False, AFTER, "send"),
        (row("unknown"), False, BEFORE, "unknown"),  # it failed again since: that wants another decision
        (row("failed"), False, None, "failed"),
        (row("failed"), False, AFTER, "send"),
        (row("failed", accepted=True), False, AFTER, "settled"),
        (row("sent"), False, AFTER, "settled"),
        (row("delivered"), True, AFTER, "settled"),
        (row("skipped"), True, AFTER, "settled"),
    ],
)
def test_what_is_done_about_a_message(given: Row, again: bool, replayed: datetime | None, step: Step) -> None:
    assert next_step(given, again=again, replayed_after=replayed) == step


def test_only_what_harms_nobody_is_ever_sent_again_without_asking() -> None:
    again = {(notice.template, channel) for notice in NOTICES for channel in notice.channels
             if notice.if_unknown(channel) == "send again"}  # fmt: skip
    assert {channel for template, channel in again if template != "new_sign_in"} == {"push"}


TRANSIENT, SOON, LATE, NO, MAYBE = (
    Transient("t"), Snooze("s", seconds=1), Snooze("l", seconds=9), Permanent("p"), OutcomeUnknown("o")
)  # fmt: skip


@pytest.mark.parametrize(
    ("errors", "outcome"),
    [
        ([], None),
        ([NO], NO),
        ([NO, MAYBE], MAYBE),
        ([NO, LATE, SOON, MAYBE], SOON),
        ([NO, LATE, TRANSIENT, MAYBE], TRANSIENT),
    ],
)
def test_an_event_waits_for_its_last_message_and_then_tells_the_worst(
    errors: list[Exception], outcome: Exception | None
) -> None:
    assert combined(errors) is outcome
