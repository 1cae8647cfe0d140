"""A deleted user is erased after the grace period, and nobody before it, or twice."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from fundlyhub import AdminUserDeleted, Event, publish_event
from fundlyhub.people.due import Eraser, due, erase_due
from fundlyhub.relay.background_thread import running
from fundlyhub.settings import Settings
from tests.people.erased import erased, places
from tests.support.platform import wait_until
from tests.verification import world
from tests.verification.world import ANN, BEN, GONE, OURS, found

MONTH = timedelta(days=30)


def deleted(days: float) -> None:
    """Ben was deleted so many days ago."""
    event = AdminUserDeleted(user_id=BEN, deleted_by=ANN, reason="Ben asked for it")
    publish_event(Event.of(event, timestamp=datetime.now(UTC) - timedelta(days=days)))
    world.relay()
    world.apply(OURS.values())


def test_nobody_is_erased_before_the_grace_period_ends(at_rest: Settings) -> None:
    deleted(29)
    assert BEN not in due(at_rest, MONTH)
    assert BEN in due(at_rest, timedelta(days=28))


@pytest.mark.chaos  # for its length
def test_a_deleted_user_is_erased_once(at_rest: Settings) -> None:
    erased(GONE)
    deleted(31)
    assert due(at_rest, MONTH) == [BEN]
    (done,) = erase_due(at_rest, OURS, MONTH)
    assert done.whole
    assert places("Ben asked for it") == []
    assert due(at_rest, MONTH) == []
    assert found() == []


def test_the_relays_companion_does_it(at_rest: Settings) -> None:
    deleted(31)
    with running(Eraser(at_rest.model_copy(update={"erase_after": 30.0}), OURS)):
        wait_until(lambda: not due(at_rest, MONTH), what="the erasure")
    assert places("Ben asked for it") == []


def test_without_a_grace_period_nobody_is_erased(at_rest: Settings) -> None:
    deleted(31)
    before = threading.active_count()
    with running(Eraser(at_rest, OURS)):
        wait_until(lambda: threading.active_count() <= before, what="the end of the thread")
    assert BEN in due(at_rest, MONTH)
