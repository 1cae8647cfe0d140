"""JSON that is nested without end, at every door and in the log itself: refused or kept, and nobody stops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from fundlyhub import Event, InvalidEvent, publish_events
from fundlyhub.console.api import ROUTES
from tests.console.callers import caller, path_of
from tests.console.conftest import site  # noqa: F401 - a fixture
from tests.console.site import Site
from tests.streams.conftest import streams  # noqa: F401 - a fixture
from tests.streams.entries import whole
from tests.streams.streams import Streams
from tests.support.make import search
from tests.support.platform import Platform, wait_until
from tests.support.processors import TABLES
from tests.webhooks.asking import Ask, signed
from tests.webhooks.conftest import ask, configured  # noqa: F401 - fixtures

LEVELS = 12_000
KINDS = {"lists": ("[", "]"), "objects": ('{"a":', "}")}
NESTED = pytest.mark.parametrize("kind", KINDS)
DEPTHS = (300, 900, LEVELS)
"""Beyond what an encoder takes, near to what Python reads, and beyond it."""

INSERT = """
    INSERT INTO events.events (id, type, version, payload, metadata, occurred_at)
    VALUES (gen_random_uuid(), %s, '1.0.0', %s::text::jsonb, %s::text::jsonb, now()) RETURNING id::text
"""
VIEW = """
    INSERT INTO events.publications (id, type, version, payload, metadata, occurred_at)
    VALUES (gen_random_uuid(), 'user.followed_user', '1.0.0', %s::text::jsonb, %s::text::jsonb, now())
"""
PUBLISH = "SELECT events.publish_event('user.followed_user', %s::text::jsonb, metadata => %s::text::jsonb)"
BATCH = """
    SELECT * FROM events.append_events(jsonb_build_array(jsonb_build_object(
        'n', 1, 'id', gen_random_uuid(), 'type', 'user.followed_user', 'version', '1.0.0', 'occurred_at', now(),
        'payload', %s::text::jsonb, 'metadata', %s::text::jsonb)))
"""


def nested(kind: str, levels: int = LEVELS, inner: str = "1") -> str:
    begin, end = KINDS[kind]
    return begin * levels + inner + end * levels


def value_of(kind: str) -> Any:
    value: Any = 1
    for _ in range(LEVELS):
        value = [value] if kind == "lists" else {"a": value}
    return value


@NESTED
def test_python_refuses_it(kind: str) -> None:
    envelope = Event.of(search("fine")).to_envelope()
    for changed in (
        {"payload": {"query": value_of(kind)}},
        {"payload": {**envelope["payload"], "unknown": value_of(kind)}},
        {"metadata": {"a": value_of(kind)}},
        {"id": value_of(kind)},
    ):
        with pytest.raises(InvalidEvent, match="must"):
            Event.model_validate({**envelope, **changed})


@NESTED
@pytest.mark.parametrize("door", [PUBLISH, BATCH, VIEW], ids=["publish_event", "append_events", "publications"])
def test_the_log_refuses_it(dsn: str, kind: str, door: str) -> None:
    deep = f'{{"query": {nested(kind)}}}'
    with psycopg.connect(dsn, autocommit=True) as db:
        for given in ((deep, "{}"), ("{}", deep)):
            with pytest.raises(psycopg.Error, match=r"nested deeper than 32 levels|check option"):
                db.execute(door.encode(), given)
        assert db.execute("SELECT count(*) FROM events.events").fetchone() == (0,)


def test_streams_put_it_into_quarantine_and_go_on(streams: Streams) -> None:  # noqa: F811
    good = whole()
    for kind in KINDS:
        streams.write(whole(payload=nested(kind)))
        streams.write(whole(payload=f'{{"passcode": {nested(kind)}}}'))
        streams.write(whole(metadata=f'{{"a": {nested(kind)}}}'))
    streams.write(good)
    ingest = streams.ingest()
    streams.wait_taken(1, 6)
    assert streams.ids() == [good["id"]]
    assert all("must not be nested deeper than 32 levels" in reason for reason in streams.held())
    assert ingest.popen.poll() is None


@NESTED
def test_the_consoles_api_refuses_it(site: Site, kind: str) -> None:  # noqa: F811
    privacy = caller(site, "privacy").client
    for route in ROUTES:
        if route.method == "POST":
            body = f'{{"reason": {nested(kind)}}}'
            answer = privacy.post(path_of(route), content=body, headers={"Content-Type": "application/json"})
            assert 400 <= answer.status_code < 500, route.path
    assert privacy.get("/api/v1/status").status_code < 500


@NESTED
def test_the_webhooks_refuse_it(ask: Ask, kind: str) -> None:  # noqa: F811
    assert ask("POST", "/sendgrid/events", **signed(None, body=nested(kind).encode())).status_code == 400


@pytest.mark.parametrize("platform", ["valkey"], indirect=True)
@pytest.mark.timeout(900)
@pytest.mark.chaos  # for its length
def test_what_stands_in_the_log_stops_no_neighbour_and_is_shown(platform: Platform, tmp_path: Path) -> None:
    platform.execute(TABLES)
    kind = "search.query.submitted"
    ids: list[str] = []
    with psycopg.connect(platform.environment["FUNDLYHUB_EVENTS_DSN"], autocommit=True) as db:
        for deep in (nested(one, levels) for one in KINDS for levels in DEPTHS[1:]):
            for given in ((f'{{"query": {deep}}}', "{}"), ('{"query": "fine"}', f'{{"a": {deep}}}')):
                row = db.execute(INSERT.encode(), (kind, *given)).fetchone()
                ids += row or ()
    publish_events(search("fine") for _ in range(20))
    platform.relay()
    worker = platform.worker(concurrency=1)
    platform.wait_applied("test_count", 20)
    letters = "SELECT count(*) FROM events.dead_letters WHERE processor = 'test_count'"
    wait_until(lambda: platform.value(letters) == len(ids), what="a dead letter for each")
    reasons = "SELECT string_agg(DISTINCT error_message, ';' ORDER BY error_message) FROM events.dead_letters"
    assert platform.value(reasons) == (
        "metadata: must have at most 262144 bytes and 32 levels;payload: must have at most 262144 bytes and 32 levels"
    )
    assert "Traceback" not in worker.log.read_text()
    payload = tmp_path / "payload.json"
    payload.write_text(f'{{"query": {nested("lists")}}}')
    for command in (
        ("events", "list", "--payload"),
        *(("events", "show", one, "--payload") for one in ids),
        ("events", "story", ids[-1]),
        ("dlq", "list"),
        ("dlq", "show", "1", "--payload"),
        ("verify",),
    ):
        done = platform.run(*command)
        assert done.returncode == 0, (command, done.stderr)
        assert "Traceback" not in done.stderr
    refused = platform.run("dlq", "edit", "1", "--payload", str(payload))
    assert (refused.returncode, "must not be nested deeper than 32 levels" in refused.stderr) == (1, True)
    payload.write_text('{"query": "mended"}')
    assert platform.run("dlq", "edit", "1", "--payload", str(payload)).returncode == 0
