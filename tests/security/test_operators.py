"""An operator who gives another's name, or reads and exports payloads: the audit says which account it was."""

from __future__ import annotations

import json
import os
import pwd
import re
import socket
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import click
import psycopg
import pytest

from fundlyhub.account import account
from fundlyhub.cli.commands import COMMANDS
from fundlyhub.settings import BRANCHES
from tests.support.command import Done, dsns, fundlyhub
from tests.support.platform import Platform

ID = "00000000-0000-4000-8000-000000000001"
SECRET = "ada@example.org"
ROWS = """
    INSERT INTO events.events (id, type, version, payload, metadata, occurred_at)
    VALUES (%(id)s, 'search.query.submitted', '1.0.0', jsonb_build_object('query', %(x)s::text), '{}', now());
    INSERT INTO events.dead_letters (processor, position, event_id, type, error_class, error_message, traceback,
                                     fingerprint, attempts, first_failed_at, last_failed_at)
    VALUES ('campaign_stats', 1, %(id)s, 'search.query.submitted', 'x', 'x', 'x', 'x', 1, now(), now());
    INSERT INTO events.quarantine (stream, entry_id, digest, type, fields, reason)
    VALUES ('events', '1-0', '', 'x', jsonb_build_array(jsonb_build_array('x', %(x)s::text)), 'x');
    INSERT INTO app.delivery_reports (provider, words, bytes, failed_at, error) VALUES ('smtp', '{}', 1, now(), 'x');
    INSERT INTO app.suppressions (channel, address_hash, reason) VALUES ('email', 'x', 'bounced');
"""
DECISIONS: dict[tuple[str, ...], str] = {
    ("dlq", "discard", "1", "--reason", "x"): "SELECT who, account, role FROM events.dead_letter_audit",
    ("ingest", "quarantine", "discard", "1", "--reason", "x"): "SELECT who, account, role FROM events.quarantine_audit",
    ("processors", "pause", "campaign_stats", "--reason", "x"):
        "SELECT who, account, role FROM events.processor_pause_audit",
    ("suppressions", "add", "email", "eve@example.org"):
        "SELECT told_by, account, role FROM app.suppression_causes WHERE told_by = 'mallory'",
    ("suppressions", "undo", "--since", "2h", "--yes"):
        "SELECT lifted_by, lifted_account, lifted_role FROM app.suppression_causes",
    ("notifications", "reports", "discard", "1", "--reason", "x"):
        "SELECT discarded_by, discarded_account, discarded_role FROM app.delivery_reports",
}  # fmt: skip
PAYLOADS: list[tuple[str, ...]] = [
    ("dlq", "show", "1", "--payload"), ("dlq", "show", "1", "--payload", "--json"),
    ("dlq", "export", "-", "--payload"), ("dlq", "edit", "1"),
    ("ingest", "quarantine", "show", "1", "--fields"),
    ("ingest", "quarantine", "show", "1", "--fields", "--json"),
]  # fmt: skip
LIAR = {"LOGNAME": "mallory", "USER": "mallory", "USERNAME": "mallory"}


class Desk:
    """Commands against one database, by somebody whose environment lies."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn

    def run(self, *args: str) -> Done:
        """A command that works."""
        settings = {**dsns(self.dsn), "FUNDLYHUB_SECRET_KEY": "k", **LIAR, "VISUAL": "cat", "COLUMNS": "200"}
        done = fundlyhub(*args, settings=settings)
        assert "Traceback" not in done.stderr
        return done

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query finds."""
        with psycopg.connect(self.dsn) as db:
            return db.execute(query).fetchall()


@pytest.fixture
def desk(dsn: str) -> Desk:
    with psycopg.connect(dsn) as db:
        psycopg.ClientCursor(db).execute(ROWS, {"id": ID, "x": SECRET})
    return Desk(dsn)


def real() -> str:
    return f"{pwd.getpwuid(os.getuid()).pw_name}@{socket.gethostname()}"


@pytest.mark.parametrize("command", DECISIONS)
def test_a_decision_tells_the_real_account_beside_the_name(desk: Desk, command: tuple[str, ...]) -> None:
    done = desk.run(*command, "--by", "mallory")
    assert done.returncode == 0, done.stderr
    said, account, role = desk.rows(DECISIONS[command])[0]
    assert said == "mallory"
    assert account.partition(" ")[0] == real()
    assert role == "fundlyhub"


def test_the_environment_does_not_choose_who_it_was(desk: Desk) -> None:
    """Without --by the account's own name counts, not that of a variable."""
    desk.run("dlq", "discard", "1", "--reason", "x")
    assert desk.rows("SELECT who FROM events.dead_letter_audit") == [(pwd.getpwuid(os.getuid()).pw_name,)]
    (line,) = json.loads(desk.run("dlq", "show", "1", "--json").stdout)["timeline"]
    assert line["account"].partition(" ")[0] == real()


def test_an_account_that_became_another_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "ann\nx\x1b[2J")
    assert re.fullmatch(r"[\w.+-]+@[\w.+-]+( \([\w.+-]+\))?", account())


def test_nobody_who_writes_sql_of_his_own_chooses_the_role(desk: Desk) -> None:
    with psycopg.connect(desk.dsn, autocommit=True) as db:
        db.execute("INSERT INTO events.disclosures (who, command, what, role) VALUES ('x', 'x', 'x', 'somebody else')")
    assert desk.rows("SELECT role FROM events.disclosures") == [("fundlyhub",)]


def test_whatever_names_a_person_names_the_account_too(desk: Desk) -> None:
    """A new audit without a stamp fails here."""
    named = desk.rows(f"""
        SELECT table_schema || '.' || table_name, column_name FROM information_schema.columns c
        WHERE table_schema IN {BRANCHES} AND (column_name = 'who' OR column_name LIKE '%\\_by')
    """)
    assert len(named) >= 11
    exempt = {("events.processor_pauses", "who"), ("app.suppression_causes", "told_by")}  # the one has an audit, the
    for table, column in set(named) - exempt:  # other the columns of an audit that says "who"
        prefix = "" if column == "who" else f"{column.removesuffix('_by')}_"
        desk.rows(f"SELECT {prefix}account, {prefix}role FROM {table}")


@pytest.mark.parametrize("command", PAYLOADS)
def test_whoever_is_shown_a_payload_leaves_a_line(desk: Desk, command: tuple[str, ...]) -> None:
    done = desk.run(*command, "--by", "ann")
    assert SECRET in done.stdout or "edit" in command
    ((who, account, role, path, what),) = desk.rows("SELECT who, account, role, command, what FROM events.disclosures")
    assert (who, account.partition(" ")[0], role) == ("ann", real(), "fundlyhub")
    assert path == f"fundlyhub {' '.join(word for word in command if word.isalpha())}"
    assert SECRET not in what
    (line,) = json.loads(desk.run("audit", "--json").stdout)
    assert (line["who"], line["what"]) == ("ann", what)


def test_without_the_line_there_is_no_payload(desk: Desk) -> None:
    with psycopg.connect(desk.dsn, autocommit=True) as db:
        db.execute("ALTER TABLE events.disclosures RENAME TO elsewhere")
    for command in PAYLOADS:
        done = desk.run(*command)
        assert done.returncode == 1
        assert SECRET not in done.stdout


def test_what_is_shown_without_its_payload_leaves_none(desk: Desk) -> None:
    for command in (("dlq", "show", "1"), ("dlq", "list"), ("ingest", "quarantine", "show", "1")):
        assert SECRET not in desk.run(*command).stdout
    assert desk.rows("SELECT count(*) FROM events.disclosures") == [(0,)]


def test_bodies_of_parked_messages_leave_a_line(platform: Platform) -> None:
    for command in (("list", "--bodies"), ("discard", "--yes")):
        done = platform.run("relay", "parked", *command, "--by", "ann")
        assert done.returncode == 0, done.stderr
    assert platform.value("SELECT array_agg(command ORDER BY id) FROM events.disclosures") == [
        "fundlyhub relay parked list",
        "fundlyhub relay parked discard",
    ]


def options() -> Iterator[tuple[str, set[str]]]:
    """All commands, with the names of their options."""
    for name in COMMANDS:
        yield from below(name, import_module(f"fundlyhub.cli.{name}").command)


def below(path: str, command: click.Command) -> Iterator[tuple[str, set[str]]]:
    yield path, {name for parameter in command.params for name in parameter.opts}
    if isinstance(command, click.Group):
        with click.Context(command) as context:
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                assert child is not None
                yield from below(f"{path} {name}", child)


def test_every_option_that_shows_payloads_says_by_whom() -> None:
    showing = {"--payload", "--fields", "--bodies"}
    found = {path for path, names in options() if names & showing}
    assert found >= {"dlq show", "dlq export", "ingest quarantine show", "relay parked list"}
    assert not [path for path, names in options() if names & showing and "--by" not in names]
