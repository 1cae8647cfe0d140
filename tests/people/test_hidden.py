"""Words of a person where they are written in another way, or stand beside what cannot be read as a number."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from fundlyhub import UserProfileUpdated, publish_event
from fundlyhub.people.belongings import mentions
from fundlyhub.people.checking import check
from fundlyhub.people.person import Person
from fundlyhub.people.written import mail_texts
from fundlyhub.retention.archives.file import digest_of
from fundlyhub.settings import Settings, get_settings
from tests.people.erased import archive, erased, person, places, take_up
from tests.security.test_nested_events import INSERT
from tests.support.make import completed
from tests.verification.world import BEN, WELLS, sql

ADDRESS = "ben.numbers@example.org"
PUBLISH = "SELECT events.publish_event(%s, %s)"
HUGE = "9" * 5_000


def test_a_number_of_any_length_stops_no_erasure_and_stays_exact(at_rest: Settings, tmp_path: Path) -> None:
    """A publisher may write 30 digits; the log's owner, or a release of before, thousands."""
    with psycopg.connect(at_rest.dsn("events"), autocommit=True) as db:
        long = "123456789012345678901234567890"
        db.execute(
            PUBLISH, ("other.thing", f'{{"userId": "{BEN}", "words": "{ADDRESS}", "n": {long}, "m": -{long}.5}}')
        )
        for kind in ("other.thing", "search.query.submitted", "user.login"):
            payload = f'{{"userId": "{BEN}", "query": "{ADDRESS}", "n": [{HUGE}], "m": {long}}}'
            db.execute(INSERT.encode(), (kind, payload, f'{{"x": -{HUGE}}}'))
        archive(db, tmp_path)
    take_up()
    assert erased(BEN, address=ADDRESS).whole
    assert places(ADDRESS) == []
    ((exact,),) = sql("SELECT payload::text FROM events.events WHERE payload ->> 'words' = 'erased'")
    assert f'"m": -{long}.5' in exact
    assert f'"n": {long}' in exact
    ((file, digest),) = sql("SELECT file, sha256 FROM events.archives")
    assert digest_of(Path(file)) == digest
    content = gzip.decompress(Path(file).read_bytes()).decode()
    assert ADDRESS not in content
    assert HUGE in content
    assert check(get_settings(), person(BEN, address=ADDRESS), [ADDRESS]) == []


U = UUID(int=0xABCDEF << 64 | 7)
THEIRS = [
    *(json.dumps(value) for value in ({"e": "josé@example.org"}, {"josé@example.org": 1}, [[["josé@example.org"]]])),
    json.dumps(json.dumps({"e": "josé@example.org"})), '{"e":"ann\\u0040example.org"}', '{"p":"+49\\u0031701234567"}',
    f'{{"x": {HUGE}, "e":"jos\\u00e9@example.org"}}', f'[{HUGE},"{U.hex}"]', f'{{"user":"{U.hex}"', f'{{"{U.hex}":1}}',
    "[" * 5_000 + f'"{U.hex}"' + "]" * 5_000, f'"\\ud800{U}"', f"urn:uuid:{U}", str(U).upper(), f"{{{U}}}",
    "https://x.example/?email=ann@example.org&a=1", "ann%40example.org", "jos%C3%A9%40example.org",
    "Write to ann@example.org.", "mailto:ANN@example.org", "<ann@example.org>", "a=1;ann@example.org",
    "+491701234567 +491701234568", "+491701234568 00491701234567", "tel:+49-170-123-4567", "ann@example.org/inbox",
    '{"u": "https:\\/\\/x.example\\/ann@example.org"}', "\\\\u0061nn@example.org",
]  # fmt: skip
NOT = [
    "joann@example.org", "ann@example.organic", "ann@example.org.uk", "+4917012345678", str(UUID(int=8)), "\ud800" * 36,
    json.dumps(["\ud800" * 36]), "\\ud800" * 9, "", "%", "%zz", "\\u", "@" * 1000, "ann@", "491701234567", "\0" * 40,
]  # fmt: skip


def nested_person() -> Person:
    one = Person(b"k" * 32)
    one.add_id(U)
    for address in ("ann@example.org", "josé@example.org", "+49 170 1234567"):
        one.add_address(address)
    return one


def test_ids_and_addresses_are_known_however_they_are_written() -> None:
    assert [value for value in THEIRS if not mentions(value, nested_person())] == []
    assert [value for value in NOT if mentions(value, nested_person())] == []


NAMES = ('Ben "Bee" \\B', "Özgür Ünal", "O'Ben; DROP", "İpek\tÅ", "Straße 9")


def test_the_check_finds_names_however_a_place_writes_them(at_rest: Settings) -> None:
    folder = get_settings().data_dir / "notes"
    folder.mkdir()
    for kind in ("text", "jsonb", "text[]"):
        sql(f"CREATE TABLE app.notes_{kind[:4]}{len(kind)} (words {kind})")
    tables = {"app.notes_text4", "app.notes_json5", "app.notes_text6"}
    for name in NAMES:
        publish_event(UserProfileUpdated(user_id=BEN, changes={"name": name}))
        for table, value in zip(sorted(tables), (Jsonb({"a": [name]}), name, [name]), strict=True):
            sql(f"DELETE FROM {table}")
            sql(f"INSERT INTO {table} VALUES (%s)", value)
        contents = {"upper": name.upper(), "json": json.dumps(name), "plain": name}
        for kind, content in contents.items():
            (folder / kind).write_bytes(b"x" * ((1 << 20) - 7) + content.encode())
        left = {one.where for one in check(get_settings(), person(), [name])}
        assert left >= {"events.events", *tables, *(f"file {folder / kind}" for kind in contents)}, name


def test_messages_to_others_hold_no_name_of_the_erased(at_rest: Settings) -> None:
    name = "Özgür 'Ünal'"
    publish_event(UserProfileUpdated(user_id=BEN, changes={"name": name}))
    take_up()
    publish_event(completed(WELLS, donor_id=BEN, donor_name=name, is_anonymous=False))
    take_up()
    (mail,) = (path for path in (get_settings().data_dir / "outbox" / "email").iterdir() if says(path, name))
    by_a_kill = mail.with_name(f".{mail.name}.tmp")
    by_a_kill.write_bytes(mail.read_bytes())
    left = {one.where for one in check(get_settings(), person(BEN), [name])}
    assert {f"file {mail}", f"file {by_a_kill}"} <= left
    erased(BEN)
    assert check(get_settings(), person(BEN), [name]) == []


def says(mail: Path, name: str) -> bool:
    """Whether a mail tells somebody that this person gave something."""
    return any(f"{name} has given" in text for text in mail_texts(mail.read_bytes()))
