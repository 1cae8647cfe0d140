"""The limit of the whole: all effects set-based by psycopg, all messages with our templates over kept connections.

Two processes take every other batch of a finished log: no relay, no broker, no framework, no ledger, no checks. The
rows against repeats are written, those of messages when a whole batch of them is out.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from http.client import HTTPConnection
from itertools import groupby
from threading import local
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
import psycopg

from benchmarks.peers import work
from benchmarks.peers.whole_effects import CLAIM, EFFECTS, array
from benchmarks.peers.whole_messages import CHANNELS, Message, messages
from benchmarks.peers.work import Event
from fundlyhub.processors.notifications.contacts import Person
from fundlyhub.processors.notifications.rendering.render import render
from fundlyhub.processors.notifications.rendering.template_values import Facts, Money

BATCH = 2_000
THREADS = 8
SITE = "http://localhost:8000"

_LAST = "SELECT last, (SELECT max(position) FROM events.events) FROM bench.cast"
_READ = """
    SELECT position - $3, id::text, type, occurred_at, payload::text FROM events.events
    WHERE position > $1 AND position <= $2 ORDER BY position
"""
_SMS = "/2010-04-01/Accounts/AC0/Messages.json"
_own = local()


def batch(db: psycopg.Connection[Any], pool: ThreadPoolExecutor, first: int, last: int, before: int) -> None:
    """One batch from the log into the tables, and to its people."""
    events = list(_read(db, first, last, before))
    for kind, some in groupby(sorted(events, key=lambda event: event["type"]), key=lambda event: event["type"]):
        of_kind = list(some)
        for effect in EFFECTS[kind]:
            effect.apply(db, of_kind)
    list(pool.map(send, messages(db, events, ("email", "push", "sms"))))
    told = [(channel, event["number"], event["id"]) for event in events for channel in CHANNELS[event["type"]]]
    db.execute(CLAIM, [array(column) for column in zip(*told, strict=True)])


def _read(db: psycopg.Connection[Any], first: int, last: int, before: int) -> Iterator[Event]:
    for number, id, kind, at, payload in db.execute(_READ, (first, last, before)):
        yield {"number": number, "id": id, "type": kind, "at": at, "payload": orjson.loads(payload)}


def send(message: Message) -> None:
    """Render a message and post it; raises when it is not taken."""
    event, reader = message.event, Person(None, message.name, locale=message.locale)
    subject, text, html = render(message.template, message.channel, facts(message), reader, site_url=SITE,
                                 preferences_url=f"{SITE}/settings/notifications")  # fmt: skip
    match message.channel:
        case "email":
            person = {"to": [{"email": message.to}], "custom_args": {"notification": event["id"]}}
            contents = [{"type": "text/plain", "value": text}, {"type": "text/html", "value": html}]
            post("/v3/mail/send", {"personalizations": [person], "from": {"email": "no-reply@example.org"},
                                   "subject": subject, "content": contents})  # fmt: skip
        case "push":
            shown = {"title": subject, "body": text}
            post("/v1/projects/fundlyhub/messages:send", {"message": {
                "token": message.to, "notification": shown, "android": {"collapse_key": event["id"]}}})  # fmt: skip
        case _:
            form = {"To": message.to, "Body": text, "StatusCallback": f"{SITE}/?notification={event['id']}"}
            _post(_SMS, urlencode(form).encode(), "application/x-www-form-urlencoded")


def facts(message: Message) -> Facts:
    """What the templates say."""
    said, event = message.event["payload"], message.event
    amount = Money(Decimal(str(message.amount)), message.currency or "USD") if message.amount else None
    return {
        "campaign": message.campaign, "campaign_url": f"{SITE}/campaigns/{said.get('campaignId')}", "amount": amount,
        "reference": said.get("donationId"), "donated_at": event["at"], "anonymous": bool(said.get("isAnonymous")),
        "donor": message.other, "follower": message.other,
        "arrived_on": date.fromisoformat(said["actualArrivalDate"]) if "actualArrivalDate" in said else None,
    }  # fmt: skip


def post(path: str, body: Any) -> None:
    """Post JSON."""
    _post(path, json.dumps(body).encode(), "application/json")


def _post(path: str, body: bytes, kind: str) -> None:
    if not hasattr(_own, "line"):
        _own.line = HTTPConnection(urlsplit(os.environ["BENCH_PROVIDER"]).netloc, timeout=60)
    _own.line.request("POST", path, body, {"Content-Type": kind})
    answer = _own.line.getresponse()
    answer.read()
    if answer.status >= 300:
        raise RuntimeError(f"not taken: {answer.status}")


def run(number: int, processes: int) -> None:
    """Every ``processes``-th batch of the log after the cast."""
    db = work.connection()
    before, last = db.execute(_LAST).fetchone() or (0, 0)
    with ThreadPoolExecutor(THREADS) as pool:
        for first in range(before + number * BATCH, last, processes * BATCH):
            batch(db, pool, first, min(first + BATCH, last), before)


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]))
