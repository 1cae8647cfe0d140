"""`fundlyhub migrate`: repeatable, safe when two run at once, and never downwards."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from uuid import UUID

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from fundlyhub.database.engines import make_engine
from fundlyhub.database.migrate import _config, migrate
from fundlyhub.database.revisions import check, require_current, revisions
from fundlyhub.errors import NewerDatabase, NotMigrated
from fundlyhub.settings import BRANCHES, Branch, Settings
from tests.support.command import dsns, environment, fundlyhub

Make = Callable[[], str]
LETTER = """
    INSERT INTO events.dead_letters (processor, position, event_id, type, error_class, error_message, traceback,
        fingerprint, attempts, first_failed_at, last_failed_at)
    SELECT 'p', position, id, type, 'Permanent', 'never', '', 'f', 1, now(), now() FROM events.events
"""
SCHEMAS = """
    SELECT nspname FROM pg_namespace WHERE nspname IN ('events', 'app', 'analytics') ORDER BY 1
"""


def schemas(dsn: str) -> list[str]:
    with psycopg.connect(dsn) as db:
        return [name for (name,) in db.execute(SCHEMAS).fetchall()]


def in_one(dsn: str) -> Settings:
    return Settings(events_dsn=dsn, app_dsn=dsn, analytics_dsn=dsn)


def states(settings: Settings) -> list[str]:
    return [found.state for found in check(settings)]


def test_the_revisions_are_those_that_alembic_knows() -> None:
    for branch in BRANCHES:
        known = [script.revision for script in ScriptDirectory.from_config(_config(branch)).walk_revisions()]
        assert revisions(branch) == tuple(reversed(known))


def test_into_one_database(empty_database: Make) -> None:
    settings = in_one(empty_database())
    assert states(settings) == ["behind"] * 3
    assert [found.revision for found in migrate(settings)] == [None] * 3
    assert states(settings) == ["current"] * 3


def test_into_three_databases_each_gets_its_own_schema(empty_database: Make) -> None:
    one, two, three = empty_database(), empty_database(), empty_database()
    done = fundlyhub("migrate", "--json", settings=dsns(one, two, three))
    assert done.returncode == 0, done.stderr
    assert [item["state"] for item in json.loads(done.stdout)] == ["migrated"] * 3
    assert (schemas(one), schemas(two), schemas(three)) == (["events"], ["app"], ["analytics"])


def test_a_second_run_changes_nothing(empty_database: Make) -> None:
    settings = in_one(empty_database())
    migrate(settings)
    assert [found.state for found in migrate(settings)] == ["current"] * 3


@pytest.mark.chaos  # for its length
def test_two_at_once_one_migrates_and_the_other_finds_it_done(empty_database: Make) -> None:
    env = environment(dsns(empty_database()))
    command = [sys.executable, "-m", "fundlyhub", "migrate", "--json"]
    runs = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    outputs = [run.communicate(timeout=60) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    found = [[item["state"] for item in json.loads(out)] for out, _ in outputs]
    assert [sorted(pair) for pair in zip(*found, strict=True)] == [["current", "migrated"]] * 3


def test_check_tells_and_writes_nothing(empty_database: Make) -> None:
    dsn = empty_database()
    before = fundlyhub("migrate", "--check", "--json", settings=dsns(dsn))
    assert before.returncode == 1
    assert [item["state"] for item in json.loads(before.stdout)] == ["behind"] * 3
    assert schemas(dsn) == []
    migrate(in_one(dsn))
    after = fundlyhub("migrate", "--check", settings=dsns(dsn))
    assert after.returncode == 0
    assert "current" in after.stdout


def test_a_database_that_is_not_migrated_is_refused(empty_database: Make) -> None:
    with pytest.raises(NotMigrated, match="run `fundlyhub migrate`"):
        require_current("events", settings=in_one(empty_database()))


@pytest.mark.parametrize("newer", ["events", "app", "analytics"])
def test_a_newer_database_is_refused_and_none_is_touched(empty_database: Make, newer: str) -> None:
    dsn = empty_database()
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute(f"CREATE SCHEMA {newer}")
        db.execute(f"CREATE TABLE {newer}.alembic_version (version_num text PRIMARY KEY)")
        db.execute(f"INSERT INTO {newer}.alembic_version VALUES ('{newer}_9999')")
    with pytest.raises(NewerDatabase, match=f"the {newer} database is at revision {newer}_9999, newer than"):
        migrate(in_one(dsn))
    assert schemas(dsn) == [newer]
    assert sorted(states(in_one(dsn))) == ["behind", "behind", "newer"]


def test_letters_of_the_first_release_keep_what_they_were_and_are_in_the_audit(empty_database: Make) -> None:
    dsn = empty_database()
    migrate(in_one(dsn))
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute("SELECT events.publish_event('search.query.submitted', '{}', aggregate_type => 'search',"
                   " aggregate_id => 'x')")  # fmt: skip
        config = _config("events", None)
    engine = make_engine("events", in_one(dsn), pooled=False)
    for step in ("downgrade", "upgrade"):
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            if step == "downgrade":
                command.downgrade(config, "events_0001")
                connection.exec_driver_sql(LETTER)
            else:
                command.upgrade(config, "head")
    with psycopg.connect(dsn) as db:
        letters = "SELECT state, aggregate_type, aggregate_id, changed_at = last_failed_at FROM events.dead_letters"
        assert db.execute(letters).fetchall() == [("open", "search", "x", True)]
        audit = "SELECT who, action, details FROM events.dead_letter_audit"
        assert db.execute(audit).fetchall() == [("worker", "failed", "never")]


PARTS = """
    SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'app.processed_events'::regclass ORDER BY 1
"""


def to(settings: Settings, branch: Branch, revision: str) -> None:
    """Bring one branch of a migrated database up or down to a revision."""
    with make_engine(branch, settings, pooled=False).begin() as connection:
        step = command.upgrade if revision == "head" else command.downgrade
        step(_config(branch, connection), revision)


def test_claims_are_partitioned_where_they_are_and_put_together_again(empty_database: Make) -> None:
    dsn = empty_database()
    migrate(in_one(dsn))
    settings, claims = in_one(dsn), "SELECT processor, position, event_id, processed_at FROM app.processed_events"
    to(settings, "app", "app_0003")
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute("""INSERT INTO app.processed_events SELECT 'one', 9999990 + n, gen_random_uuid(), now()
                      FROM generate_series(1, 20) n; GRANT SELECT ON app.processed_events TO pg_monitor""")
        before = db.execute(claims).fetchall()
        to(settings, "app", "head")
        assert db.execute(claims).fetchall() == before
        assert db.execute(PARTS).fetchall() == [
            ("processed_events_0", "FOR VALUES FROM (MINVALUE) TO ('20000000')"),
            ("processed_events_default", "DEFAULT"),
        ]
        rights = "SELECT has_table_privilege('pg_monitor', 'app.processed_events', 'SELECT')"
        assert db.execute(rights).fetchone() == (True,)
        to(settings, "app", "app_0003")
        assert db.execute(claims).fetchall() == before
        to(settings, "app", "head")
        db.execute("INSERT INTO app.dropped_claims VALUES (0, 9, '{}', 'ann')")
        with pytest.raises(DBAPIError, match="could not refuse"):
            to(settings, "app", "app_0003")


def test_donors_are_counted_again_for_the_release_before(empty_database: Make) -> None:
    dsn = empty_database()
    migrate(in_one(dsn))
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute("INSERT INTO analytics.campaign_donors VALUES (gen_random_uuid(), 'USD', gen_random_uuid())")
        db.execute("""INSERT INTO analytics.donation_facts
                      SELECT gen_random_uuid(), n, campaign_id, currency, donor_id, 1, now(), 0, 0
                      FROM analytics.campaign_donors, generate_series(1, 3) n""")
        to(in_one(dsn), "analytics", "analytics_0005")
        assert db.execute("SELECT donation_count FROM analytics.campaign_donors").fetchall() == [(3,)]
        to(in_one(dsn), "analytics", "head")


def test_a_failure_half_way_leaves_nothing_of_its_branch(empty_database: Make) -> None:
    dsn = empty_database()
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute("CREATE SCHEMA app; CREATE TABLE app.processed_events (taken int)")
    with pytest.raises(Exception, match="already exists"):
        migrate(in_one(dsn))
    assert states(in_one(dsn)) == ["current", "behind", "behind"]
    with psycopg.connect(dsn) as db:
        assert db.execute("SELECT to_regclass('app.alembic_version')").fetchone() == (None,)


def test_who_may_publish_may_look_for_archived_ids_and_ids_that_are_away_keep_the_release(empty_database: Make) -> None:
    dsn = empty_database()
    migrate(in_one(dsn))
    settings, publish = in_one(dsn), "SELECT events.publish_event('search.query.submitted', '{}', id => %s)"
    may = "SELECT has_table_privilege('pg_monitor', 'events.event_ids', 'SELECT')"
    to(settings, "events", "events_0004")
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute("GRANT INSERT ON events.events TO pg_monitor")
        for _ in range(2):
            db.execute(publish, (UUID(int=1),))
        to(settings, "events", "head")
        assert db.execute(may).fetchone() == (True,)
        assert db.execute(may.replace("'SELECT'", "'INSERT'")).fetchone() == (False,)
        db.execute("INSERT INTO events.event_ids VALUES (%s, 7)", (UUID(int=2),))
        for number in (1, 2):
            db.execute(publish, (UUID(int=number),))
        assert db.execute("SELECT id FROM events.events").fetchall() == [(UUID(int=1),)]
        with pytest.raises(DBAPIError, match="events are archived: restore them first"):
            to(settings, "events", "events_0004")
        db.execute("DELETE FROM events.event_ids")
        to(settings, "events", "events_0004")
        db.execute(publish, (UUID(int=2),))
        assert db.execute("SELECT count(*) FROM events.events").fetchone() == (2,)
