"""What a process does with the services outside, for test_forks.py; each tells what it was answered."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from uuid import uuid4

from fundlyhub.channels.breaker import Breaker, SharedStorage
from fundlyhub.channels.breaker.burst_storage import BurstStorage
from fundlyhub.channels.elasticsearch import SearchEngine, Versioned
from fundlyhub.channels.messages import Mail, Push, Sender, Sms
from fundlyhub.processors.notifications.processor import _pool
from fundlyhub.web.limits import Limits
from tests.channels.senders import fcm_at, mail, push, sendgrid_at, sms, twilio_at

CALLS = 10
URL, FOLDER = os.environ.get("TEST_URL", ""), Path(os.environ.get("TEST_FOLDER", "."))

Ids = list[str | None]


@cache
def _sendgrid() -> Sender[Mail]:
    return sendgrid_at(URL, timeout=10)


@cache
def _twilio() -> Sender[Sms]:
    return twilio_at(URL, timeout=10)


@cache
def _fcm() -> Sender[Push]:
    return fcm_at(URL, FOLDER, timeout=10)


@cache
def _breaker() -> Breaker:
    return Breaker("forked", SharedStorage("forked", URL))


@cache
def _bursts() -> Breaker:
    return Breaker("forked", BurstStorage(SharedStorage("forked", URL), fresh=600))


@cache
def _engine() -> SearchEngine:
    engine = SearchEngine(URL, Breaker("search"), prefix=f"t{os.getpid()}")
    engine.create("campaign")
    return engine


@cache
def _limits() -> Limits:
    return Limits("webhooks", URL)


def mails() -> Ids:
    """SendGrid's ids of mails."""
    return [_sendgrid().send(mail(str(uuid4()))) for _ in range(CALLS)]


def texts() -> Ids:
    """Twilio's of text messages."""
    return [_twilio().send(sms(str(uuid4()))) for _ in range(CALLS)]


def pushes() -> Ids:
    """FCM's of push messages."""
    return [_fcm().send(push(str(uuid4()))) for _ in range(CALLS)]


def in_threads() -> Ids:
    """SendGrid's, asked by the threads of a channel."""
    return list(_pool("email", 16).map(lambda _: _sendgrid().send(mail(str(uuid4()))), range(CALLS), timeout=20))


def searches() -> Ids:
    """Documents that the search engine took."""
    ids = [uuid4() for _ in range(CALLS)]
    for id in ids:
        assert list(_engine().write("campaign", [Versioned(id, 1, {"title": "x"})]).settled) == [id]
    return [str(id) for id in ids]


def breakers() -> Ids:
    """What a counter stood at after each call, as all processes count it together; and calls go through."""
    storage, counts = _breaker()._storage, []
    for _ in range(CALLS):
        counts.append(str(storage.entered("epoch", 0, 1, keep=60)))
        _breaker().call(lambda: None)
    return [*counts]


def bursts() -> Ids:
    """Calls that the next burst of this process counts."""
    _bursts().flush()
    return [str(_bursts().call(lambda: 7)) for _ in range(CALLS)]


def limits() -> Ids:
    """The same, of requests."""
    return [str(_limits()._count("fundlyhub:webhooks:forked", 1)) for _ in range(CALLS)]
