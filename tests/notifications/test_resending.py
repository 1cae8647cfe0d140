"""A message is sent once more when a person says so: once for each time, the way that every message takes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner, Result

from fundlyhub.cli.main import cli
from fundlyhub.processing.registry import processors
from fundlyhub.processors.notifications import EmailBroadcastProcessor, EmailNotificationProcessor
from fundlyhub.settings import get_settings
from fundlyhub.testing.providers import Behaviour, SendGrid
from fundlyhub.verification import verify
from tests.notifications.occasions import ONES, update
from tests.notifications.post import JOHN, ME, WELLS, Post
from tests.notifications.test_sending import GIFT, RESET, due_now, mailed, receipt
from tests.support import ROOT
from tests.support.make import completed
from tests.verification.world import relay

WHY = ("--reason", "the donor asks for it", "--by", "ann")
RECEIPT = ("--donation", str(GIFT), "--template", "donation_receipt", *WHY)


def run(*arguments: str) -> Result:
    """The command line, in this process."""
    return CliRunner().invoke(cli, ["notifications", *arguments])


def resend(*arguments: str) -> dict[str, Any]:
    """What the command says as JSON."""
    found: dict[str, Any] = json.loads(run("resend", *arguments, "--json").stdout)
    return found


def reasons(*arguments: str) -> list[str]:
    """Why it sends nothing."""
    found = resend(*arguments)
    assert found["resent"] == []
    return [one["reason"] for one in found["refused"]]


@pytest.fixture
def sent(post: Post, mailer: SendGrid) -> list[int]:
    """My receipt, which went out."""
    positions = receipt(post)
    assert mailed(post, positions).outcomes == {"done": 1}
    return positions


def test_without_yes_nothing_is_sent(post: Post, mailer: SendGrid, sent: list[int]) -> None:
    done = run("resend", *RECEIPT)
    assert done.exit_code == 0, done.output
    assert "1 would be sent again: say --yes" in done.output
    assert resend(*RECEIPT)["dry_run"] is True
    assert post.column("SELECT count(*) FROM app.resends") == [0]
    assert post.states("donation_receipt") == {"email": "sent"}


def test_a_receipt_goes_out_once_more_and_stands_in_the_audit(post: Post, mailer: SendGrid, sent: list[int]) -> None:
    found = resend(*RECEIPT, "--yes")
    assert found["refused"] == []
    assert post.states("donation_receipt") == {"email": "queued"}
    assert mailed(post, sent).outcomes == {"done": 1}
    assert [one.reference for one in mailer.accepted] == found["resent"] * 2
    assert mailed(post, sent).outcomes == {"skipped": 1}
    assert len(mailer.accepted) == 2
    audit = "SELECT notification_id::text, who, reason, state, provider_message_id IS NOT NULL FROM app.resends"
    assert post.rows(audit) == [(found["resent"][0], "ann", "the donor asks for it", "sent", True)]
    relay()
    processor = {"email_notification": processors()["email_notification"]}
    assert verify(get_settings(), processor, grace=0.0, since=sent[0] - 1).findings.listed == []
    assert post.column("SELECT count(*) FROM events.attempts") == [0]


def test_a_command_that_is_given_twice_sends_once(post: Post, mailer: SendGrid, sent: list[int]) -> None:
    assert resend(*RECEIPT, "--yes")["refused"] == []
    assert reasons(*RECEIPT, "--yes") == ["it is on its way"]
    mailed(post, sent)
    assert "say --again" in reasons(*RECEIPT, "--yes")[0]
    mailed(post, sent)
    assert len(mailer.accepted) == 2
    assert resend(*RECEIPT, "--yes", "--again")["refused"] == []
    mailed(post, sent)
    assert len(mailer.accepted) == 3


def test_with_a_token_a_message_is_sent_once_whatever_else_is_said(
    post: Post, mailer: SendGrid, sent: list[int]
) -> None:
    token = ("--token", "ticket-7", "--yes", "--again")
    assert resend(*RECEIPT, *token)["refused"] == []
    mailed(post, sent)
    assert reasons(*RECEIPT, *token) == ["it was sent again with this token"]
    assert len(mailer.accepted) == 2


def test_it_goes_to_the_address_that_its_recipient_has_now(post: Post, mailer: SendGrid, sent: list[int]) -> None:
    post.sql("UPDATE app.contacts SET email = 'new@example.org' WHERE user_id = %s", ME)
    resend(*RECEIPT, "--yes")
    mailed(post, sent)
    assert [one.recipient for one in mailer.accepted] == ["user1@example.org", "new@example.org"]


def test_a_guest_is_found_by_a_typed_address_and_gets_it_again(post: Post, mailer: SendGrid) -> None:
    positions = post.known(completed(WELLS, donation_id=GIFT, donor_id=None, donor_email="guest@example.org"))
    mailed(post, positions)
    (one,) = json.loads(run("list", "--address", "Guest@Example.org", "--json").stdout)
    assert (one["template"], one["recipient"][:5] != "guest") == ("donation_receipt", True)
    assert run("list", "--address", "other@example.org", "--json").stdout.strip() == "[]"
    assert resend(one["id"][:8], *WHY)["resent"] == [one["id"]]
    assert resend(one["id"], *WHY, "--yes")["resent"] == [one["id"]]
    mailed(post, positions)
    assert [it.recipient for it in mailer.accepted].count("guest@example.org") == 2


@pytest.mark.parametrize("by", [("--user", str(ME)), ("--donation", str(GIFT)), ("--address", "user1@example.org")])
def test_messages_are_listed_by_what_support_knows(
    post: Post, mailer: SendGrid, sent: list[int], by: tuple[str, str]
) -> None:
    found = json.loads(run("list", *by, "--state", "sent", "--json").stdout)
    assert [one["template"] for one in found] == ["donation_receipt"]
    assert datetime.fromisoformat(found[0]["sent_at"]).tzinfo is not None


@pytest.mark.chaos  # for its length
def test_a_worker_that_dies_in_the_call_leaves_a_dead_letter_and_no_third_copy(
    post: Post, mailer: SendGrid, sent: list[int]
) -> None:
    resend(*RECEIPT, "--yes")
    command = [sys.executable, "-m", "tests.notifications.send_and_die", "after the call", str(sent[0])]
    post.sql("UPDATE events.attempts SET next_at = now()")
    killed = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    due_now(post)
    assert mailed(post, sent).outcomes == {"dead": 1}
    assert len(mailer.accepted) == 2
    assert "is dead letter" in reasons(*RECEIPT, "--yes")[0]


def test_a_refusal_the_second_time_is_no_success_of_the_first(post: Post, mailer: SendGrid, sent: list[int]) -> None:
    resend(*RECEIPT, "--yes")
    mailer.behave(Behaviour(status=400))
    assert mailed(post, sent).outcomes == {"dead": 1}
    assert post.states("donation_receipt") == {"email": "failed"}


def test_a_command_that_dies_between_its_steps_leaves_nothing_open(
    post: Post, mailer: SendGrid, sent: list[int]
) -> None:
    """The run of the event is noted first; what was not opened then is found to be done."""
    post.sql(
        "INSERT INTO events.attempts (processor, position, attempts, first_seen, next_at, error_class)"
        " VALUES ('email_notification', %s, 0, now(), now(), 'Resend')", sent[0],
    )  # fmt: skip
    assert mailed(post, sent).outcomes == {"skipped": 1}
    assert post.column("SELECT count(*) FROM events.attempts") == [0]
    assert len(mailer.accepted) == 1


class TestRefusals:
    def test_an_address_that_is_suppressed_is_told_of(self, post: Post, mailer: SendGrid, sent: list[int]) -> None:
        done = CliRunner().invoke(cli, ["suppressions", "add", "email", "user1@example.org"])
        assert done.exit_code == 0, done.output
        (why,) = reasons(*RECEIPT, "--yes")
        assert why == "address bounced: see `fundlyhub suppressions list`, and lift it first"
        assert run("resend", *RECEIPT, "--yes").exit_code == 1

    def test_a_message_that_waits_is_on_its_way(self, post: Post, mailer: SendGrid) -> None:
        mailer.behave(Behaviour(status=503))
        mailed(post, receipt(post))
        assert reasons(*RECEIPT, "--yes") == ["it is on its way"]

    def test_a_dead_letter_is_replayed_and_not_sent_again(self, post: Post, mailer: SendGrid) -> None:
        mailer.behave(RESET)
        mailed(post, receipt(post))
        assert "fundlyhub dlq show" in reasons(*RECEIPT, "--yes")[0]

    def test_an_event_that_is_archived_is_to_be_restored_first(
        self, post: Post, mailer: SendGrid, sent: list[int]
    ) -> None:
        post.sql("DELETE FROM events.events WHERE position = %s", sent[0])
        assert "not in the log" in reasons(*RECEIPT, "--yes")[0]

    def test_what_nobody_was_told_has_no_recipient(self, post: Post, mailer: SendGrid) -> None:
        mailed(post, post.known(completed(WELLS, donation_id=GIFT, donor_id=None)))
        assert reasons(*RECEIPT, "--yes") == ["it had no recipient"]

    def test_what_went_to_many_is_not_sent_again(self, post: Post, mailer: SendGrid) -> None:
        post.people(JOHN)
        post.sql("INSERT INTO app.follows VALUES (%s, 'campaign', %s, now(), 1, true)", JOHN, WELLS)
        post.run(EmailBroadcastProcessor, post.known(update))
        assert "it went to many" in reasons("--user", str(JOHN), "--template", "project_update", *WHY, "--yes")[0]

    def test_what_its_recipient_does_not_want_any_more_is_not_sent(self, post: Post, mailer: SendGrid) -> None:
        mailed(post, post.known(ONES["goal_reached"]))
        post.sql("INSERT INTO app.preferences VALUES (%s, 'campaigns', 'email', false)", ME)
        assert reasons("--user", str(ME), "--template", "goal_reached", *WHY, "--yes") == ["opted out"]

    def test_nothing_that_fits_is_a_failure_and_nobody_named_is_wrong_use(self, post: Post, mailer: SendGrid) -> None:
        assert run("resend", "--event", str(uuid4()), *WHY).exit_code == 1
        assert run("resend", *WHY).exit_code != 0
        assert post.claims(EmailNotificationProcessor) == []

    def test_an_unknown_id_is_not_found(self, post: Post) -> None:
        assert resend(str(UUID(int=5)), *WHY)["refused"] == []
