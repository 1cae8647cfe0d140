"""A person stands in JSON that is nested without end, which only the log's owner can write: erased all the same."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import psycopg
import pytest

from fundlyhub.retention.archives.file import digest_of
from fundlyhub.settings import Settings
from tests.people.erased import archive, erased, places, take_up
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
        archive(db, tmp_path)
    take_up()
    assert places(ADDRESS)
    assert erased(BEN, address=ADDRESS).whole
    assert places(ADDRESS) == []
    ((file, digest),) = sql("SELECT file, sha256 FROM events.archives")
    assert digest_of(Path(file)) == digest
    assert ADDRESS not in gzip.decompress(Path(file).read_bytes()).decode()
    again = erased(BEN, address=ADDRESS)
    assert (again.changed["events"], again.changed["archives"]) == (0, 0)
