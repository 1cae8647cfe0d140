"""Logs of real processes: one shape for all of them, with what was worked at, and nothing of people's data."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis
from kombu import Connection, Producer

from fundlyhub import publish_event, publish_events
from fundlyhub.events.catalogue.payout import PayoutBankAccountVerificationFailed
from fundlyhub.events.catalogue.search import SearchResultsProjected
from fundlyhub.events.catalogue.user import UserLoggedIn
from fundlyhub.testing.providers import Behaviour, Fcm, SendGrid, Twilio
from tests.channels.senders import service_account
from tests.notifications.conftest import close_breakers
from tests.notifications.post import quiet, registered
from tests.support.leaking_processors import TABLE, WAYS
from tests.support.make import search
from tests.support.platform import Platform, Process, wait_until

ADDRESS, DEVICE, NUMBER, MARK, KEY = "ada@example.org", "device-token-1", "491701234567", "Zz9mark", "SG.k3y-of-ours"
MARKS = (ADDRESS, DEVICE, NUMBER, MARK, KEY, "203.0.113", "tok3n", "a key for tests")
"""What no log may hold. The providers quote the first three."""
ME = UUID(int=1)
TROUBLE = [Behaviour(status=400), Behaviour(status=500), Behaviour(how="reset after reading"), Behaviour(how="garbage")]
TROUBLE += [Behaviour(status=503)] * 6  # the last of which open the breaker


@contextmanager
def providers(platform: Platform) -> Iterator[list[Any]]:
    """All three, quoting what they refuse; each has every kind of trouble before it takes a message."""
    with SendGrid.running() as mails, Fcm.running() as pushes, Twilio.running() as texts:
        account = service_account(platform.folder, f"{pushes.url}/token")
        platform.environment |= {
            "FUNDLYHUB_EMAIL_BACKEND": "sendgrid",
            "FUNDLYHUB_SENDGRID_API_KEY": KEY,
            "FUNDLYHUB_SENDGRID_BASE_URL": mails.url,
            "FUNDLYHUB_PUSH_BACKEND": "fcm",
            "FUNDLYHUB_FCM_SERVICE_ACCOUNT_FILE": str(account),
            "FUNDLYHUB_FCM_BASE_URL": pushes.url,
            "FUNDLYHUB_SMS_BACKEND": "twilio",
            "FUNDLYHUB_TWILIO_ACCOUNT_SID": f"AC{'0a' * 16}",
            "FUNDLYHUB_TWILIO_AUTH_TOKEN": "tok3n",
            "FUNDLYHUB_TWILIO_FROM": "+15550000000",
            "FUNDLYHUB_TWILIO_BASE_URL": texts.url,
            "FUNDLYHUB_BREAKER_REST": "0.5",
            "FUNDLYHUB_NOTIFICATION_LEASE": "3",
        }
        found = [mails, pushes, texts]
        for fake in found:
            fake.behave(*TROUBLE)
        yield found


def processes(platform: Platform, form: str) -> list[Process]:
    """A relay, an ingest and a worker, which say all that they can say."""
    told = {
        "FUNDLYHUB_LOG_FORMAT": form,
        "FUNDLYHUB_PROCESSORS": "tests.support.leaking_processors",
        "FUNDLYHUB_INGEST_STREAMS": "events",
    }
    python = [sys.executable, "-m"]
    worker = [*python, "celery", "-A", "fundlyhub", "worker", "-c", "2"]
    worker += ["-Q", "writes,projections,notifications,broadcasts"]
    worker += ["-n", f"{uuid4().hex[:8]}@%h", "--without-gossip", "--without-mingle", "-l", "DEBUG"]
    started = [
        platform.start("relay", [*python, "fundlyhub", "relay", "--verbose"], told),
        platform.start("ingest", [*python, "fundlyhub", "ingest", "--verbose"], told),
        platform.start("worker", worker, {"REMAP_SIGTERM": "SIGQUIT", **told}),
    ]
    for process, text in zip(started, ("leading, in epoch", "connected: reading", " ready."), strict=True):
        wait_until(partial(process.said, text), what=text)
    return started


def trouble(platform: Platform) -> UUID:
    """People and all that can go wrong with them; the correlation of the first event."""
    correlation = uuid4()
    publish_event(search(f"bug {MARK} {ADDRESS}"), correlation_id=correlation)
    publish_events(search(f"{way} {MARK} {ADDRESS} {n}") for way in WAYS for n in range(2))
    publish_event(SearchResultsProjected(query=MARK, results=[], result_count=0))
    publish_events([registered(UUID(int=n), email=ADDRESS, name=f"Ada {MARK}") for n in range(1, 9)])
    counted = "SELECT count(*) FROM app.contacts"
    wait_until(lambda: platform.value(counted) == 8, what="the people to be known")
    awake = "UPDATE app.contacts SET phone = %s, quiet_from = %s, quiet_until = %s"
    platform.execute(awake, f"+{NUMBER}", *quiet(hours=6))
    platform.execute("INSERT INTO app.devices (user_id, token) VALUES (%s, %s)", ME, DEVICE)
    for n in range(8):
        place = {"ip_address": f"203.0.113.{n}", "user_agent": MARK}
        publish_event(UserLoggedIn(user_id=ME, timestamp=datetime.now(UTC), **place))
        publish_event(
            PayoutBankAccountVerificationFailed(
                user_id=ME, bank_account_id=uuid4(), failure_reason=f"{MARK} {n}", attempt_count=1, can_retry=False
            )
        )
    client = redis.Redis.from_url(platform.environment["FUNDLYHUB_REDIS_URL"])
    client.xadd("events", {"type": "user.registered", "payload": f'{{"email": "{ADDRESS}"', "name": MARK})
    send_nonsense(platform)
    return correlation


def send_nonsense(platform: Platform) -> None:
    """A message that is no work."""
    with Connection(platform.environment["FUNDLYHUB_BROKER_URL"]) as connection:
        producer = Producer(connection.channel(), auto_declare=False)
        body = f'{{"to": "{ADDRESS} {MARK}'
        json_text = {"content_type": "application/json", "content_encoding": "utf-8"}
        producer.publish(body, exchange="", routing_key="projections", **json_text)


def settled(platform: Platform) -> bool:
    """Every way to fail has come to its end, and each provider's trouble is behind it."""
    letters = platform.value("SELECT count(*) FROM events.dead_letters WHERE processor = 'test_leaking'")
    return int(letters) == 11 and bool(platform.value("SELECT count(*) FROM events.quarantine"))


@pytest.mark.chaos  # for its length
@pytest.mark.parametrize("platform", ["valkey"], indirect=True)
@pytest.mark.parametrize("form", ["json", "console"])
def test_whatever_fails_no_log_quotes_people(platform: Platform, form: str) -> None:
    close_breakers()
    platform.execute(TABLE)
    with providers(platform) as fakes:
        started = processes(platform, form)
        correlation = trouble(platform)
        wait_until(lambda: settled(platform), what="all that fails to fail")
        wait_until(lambda: all(fake.requests > len(TROUBLE) for fake in fakes), what="the providers' trouble")
        wait_until(lambda: started[2].said("raised unexpected"), what="Celery to tell of an error")
        for process in started:
            process.terminate()
    logs = [process.log.read_text() for process in started]
    for mark in MARKS:
        for process, text in zip(started, logs, strict=True):
            found = [line for line in text.splitlines() if mark.lower() in line.lower()]
            assert not found, f"{process.log.name} quotes {mark}: {found[:3]}"
    if form == "json":
        lines = [line for text in logs for line in text.splitlines()]
        # At a signal Celery says a line that goes past all logging.
        entries = [json.loads(line) for line in lines if line and not line.startswith("worker: ")]
        whole(platform, entries, correlation)
    else:
        assert f" attempt=2 correlation_id={correlation}\n" in logs[2]


def whole(platform: Platform, entries: list[dict[str, Any]], correlation: UUID) -> None:
    """All entries have one shape, and of an event they tell which one it is."""
    assert all({"time", "level", "process", "logger", "message"} <= entry.keys() for entry in entries)
    own = [entry for entry in entries if entry.get("correlation_id") == str(correlation)]
    row = "SELECT event_id::text || ' ' || position FROM events.dead_letters d WHERE position = (SELECT min(position)"
    event_id, position = platform.value(f"{row} FROM events.events)").split()
    assert [(e["level"], e["attempt"]) for e in own] == [("info", 1), ("error", 2)]
    for entry in own:
        assert entry["processor"] == "test_leaking"
        assert (entry["event_id"], entry["position"]) == (event_id, int(position))
        assert entry["message_id"]
    breakers = [entry for entry in entries if entry["message"].startswith("the breaker of sendgrid is")]
    assert breakers and {"email_notification"} == {entry["processor"] for entry in breakers}
    assert all(entry["event_id"] for entry in breakers), "in the threads of a channel too"
    celerys = [entry for entry in entries if entry["logger"] == "celery.app.trace" and entry["level"] == "error"]
    assert celerys and all(entry["error"] == "KeyError" and "traceback" in entry for entry in celerys)
    assert {"some.library", "some.other", "fundlyhub"} <= {entry["logger"] for entry in entries}
