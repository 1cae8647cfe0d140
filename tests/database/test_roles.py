"""The roles: the catalog says what the declaration says, whatever was there before, and a new table has its line."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command
from pydantic import SecretStr

from fundlyhub.database.engines import make_engine
from fundlyhub.database.migrate import _config, migrate
from fundlyhub.database.roles import NAMES, OWNER, PREFIX, RIGHTS
from fundlyhub.database.roles.catalog import parsed, unclassified
from fundlyhub.settings import BRANCHES, Settings
from tests.support.command import dsns, fundlyhub
from tests.support.roles import Roles

# The same as information_schema tells it, which knows neither our reading of the catalog nor our words for it.
TABLES = """
    SELECT grantee, table_schema || '.' || table_name, privilege_type, NULL FROM information_schema.role_table_grants
    WHERE grantee LIKE 'fundlyhub\\_%%' AND grantee <> %(owner)s AND table_schema = ANY (%(schemas)s)
    UNION
    SELECT grantee, c.table_schema || '.' || c.table_name, c.privilege_type, c.column_name
    FROM information_schema.role_column_grants c
    WHERE grantee LIKE 'fundlyhub\\_%%' AND grantee <> %(owner)s AND c.table_schema = ANY (%(schemas)s)
      AND NOT EXISTS (SELECT FROM information_schema.role_table_grants t WHERE t.grantee = c.grantee
          AND (t.table_schema, t.table_name, t.privilege_type) = (c.table_schema, c.table_name, c.privilege_type))
"""
OWNED = """
    SELECT c.oid::regclass::text FROM pg_class c WHERE c.relnamespace::regnamespace::text = ANY (%(schemas)s)
    AND c.relowner::regrole::text <> %(owner)s
    UNION ALL
    SELECT p.oid::regprocedure::text FROM pg_proc p
    WHERE p.pronamespace::regnamespace::text = ANY (%(schemas)s) AND p.proowner::regrole::text <> %(owner)s
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
"""
PUBLIC = """
    SELECT p.oid::regprocedure::text FROM pg_proc p CROSS JOIN aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
    WHERE p.pronamespace::regnamespace::text = ANY (%(schemas)s) AND a.grantee = 0
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
"""  # noqa: E501
MORE = """
    SELECT rolname FROM pg_roles WHERE rolname LIKE 'fundlyhub\\_%'
    AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication)
"""
GIVEN = {"schemas": list(BRANCHES), "owner": OWNER}


@pytest.fixture
def roles(dsn: str) -> Roles:
    return Roles(dsn)


def ask(dsn: str, query: str, given: dict[str, Any] | None = None) -> list[Any]:
    with psycopg.connect(dsn, autocommit=True) as db:
        return db.execute(query, given).fetchall()


SEQUENCES = ("events.relay_sleep", "events.closer_look")


def granted(dsn: str) -> set[tuple[Any, ...]]:
    return set(ask(dsn, TABLES, GIVEN))


def said() -> set[tuple[Any, ...]]:
    return {
        (PREFIX + role, name, privilege, column)
        for role, rights in RIGHTS.items()
        for name, right in rights.items()
        for privilege, column in parsed(right)
        if privilege not in ("EXECUTE", "MAINTAIN") and name not in SEQUENCES  # they are none of these views' business
    }


def test_every_object_of_the_schemas_is_classified(dsn: str) -> None:
    """A new table, sequence or function without a line in the declaration fails here."""
    with psycopg.connect(dsn) as db:
        assert [name for branch in BRANCHES for name in unclassified(db, branch)] == []
        db.execute(
            "CREATE TABLE app.new (id bigint); CREATE FUNCTION events.new() RETURNS int LANGUAGE SQL AS 'SELECT 1'"
        )
        assert [name for branch in BRANCHES for name in unclassified(db, branch)] == ["events.new", "app.new"]


@pytest.mark.chaos  # for its length
def test_the_catalog_says_what_the_declaration_says(roles: Roles) -> None:
    assert granted(roles.owner) == said()
    assert ask(roles.owner, OWNED, GIVEN) == []
    assert ask(roles.owner, PUBLIC, GIVEN) == []


def test_a_second_time_changes_nothing(roles: Roles) -> None:
    assert [(one.created, one.granted, one.revoked, one.owned) for one in roles.reconcile()] == [((), 0, 0, 0)] * 3


@pytest.mark.chaos  # for its length
def test_what_is_too_much_is_revoked_and_what_is_missing_granted(roles: Roles) -> None:
    with psycopg.connect(roles.owner, autocommit=True) as db:
        db.execute("""
            GRANT UPDATE ON events.events TO fundlyhub_worker;
            GRANT SELECT (payload) ON events.events TO fundlyhub_reader;
            GRANT SELECT ON app.contacts TO PUBLIC;
            GRANT EXECUTE ON FUNCTION events.drop_claims_partition TO PUBLIC;
            GRANT CREATE ON SCHEMA events TO fundlyhub_publisher;
            GRANT fundlyhub_owner TO fundlyhub_webhooks;
            REVOKE SELECT ON events.events FROM fundlyhub_relay;
            ALTER ROLE fundlyhub_worker CREATEROLE BYPASSRLS;
        """)
    roles.reconcile()
    assert granted(roles.owner) == said()
    assert ask(roles.owner, PUBLIC, GIVEN) == []
    assert not roles.may("reader", "SELECT phone FROM app.contacts")
    assert not roles.may("publisher", "CREATE TABLE events.mine ()")
    assert not roles.may("webhooks", "SET ROLE fundlyhub_owner")
    assert ask(roles.owner, MORE) == []


def test_what_other_roles_were_granted_by_hand_stays(roles: Roles) -> None:
    with psycopg.connect(roles.owner, autocommit=True) as db:
        db.execute("DROP ROLE IF EXISTS somebody; CREATE ROLE somebody; GRANT SELECT ON app.follows TO somebody")
        roles.reconcile()
        query = "SELECT has_table_privilege('somebody', 'app.follows', 'SELECT')"
        assert ask(roles.owner, query) == [(True,)]
        db.execute("DROP OWNED BY somebody; DROP ROLE somebody")


def test_tables_of_another_package_are_the_workers(roles: Roles) -> None:
    with psycopg.connect(roles.owner, autocommit=True) as db:
        db.execute("CREATE TABLE analytics.favourites (id bigint PRIMARY KEY)")
    roles.reconcile()
    assert roles.may("worker", "INSERT INTO analytics.favourites VALUES (1)")
    assert not roles.may("reader", "SELECT * FROM analytics.favourites")


def test_a_partition_is_made_and_dropped_by_the_relay_and_belongs_to_the_owner(roles: Roles) -> None:
    for branch in BRANCHES:
        with roles.connect("relay") as db:
            db.execute(f"SELECT {branch}.make_claims_partition(90000000, 90000999)")
            owner = "SELECT tableowner FROM pg_tables WHERE schemaname = %s AND tablename = 'processed_events_90000000'"
            assert db.execute(owner, (branch,)).fetchall() == [(OWNER,)]
            dropping = f"SELECT {branch}.drop_claims_partition('processed_events_90000000', 90000000, 90000999, 'x')"
            db.execute("SET ROLE fundlyhub_relay")
            assert db.execute(dropping).fetchone() == ({},)
    assert ask(roles.owner, OWNED, GIVEN) == []
    assert ask(roles.owner, "SELECT DISTINCT who, role FROM app.dropped_claims") == [("x", "fundlyhub_relay")]


@pytest.mark.parametrize("name", ["processed_events_default", "processed_events", "notifications", "x; DROP"])
def test_nothing_but_a_partition_of_claims_is_dropped(roles: Roles, name: str) -> None:
    with roles.connect("relay") as db, pytest.raises(psycopg.errors.RaiseException, match="no such partition"):
        db.execute("SELECT app.drop_claims_partition(%s, 0, 9999999, 'x')", (name,))


def test_the_keepers_functions_do_not_look_where_the_caller_says(roles: Roles) -> None:
    """A table of the caller's, in a schema that comes first, is not taken for ours."""
    with roles.connect("relay") as db:
        db.execute("CREATE TEMP TABLE processed_events (a int); CREATE TEMP TABLE pg_inherits (inhparent regclass)")
        db.execute("SET search_path = pg_temp, app")
        db.execute("SELECT app.make_claims_partition(90000000, 90000999)")
        assert db.execute("SELECT to_regclass('app.processed_events_90000000') IS NOT NULL").fetchone() == (True,)


@pytest.mark.chaos  # for its length
def test_the_owner_migrates_and_what_it_makes_is_its_own(roles: Roles) -> None:
    engine = make_engine("analytics", Settings(analytics_dsn=SecretStr(roles.owner)), pooled=False)
    with engine.begin() as connection:
        command.downgrade(_config("analytics", connection), "-1")
    done = fundlyhub("migrate", settings=dsns(roles.owner))  # as the superuser, who acts as the owner
    assert done.returncode == 0, done.stderr
    assert ask(roles.owner, OWNED, GIVEN) == []
    assert fundlyhub("migrate", "--roles", settings=roles.variables("owner")).returncode == 0
    assert ask(roles.owner, PUBLIC, GIVEN) == []
    assert granted(roles.owner) == said()


@pytest.mark.chaos  # for its length
def test_two_at_once_do_not_hinder_each_other(dsn: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(fundlyhub, "migrate", "--roles", settings=dsns(dsn)) for _ in range(3)]
    assert [one.result().returncode for one in running] == [0] * 3, [one.result().stderr for one in running]
    assert granted(dsn) == said()


def test_a_role_that_may_make_no_roles_is_told_so_in_one_line(roles: Roles) -> None:
    with psycopg.connect(roles.owner, autocommit=True) as db:
        db.execute("GRANT SELECT ON app.contacts TO fundlyhub_reader")
    done = fundlyhub("migrate", "--roles", settings=roles.variables("reader"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "refused" in done.stderr
    assert "pw-" not in done.stderr


def test_passwords_come_from_files_and_are_never_printed(dsn: str, tmp_path: Path) -> None:
    (tmp_path / "fundlyhub_reader").write_text("a secret\n")
    done = fundlyhub("migrate", "--roles", "--passwords", str(tmp_path), "--json", settings=dsns(dsn))
    assert done.returncode == 0, done.stderr
    assert "a secret" not in done.stdout + done.stderr
    with psycopg.connect(dsn, user="fundlyhub_reader", password="a secret") as db:
        assert db.execute("SELECT session_user").fetchone() == ("fundlyhub_reader",)
    (tmp_path / "fundlyhub_reader").write_text("\n")
    assert fundlyhub("migrate", "--roles", "--passwords", str(tmp_path), settings=dsns(dsn)).returncode == 2


def test_roles_keep_their_statements_out_of_the_servers_log(roles: Roles) -> None:
    for name in NAMES:
        with roles.connect(name.removeprefix(PREFIX)) as db:
            shown = [db.execute(f"SHOW {one}").fetchone() for one in ("log_error_verbosity", "log_min_error_statement")]
            assert shown == [("terse",), ("panic",)]


@pytest.mark.chaos  # for its length
def test_three_databases_get_what_is_theirs(empty_database: Any) -> None:
    settings = Settings(**{f"{branch}_dsn": empty_database() for branch in BRANCHES})
    migrate(settings)
    variables = dsns(*(settings.dsn(branch) for branch in BRANCHES))
    done = fundlyhub("migrate", "--roles", settings=variables)
    assert done.returncode == 0, done.stderr
    for branch in BRANCHES:
        assert granted(settings.dsn(branch)) == {one for one in said() if one[1].startswith(f"{branch}.")}
