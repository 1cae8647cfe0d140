"""The average team's mails: one task an event, which looks the user up, renders a template and calls SendGrid.

No ledger, no breaker, no dedupe: a task that comes twice mails twice. The outbox and its relay are celery_outbox's.
"""

from __future__ import annotations

import os
from functools import cache

import sendgrid
from celery import Celery
from jinja2 import Environment
from sendgrid.helpers.mail import CustomArg, Mail, Personalization, To

from benchmarks.peers import celery_outbox, work
from benchmarks.peers.work import Event

app = Celery("average", broker=work.REDIS)
app.conf.update(celery_outbox.SETTINGS)

_USER = "SELECT name, email FROM bench.users WHERE id = $1"
_TEMPLATES = Environment(autoescape=True)
_HTML = _TEMPLATES.from_string("""
<html><body><h1>Welcome, {{ name }}!</h1><p>It is good that you are here. Your first campaign is two minutes away:
<a href="{{ site }}/campaigns/new">begin</a>, or <a href="{{ site }}/discover">look around</a>.</p></body></html>
""")
_TEXT = _TEMPLATES.from_string("Welcome, {{ name }}!\n\nBegin: {{ site }}/campaigns/new\nLook: {{ site }}/discover\n")


@cache
def client() -> sendgrid.SendGridAPIClient:
    """One for the process, with a timeout."""
    made = sendgrid.SendGridAPIClient("SG.key", host=os.environ["BENCH_PROVIDER"])
    made.client.timeout = 10
    return made


@app.task(name="apply", shared=False)
def send(event: Event) -> None:
    """One mail."""
    name, email = work.connection().execute(_USER, (event["user"],)).fetchone() or ("", "")
    facts = {"name": name, "site": "http://localhost:8000"}
    mail = Mail(
        "no-reply@example.org", None, "Welcome to FundlyHub", _TEXT.render(facts), _HTML.render(facts),
    )  # fmt: skip
    person = Personalization()
    person.add_to(To(email, name))
    person.add_custom_arg(CustomArg("notification", event["id"]))
    mail.add_personalization(person)
    client().send(mail)
