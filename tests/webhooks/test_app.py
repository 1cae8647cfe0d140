"""The app of the webhooks: leaving mails, limits, health, and the command that serves it."""

from __future__ import annotations

import logging
import signal
import socket
import sys
import time
from typing import Any
from uuid import UUID

import httpx
import pytest
import redis
from sqlalchemy import create_engine

from fundlyhub.database import get_engine
from fundlyhub.processors.notifications.delivery_reports.inbox import take_up
from fundlyhub.processors.notifications.unsubscribe import token_for, unsubscribe_url
from fundlyhub.settings import Settings
from fundlyhub.webhooks.app import STRANGERS, make_app
from tests.support.platform import Platform, wait_until
from tests.webhooks.asking import ME, PUBLIC, Ask, asking, event, signed
from tests.webhooks.test_feedback import known, message

ON_VALKEY = pytest.mark.parametrize("platform", ["valkey"], indirect=True)
"""A broker is nothing to it."""


class TestUnsubscribe:
    def wishes(self) -> list[tuple[Any, ...]]:
        with get_engine("app").begin() as db:
            return [tuple(row) for row in db.exec_driver_sql("SELECT * FROM preferences")]

    def link(self, settings: Settings, category: str = "updates") -> str:
        whole = unsubscribe_url("https://hooks.example/", ME, category, settings.secret)
        return whole.removeprefix("https://hooks.example")

    def test_to_look_changes_nothing_and_the_button_opts_out_once(self, ask: Ask, configured: Settings) -> None:
        link = self.link(configured)
        page = ask("GET", link)
        assert (page.status_code, self.wishes()) == (200, [])
        assert "No more mails about news of campaigns?" in page.text
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        for _ in range(2):
            done = ask("POST", link, content="List-Unsubscribe=One-Click")
            assert "no more mails about news of campaigns" in done.text
        assert self.wishes() == [(ME, "updates", "email", False)]

    def test_it_speaks_german(self, ask: Ask, configured: Settings) -> None:
        page = ask("GET", self.link(configured), headers={"Accept-Language": "de-AT,de;q=0.9"})
        assert "Abbestellen" in page.text

    def test_a_link_that_is_not_ours_changes_nothing(self, ask: Ask, configured: Settings) -> None:
        good = token_for(ME, "updates", configured.secret)
        bad = [
            good[:-1], good.replace("updates", "receipts"), "x", good + "0", token_for(ME, "updates", b"another key"),
            good.replace(ME.hex, UUID(int=2).hex), "%3Cscript%3E", "a.b.c",
        ]  # fmt: skip
        for token in bad:
            for method in ("GET", "POST"):
                answer = ask(method, f"/unsubscribe/{token}")
                assert answer.status_code == 404
                assert "<script" not in answer.text
        assert self.wishes() == []


def test_a_stranger_who_asks_too_often_is_told_to_wait_and_the_provider_is_not(ask: Ask, configured: Settings) -> None:
    with redis.Redis.from_url(configured.redis) as client:  # as if he had asked all that before
        for minute in (int(time.time()) // 60, int(time.time()) // 60 + 1):
            client.set(f"fundlyhub:webhooks:sendgrid:127.0.0.1:{minute}", STRANGERS)
    assert ask("POST", "/sendgrid/events", **signed([])).status_code == 200
    answer = ask("POST", "/sendgrid/events", content=b"[]")
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 60


def test_without_redis_requests_are_counted_in_the_process(configured: Settings) -> None:
    from pydantic import SecretStr

    lonely = configured.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1/0")})
    asked = asking(make_app(lonely, get_engine("app")))
    codes = [asked("GET", "/unsubscribe/x").status_code for _ in range(130)]
    assert set(codes) == {404, 429}, "130 cannot all be of two minutes"


def test_a_database_that_is_gone_makes_the_provider_come_again(configured: Settings) -> None:
    dead = create_engine("postgresql+psycopg://x:x@127.0.0.1:1/x")
    asked = asking(make_app(configured, dead))
    answer = asked("POST", "/sendgrid/events", **signed([event(UUID(int=5))]))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert asked("GET", "/health").status_code == 503


def test_health_and_doors_that_are_not_there(settings: Settings) -> None:
    asked = asking(make_app(settings, get_engine("app")))
    reports = {"waiting": 0, "failed": 0, "oldest_seconds": 0.0}
    assert asked("GET", "/health").json() == {"ok": True, "reports": reports}
    assert asked("POST", "/sendgrid/events", **signed([])).status_code == 404
    assert asked("POST", "/twilio/status").status_code == 404


def test_no_address_and_no_token_is_logged(ask: Ask, configured: Settings, caplog: pytest.LogCaptureFixture) -> None:
    token = token_for(ME, "updates", configured.secret)
    with caplog.at_level(logging.DEBUG, logger="fundlyhub"):
        ask("POST", "/sendgrid/events", **signed([event(message(get_engine("app")), "bounce", status="5.1.1")]))
        take_up(get_engine("app"))
        ask("POST", f"/unsubscribe/{token}")
    ours = "\n".join(one.getMessage() for one in caplog.records if one.name.startswith("fundlyhub"))
    assert "taken up" in ours  # the test's own client may log its requests
    assert "example.org" not in ours
    assert token not in ours


@ON_VALKEY
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_command_serves_until_it_is_told_to_stop(platform: Platform, number: signal.Signals) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    served = platform.start(
        "webhooks", [sys.executable, "-m", "fundlyhub", "webhooks", "--port", str(port)],
        {"FUNDLYHUB_SENDGRID_WEBHOOK_KEY": PUBLIC},
    )  # fmt: skip

    def answers() -> bool:
        assert served.popen.poll() is None, served.log.read_text()
        try:
            return httpx.get(f"http://127.0.0.1:{port}/health", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    wait_until(answers, what="the app")
    id_ = message(get_engine("app"))
    sent = httpx.post(f"http://127.0.0.1:{port}/sendgrid/events", **signed([event(id_)]), timeout=10)
    assert sent.json() == {"stored": 1}
    wait_until(lambda: known(get_engine("app"), id_) == ("delivered", None), what="its thread to take it up")
    httpx.get(f"http://127.0.0.1:{port}/unsubscribe/secret-token", timeout=10)
    served.popen.send_signal(number)
    assert served.popen.wait(60) == 0
    assert "secret-token" not in served.log.read_text()


@ON_VALKEY
def test_a_signal_is_heard_before_it_serves_too(platform: Platform) -> None:
    starting = platform.start("webhooks", [sys.executable, "-m", "fundlyhub", "webhooks", "--port", "0"], {})
    wait_until(lambda: starting.said("FUNDLYHUB_SENDGRID_WEBHOOK_KEY is not set"), what="its first words")
    assert starting.terminate() == 0
