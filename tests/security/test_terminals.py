"""Text from outside that would steer a terminal is shown as its escape by every command, and in every log."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from fundlyhub.cli.output import Answer, Aside, Table, print_json
from fundlyhub.observability.logs import configure
from fundlyhub.settings import Settings
from fundlyhub.testing.databases import settings_of
from tests.support import ROOT
from tests.support.command import dsns, fundlyhub

HOSTILE = "\x1b]0;owned\x07\x9b31m\u202e"
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]")
ID = "00000000-0000-4000-8000-000000000001"

# Dead letters, quarantine and the ledger hold names that events, streams and releases brought.
ROWS = """
    INSERT INTO events.dead_letters (processor, position, event_id, type, error_class, error_message, traceback,
                                     fingerprint, attempts, first_failed_at, last_failed_at, aggregate_type,
                                     aggregate_id)
    VALUES (%(x)s, 1, %(id)s, %(x)s, %(x)s, %(x)s, %(x)s, %(x)s, 1, now(), now(), %(x)s, %(x)s);
    INSERT INTO events.dead_letter_audit (letter_id, who, action, details) SELECT id, %(x)s, 'replayed', %(x)s
        FROM events.dead_letters;
    INSERT INTO events.quarantine (stream, entry_id, digest, type, fields, reason)
    VALUES (%(x)s, '1-0', '', %(x)s, jsonb_build_array(jsonb_build_array(%(x)s::text, %(x)s::text)), %(x)s);
    INSERT INTO events.quarantine_audit (quarantine_id, who, action, details) SELECT id, %(x)s, 'quarantined', %(x)s
        FROM events.quarantine;
    INSERT INTO events.attempts (processor, position, attempts, first_seen, next_at, error_class, reason, fingerprint)
    VALUES ('campaign_stats', 1, 1, now(), now(), %(x)s, %(x)s, %(x)s);
    INSERT INTO events.processor_pauses (processor, kind, who, reason)
    VALUES ('campaign_stats', 'by hand', %(x)s, %(x)s), (%(x)s, 'by hand', %(x)s, %(x)s);
    INSERT INTO app.notifications (event_id, position, channel, recipient, template, transactional, state, reason,
                                   provider, provider_message_id)
    VALUES (%(id)s, 1, %(x)s, %(x)s, %(x)s, true, 'failed', %(x)s, %(x)s, %(x)s);
    INSERT INTO app.suppressions (channel, address_hash, reason) VALUES (%(x)s, %(x)s, 'bounced');
    INSERT INTO app.delivery_reports (provider, words, bytes, failed_at, error)
    VALUES (%(x)s, jsonb_build_object('event', %(x)s::text), 1, now(), %(x)s);
    INSERT INTO events.events (id, type, version, aggregate_type, aggregate_id, payload, metadata, occurred_at)
    VALUES (%(id)s, %(x)s, %(x)s, %(x)s, %(x)s, jsonb_build_object(%(x)s::text, %(x)s::text, 'userId', %(id)s::text),
            jsonb_build_object(%(x)s::text, %(x)s::text), now());
    INSERT INTO app.contacts (user_id, name, email) VALUES (%(id)s, %(x)s, %(x)s);
    INSERT INTO events.disclosures (who, command, what) VALUES (%(x)s, %(x)s, %(x)s);
    INSERT INTO events.publisher_types (publisher, type, who) VALUES (%(x)s, %(x)s, %(x)s);
    INSERT INTO app.rebuilds (processor, schema_name, tables, up_to, who) VALUES (%(x)s, 'x', '{x}', 1, %(x)s);
"""

COMMANDS = [
    ("status",), ("waiting",), ("waiting", "1"), ("health",), ("verify", "--no-tables"),
    ("dlq", "list"), ("dlq", "show", "1"), ("dlq", "show", "1", "--payload"), ("dlq", "export", "-", "--payload"),
    ("ingest", "quarantine", "list"), ("ingest", "quarantine", "show", "1"),
    ("ingest", "quarantine", "show", "1", "--fields"),
    ("processors", "list"), ("processors", "history", "campaign_stats"), ("payments", "list"),
    ("suppressions", "list"), ("notifications", "list"), ("notifications", "count"),
    ("notifications", "reports", "list"), ("relay", "status"), ("breakers", "list"),
    ("events", "list"), ("events", "list", "--payload"), ("events", "show", ID), ("events", "show", "1", "--payload"),
    ("events", "story", ID), ("explain", "campaign_stats", ID), ("audit",), ("publishers", "list"), ("rebuild", "list"),
    ("people", "show", ID, "--by", "x"),
    ("people", "erase", ID, "--dry-run"), ("people", "erase", "--check", ID, "--value", HOSTILE),
]  # fmt: skip

ARGUMENTS = [
    ("dlq", "show", HOSTILE), ("dlq", "list", "--processor", HOSTILE), ("waiting", HOSTILE), (HOSTILE,),
    ("status", f"--{HOSTILE}"), ("events", "publish", HOSTILE), ("feed", HOSTILE), ("search", HOSTILE),
    ("breakers", "open", HOSTILE, "--reason", "x"), ("processors", "pause", HOSTILE, "--reason", "x"),
    ("dlq", "discard", "1", "--reason", HOSTILE, "--by", HOSTILE), ("suppressions", "add", "email", HOSTILE),
    ("ingest", "quarantine", "release", "1", "--set", f"{HOSTILE}={HOSTILE}", "--by", "ann"),
]  # fmt: skip


def shown_of(*command: str, settings: dict[str, str]) -> str:
    done = fundlyhub(*command, settings={**settings, "COLUMNS": "200"})
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.mark.chaos  # for its length
def test_no_command_prints_a_control_character_that_came_from_outside(dsn: str) -> None:
    with psycopg.connect(dsn) as db:
        psycopg.ClientCursor(db).execute(ROWS, {"x": HOSTILE, "id": ID})
    seen = 0
    for command in COMMANDS:
        for options in ((), ("--json",)):
            if "export" in command and options:
                continue
            shown = shown_of(*command, *options, settings={**dsns(dsn), "FUNDLYHUB_SECRET_KEY": "k" * 32})
            assert not RAW.search(shown), command
            seen += "owned" in shown
    assert seen >= 45, "most commands show the hostile text"


def test_no_error_prints_a_control_character_of_its_arguments(dsn: str) -> None:
    for command in ARGUMENTS:
        assert not RAW.search(shown_of(*command, settings=dsns(dsn))), command


def test_a_file_of_events_with_hostile_names_is_refused_in_printable_lines(dsn: str, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    lines = ({"type": HOSTILE}, {HOSTILE: 1}, {"type": "donation.completed", "payload": {HOSTILE: {HOSTILE: 1}}})
    file.write_text("".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines))
    assert not RAW.search(shown_of("events", "publish", str(file), settings=dsns(dsn)))


def test_every_kind_of_answer_is_printable(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(HOSTILE, ("a", "b"), [(HOSTILE, 1)])
    Answer({HOSTILE: HOSTILE}, HOSTILE, Aside(HOSTILE), table).print(as_json=False)
    Answer({HOSTILE: HOSTILE}).print(as_json=True)
    print_json(json.dumps({HOSTILE: HOSTILE}, ensure_ascii=False).encode())
    captured = capsys.readouterr()
    assert not RAW.search(captured.out + captured.err)
    assert f"{captured.out}{captured.err}".count("owned") == 8
    assert json.loads(captured.out.splitlines()[-1]) == {HOSTILE: HOSTILE}


def test_commands_print_through_one_door() -> None:
    """Nothing in the package prints by itself: what does would not be escaped."""
    package = ROOT / "fundlyhub"
    printing = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "click.echo", "click.secho")
    }
    assert printing == {"cli/output.py", "cli/main.py", "celery.py"}


@pytest.fixture(params=["console", "json"])
def logged(
    request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[io.StringIO]:
    handlers, level = logging.root.handlers[:], logging.root.level
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    with settings_of({"FUNDLYHUB_LOG_FORMAT": request.param}):
        configure()
        yield out
    logging.root.handlers[:], logging.root.level = handlers, level


@pytest.mark.parametrize("text", [HOSTILE, "an id\n2026-01-01T00:00:00.000Z INFO    1 fundlyhub: all is well"])
def test_an_entry_of_a_log_is_one_line_whatever_is_in_it(logged: io.StringIO, text: str) -> None:
    logging.getLogger("fundlyhub.x").info("a message %s %s", text, {text: [text]}, extra={"position": text})
    logging.getLogger("celery.worker").error("contents: " + text)  # noqa: G003 - as libraries do
    (first, second) = logged.getvalue().splitlines()
    assert "a message" in first
    assert "contents" in second
    assert not RAW.search(logged.getvalue())
