"""A person stands in JSON that is nested without end, which only the log's owner can write: erased all the same."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import psycopg
import pytest
from psycopg.types.json import Jsonb

from fundlyhub.events.log import head
from fundlyhub.retention.archives.file import digest_of, write
from fundlyhub.settings import Settings
from tests.people.erased import erased, places, take_up
from tests.security.test_nested_events import DEPTHS, INSERT, KINDS, nested
from tests.verification.world import BEN, sql

ADDRESS = "ben.deep@example.org"


@pytest.mark.chaos  # for its length
def test_a_person_is_erased_from_it_too(at_rest: Settings, tmp_path: Path) -> None:
    inner = json.dumps(ADDRESS)
    with psycopg.connect(at_rest.dsn("events"), autocommit=True) as db:
        for kind in KINDS:
            for levels in DEPTHS:
                deep = nested(kind, levels, inner)
                for type, payload, metadata in (
                    ("user.login", f'{{"userId": "{BEN}", "x": {deep}}}', "{}"),
                    ("other.thing", f'{{"x": {nested(kind, levels, json.dumps(str(BEN)))}, "y": {inner}}}', "{}"),
                    ("other.thing", f'{{"email": {inner}, "x": {deep}}}', "{}"),
                    ("search.query.submitted", f'{{"query": {deep}}}', f'{{"x": {deep}}}'),
                ):
                    db.execute(INSERT.encode(), (type, payload, metadata))
        last = head(db)
        away = write(db, 1, last, tmp_path, lambda done: None)
        db.execute(
            "INSERT INTO events.archives (low, high, events, types, file, sha256, system_identifier, who, restored_at)"
            " SELECT 1, %s, %s, %s, %s, %s, system_identifier, 'test', now() FROM pg_control_system()",
            (last, away.events, Jsonb(dict(away.types)), str(away.file), away.sha256),
        )
    take_up()
    assert places(ADDRESS)
    assert erased(BEN, address=ADDRESS).whole
    assert places(ADDRESS) == []
    ((file, digest),) = sql("SELECT file, sha256 FROM events.archives")
    assert digest_of(Path(file)) == digest
    assert ADDRESS not in gzip.decompress(Path(file).read_bytes()).decode()
    again = erased(BEN, address=ADDRESS)
    assert (again.changed["events"], again.changed["archives"]) == (0, 0)
