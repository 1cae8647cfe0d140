"""Requests of the providers: who is let in, what they change, and what they never change."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from fundlyhub.channels.twilio import REPEATED
from fundlyhub.database import get_engine
from fundlyhub.errors import WrongUse
from fundlyhub.processors.notifications.delivery_reports.inbox import take_up
from fundlyhub.processors.shared.address_hashes import address_hash
from fundlyhub.settings import Settings
from fundlyhub.webhooks.app import LARGEST
from fundlyhub.webhooks.sendgrid import SIGNATURE, TIMESTAMP, public_key
from tests.webhooks.asking import NUMBER, Ask, event, signed, status
from tests.webhooks.test_feedback import known, message, suppressed


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
