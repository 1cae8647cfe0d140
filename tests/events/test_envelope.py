"""The envelope: what the platform writes is understood, what breaks a rule is refused by the field's name."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fundlyhub import Event, EventType, InvalidEvent, UnknownEventType, UnknownVersion
from fundlyhub.events.encoding import dumps
from fundlyhub.events.log import StoredEvent
from fundlyhub.events.rules import MAX_BYTES
from tests.support.make import completed, initiated

ID = "0b5e6a3c-1111-4222-8333-444455556666"
NOON = 1_769_860_800_000
PAYLOAD = {
    "donationId": ID,
    "campaignId": ID,
    "donorId": ID,
    "amount": Decimal("12.50"),
    "netAmount": Decimal("12"),
    "currency": "EUR",
    "paymentProvider": "stripe",
    "transactionId": "pi_1",
}
ENVELOPE = {
    "id": ID,
    "type": "donation.completed",
    "version": "1.0.0",
    "timestamp": NOON,
    "payload": PAYLOAD,
}


NO_SUCH_CHARACTER = "must not contain U+0000 or a lone surrogate"


def envelope(**changes: Any) -> dict[str, Any]:
    return {**ENVELOPE, **changes}


def with_payload(**changes: Any) -> dict[str, Any]:
    return envelope(payload={**PAYLOAD, **changes})


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in ENVELOPE.items() if name != key}


def refusal(document: Any) -> tuple[str, ...]:
    with pytest.raises(InvalidEvent) as caught:
        Event.model_validate(document)
    return caught.value.reasons


class TestReading:
    def test_the_platforms_form_and_back(self) -> None:
        document = envelope(correlationId=ID, causationId=ID, metadata={"clientId": ID})
        event = Event.model_validate(document)
        assert event.timestamp == datetime(2026, 1, 31, 12, tzinfo=UTC)
        assert event.correlation_id == event.causation_id == UUID(ID)
        again = Event.model_validate(event.to_envelope())
        assert again == event
        assert dumps(event.to_envelope()) == dumps(again.to_envelope())

    def test_what_is_unknown_in_the_envelope_is_ignored(self) -> None:
        event = Event.model_validate(envelope(stream="events", position=7))
        assert event.position is None, "only the log gives a position"

    def test_versions_of_two_parts_and_aliases_are_understood(self) -> None:
        followed = {"userId": ID, "followerId": ID, "campaignId": ID, "followType": "user"}
        event = Event.model_validate(envelope(type="user.campaign_followed", version="1.0", payload=followed))
        assert (event.type, event.version) == ("user.followed_campaign", "1.0.0")

    def test_null_is_absent_for_what_is_optional(self) -> None:
        event = Event.model_validate(envelope(correlationId=None, metadata=None))
        assert (event.correlation_id, event.metadata) == (None, {})

    def test_an_event_is_frozen(self) -> None:
        with pytest.raises(ValidationError, match="frozen"):
            Event.of(completed()).type = "x"  # type: ignore[misc]  # that is the fault

    def test_of_makes_id_and_time(self) -> None:
        before = datetime.now(UTC)
        event = Event.of(completed())
        assert before <= event.timestamp <= datetime.now(UTC)
        assert (event.type, event.version) == (EventType.DonationCompleted, "2.0.0")
        assert event.id != Event.of(completed()).id


class TestRefusing:
    @pytest.mark.parametrize(
        ("document", "reasons"),
        [
            ([], ("an event must be a JSON object",)),
            (None, ("an event must be a JSON object",)),
            ({}, ("type: is required", "version: is required", "payload: is required")),
            (without("id"), ("id: is required",)),
            (without("timestamp"), ("timestamp: is required",)),
            (envelope(type=None), ("type: is required",)),
            (envelope(type=5, version=1.0), ("type: must be a text", "version: must be a text")),
            (envelope(type={}), ("type: must be a text",)),
            (envelope(payload=[]), ("payload: must be an object",)),
            (envelope(payload="{}"), ("payload: must be an object",)),
            (envelope(payload=None), ("payload: is required",)),
            (envelope(id="x"), ("id: must be a UUID",)),
            (envelope(id=5), ("id: must be a UUID",)),
            (envelope(correlationId=""), ("correlationId: must be a UUID",)),
            (envelope(causationId=""), ("causationId: must be a UUID",)),
            (envelope(metadata=[]), ("metadata: must be an object",)),
            (envelope(metadata=""), ("metadata: must be an object",)),
            (envelope(metadata={"a": "\x00"}), ("metadata.a: must not contain U+0000 or a lone surrogate",)),
            (envelope(version="one"), ("version: must be two or three numbers, such as 1.0.0",)),
            (
                envelope(timestamp=NOON // 1000),
                ("timestamp: must be milliseconds since 1970, from the year 2000 on: it looks like seconds",),
            ),
            (
                envelope(timestamp=NOON * 1000),
                ("timestamp: must be milliseconds since 1970, from the year 2000 on: it looks like microseconds",),
            ),
            (envelope(timestamp="2026"), ("timestamp: must be a number of milliseconds",)),
            (with_payload(amount=Decimal("NaN")), ("payload.amount: must be a finite number",)),
            (with_payload(amount=float("inf")), ("payload.amount: must be a finite number",)),
            (with_payload(amount=12.5), ("payload.amount: must be a number (a Decimal, not a float)",)),
            (with_payload(amount="12.50"), ("payload.amount: must be a number",)),
            (with_payload(amount=True), ("payload.amount: must be a number",)),
            (with_payload(amount=0), ("payload.amount: must be greater than 0",)),
            (with_payload(amount=10**13), ("payload.amount: must be at most 1000000000000",)),
            (with_payload(amount=Decimal("1.001")), ("payload: amount must have at most 2 decimals in EUR",)),
            (with_payload(currency="XYZ"), ("payload.currency: must be an ISO 4217 currency",)),
            (with_payload(campaignId=None), ("payload.campaignId: must be a UUID",)),
            (with_payload(transactionId="x\x00"), (f"payload.transactionId: {NO_SUCH_CHARACTER}",)),
            (with_payload(transactionId="\ud800"), (f"payload.transactionId: {NO_SUCH_CHARACTER}",)),
            (with_payload(transactionId="x" * 1_001), ("payload.transactionId: must have at most 1000 characters",)),
            (with_payload(transactionId="x" * 10**7), ("payload.transactionId: must have at most 1000 characters",)),
        ],
    )  # fmt: skip
    def test_each_fault_is_named_by_its_field(self, document: Any, reasons: tuple[str, ...]) -> None:
        assert refusal(document) == reasons

    def test_a_clock_may_be_five_minutes_ahead_and_no_more(self) -> None:
        soon = datetime.now(UTC) + timedelta(minutes=4, seconds=50)
        assert Event.of(completed(), timestamp=soon).timestamp == soon
        with pytest.raises(InvalidEvent, match="timestamp: must not be more than five minutes ahead"):
            Event.of(completed(), timestamp=soon + timedelta(seconds=30))

    def test_a_time_without_a_zone_is_refused(self) -> None:
        with pytest.raises(InvalidEvent, match="timestamp: must have a time zone"):
            Event.of(completed(), timestamp=datetime(2026, 1, 1))  # noqa: DTZ001  # that is the fault

    def test_a_typo_in_the_type_gets_a_hint(self) -> None:
        with pytest.raises(UnknownEventType, match=re.escape("did you mean donation.completed?")):
            Event.model_validate(envelope(type="donation.complete"))

    def test_a_version_that_nobody_knows_is_refused_and_says_whether_it_is_newer(self) -> None:
        for version, newer in (("9.0.0", True), ("0.1.0", False)):
            with pytest.raises(UnknownVersion, match=re.escape("known: 1.0.0, 2.0.0")) as caught:
                Event.model_validate(envelope(version=version))
            assert caught.value.newer is newer

    def test_the_size_is_bounded_with_the_metadata(self) -> None:
        Event.of(initiated(), metadata={"note": "x" * (MAX_BYTES - 1_000)})
        with pytest.raises(InvalidEvent, match=f"payload: must have at most {MAX_BYTES} bytes"):
            Event.of(initiated(), metadata={"note": "x" * MAX_BYTES})

    def test_what_json_cannot_say_is_refused(self) -> None:
        with pytest.raises(InvalidEvent, match="cannot be JSON"):
            Event.of(initiated(), metadata={"who": object()})
        with pytest.raises(InvalidEvent, match="cannot be JSON"):
            Event.of(initiated(), metadata={"many": 10**30})

    def test_another_classs_payload_is_refused(self) -> None:
        with pytest.raises(InvalidEvent, match="payload: must be DonationCompleted, not DonationInitiated"):
            Event.model_validate(envelope(version="2.0.0", payload=initiated()))


JUNK = st.text(min_size=8, max_size=60).filter(lambda text: not re.fullmatch(r"[\w.-]+", text, re.ASCII))
"""Texts that a person could have written; one word of plain letters is left out, since a type may be repeated."""


class TestWhatAnErrorShows:
    @given(junk=JUNK, key=st.sampled_from([*PAYLOAD, "type", "version", "id", "timestamp", "correlationId"]))
    def test_no_value_is_ever_repeated(self, junk: str, key: str) -> None:
        document = with_payload(**{key: junk}) if key in PAYLOAD else envelope(**{key: junk})
        try:
            Event.model_validate(document)
        except InvalidEvent as error:
            assert junk not in str(error)
            assert error.__cause__ is None
            assert error.__suppress_context__ or error.__context__ is None

    @given(junk=JUNK)
    def test_nor_a_key_that_is_no_plain_word(self, junk: str) -> None:
        try:
            Event.model_validate(envelope(metadata={junk: {"inside": "\x00"}}))
        except InvalidEvent as error:
            assert junk not in str(error)

    def test_an_event_that_is_printed_in_a_fault_of_pydantic_hides_its_input(self) -> None:
        with pytest.raises(ValidationError) as caught:
            completed(amount="someone@example.org")
        assert "someone" not in str(caught.value)


class TestSecrets:
    def test_secrets_in_the_payload_never_arrive(self) -> None:
        document = envelope(
            type="user.logged_in",
            payload={"userId": ID, "sessionId": "s3cret", "session_id": "s3cret", "timestamp": NOON},
        )
        event = Event.model_validate(document)
        assert b"s3cret" not in dumps(event.to_envelope())

    @pytest.mark.parametrize("key", ["sessionId", "session_id", "passcode", "linkToken", "link_token"])
    def test_secrets_in_the_metadata_are_taken_out(self, key: str) -> None:
        event = Event.of(completed(), metadata={key: "s3cret", "clientId": ID})
        assert event.metadata == {"clientId": ID}


class TestFromTheLog:
    """Rows that came in by SQL, unchecked."""

    @staticmethod
    def row(**changes: Any) -> StoredEvent:
        now = datetime.now(UTC)
        fields = {
            "position": 1,
            "id": uuid4(),
            "type": "donation.completed",
            "version": "1.0.0",
            "occurred_at": now,
            "recorded_at": now,
            "correlation_id": None,
            "causation_id": None,
            "payload": dumps(PAYLOAD).decode(),
            "metadata": "{}",
        }
        return StoredEvent(**{**fields, **changes})

    def test_a_good_row_is_brought_up_to_the_newest_version(self) -> None:
        event = Event.stored(self.row())
        assert (event.version, event.position) == ("2.0.0", 1)

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"payload": None}, "payload: must have at most"),
            ({"payload": "[" * 100_000 + "]" * 100_000}, "payload: must not be nested deeper than"),
            ({"payload": '{"amount": ' + "9" * 5_000 + "}"}, "payload: must not hold such large numbers"),
            ({"metadata": '{"a": ' + "9" * 5_000 + "}"}, "metadata: must not hold such large numbers"),
            ({"payload": "{}"}, "payload.donationId: is required"),
            ({"payload": "[]"}, "payload: must be an object"),
            ({"payload": '["ab"]'}, "payload: must be an object"),
            ({"payload": "5"}, "payload: must be an object"),
            ({"version": "x"}, "version: must be two or three numbers"),
            ({"occurred_at": datetime(9999, 12, 30, tzinfo=UTC)}, "timestamp: must not be more than five"),
            ({"occurred_at": datetime(1, 1, 2, tzinfo=UTC)}, "timestamp: must not be before the year 2000"),
        ],
    )
    def test_a_bad_row_is_refused_with_a_reason(self, changes: dict[str, Any], reason: str) -> None:
        with pytest.raises(InvalidEvent, match=re.escape(reason)):
            Event.stored(self.row(**changes))

    def test_unknown_types_and_versions_are_told_apart(self) -> None:
        with pytest.raises(UnknownEventType):
            Event.stored(self.row(type="moon.landed"))
        with pytest.raises(UnknownVersion):
            Event.stored(self.row(version="9.0.0"))
