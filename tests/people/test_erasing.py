"""An erasure on a full platform: no word of the person is left, every number stays right, and verify finds nothing."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

from fundlyhub import ConflictingEvent, Event, UserProfileUpdated, publish_event, publish_events
from fundlyhub.database import connect
from fundlyhub.errors import WrongState
from fundlyhub.events.catalogue.user import UserFollowedUser
from fundlyhub.events.log import head
from fundlyhub.retention.archives.archive import alone
from fundlyhub.retention.archives.file import digest_of, write
from fundlyhub.settings import Settings, get_settings
from tests.notifications.post import registered
from tests.people.erased import FACTS, GUEST, GUS, STATS, erased, guest_gift, person, places, take_up
from tests.support.make import completed
from tests.verification.world import ANN, BEN, WELLS, found, sql

LATER = UUID(int=961)


@pytest.mark.chaos  # for its length
def test_nothing_of_a_user_is_left_and_verify_finds_nothing(at_rest: Settings) -> None:
    numbers, facts = sql(STATS), sql(FACTS)
    assert places("ben@example.org")
    assert places("Ben B.")
    report = erased(BEN)
    assert report.whole
    assert places("ben@example.org") == []
    assert places("Ben B.") == []
    assert sql(STATS) == numbers
    assert sql(FACTS) == facts
    assert found() == []


def test_a_second_erasure_changes_nothing(at_rest: Settings) -> None:
    erased(ANN)
    log = sql("SELECT e::text FROM events.events e ORDER BY position")
    again_erased = erased(ANN)
    assert again_erased.changed.total() == 0
    assert sql("SELECT e::text FROM events.events e ORDER BY position") == log
    assert found() == []


@pytest.mark.chaos  # for its length
def test_a_guest_is_erased_by_the_address_alone(at_rest: Settings) -> None:
    publish_event(guest_gift())
    take_up()
    numbers = sql(STATS)
    guests = "SELECT recipient FROM app.notifications WHERE template = 'donation_receipt' AND user_id IS NULL"
    (recipient,) = sql(guests)[-1]
    assert places(GUEST)
    erased(address=f" {GUEST.upper()}".strip())
    assert places(GUEST) == []
    assert places(GUS) == []
    assert all(place.endswith(".erasures") for place in places(recipient)), "the journal alone knows the keyed hash"
    assert sql(STATS) == numbers
    assert found() == []


@pytest.mark.chaos  # for its length
def test_a_user_is_erased_with_what_was_given_as_a_guest(at_rest: Settings) -> None:
    publish_event(guest_gift())
    publish_event(Event.of(UserProfileUpdated(user_id=BEN, changes={"email": GUEST})))
    take_up()
    erased(BEN)
    assert places(GUEST) == []
    assert places(GUS) == []
    assert found() == []


@pytest.mark.chaos  # for its length
def test_others_keep_their_words(at_rest: Settings) -> None:
    publish_events([registered(LATER), UserFollowedUser(follower_id=LATER, followed_user_id=BEN, follower_email=GUEST)])
    publish_event(completed(WELLS, donor_id=LATER, donor_email="ben@example.org", donor_name="Not Ben"))
    take_up()
    before = sql("SELECT * FROM app.contacts WHERE user_id <> %s ORDER BY 1", BEN)
    erased(BEN)
    assert sql("SELECT * FROM app.contacts WHERE user_id <> %s ORDER BY 1", BEN) == before
    assert places("Not Ben"), "the donation of another user, who gave Ben's address"
    assert places(GUEST)
    assert found("reference_write", "recipient_write", "search_index", "activity_feed") == []


@pytest.mark.chaos  # for its length
def test_what_the_api_service_wrote_goes_too(at_rest: Settings) -> None:
    more = "phone = '+436641234567', locale = 'de', time_zone = 'Europe/Vienna'"
    sql(f"UPDATE app.contacts SET {more} WHERE user_id = %s", BEN)
    sql("INSERT INTO app.devices (id, user_id, token) VALUES (%s, %s, 'token-of-ben')", uuid4(), BEN)
    sql("INSERT INTO app.preferences VALUES (%s, 'social', 'email', false)", BEN)
    erased(BEN)
    for value in ("+436641234567", "token-of-ben", "Europe/Vienna"):
        assert places(value) == []
    assert sql("SELECT FROM app.preferences WHERE user_id = %s", BEN) == []
    assert found() == []


@pytest.mark.chaos  # for its length
def test_a_duplicate_of_an_erased_event_is_a_duplicate(at_rest: Settings) -> None:
    gift = Event.of(guest_gift())
    publish_event(gift)
    take_up()
    erased(address=GUEST)
    assert publish_event(gift).position is not None
    assert [one.position for one in publish_events([gift, gift])] == [publish_event(gift).position] * 2
    text = "SELECT events.publish_event('donation.completed', %s::jsonb, %s, '2.0.0')"
    sql(text, gift.payload_json.decode(), gift.id)
    with pytest.raises(ConflictingEvent):
        publish_event(Event.of(registered(uuid4()), id=gift.id))
    assert places(GUEST) == []
    assert found() == []


@pytest.mark.chaos  # for its length
def test_what_is_published_while_it_runs_is_erased_and_what_comes_later_is_new(at_rest: Settings) -> None:
    came: list[Event] = []
    news = UserProfileUpdated(user_id=BEN, changes={"email": GUEST, "bio": "I came meanwhile"})

    def meanwhile(what: str, done: int, total: int) -> None:
        if what == "erasing" and not came:
            came.append(publish_event(news))
            publish_event(guest_gift())
            take_up()

    report = erased(BEN, tell=meanwhile)
    assert came[0].position is not None
    assert report.erasure.up_to > came[0].position
    for value in (GUEST, GUS, "I came meanwhile"):
        assert places(value) == []
    publish_event(UserProfileUpdated(user_id=BEN, changes={"name": "Ben again"}))
    take_up()
    assert places("Ben again")
    assert found() == []


@pytest.mark.chaos  # for its length
def test_an_event_that_no_processor_has_seen_is_erased_before_it_is_handled(at_rest: Settings) -> None:
    publish_events([registered(LATER), UserProfileUpdated(user_id=LATER, changes={"name": "Lea Later", "bio": "Late"})])
    publish_event(guest_gift())
    erased(LATER)
    erased(address=GUEST)
    take_up()
    for value in ("Lea Later", GUEST, GUS):
        assert places(value) == []
    assert found() == []


def test_two_at_a_time_are_refused(at_rest: Settings) -> None:
    with connect("events", autocommit=True, session=True) as db, alone(db), pytest.raises(WrongState):
        erased(BEN)
    assert places("ben@example.org")


def test_an_event_of_an_unknown_type_says_nothing_afterwards(at_rest: Settings) -> None:
    sql("SELECT events.publish_event('loyalty.joined', %s::jsonb)", f'{{"who": "{BEN}", "nick": "Benny", "points": 5}}')
    sql("SELECT events.publish_event('loyalty.joined', %s::jsonb)", '{"mail": "ben@example.org", "nick": "Benny"}')
    sql("SELECT events.publish_event('loyalty.joined', %s::jsonb)", '{"mail": "other@example.org", "nick": "Other"}')
    erased(BEN)
    assert places("Benny") == []
    assert places("other@example.org")
    assert sql("SELECT payload -> 'points' FROM events.events WHERE type = 'loyalty.joined' ORDER BY position")[0] == (
        5,
    )


def test_a_corrected_dead_letter_and_an_entry_in_quarantine_are_erased(at_rest: Settings) -> None:
    event = publish_event(UserProfileUpdated(user_id=BEN, changes={"bio": "A bio"}))
    sql(
        "INSERT INTO events.corrections VALUES ('search_index', %s, %s, '1.0.0', %s::jsonb)",
        event.position, event.id, f'{{"userId": "{BEN}", "changes": {{"bio": "Corrected bio"}}}}',
    )  # fmt: skip
    sql(
        "INSERT INTO events.quarantine (stream, entry_id, digest, fields, reason, state) "
        "VALUES ('s', '1-1', 'x', %s::jsonb, 'r', 'open')",
        f'[["payload", "{{\\"userId\\": \\"{BEN}\\", \\"name\\": \\"Quarantined\\"}}"]]',
    )
    erased(BEN)
    take_up()
    assert places("Corrected bio") == []
    assert places("Quarantined") == []
    assert sql("SELECT state FROM events.quarantine") == [("discarded",)]


def test_messages_in_the_outbox_folder_go(at_rest: Settings, tmp_path: Path) -> None:
    folder = get_settings().data_dir / "outbox" / "email"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "1-a.eml").write_bytes(b"From: us@example.org\r\nTo: Ben <ben@example.org>\r\nSubject: Hi\r\n\r\nHi\r\n")
    (folder / "2-b.eml").write_bytes(b"From: us@example.org\r\nTo: other@example.org\r\nSubject: Hi\r\n\r\nHi\r\n")
    erased(BEN)
    assert [path.name for path in sorted(folder.glob("[12]-*"))] == ["2-b.eml"]


def test_the_journal_names_nobody(at_rest: Settings) -> None:
    erased(BEN)
    journal = (get_settings().data_dir / "erasures.jsonl").read_text() + str(sql("SELECT * FROM events.erasures"))
    assert str(BEN) not in journal.replace(str(sql("SELECT id FROM events.erasures")[0][0]), "")
    assert "ben@" not in journal
    assert person(BEN).hashes <= set(sql("SELECT hashes FROM app.erasures")[0][0])


def test_archives_are_written_anew(at_rest: Settings, tmp_path: Path) -> None:
    publish_event(guest_gift())
    take_up()
    folder = tmp_path / "archive"
    folder.mkdir()
    with connect("events", autocommit=True) as db:
        high = head(db)
        written = write(db, 1, high, folder, lambda events: None)
        given = (1, high, written.events, Jsonb(written.types), str(written.file), written.sha256)
        db.execute(
            "INSERT INTO events.archives (low, high, events, types, file, sha256, system_identifier, who, restored_at)"
            " SELECT %s, %s, %s, %s, %s, %s, system_identifier, 'Olga', now() FROM pg_control_system()", given,
        )  # fmt: skip
    before = lines(written.file)
    assert GUEST in before
    assert "Ben B." in before
    report = erased(BEN)
    erased(address=GUEST)
    assert report.changed["archives"] == 1
    (file,) = sorted(folder.iterdir())
    after = lines(file)
    for value in ("Ben B.", "ben@example.org", GUEST, GUS):
        assert value not in after
    ((named, digest),) = sql("SELECT file, sha256 FROM events.archives")
    assert (named, digest) == (str(file), digest_of(file))
    facts = [json.loads(line, parse_float=Decimal)["payload"].get("amount") for line in before.splitlines()]
    assert facts == [json.loads(line, parse_float=Decimal)["payload"].get("amount") for line in after.splitlines()]


def test_an_archive_that_is_elsewhere_is_told_of(at_rest: Settings, tmp_path: Path) -> None:
    sql(
        "INSERT INTO events.archives (low, high, events, types, file, sha256, system_identifier, who)"
        " VALUES (1, 2, 0, '{}', '/nowhere/events-1-2.jsonl.gz', 'x', 1, 'Olga')"
    )
    report = erased(BEN)
    assert report.away == ["/nowhere/events-1-2.jsonl.gz"]
    assert any(finding.kind == "stuck" and finding.processor == "people" for finding in found())


def lines(file: Path) -> str:
    """The text of an archive."""
    with gzip.open(file, "rt") as text:
        return text.read()
