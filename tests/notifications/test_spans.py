"""Calls of a provider belong to the traces of the events that they are made for."""

from __future__ import annotations

from uuid import UUID

from fundlyhub import publish_event
from fundlyhub.processing.executor import execute
from fundlyhub.processors.notifications import EmailNotificationProcessor
from fundlyhub.testing.providers import Behaviour, SendGrid
from tests.notifications.post import Post, registered
from tests.support.spans import parent, place, recording, request


def test_calls_made_side_by_side_are_each_in_the_trace_of_their_event(post: Post, mailer: SendGrid) -> None:
    with recording() as spans:
        positions, traces = [], []
        for number in (1, 2):
            with request() as caller:
                positions.append(publish_event(registered(UUID(int=100 + number))).position or 0)
                traces.append(place(caller)[0])
        execute(EmailNotificationProcessor, positions)
        for trace in traces:
            call, processed = spans.one("send sendgrid", trace), spans.one("process email_notification", trace)
            assert parent(call) == place(processed)
            assert call.attributes == {}


def test_a_call_that_fails_is_told_by_its_class_and_mails_without_a_trace_have_none(
    post: Post, mailer: SendGrid
) -> None:
    with recording() as spans:
        execute(EmailNotificationProcessor, [publish_event(registered(UUID(int=101))).position or 0])
        assert list(spans.all()) == []
        mailer.behave(Behaviour(status=400))
        with request():
            position = publish_event(registered(UUID(int=102))).position or 0
        execute(EmailNotificationProcessor, [position])
        call = spans.one("send sendgrid")
        assert (call.attributes, call.events) == ({"error.type": "Permanent"}, ())
        assert call.status.description is None
        processed = spans.one("process email_notification").attributes or {}
        assert (processed["fundlyhub.outcome"], processed["error.type"]) == ("dead", "Permanent")
