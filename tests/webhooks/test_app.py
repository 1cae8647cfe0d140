"""The webhooks' doors: who is let in, what a request changes, and what it never changes."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import httpx
import pytest
import redis
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import create_engine
from twilio.request_validator import RequestValidator

from fundlyhub.channels.twilio import REPEATED
from fundlyhub.database import get_engine
from fundlyhub.errors import WrongUse
from fundlyhub.processors.notifications.delivery_reports.inbox import take_up
from fundlyhub.processors.notifications.unsubscribe import token_for, unsubscribe_url
from fundlyhub.processors.shared.address_hashes import address_hash
from fundlyhub.settings import Settings
from fundlyhub.webhooks.app import LARGEST, STRANGERS, make_app
from fundlyhub.webhooks.sendgrid import SIGNATURE, TIMESTAMP, public_key
from tests.support.platform import Platform, wait_until
from tests.webhooks.test_feedback import known, message, suppressed

ME = UUID(int=1)
KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = base64.b64encode(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
TOKEN = "tw1lio-token"
ON_VALKEY = pytest.mark.parametrize("platform", ["valkey"], indirect=True)
"""A broker is nothing to it."""
Ask = Callable[..., httpx.Response]


@pytest.fixture
def configured(settings: Settings) -> Settings:
    """Both providers' keys are set; nobody has asked anything yet."""
    with redis.Redis.from_url(settings.redis) as client:
        for key in client.scan_iter("fundlyhub:webhooks:*"):
            client.delete(key)
    changes: Any = {"sendgrid_webhook_key": PUBLIC, "public_url": "https://hooks.example"}
    from pydantic import SecretStr

    return settings.model_copy(update={**changes, "twilio_auth_token": SecretStr(TOKEN)})


@pytest.fixture
def ask(configured: Settings) -> Iterator[Ask]:
    """Requests to the app."""
    yield asking(make_app(configured, get_engine("app")))


def asking(app: Any) -> Ask:
    def ask(method: str, path: str, **options: Any) -> httpx.Response:
        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="https://hooks.example") as client:
                return await client.request(method, path, **options)

        return asyncio.run(run())

    return ask


def event(id_: UUID, kind: str = "delivered", **more: Any) -> dict[str, Any]:
    return {"event": kind, "notification": str(id_), "email": "Ada@example.org", "sg_message_id": "m.1", **more}


def signed(events: Any, *, at: float | None = None, body: bytes | None = None) -> dict[str, Any]:
    """A request as SendGrid signs it."""
    body = body if body is not None else json.dumps(events).encode()
    stamp = str(int(time.time() if at is None else at))
    signature = KEY.sign(stamp.encode() + body, ec.ECDSA(SHA256()))
    return {"content": body, "headers": {SIGNATURE: base64.b64encode(signature).decode(), TIMESTAMP: stamp}}


class TestSendGrid:
    def test_its_events_change_messages(self, ask: Ask, configured: Settings) -> None:
        app = get_engine("app")
        delivered, bounced, blocked, spam = (message(app) for _ in range(4))
        events = [
            event(delivered), event(bounced, "bounce", type="bounce", status="5.1.1"),
            event(blocked, "bounce", type="blocked"), event(spam, "spamreport"),
            event(delivered, "open"), {"event": "delivered"}, "nonsense",
            {"event": "delivered", "notification": "not an id"},
        ]  # fmt: skip
        answer = ask("POST", "/sendgrid/events", **signed(events))
        assert (answer.status_code, answer.json()) == (200, {"stored": 4})
        assert known(app, delivered) == ("sent", None), "it is only stored yet"
        assert take_up(app) == {"delivered": 1, "bounced": 1, "undelivered": 1, "complained": 1}
        assert [known(app, id_) for id_ in (delivered, bounced, blocked, spam)] == [
            ("delivered", None), ("failed", "bounced"), ("failed", "undelivered"), ("delivered", "complained"),
        ]  # fmt: skip
        assert suppressed(app) == [(address_hash("email", "ada@example.org", configured.secret), "bounced")]

    def test_a_request_that_is_sent_again_changes_nothing(self, ask: Ask) -> None:
        request = signed([event(message(get_engine("app")), "bounce", status="5.1.1")])
        for found in ({"bounced": 1}, {"nothing new": 1}):
            assert ask("POST", "/sendgrid/events", **request).json() == {"stored": 1}
            assert take_up(get_engine("app")) == found

    def test_what_it_did_not_sign_is_refused(self, ask: Ask) -> None:
        app = get_engine("app")
        id_ = message(app)
        good = signed([event(id_)])
        other = ec.generate_private_key(ec.SECP256R1()).sign(b"x", ec.ECDSA(SHA256()))
        stamp = good["headers"][TIMESTAMP]
        bad: list[dict[str, Any]] = [
            {"content": good["content"]},
            {**good, "content": good["content"].replace(b"delivered", b"deliverex")},
            {**good, "headers": {**good["headers"], TIMESTAMP: str(int(stamp) + 1)}},
            {**good, "headers": {SIGNATURE: base64.b64encode(other).decode(), TIMESTAMP: stamp}},
            {**good, "headers": {SIGNATURE: "not base64 ☃".encode(), TIMESTAMP: stamp}},
            signed([event(id_)], at=time.time() - 601),
            signed([event(id_)], at=time.time() + 660),
        ]
        for request in bad:
            assert ask("POST", "/sendgrid/events", **request).status_code == 403
        assert known(app, id_) == ("sent", None)

    @pytest.mark.parametrize("body", [b"{", b'{"a": 1}', b"[" * 100_000, b"\xff"])
    def test_what_cannot_be_read_is_refused(self, ask: Ask, body: bytes) -> None:
        assert ask("POST", "/sendgrid/events", **signed(None, body=body)).status_code == 400

    def test_ten_thousand_events_in_one_request_are_taken(self, ask: Ask) -> None:
        app = get_engine("app")
        ids = [message(app) for _ in range(20)]
        events = [event(id_, place=place) for place in range(500) for id_ in ids]
        assert ask("POST", "/sendgrid/events", **signed(events)).json() == {"stored": 10_000}
        assert take_up(app) == {"delivered": 20, "nothing new": 9_980}

    def test_signs_that_no_table_takes_hold_up_no_event(self, ask: Ask) -> None:
        app = get_engine("app")
        odd, good = message(app), message(app)
        events = [
            event(odd, "bounce", type="bounce", email="\ud800@x.example", sg_message_id="\u0000\ud800"),
            event(good),
        ]
        assert ask("POST", "/sendgrid/events", **signed(events)).json() == {"stored": 2}
        assert take_up(app) == {"bounced": 1, "delivered": 1}

    def test_a_body_without_end_is_refused(self, ask: Ask) -> None:
        assert ask("POST", "/sendgrid/events", **signed(None, body=b" " * (LARGEST + 1))).status_code == 413

    def test_a_key_that_is_none_stops_the_start(self) -> None:
        for encoded in ("nonsense", base64.b64encode(b"x").decode()):
            with pytest.raises(WrongUse, match="SENDGRID_WEBHOOK_KEY"):
                public_key(encoded)


def status(id_: UUID, said: str, *, token: str = TOKEN, fragment: str = "", **more: str) -> tuple[str, dict[str, Any]]:
    """A callback as Twilio signs it."""
    path = f"/twilio/status?notification={id_}"
    form = {"MessageSid": "SM1", "MessageStatus": said, "To": "+1 202 555 0001", **more}
    signature = RequestValidator(token).compute_signature(f"https://hooks.example{path}{fragment}", form)
    headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
    return path, {"content": urlencode(form), "headers": headers}


NUMBER = "+12025550001"


class TestTwilio:
    @pytest.mark.parametrize(
        ("said", "more", "state"),
        [
            ("delivered", {}, ("delivered", None)),
            ("queued", {}, ("sent", None)),
            ("undelivered", {"ErrorCode": "30003"}, ("failed", "undelivered")),
            ("failed", {"ErrorCode": "30001"}, ("failed", "undelivered")),
            ("failed", {"ErrorCode": "30002"}, ("failed", "undelivered")),
            ("undelivered", {"ErrorCode": "30004"}, ("failed", "undelivered")),
            ("undelivered", {"ErrorCode": "30007"}, ("failed", "undelivered")),
            ("undelivered", {"ErrorCode": "30008"}, ("failed", "undelivered")),
            ("undelivered", {"ErrorCode": "30034"}, ("failed", "undelivered")),
            ("undelivered", {}, ("failed", "undelivered")),
            ("failed", {"ErrorCode": "30005"}, ("failed", "bounced")),
            ("undelivered", {"ErrorCode": "30006", "From": "+15550000000"}, ("failed", "bounced")),
            ("undelivered", {"ErrorCode": "30006", "From": "55500"}, ("failed", "undelivered")),
            ("failed", {"ErrorCode": "21211"}, ("failed", "bounced")),
            ("failed", {"ErrorCode": "21614"}, ("failed", "bounced")),
            ("failed", {"ErrorCode": "21610"}, ("failed", "unwanted")),
        ],
    )
    def test_its_callbacks_change_messages(
        self, ask: Ask, configured: Settings, said: str, more: dict[str, str], state: tuple[str, str | None]
    ) -> None:
        app = get_engine("app")
        id_ = message(app)
        path, request = status(id_, said, **more)
        for _ in range(2):
            assert ask("POST", path, **request).status_code == 200
        take_up(app)
        assert known(app, id_) == state
        hashed = address_hash("sms", NUMBER, configured.secret)
        why = {"bounced": "bounced", "unwanted": "complained"}.get(state[1] or "")
        assert suppressed(app) == ([(hashed, why)] if why else [])

    def test_a_signature_over_the_address_with_its_orders_to_repeat_holds_too(self, ask: Ask) -> None:
        path, request = status(message(get_engine("app")), "delivered", fragment=REPEATED)
        assert ask("POST", path, **request).status_code == 200

    def test_what_it_did_not_sign_is_refused(self, ask: Ask) -> None:
        app = get_engine("app")
        id_, other = message(app), message(app)
        path, request = status(id_, "delivered")
        assert ask("POST", path, **{**request, "headers": {}}).status_code == 403
        assert ask("POST", path.replace(str(id_), str(other)), **request).status_code == 403
        assert ask("POST", path, **{**request, "content": request["content"] + "&x=1"}).status_code == 403
        wrong = status(id_, "delivered", token="another")
        assert ask("POST", wrong[0], **wrong[1]).status_code == 403
        take_up(app)
        assert known(app, id_) == known(app, other) == ("sent", None)


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
    assert "taken up" in caplog.text
    assert "example.org" not in caplog.text
    assert token not in caplog.text


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
