"""Each process in a role of its own: the whole flow, what watches it, what operators decide, and the webhooks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
import redis

from fundlyhub import publish_event, publish_events
from fundlyhub.database import get_engine
from fundlyhub.database.engines import make_engine
from fundlyhub.database.roles import PREFIX
from fundlyhub.processors.notifications.delivery_reports import inbox
from fundlyhub.processors.notifications.unsubscribe import token_for
from fundlyhub.settings import Settings
from fundlyhub.testing.databases import settings_of
from fundlyhub.webhooks.app import make_app
from tests.streams.entries import whole
from tests.support.command import fundlyhub
from tests.support.make import completed
from tests.support.platform import Platform, Process, wait_until
from tests.support.roles import Roles
from tests.webhooks.asking import PUBLIC, asking, event, signed

SENT = """
    INSERT INTO notifications (id, event_id, position, channel, recipient, template, user_id, transactional, state, provider)
    VALUES (%(id)s, %(event)s, 1, 'email', 'x', 'x', %(user)s, true, 'sent', 'sendgrid')
"""  # noqa: E501
# Nobody knows the donors' addresses: their messages wait.
TAKEN_UP = """
    SELECT (SELECT count(*) FROM app.processed_events WHERE processor = 'email_notification')
         + (SELECT count(*) FROM events.attempts WHERE processor = 'email_notification')
"""


@pytest.fixture
def roles(dsn: str) -> Roles:
    return Roles(dsn)


class Stage:
    """A platform whose processes work in a role each."""

    def __init__(self, platform: Platform, roles: Roles) -> None:
        self.platform, self.roles = platform, roles
        platform.environment["FUNDLYHUB_PROCESSORS"] = ""
        platform.environment["FUNDLYHUB_CLAIMS_PARTITION"] = "1000"

    @contextmanager
    def published_by(self, role: str) -> Iterator[None]:
        """This process publishes in a role."""
        with settings_of(self.roles.variables(role)):
            yield

    def start(self, name: str, *argv: str, role: str, **variables: str) -> Process:
        """A process in its role."""
        whole = [self.platform.python, "-m", *argv]
        return self.platform.start(name, whole, {**self.roles.variables(role), **variables})

    def run(self, role: str, *args: str) -> Any:
        """A command in a role, which works."""
        settings = {**self.platform.environment, **self.roles.variables(role)}
        ours = {name: value for name, value in settings.items() if name.startswith("FUNDLYHUB_")}
        done = fundlyhub(*args, settings=ours)
        assert "permission denied" not in done.stderr, (args, done.stderr)
        assert done.returncode == 0 or "health" in args, (args, done.stdout, done.stderr)
        return json.loads(done.stdout)

    def refused(self) -> list[str]:
        """What any process was refused."""
        lines = [line for one in self.platform.processes for line in one.log.read_text(errors="replace").splitlines()]
        return [line for line in lines if "42501" in line or "permission denied" in line]


@pytest.fixture
def stage(platform: Platform, roles: Roles) -> Stage:
    return Stage(platform, roles)


@pytest.mark.chaos  # for its length
@pytest.mark.timeout(900)
def test_the_whole_flow_with_each_process_in_its_own_role(stage: Stage) -> None:
    """Publishers in Python and SQL, streams, relay with its keeper, workers, metrics, and the operators' commands."""
    platform = stage.platform
    relay = stage.start("relay", "fundlyhub", "relay", role="relay")
    ingest = stage.start("ingest", "fundlyhub", "ingest", role="ingest")
    queues = "writes,projections,notifications,broadcasts"
    celery = ("celery", "-A", "fundlyhub", "worker", "-Q", queues, "-c", "2", "-n", f"{uuid4().hex}@%h", "-l", "INFO")
    worker = stage.start("worker", *celery, role="worker")
    metrics = stage.start("metrics", "fundlyhub", "metrics", "--port", "0", role="monitor")
    for process, said in ((relay, "connected to the log"), (ingest, "connected: reading"), (worker, " ready.")):
        wait_until(lambda one=process, text=said: one.said(text), what=f"{said} in its role")  # type: ignore[misc]
    with stage.published_by("publisher"):
        gifts = [completed() for _ in range(20)]
        for _ in range(2):  # the second time is a duplicate, which a publisher must be able to tell
            publish_events(gifts)
        publish_event(completed(amount=Decimal("5.50")))
    with stage.roles.connect("publisher") as db:
        db.execute("""SELECT events.publish_event('search.query.submitted', '{"query": "x"}')""")
    streams = redis.Redis.from_url(platform.environment["FUNDLYHUB_REDIS_URL"])
    streams.xadd("events", whole())
    streams.xadd("events", {"no": "event"})
    platform.wait_applied("campaign_stats", 21)
    wait_until(lambda: platform.value("SELECT count(*) FROM events.quarantine") == 1, what="the quarantine")
    wait_until(
        lambda: platform.value(TAKEN_UP) >= 20,
        what="the messages",
    )
    made = "SELECT count(*) FROM pg_tables WHERE tableowner = 'fundlyhub_owner' AND tablename ~ '^processed_events_1.*'"
    assert platform.value(made) == 0, "the first partition of the migration is larger"
    assert stage.refused() == []
    wait_until(lambda: "listening" in metrics.log.read_text() or "http" in metrics.log.read_text(), what="metrics")
    look(stage)
    decide(stage)
    assert stage.run("owner", "verify", "--json", "--wait", "30")["ok"]
    for process in (relay, ingest, worker, metrics):
        process.terminate()
    assert stage.refused() == []


def look(stage: Stage) -> None:
    """What watches, as `monitor`; and a health check in each process's own role."""
    status = stage.run("monitor", "status", "--json")
    assert status["log"]["head"] >= 23
    stage.run("monitor", "waiting", "--json")
    assert [one for one in stage.run("monitor", "health", "--json")["checks"] if not one["ok"]] == []
    stage.run("monitor", "processors", "list", "--json")
    stage.run("monitor", "claims", "status", "--json")
    for role, name in (("relay", "relay"), ("worker", "worker"), ("ingest", "ingest"), ("publisher", "api")):
        assert stage.run(role, "health", "--role", name, "--json")["ok"]


def decide(stage: Stage) -> None:
    """What operators do, as `console`."""
    run, by = stage.run, ("--by", "ann")
    assert len(run("console", "ingest", "quarantine", "list", "--json")) == 1
    run("console", "ingest", "quarantine", "show", "1", "--fields", "--json")
    run("console", "ingest", "quarantine", "discard", "1", "--reason", "x", *by, "--json")
    run("console", "processors", "pause", "activity_feed", "--reason", "x", *by, "--json")
    run("console", "processors", "resume", "activity_feed", *by, "--json")
    run("console", "dlq", "list", "--json")
    run("console", "payments", "list", "--json")
    run("console", "suppressions", "list", "--json")
    run("console", "suppressions", "undo", "--since", "2h", "--yes", *by, "--json")
    run("console", "notifications", "list", "--json")
    run("console", "notifications", "count", "--json")
    run("console", "notifications", "broadcasts", "--json")
    run("console", "notifications", "reports", "list", "--json")
    run("console", "search", "x", "--json")
    run("console", "feed", str(uuid4()), "--json")
    (line,) = run("console", "audit", "--json")
    assert line["role"] == "fundlyhub_console"


def test_operators_decide_about_dead_letters_as_console(stage: Stage) -> None:
    with stage.published_by("publisher"):
        position = publish_event(completed()).position
    stage.platform.execute(
        """INSERT INTO events.dead_letters (processor, position, event_id, type, error_class, error_message, traceback,
               fingerprint, attempts, first_failed_at, last_failed_at)
           SELECT 'campaign_stats', position, id, type, 'x', 'x', 'x', 'x', 1, now(), now()
           FROM events.events WHERE position = %s""",
        position,
    )
    run, by = stage.run, ("--by", "ann", "--json")
    shown = run("console", "dlq", "show", "1", "--payload", *by)
    run("console", "dlq", "discard", "1", "--reason", "x", *by)
    run("console", "dlq", "restore", "1", *by)
    patch = stage.platform.folder / "patch"
    patch.write_text('[{"op": "replace", "path": "/amount", "value": 7}]')
    assert shown["payload"]["currency"]
    run("console", "dlq", "edit", "1", "--patch", str(patch), *by)
    run("console", "dlq", "edit", "1", "--undo", *by)
    assert run("console", "dlq", "replay", "1", "--no-wait", *by)["replayed"] == 1
    roles = stage.platform.value("SELECT array_agg(DISTINCT role) FROM events.dead_letter_audit WHERE who = 'ann'")
    assert roles == [f"{PREFIX}console"]


def test_webhooks_know_the_app_db_and_of_it_what_they_write(roles: Roles, settings: Settings) -> None:
    id_, user = uuid4(), uuid4()
    with get_engine("app").begin() as db:
        db.exec_driver_sql(SENT, {"id": id_, "event": uuid4(), "user": user})
    changes: Any = {
        "sendgrid_webhook_key": PUBLIC,
        "public_url": "https://hooks.example",
        "app_dsn": roles.dsn("webhooks"),
    }
    mine = Settings(**{**settings.model_dump(exclude_none=True, exclude={"events_dsn", "analytics_dsn"}), **changes})
    engine = make_engine("app", mine)
    ask = asking(make_app(mine, engine))
    assert ask("POST", "/sendgrid/events", **signed([event(id_, "bounce", type="bounce")])).status_code == 200
    inbox.take_up(engine)  # as its thread does
    assert ask("POST", f"/unsubscribe/{token_for(user, 'social', mine.secret)}").status_code == 200
    engine.dispose()
    with get_engine("app").connect() as db:
        assert db.exec_driver_sql("SELECT state FROM notifications").scalar_one() == "failed"
        assert db.exec_driver_sql("SELECT role FROM suppression_causes").scalar_one() == "fundlyhub_webhooks"
        assert db.exec_driver_sql("SELECT wanted FROM preferences").scalar_one() is False
