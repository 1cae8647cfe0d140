"""The beginning of the log goes into a file and comes back as it was, whatever comes between."""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest

from fundlyhub import Event, publish_event
from fundlyhub.database import connect
from fundlyhub.errors import Unavailable, WrongState
from fundlyhub.events.rules import parse_json
from fundlyhub.retention.archives import archive
from fundlyhub.retention.archives.file import write
from tests.retention.archives.old import STATES, Old, during, lines
from tests.retention.claims.kept import values
from tests.support.make import completed
from tests.support.platform import wait_until

STRANGE = """
    INSERT INTO events.events (id, type, version, payload, metadata, correlation_id, occurred_at, recorded_at)
    VALUES (gen_random_uuid(), 'moon.landed', '1.0.0', '{"n": 1.50, "big": 1e400, "text": "\\u00e9\\n\\\\ \\"q\\"", "none": null}',
            '{"traceparent": "00"}', gen_random_uuid(), 'infinity', '2026-01-31 12:00:00.123456+05'),
           (gen_random_uuid(), 'moon.landed', '1.0.0', '[]', '{}', NULL, '0044-03-15 BC', '20000-01-01')
"""  # noqa: E501  # as it is


def test_events_go_into_a_file_and_come_back_to_the_last_digit(old: Old) -> None:
    old.events.execute(STRANGE)
    publish_event(completed(), correlation_id=uuid4(), metadata={"who": "ann"})
    old.settled("fine", "fine")
    before, known = old.whole(), old.known()
    file = old.archived(4)
    assert (old.positions(), old.ids()) == ([5, 6], [1, 2, 3, 4])
    assert old.whole() == before[4:]
    assert old.events.execute(STATES).fetchall() == [(1, 4, 4, True, False, None)]
    assert old.files() == ["events-000000000001-000000000004.jsonl.gz"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert [line["position"] for line in lines(file)] == [1, 2, 3, 4]
    assert old.restore(file) == 4
    assert (old.whole(), old.known(), old.ids()) == (before, known, [])
    assert old.events.execute(STATES).fetchall() == [(1, 4, 4, True, True, "bob")]
    assert old.restore(file) == 0
    assert old.whole() == before


def test_a_line_is_an_envelope_that_the_platform_reads(old: Old) -> None:
    event = publish_event(completed(), correlation_id=uuid4(), timestamp=datetime(2026, 1, 31, 12, tzinfo=UTC))
    old.settled("fine")
    file = old.archived(1)
    with gzip.open(file) as text:
        line = parse_json(text.readline())
    assert Event.model_validate(line).model_dump_json() == event.model_dump_json()


def test_events_that_were_restored_are_archived_again_and_many_files_in_any_order(old: Old) -> None:
    positions = old.settled(*["fine"] * 9)
    before = old.whole()
    first, second = old.archived(3), old.archived(6)
    old.restore(second)
    assert old.positions() == [4, 5, 6, 7, 8, 9, 10]
    third = old.archived(8)
    assert [line["position"] for line in lines(third)] == [4, 5, 6, 7, 8]
    for file in (third, first):
        old.restore(file)
    assert old.whole() == before
    assert old.archived(3).read_bytes() == first.read_bytes()
    assert old.ids() == positions[:3]


def test_restored_events_are_new_to_nobody(old: Old) -> None:
    old.settled(*["fine"] * 5)
    file = old.archived(4)
    old.restore(file)
    assert [reader.open() for reader in old.readers.values()] == [False, False]


def test_in_another_cluster_their_transactions_are_older_than_all(old: Old) -> None:
    old.settled(*["fine"] * 5)
    file = old.archived(4)
    old.events.execute("UPDATE events.archives SET system_identifier = 1")
    old.restore(file)
    assert values(old.events, "SELECT xid::text FROM events.events ORDER BY position LIMIT 4") == ["3"] * 4
    assert [reader.open() for reader in old.readers.values()] == [False, False]


def test_one_at_a_time(old: Old) -> None:
    old.settled(*["fine"] * 3)
    with (
        connect("events", autocommit=True) as other,
        archive.alone(other),
        pytest.raises(WrongState, match="another process"),
    ):
        old.archive(3)
    assert old.archive(3).written


def test_a_file_of_another_log_is_not_overwritten_and_one_that_was_left_half_is(old: Old) -> None:
    old.settled(*["fine"] * 3)
    name = "events-000000000001-000000000003.jsonl.gz"
    (old.folder / name).write_text("of another log")
    (old.folder / ".events-000000000001.partial").write_text("half of something, and far too long" * 1_000)
    with pytest.raises(WrongState, match="is there already, and holds something else"):
        old.archive(3)
    assert (old.files(), old.ids()) == ([name], [])
    (old.folder / name).unlink()
    assert [line["position"] for line in lines(old.archived(3))] == [1, 2, 3]
    assert old.files() == [name]


def test_a_folder_that_cannot_be_written_to_costs_nothing(old: Old) -> None:
    old.settled(*["fine"] * 3)
    with pytest.raises(Unavailable, match="nothing was deleted"):
        write(old.events, 1, 3, old.folder / "none", lambda events: None)
    assert old.ids() == []


def test_a_file_that_is_no_archive_or_damaged_is_refused(old: Old) -> None:
    old.settled(*["fine"] * 3)
    file = old.archived(3)
    damaged = old.folder / "damaged.gz"
    damaged.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(WrongState, match="no archive of this log, or is damaged"):
        old.restore(damaged)
    old.events.execute("""INSERT INTO events.events (position, id, type, version, payload, occurred_at)
                          OVERRIDING SYSTEM VALUE VALUES (2, gen_random_uuid(), 'a.b', '1.0.0', '{}', now())""")
    with pytest.raises(WrongState, match=r"position 2 of .* is taken by another event"):
        old.restore(file)
    assert (old.positions(), old.ids()) == ([2, 4], [1, 2, 3])
    with pytest.raises(WrongState, match="is not restored to its end"):
        old.archive(3)


def test_rows_go_when_every_transaction_that_may_not_see_their_ids_has_ended(old: Old) -> None:
    old.settled(*["fine"] * 3)
    (id,) = values(old.events, "SELECT id FROM events.events WHERE position = 2")
    told: list[str] = []
    with connect("events") as publisher, connect("events", autocommit=True) as looking, ThreadPoolExecutor(1) as pool:
        publisher.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        publisher.execute("SELECT 1")
        done = pool.submit(old.archive, 3, lambda what, done, total: told.append(what))
        wait_until(lambda: "waiting for 1 older transactions" in told, what="the wait")
        assert values(looking, "SELECT position FROM events.events ORDER BY 1") == [1, 2, 3, 4]
        assert values(looking, "SELECT count(*) FROM events.event_ids") == [3]
        assert values(publisher, "SELECT count(*) FROM events.event_ids") == [0]
        with pytest.raises(psycopg.errors.UniqueViolation):
            publisher.execute("SELECT events.publish_event('search.query.submitted', '{}', id => %s)", (id,))
        assert not done.done()
        publisher.rollback()
        assert done.result(30).written
    assert old.positions() == [4]


def test_a_row_whose_id_is_not_kept_is_not_deleted(old: Old) -> None:
    """As nothing of ours does it."""
    old.settled("fine", "fine", "fine")
    forget = "DELETE FROM events.event_ids WHERE position = 2"
    still_there = pytest.raises(WrongState, match="1 events are still in the log")
    with connect("events", autocommit=True) as person, still_there:
        old.archive(3, during("keeping ids", lambda: person.execute(forget)))
    assert (old.positions(), old.ids()) == ([2, 4], [1, 3])
    assert [one.high for one in old.archive(3).resumed] == [3]
    assert (old.positions(), old.ids()) == ([4], [1, 2, 3])


def test_a_stop_is_heard_between_steps_and_the_next_run_goes_on(old: Old) -> None:
    def stop() -> None:
        raise archive.stopped()

    old.settled(*["fine"] * 5)
    before, known = old.whole(), old.known()
    for step in ("writing", "keeping ids", "deleting"):
        with pytest.raises(Unavailable, match="nothing is lost"):
            old.archive(4, during(step, stop))
        assert old.known() == known
    done = old.archive(5)
    assert [one.high for one in done.resumed] == [4]
    assert done.decision == (5, 5, ())
    for file in sorted(old.folder.iterdir()):
        old.restore(file)
    assert old.whole() == before


@pytest.mark.parametrize(("deleted", "message"), [(0, "its archive was withdrawn"), (1, "put it back")])
def test_a_file_that_was_taken_away_before_all_was_deleted_is_asked_for(old: Old, deleted: int, message: str) -> None:
    def stop() -> None:
        raise archive.stopped()

    old.settled(*["fine"] * 5)
    with pytest.raises(Unavailable):
        old.archive(4, during("keeping ids", stop))
    (file,) = old.folder.iterdir()
    elsewhere = file.rename(old.folder.parent / file.name)
    old.events.execute("DELETE FROM events.events WHERE position <= %s", (deleted,))
    old.events.execute("UPDATE events.archives SET deleted = %s", (deleted,))
    with pytest.raises(WrongState, match=message):
        old.archive(5)
    elsewhere.rename(file)
    assert [one.high for one in old.archive(5).resumed] == [4] * deleted
    assert (old.positions(), old.ids()) == ([6], [1, 2, 3, 4, 5])
