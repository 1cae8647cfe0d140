"""Whatever fails in the embedded server, its log has neither the statement nor the values of a row."""

from __future__ import annotations

from contextlib import suppress

import psycopg
import pytest

from fundlyhub.embedded.postgres import Postgres

SECRET = "ada@example.org"
# What bad input makes a server say: a key that is there, a row that breaks a rule, a text that is no value of a type.
FAILING = {
    "a key": ("INSERT INTO app.suppressions (channel, address_hash, reason) VALUES ('email', %s, 'bounced')", 2),
    "a check": ("INSERT INTO app.suppressions (channel, address_hash, reason) VALUES ('email', %s, 'nonsense')", 1),
    "a null": ("INSERT INTO app.suppressions (channel, address_hash) VALUES ('email', %s)", 1),
    "a column": ("SELECT nothing FROM app.suppressions WHERE address_hash = %s", 1),
    "a publication": ("SELECT events.publish_event('no type', jsonb_build_object('email', %s::text))", 1),
    "JSON": ("SELECT ('{\"a\": ' || %s)::jsonb", 1),
}


@pytest.mark.parametrize("binding", ["server", "client"])
@pytest.mark.parametrize("name", FAILING)
def test_a_failing_statement_is_not_in_the_log(postgres: Postgres, dsn: str, name: str, binding: str) -> None:
    query, times = FAILING[name]
    failed = 0
    with psycopg.connect(dsn, autocommit=True) as db:
        cursor = db.cursor() if binding == "server" else psycopg.ClientCursor(db)
        for _ in range(times):
            with suppress(psycopg.Error):
                cursor.execute(query, (SECRET,))
                continue
            failed += 1
    said = postgres.child.said()
    assert failed == 1
    assert "ERROR:" in said, "it is told that something failed"
    assert SECRET not in said


def test_a_copy_that_fails_is_not_in_the_log(postgres: Postgres, dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as db, pytest.raises(psycopg.errors.BadCopyFileFormat):  # noqa: SIM117
        with db.cursor().copy("COPY app.suppressions FROM STDIN") as copy:
            copy.write(f"email\t{SECRET}\n".encode())
    assert SECRET not in postgres.child.said()
