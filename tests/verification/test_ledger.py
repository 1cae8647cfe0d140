"""The ledger of messages: what a claimed event had to tell is there and settled, and nothing lies about."""

from __future__ import annotations

from uuid import uuid4

import pytest

from fundlyhub.processors.notifications.policy import GATHERED
from fundlyhub.settings import Settings
from fundlyhub.verification.findings import Finding
from fundlyhub.verification.ledger import Rows, faults, notices_for, wordless
from tests.verification.world import found, sql, verified

MAIL, MANY = "email_notification", "email_broadcast"
TO_MANY = "template = 'project_update'"
SENT = (
    "SELECT id, event_id, position FROM app.notifications"
    f" WHERE channel = 'email' AND state = 'sent' AND NOT {TO_MANY} LIMIT 1"
)
# Of a recipient who has no digest of such messages.
SENT_ALONE = SENT.replace(
    " LIMIT 1",
    " AND NOT EXISTS (SELECT FROM app.digests d WHERE (d.user_id, d.channel, d.template)"
    " = (notifications.user_id, notifications.channel, notifications.template)) LIMIT 1",
)


def harmed(change: str) -> tuple[tuple[object, object], list[Finding]]:
    """The event of a sent mail whose row is changed like this, and what is found then."""
    ((row, event_id, position),) = sql(SENT)
    sql(f"UPDATE app.notifications SET {change} WHERE id = %s", row)
    return (position, event_id), found(MAIL)


class TestClaimed:
    @pytest.mark.parametrize("state", ["queued", "sending", "failed", "unknown"])
    def test_a_message_that_is_not_settled_is_different(self, at_rest: Settings, state: str) -> None:
        event, findings = harmed(f"state = '{state}', sent_at = NULL")
        (one,) = findings
        assert (one.kind, (one.position, one.event_id)) == ("different", event)
        assert one.found == {"open": {state: 1}}

    @pytest.mark.parametrize("change", ["state = 'delivered'", "state = 'failed', reason = 'bounced'"])
    def test_what_the_provider_tells_later_is_no_fault(self, at_rest: Settings, change: str) -> None:
        assert harmed(change)[1] == []

    def test_a_message_that_was_never_written_down_is_missing(self, at_rest: Settings) -> None:
        ((_, event_id, position),) = sql(SENT)
        sql("DELETE FROM app.notifications WHERE event_id = %s AND channel = 'email'", event_id)
        findings = found(MAIL)
        assert {(one.kind, one.position, one.event_id) for one in findings} == {("missing", position, event_id)}

    def test_two_peoples_messages_with_one_id_of_the_provider_are_double(self, at_rest: Settings) -> None:
        sql("UPDATE app.notifications SET provider_message_id = 'same' WHERE id IN (SELECT DISTINCT ON (user_id) id"
            " FROM app.notifications WHERE channel = 'email' AND state = 'sent' ORDER BY user_id LIMIT 2)")  # fmt: skip
        (one,) = found(MAIL)
        assert (one.kind, one.expected, one.found) == ("double", 1, 2)


class TestUnclaimed:
    @pytest.fixture
    def unclaimed(self, at_rest: Settings) -> tuple[object, object]:
        """An event whose one mail is being sent by a worker that is long dead."""
        ((row, event_id, position),) = sql(SENT)
        sql("UPDATE app.notifications SET state = 'sending', changed_at = now() - interval '1 day', sent_at = NULL,"
            " lease_until = now() - interval '1 day' WHERE id = %s", row)  # fmt: skip
        sql("DELETE FROM app.processed_events WHERE processor = %s AND position = %s", MAIL, position)
        return position, event_id

    @staticmethod
    def stuck() -> list[tuple[object, object]]:
        return [(one.position, one.event_id) for one in found(MAIL) if one.kind == "stuck"]

    def test_a_message_that_nobody_is_about_to_send_is_stuck(self, unclaimed: tuple[object, object]) -> None:
        assert self.stuck() == [unclaimed]
        sql("UPDATE app.notifications SET state = 'queued' WHERE state = 'sending'")
        assert self.stuck() == [unclaimed]

    def test_a_message_whose_time_has_not_come_is_not(self, unclaimed: tuple[object, object]) -> None:
        sql("UPDATE app.notifications SET state = 'queued', not_before = now() + interval '1 hour'"
            " WHERE state = 'sending'")  # fmt: skip
        assert self.stuck() == []

    def test_a_message_whose_lease_runs_is_not(self, unclaimed: tuple[object, object]) -> None:
        sql("UPDATE app.notifications SET lease_until = now() + interval '1 minute' WHERE state = 'sending'")
        assert self.stuck() == []

    def test_a_message_whose_event_is_to_be_tried_again_or_dead_is_not(self, unclaimed: tuple[object, object]) -> None:
        sql("INSERT INTO events.attempts VALUES (%s, %s, 1, now(), now() + interval '1 hour')", MAIL, unclaimed[0])
        assert found(MAIL) == []
        sql("DELETE FROM events.attempts")
        sql("INSERT INTO events.dead_letters (processor, position, event_id, type, error_class, error_message,"
            " traceback, fingerprint, attempts, first_failed_at, last_failed_at) SELECT %s, position, id, type,"
            " 'OutcomeUnknown', '', '', 'print', 1, now(), now() FROM events.events WHERE position = %s",
            MAIL, unclaimed[0])  # fmt: skip
        sql("UPDATE app.notifications SET state = 'unknown' WHERE state = 'sending'")
        assert found(MAIL) == []


def test_messages_to_all_followers_of_somebody_without_followers_may_have_no_row() -> None:
    (notice,) = notices_for("project.update.created", "email")
    assert notice.recipient == "followers"
    assert wordless([notice], []) == []
    open_row = Rows(uuid4(), notice.template, "queued", False, 3)
    assert [fault[0] for fault in faults([], [open_row])] == ["different"]


def test_an_alias_of_a_type_means_the_same_messages() -> None:
    assert notices_for("admin.user_suspended", "email") == notices_for("admin.user.suspended", "email") != []
    assert notices_for("no.such_type", "email") == []


def test_messages_are_counted(at_rest: Settings) -> None:
    counted = "SELECT count(*) FROM app.notifications WHERE channel = 'email'"
    assert verified(MAIL).checked["messages"] == sql(f"{counted} AND NOT {TO_MANY}")[0][0] > 0
    assert verified(MANY).checked["messages"] == sql(f"{counted} AND {TO_MANY}")[0][0] > 0


class TestBroadcasts:
    @pytest.fixture
    def event(self, at_rest: Settings) -> tuple[object, object]:
        """Position and id of an update that followers were told of."""
        ((position, event_id),) = sql("SELECT position, event_id FROM app.broadcasts WHERE channel = 'email' LIMIT 1")
        assert found(MANY) == found(MAIL) == []
        return position, event_id

    def test_one_that_is_claimed_before_all_followers_were_looked_at_is_different(
        self, event: tuple[object, object]
    ) -> None:
        sql("UPDATE app.broadcasts SET finished_at = NULL WHERE event_id = %s", event[1])
        assert [(one.kind, (one.position, one.event_id)) for one in found(MANY)] == [("different", event)]

    def test_a_message_of_one_that_is_gone_from_the_ledger_is_missing(self, event: tuple[object, object]) -> None:
        sql("DELETE FROM app.notifications WHERE id IN (SELECT id FROM app.notifications WHERE event_id = %s"
            " AND channel = 'email' LIMIT 1)", event[1])  # fmt: skip
        assert [(one.kind, (one.position, one.event_id)) for one in found(MANY)] == [("missing", event)]
        assert found(MAIL) == []

    def test_an_open_message_is_stuck_unless_its_event_waits_in_the_processor_that_has_it_or_had_it(
        self, event: tuple[object, object]
    ) -> None:
        sql("UPDATE app.notifications SET state = 'queued', changed_at = now() - interval '1 day', sent_at = NULL"
            " WHERE event_id = %s AND channel = 'email'", event[1])  # fmt: skip
        sql("DELETE FROM app.processed_events WHERE processor = %s AND position = %s", MANY, event[0])

        def stuck(processor: str) -> set[object]:
            return {one.position for one in found(processor) if one.kind == "stuck"}

        assert stuck(MANY) == {event[0]}
        assert stuck(MAIL) == set(), "it is not its own"
        waiting = "INSERT INTO events.attempts (processor, position, attempts, first_seen, next_at)"
        for processor in (MAIL, MANY):
            sql(f"{waiting} VALUES (%s, %s, 0, now(), now() + interval '1 hour')", processor, event[0])
            assert {one.position for one in found(MANY, MAIL) if one.kind == "stuck"} == set()
            sql("DELETE FROM events.attempts")


class TestDigests:
    @pytest.fixture
    def gathered(self, at_rest: Settings) -> tuple[object, object]:
        """Position of a gathered message, and its digest, which was due yesterday."""
        ((row, _, position),) = sql(SENT_ALONE)
        sql("UPDATE app.notifications SET state = 'skipped', reason = %s WHERE id = %s", GATHERED, row)
        sql("INSERT INTO app.digests SELECT id, user_id, channel, template, position, now() - interval '25 hours',"
            " now() - interval '1 day' FROM app.notifications WHERE id = %s", row)  # fmt: skip
        sql("INSERT INTO app.digest_members SELECT user_id, channel, template, matter, id FROM app.notifications"
            " WHERE id = %s", row)  # fmt: skip
        return position, row

    def test_one_that_is_due_and_that_nobody_tells_is_stuck(self, gathered: tuple[object, object]) -> None:
        (one,) = found(MAIL)
        assert (one.kind, one.position, one.found) == ("stuck", gathered[0], 1)
        sql("UPDATE app.digests SET due_at = now() + interval '1 hour'")
        assert found(MAIL) == found(MANY) == []

    def test_a_gathered_message_that_is_in_none_is_missing(self, gathered: tuple[object, object]) -> None:
        sql("UPDATE app.digests SET settled_at = now()")
        assert found(MAIL) == []
        sql("DELETE FROM app.digest_members WHERE digest_id = %s", gathered[1])
        (one,) = found(MAIL)
        assert (one.kind, one.position, one.found) == ("missing", gathered[0], 1)
