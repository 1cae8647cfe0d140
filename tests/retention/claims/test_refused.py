"""What is older than the claims is refused at each door, and applied at none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar
from uuid import UUID

import pytest

from fundlyhub.database import connect, get_engine
from fundlyhub.errors import WrongUse
from fundlyhub.processing import Delivery, NotificationProcessor
from fundlyhub.processing.dead_letters.replaying import choose
from fundlyhub.processing.executor import execute
from fundlyhub.relay.rebase import rebase
from fundlyhub.relay.registration import register, starts
from fundlyhub.relay.unsettled import unsettled
from fundlyhub.retention.claims.dropping import drop
from fundlyhub.retention.claims.partitions import existing
from fundlyhub.settings import Settings
from fundlyhub.verification.run import verify
from tests.retention.claims.kept import PROCESSORS, Kept, cut
from tests.support.processors import TestCountProcessor

LETTERS = "SELECT position, error_class, state FROM events.dead_letters ORDER BY position"


class TestPostProcessor(NotificationProcessor, register=False):
    """Notes what it sends."""

    __test__ = False
    handles = ("search.**",)
    name = "test_post"
    sent: ClassVar[list[int]] = []

    def deliver(self, deliveries: Sequence[Delivery]) -> Mapping[UUID, Exception]:
        """Send, so that nobody can take it back."""
        self.sent.extend(one.event.position or 0 for one in deliveries)
        return {}


class TestLateProcessor(TestCountProcessor, register=False):
    """Wants all that was ever published."""

    __test__ = False


def test_an_old_event_that_comes_again_is_a_dead_letter_and_its_neighbours_are_applied(kept: Kept) -> None:
    old = kept.applied(12)
    kept.drop_first()
    fresh = kept.publish("fine", "fine")
    report = execute(TestCountProcessor, [old[2], *fresh, old[11]])
    assert report.outcomes == {"dead": 1, "done": 2, "skipped": 1}
    assert kept.effects() == [*old, *fresh]
    assert kept.events.execute(LETTERS).fetchall() == [(old[2], "ClaimsDropped", "open")]


def test_an_old_event_whose_worker_died_is_refused_as_well(kept: Kept) -> None:
    old = kept.applied(12)
    kept.drop_first()
    assert execute(TestCountProcessor, [old[2]], careful=True).outcomes == {"dead": 1}
    assert kept.effects() == old


def test_an_old_message_is_refused_before_it_is_sent(kept: Kept) -> None:
    TestPostProcessor.sent.clear()
    positions = kept.publish(*["fine"] * 12)
    with connect("app", autocommit=True) as app:
        cut(app)
        assert execute(TestPostProcessor, positions).outcomes == {"done": 12}
        drop(app, existing(app)[0], "ann")
    assert execute(TestPostProcessor, positions).outcomes == {"dead": 9, "skipped": 3}
    assert TestPostProcessor.sent == positions


def test_the_sweep_takes_for_settled_what_has_no_claim_any_more(kept: Kept) -> None:
    old = kept.applied(12)
    lost = kept.publish("fine")
    kept.drop_first()
    assert unsettled(kept.events, TestCountProcessor, [*old, *lost]) == lost


def test_a_letter_that_is_older_than_the_claims_is_not_replayed(kept: Kept) -> None:
    sent = kept.publish("permanent", *["fine"] * 12, "permanent")
    execute(TestCountProcessor, sent)
    kept.drop_first()
    with get_engine("events").connect() as db:
        old, young = db.exec_driver_sql("SELECT id FROM events.dead_letters ORDER BY position").scalars()
        assert choose(db, [old, young]) == ([young], {old: "older than the claims that are kept"})


def test_a_rebase_below_the_claims_is_refused(kept: Kept) -> None:
    kept.applied(12)
    kept.drop_first()
    with pytest.raises(WrongUse, match="the floor must be at least 9"):
        rebase(kept.events, floor=8, settled=9)
    assert rebase(kept.events, floor=9, settled=9) == 3


def test_a_new_processor_begins_where_claims_are_kept(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    kept.applied(12)
    kept.drop_first()
    register(kept.events, {**PROCESSORS, "test_late": TestLateProcessor})
    assert starts(kept.events) == {"test_count": 0, "test_late": 9}
    assert "test_late begins after position 9" in caplog.text


def test_a_verification_says_what_it_cannot_know(kept: Kept, settings: Settings) -> None:
    kept.applied(12)
    lost = kept.publish("fine")
    kept.drop_first()
    report = verify(settings, PROCESSORS, grace=0, wait=0.1)
    assert [(one.position, one.kind) for one in report.findings.listed] == [(lost[0], "missing")]
    assert report.left_out["events up to position 9"] == "their claims have been dropped"
