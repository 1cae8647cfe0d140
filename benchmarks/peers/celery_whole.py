"""The average team's Celery that does all of it: one task an event and handler, and one for each channel of messages.

A row against repeats goes in with each effect, and before each message: a task that comes twice does nothing, and one
that dies in between loses its message. There is no ledger, no breaker and no limit on messages. The outbox is
celery_outbox's.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from functools import cache

import requests
from celery import Celery
from jinja2 import Environment
from sendgrid.helpers.mail import CustomArg, Mail, Personalization, To

from benchmarks.peers import celery_outbox, work
from benchmarks.peers.celery_mail import client
from benchmarks.peers.whole_effects import CLAIM, EFFECTS, array
from benchmarks.peers.whole_messages import CHANNELS, Channel, Message, messages
from benchmarks.peers.work import Event

app = Celery("average", broker=work.REDIS)
app.conf.update(celery_outbox.SETTINGS)

_CHANGE = "INSERT INTO bench.changes (event_id, type) VALUES ($1, $2)"
_WORDS = {
    "welcome": "It is good that you are here. Your first campaign is two minutes away.",
    "donation_receipt": "Thank you for {{ amount }} {{ currency }} for {{ campaign }}. This is your receipt.",
    "new_donation": "{{ other or 'Somebody' }} has given {{ amount }} {{ currency }} to {{ campaign }}.",
    "new_follower": "{{ other }} follows you now.",
    "payout_completed": "Your payout of {{ amount }} {{ currency }} has arrived.",
}
_HTML = """
<html><body><h1>Hello, {{ name }}!</h1><p>%s</p><p><a href="http://localhost:8000/settings">Settings</a></p></body></html>
"""
_PLAIN, _ESCAPED = Environment(autoescape=False), Environment(autoescape=True)  # noqa: S701  # the first makes no HTML
_TEXTS = {name: _PLAIN.from_string(words) for name, words in _WORDS.items()}
_PAGES = {name: _ESCAPED.from_string(_HTML % words) for name, words in _WORDS.items()}
_SUBJECT = "News from FundlyHub"


@app.task(name="effect", shared=False)
def effect(event: Event, number: int) -> None:
    """What one handler does for one event."""
    EFFECTS[event["type"]][number].apply(work.connection(), [event])


@app.task(name="tell", shared=False)
def tell(event: Event, channel: Channel) -> None:
    """The messages of one event through one channel."""
    db = work.connection()
    claim = [array([one]) for one in (channel, event["number"], event["id"])]
    if db.execute(CLAIM, claim, prepare=True).fetchone():
        for message in messages(db, [event], [channel]):
            _SENDERS[channel](message)


@app.task(name="together", shared=False)
def together(event: Event) -> None:
    """All effects of one event, and its messages."""
    for number in range(len(EFFECTS[event["type"]])):
        effect(event, number)
    for channel in CHANNELS[event["type"]]:
        tell(event, channel)


def apart(event: Event) -> None:
    """A task for each effect of an event, and for each channel of its messages."""
    for number in range(len(EFFECTS[event["type"]])):
        effect.delay(event, number)
    for channel in CHANNELS[event["type"]]:
        tell.delay(event, channel)


def _mail(message: Message) -> None:
    said = message._asdict()
    text, page = _TEXTS[message.template].render(said), _PAGES[message.template].render(said)
    mail, person = Mail("no-reply@example.org", None, _SUBJECT, text, page), Personalization()
    person.add_to(To(message.to, message.name))
    person.add_custom_arg(CustomArg("notification", message.event["id"]))
    mail.add_personalization(person)
    client().send(mail)


def _push(message: Message) -> None:
    text, tag = _TEXTS[message.template].render(message._asdict()), message.event["id"]
    body = {"token": message.to, "notification": {"title": _SUBJECT, "body": text}, "android": {"collapse_key": tag}}
    _post("/v1/projects/fundlyhub/messages:send", json={"message": body})


def _sms(message: Message) -> None:
    text, back = (
        _TEXTS[message.template].render(message._asdict()),
        f"http://localhost/?notification={message.event['id']}",
    )
    _post("/2010-04-01/Accounts/AC0/Messages.json", data={"To": message.to, "Body": text, "StatusCallback": back})


_SENDERS = {"email": _mail, "push": _push, "sms": _sms}


@cache
def _session() -> requests.Session:
    return requests.Session()


def _post(path: str, **body: object) -> None:
    """One kept connection, where the SDKs would make one for each message."""
    answer = _session().post(os.environ["BENCH_PROVIDER"] + path, timeout=10, **body)  # type: ignore[arg-type]
    answer.raise_for_status()


def publish(events: Sequence[Event]) -> None:
    """Business row and outbox row."""
    db = work.connection()
    with db.transaction():
        for event in events:
            db.execute(_CHANGE, (event["id"], event["type"]))
            db.execute(celery_outbox.PUT, (json.dumps(event),))


if __name__ == "__main__":
    if sys.argv[1] == "relay":
        celery_outbox.relay(apart if sys.argv[2] == "apart" else together.delay)
    work.main(work=lambda: None, fill=celery_outbox.fill, publish=publish)
