"""Who is not written to any more, and why; and the way back: a bad hour is undone without losing what was right."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from fundlyhub import UserFollowedUser
from fundlyhub.channels.breaker import breaker
from fundlyhub.channels.messages import ChannelName
from fundlyhub.database import get_engine
from fundlyhub.processors.notifications import EmailNotificationProcessor, PushNotificationProcessor
from fundlyhub.processors.notifications.suppressions import (
    Cause,
    Filter,
    Lifted,
    lift,
    skipped_messages,
    suppress,
    suppressions,
    undo,
)
from fundlyhub.processors.notifications.suppressions.causes import Why
from fundlyhub.processors.shared.address_hashes import address_hash
from fundlyhub.settings import get_settings
from fundlyhub.testing.providers import Behaviour, Fcm, SendGrid
from tests.notifications.conftest import behind
from tests.notifications.post import JOHN, ME, WELLS, Post, registered
from tests.notifications.test_sending import due_now
from tests.support import ROOT
from tests.support.mail_server import MailServer
from tests.support.make import completed
from tests.support.platform import wait_until

HOUR = timedelta(hours=1)
NOW = datetime.now(UTC)
BAD_HOUR = Filter(since=NOW - 2 * HOUR, until=NOW - HOUR)


@pytest.fixture
def relay(post: Post, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    """A mail server that all mails go to."""
    with MailServer.running() as server:
        variables = {"FUNDLYHUB_EMAIL_BACKEND": "smtp", "FUNDLYHUB_SMTP_URL": server.url}
        yield from behind(monkeypatch, server, variables)


def told(address: str, at: datetime, reason: Why = "bounced", told_by: str = "smtp", **more: UUID) -> None:
    """A cause of that time."""
    with get_engine("app").begin() as db:
        suppress(db, [Cause("email", address, reason, told_by, "smtp answered 550 5.1.1 to RCPT", **more)])
        db.exec_driver_sql(
            "UPDATE suppression_causes SET told_at = %s WHERE id = (SELECT max(id) FROM suppression_causes)", (at,)
        )


def undone(wanted: Filter = BAD_HOUR) -> list[Lifted]:
    with get_engine("app").begin() as db:
        return undo(db, wanted, who="ann")


def left(post: Post) -> dict[str, str]:
    return dict(post.rows("SELECT address_hash, reason FROM app.suppressions"))


class TestARelayThatRefusesUs:
    @pytest.mark.parametrize("reply", ["550 5.7.1 not allowed to relay", "553 5.7.1 no", "554 5.4.6 in a circle"])
    def test_costs_nobody_and_all_get_their_mail_once_it_takes_them(
        self, post: Post, relay: MailServer, reply: str
    ) -> None:
        relay.replies["RCPT"] = reply
        positions = post.known(*(registered(UUID(int=700 + n)) for n in range(6)))
        assert post.run(EmailNotificationProcessor, positions).outcomes == {"snoozed": 6}
        assert post.rows("SELECT DISTINCT state FROM app.notifications WHERE channel = 'email'") == [("queued",)]
        assert (left(post), post.letters()) == ({}, [])
        assert breaker("smtp").state == "open"
        relay.replies.clear()
        breaker("smtp").close_by_hand("mended", "ann")

        def all_sent() -> bool:
            due_now(post)
            post.run(EmailNotificationProcessor, positions)
            return len(relay.accepted) == 6

        wait_until(all_sent, what="all six mails")

    @pytest.mark.parametrize("reply", ["550 no", "553 no", "550 5.4.4 no route", "550 5.2.1 disabled"])
    def test_in_words_that_say_nothing_of_the_mailbox_leaves_a_dead_letter_and_no_suppression(
        self, post: Post, relay: MailServer, reply: str
    ) -> None:
        relay.replies["RCPT"] = reply
        positions = post.known(registered(JOHN))
        assert post.run(EmailNotificationProcessor, positions).outcomes == {"dead": 1}
        assert left(post) == {}
        relay.replies.clear()
        post.tell(completed(WELLS, donor_id=JOHN))
        assert len(relay.accepted) == 2, "John's receipt, and the owner's mail"


class TestWhoIsSuppressed:
    def test_by_what_and_about_whom_is_kept_without_the_address(self, post: Post, relay: MailServer) -> None:
        relay.replies["RCPT"] = "550 5.1.1 user1@example.org is not here"
        post.run(EmailNotificationProcessor, post.known(completed(WELLS, donor_id=ME)))
        with get_engine("app").begin() as db:
            (one,) = suppressions(db, Filter(), limit=10)
        assert (one.user_id, one.reason, one.told_by) == (ME, "bounced", "smtp")
        assert one.said == "smtp answered 550 5.1.1 to RCPT"
        assert one.address_hash == address_hash("email", "user1@example.org", get_settings().secret)
        assert "user1" not in str(post.rows("SELECT * FROM app.suppression_causes"))

    def test_a_device_that_is_gone_is_listed_and_comes_back(self, post: Post, pusher: Fcm) -> None:
        pusher.behave(Behaviour(404, code="UNREGISTERED"))
        post.people(JOHN)
        positions = post.known(UserFollowedUser(follower_id=JOHN, followed_user_id=ME))
        post.run(PushNotificationProcessor, positions)
        with get_engine("app").begin() as db:
            (one,) = suppressions(db, Filter(channel="push"), limit=10)
        assert (one.user_id, one.reason, one.said) == (ME, "gone", "fcm answered 404 (UNREGISTERED)")
        (lifted,) = undone(Filter(since=NOW - HOUR, channel="push"))
        assert lifted.free
        assert post.rows("SELECT gone_at FROM app.devices WHERE user_id = %s", ME) == [(None,)]

    def test_a_device_is_not_gone_since_our_key_is_another_projects(self, post: Post, pusher: Fcm) -> None:
        pusher.always = Behaviour(403, code="SENDER_ID_MISMATCH")
        post.people(JOHN)
        positions = post.known(UserFollowedUser(follower_id=JOHN, followed_user_id=ME))
        assert post.run(PushNotificationProcessor, positions).outcomes == {"snoozed": 1}
        assert post.rows("SELECT gone_at FROM app.devices WHERE user_id = %s", ME) == [(None,)]


class TestABadHour:
    def test_is_undone_and_what_was_told_before_and_after_it_holds(self, post: Post) -> None:
        told("before", NOW - 3 * HOUR)
        told("in it", NOW - 1.5 * HOUR)
        told("after", NOW - 0.5 * HOUR)
        told("before and in it", NOW - 3 * HOUR)
        told("before and in it", NOW - 1.5 * HOUR)
        told("in it and after", NOW - 1.5 * HOUR)
        told("in it and after", NOW - 0.5 * HOUR)
        told("complained before, bounced in it", NOW - 3 * HOUR, "complained")
        told("complained before, bounced in it", NOW - 1.5 * HOUR)
        freed = {one.address_hash: one.free for one in undone()}
        assert freed == {
            "in it": True, "before and in it": False, "in it and after": False,
            "complained before, bounced in it": False,
        }  # fmt: skip
        assert left(post) == {
            "before": "bounced", "after": "bounced", "before and in it": "bounced", "in it and after": "bounced",
            "complained before, bounced in it": "complained",
        }  # fmt: skip

    def test_undone_twice_is_undone_once(self, post: Post) -> None:
        told("x", NOW - 1.5 * HOUR)
        assert len(undone()) == 1
        assert undone() == []
        assert post.rows("SELECT lifted_by, lifted_at IS NOT NULL FROM app.suppression_causes") == [("ann", True)]

    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            (Filter(since=BAD_HOUR.since, told_by="sendgrid"), {"b"}),
            (Filter(since=BAD_HOUR.since, reason="complained"), {"c"}),
            (Filter(since=BAD_HOUR.since, channel="sms"), set()),
        ],
    )
    def test_can_be_that_of_one_provider_or_reason(self, post: Post, wanted: Filter, found: set[str]) -> None:
        told("a", NOW - 1.5 * HOUR)
        told("b", NOW - 1.5 * HOUR, told_by="sendgrid")
        told("c", NOW - 1.5 * HOUR, "complained")
        assert {one.address_hash for one in undone(wanted)} == found
        assert set(left(post)) == {"a", "b", "c"} - found

    def test_of_an_earlier_release_that_noted_no_cause_is_undone_too(self, post: Post) -> None:
        post.sql("INSERT INTO app.suppressions VALUES ('email', 'old', 'bounced', %s)", NOW - 1.5 * HOUR)
        post.sql("UPDATE app.devices SET gone_at = %s", NOW - 1.5 * HOUR)
        assert {(one.channel, one.said) for one in undone()} == {("email", "not recorded"), ("push", "not recorded")}
        assert left(post) == {}
        assert post.rows("SELECT count(gone_at)::int FROM app.devices") == [(0,)]

    def test_names_the_messages_that_were_skipped_by_it(self, post: Post, relay: MailServer) -> None:
        relay.replies["RCPT"] = "550 5.1.1 not here"
        post.run(EmailNotificationProcessor, post.known(completed(WELLS, donor_id=ME)))
        relay.replies.clear()
        guest = {"donor_id": None, "donor_email": "guest@example.org"}
        post.run(EmailNotificationProcessor, post.known(completed(WELLS, donation_id=uuid4(), **guest)))
        with get_engine("app").begin() as db:
            freed = undo(db, Filter(since=NOW - HOUR), who="ann")
            count, ids = skipped_messages(db, freed, limit=1)
        skipped = post.column("SELECT id FROM app.notifications WHERE state = 'skipped' AND reason LIKE 'address%%'")
        assert (count, len(ids)) == (len(skipped), 1)
        assert set(ids) <= set(skipped)
        assert count >= 2, "the first receipt, and the owner's mail after it"

    def test_and_a_bounce_at_the_same_moment_holds(self, post: Post) -> None:
        """Eight rounds of both at once: whatever comes first, what the new bounce tells is kept."""
        for round_ in range(8):
            hashed = f"round {round_}"
            told(hashed, NOW - 1.5 * HOUR)
            ready = threading.Barrier(3)

            def run(work: object, ready: threading.Barrier = ready) -> None:
                ready.wait(30)
                work()  # type: ignore[operator]

            with ThreadPoolExecutor(3) as pool:
                for done in [
                    pool.submit(run, undone),
                    pool.submit(run, undone),
                    pool.submit(run, lambda hashed=hashed: told(hashed, datetime.now(UTC))),
                ]:
                    done.result(60)
            assert left(post)[hashed] == "bounced"

    def test_half_undone_is_not_undone(self, post: Post) -> None:
        told("x", NOW - 1.5 * HOUR)
        killed = subprocess.run(
            [sys.executable, "-m", "tests.notifications.undo_and_die"], cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False, timeout=60,
        )  # fmt: skip
        assert killed.returncode == -signal.SIGKILL
        assert left(post) == {"x": "bounced"}
        assert len(undone()) == 1


@pytest.mark.parametrize("channel", ["email", "push"])
def test_one_address_is_lifted_whatever_told_it(post: Post, channel: ChannelName) -> None:
    secret, token = get_settings().secret, f"device-of-{ME.int}"
    address = token if channel == "push" else "user1@example.org"
    post.sql("UPDATE app.devices SET gone_at = now()")
    told(address_hash("email", "user1@example.org", secret), NOW)
    with get_engine("app").begin() as db:
        given = token if channel == "push" else None
        assert lift(db, channel, address_hash(channel, address, secret), who="ann", token=given)
        assert not lift(db, channel, address_hash(channel, address, secret), who="ann", token=given)


def test_a_receipt_goes_out_again_after_the_undo(post: Post, mailer: SendGrid) -> None:
    told(address_hash("email", "user1@example.org", get_settings().secret), NOW)
    post.run(EmailNotificationProcessor, post.known(completed(WELLS, donation_id=UUID(int=1), donor_id=ME)))
    assert len(mailer.accepted) == 0
    undone(Filter(since=NOW - HOUR))
    post.run(EmailNotificationProcessor, post.known(completed(WELLS, donation_id=UUID(int=2), donor_id=ME)))
    assert len(mailer.accepted) == 1
