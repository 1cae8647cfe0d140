"""Events that wait: of the messages that were sent for one, a single one runs it, and none runs it too early."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

import pytest
from sqlalchemy import Connection

from fundlyhub import Event
from fundlyhub.processing.executor import Outage, execute
from tests.processing.conftest import Query
from tests.processing.look import ATTEMPTS, Counting, publish
from tests.support.processors import TestCountProcessor

FAILED_ONCE = "INSERT INTO events.attempts VALUES (%s, %s, 1, now(), now() - interval '1 s', 'KeyError')"
SWEPT = "UPDATE events.attempts SET next_at = now() + interval '1 minute' RETURNING next_at"


def test_of_two_messages_for_an_event_that_waits_one_runs_it(query: Query) -> None:
    class Meanwhile(Counting, register=False):
        name = "meanwhile"
        seen: ClassVar[list[object]] = []

        def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
            """While one message runs it, the other one comes."""
            if len(self.seen) < 2:
                self.seen.append(None)
                self.seen.append(execute(Meanwhile, [position]).outcomes)

    (position,) = publish("fine")
    query(
        "INSERT INTO events.attempts VALUES ('meanwhile', %s, 1, now(), now() - interval '1 s', 'KeyError')", position
    )
    assert execute(Meanwhile, [position]).outcomes == {"done": 1}
    assert Meanwhile.seen[1] == {}
    assert query(ATTEMPTS) == []


def test_the_sweeps_message_ends_the_wait_that_it_was_sent_for_and_a_second_one_does_not(query: Query) -> None:
    (position,) = publish("transient")
    execute(TestCountProcessor, [position])
    ((until,),) = query(SWEPT)
    assert execute(TestCountProcessor, [position]).outcomes == {}
    assert execute(TestCountProcessor, [position], ends_wait=until.isoformat()).outcomes == {"retry": 1}
    query("UPDATE events.attempts SET next_at = %s", until + timedelta(seconds=1))
    assert execute(TestCountProcessor, [position], ends_wait=until.isoformat()).outcomes == {}
    assert query(ATTEMPTS) == [(position, 2, "Transient")]


def test_a_message_that_comes_back_does_not_run_what_waits_for_its_retry(query: Query) -> None:
    """The broker took no message for the retry, and gave this one back: it is no reason to spend an attempt."""
    (position,) = publish("transient")
    execute(TestCountProcessor, [position])
    query("UPDATE events.attempts SET next_at = now() + interval '1 minute'")
    for _ in range(TestCountProcessor.max_attempts):
        assert execute(TestCountProcessor, [position], careful=True).outcomes == {}
    assert query(ATTEMPTS) == [(position, 1, "Transient")]


def test_a_retry_whose_worker_died_is_run_with_care_when_it_comes_back(query: Query) -> None:
    class Killed(Counting, register=False):
        name = "killed"

        def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
            raise KeyboardInterrupt  # nothing of ours catches it, as with a kill

    (position,) = publish("fine")
    query(FAILED_ONCE, "killed", position)
    with pytest.raises(KeyboardInterrupt):
        execute(Killed, [position])
    assert execute(Killed, [position]).outcomes == {}, "it is leased"
    for spent in range(2, Killed.max_attempts + 1):
        with pytest.raises(KeyboardInterrupt):
            execute(Killed, [position], careful=True)
        assert query(ATTEMPTS) == [(position, spent, None)]
    assert execute(Killed, [position], careful=True).outcomes == {"dead": 1}


def test_an_outage_does_not_make_the_batch_wait_for_the_end_of_its_lease(query: Query) -> None:
    class Cut(Counting, register=False):
        name = "cut"
        runs = 0

        def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
            type(self).runs += 1
            if self.runs == 1:
                db.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")

    (position,) = publish("fine")
    query(FAILED_ONCE, "cut", position)
    with pytest.raises(Outage) as caught:
        execute(Cut, [position])
    assert execute(Cut, [position]).outcomes == {}
    assert execute(Cut, [position], ends_wait=caught.value.ends_wait).outcomes == {"done": 1}


def test_an_event_of_a_type_that_is_not_known_yet_waits_for_the_deploy(query: Query) -> None:
    query("INSERT INTO events.events (id, type, version, payload, occurred_at) VALUES "
          "(gen_random_uuid(), 'search.query.forgotten', '1.0.0', '{}', now())")  # fmt: skip
    ((position,),) = query("SELECT position FROM events.events")
    assert execute(TestCountProcessor, [position]).outcomes == {"snoozed": 1}
    assert query(ATTEMPTS) == [(position, 0, "UnknownEventType")]
    query("UPDATE events.attempts SET first_seen = first_seen - interval '25 hours'")
    assert execute(TestCountProcessor, [position], ends_wait=True).outcomes == {"dead": 1}
