"""A payload as JSON for the log: the quick way says what the thorough way says, and refuses what that refuses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic.alias_generators import to_camel

from fundlyhub import Event, InvalidEvent, SearchQuerySubmitted
from fundlyhub.events.catalogue import PAYLOADS
from fundlyhub.events.encoding import checked_json, dumps
from fundlyhub.events.payload import Payload
from fundlyhub.events.rules import check_json
from tests.events.test_catalogue import complete, each_type, minimal
from tests.support.make import completed

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def with_odd(value: Any) -> Payload:
    """What no validation saw: a copy is not checked again."""
    payload = completed()
    name = "transaction_id" if isinstance(value, str) else "amount"
    return payload.model_copy(update={name: value})


def thorough(payload: Payload) -> bytes | tuple[str, ...]:
    """The JSON by ``to_wire``, each value looked at; or the refusal."""
    try:
        check_json(payload.to_wire(), path="payload")
        return dumps(payload.to_wire())
    except InvalidEvent as error:
        return error.reasons


def quick(payload: Payload) -> bytes | tuple[str, ...]:
    """The same by ``checked_json``."""
    try:
        return checked_json(payload)
    except InvalidEvent as error:
        return error.reasons


def emptied(fact: dict[str, Any]) -> dict[str, Any]:
    """As small as can be, with null where a required field may say null."""
    return {
        name: None if fact["required"][name].endswith("or null") else value for name, value in minimal(fact).items()
    }


@each_type
@pytest.mark.parametrize("size", [minimal, complete, emptied])
def test_both_ways_are_one_for_every_class(fact: dict[str, Any], size: Any) -> None:
    payload = PAYLOADS[fact["type"], fact["version"]].model_validate(size(fact))
    assert payload.plain_wire() in (None, payload.to_wire())
    assert quick(payload) == thorough(payload)


@pytest.mark.parametrize(
    "value",
    [
        "\x00", "\\u0000", "\ud800", "words \u2028 ", Decimal("NaN"), Decimal("sNaN7"), Decimal("Infinity"),
        float("nan"), Decimal("1E+5"), Decimal("1E-7"), Decimal("1E+301"), Decimal("1E-601"), Decimal("9" * 302),
        Decimal("-0.00"), Decimal("0." + "3" * 301), 5, 10**30, True, 0.5, 1e305, [1], {"a": "\x00"},
        {"a": [{}]}, object(),
    ],
    ids=lambda value: f"{type(value).__name__} {str(value)[:12]!a}",
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # of values that validation would have refused
def test_both_ways_are_one_for_odd_values(value: Any) -> None:
    payload = with_odd(value)
    assert quick(payload) == thorough(payload)


def test_a_copy_that_lacks_a_field_or_has_one_too_many_is_left_to_the_thorough_way() -> None:
    payload = completed()
    assert payload.plain_wire() == payload.to_wire()
    assert payload.model_copy(update={"hue": "red"}).plain_wire() is None
    assert SearchQuerySubmitted.model_construct().plain_wire() is None  # type: ignore[call-arg]  # that is the fault


class TestAnEventOfAPayload:
    @pytest.mark.parametrize(
        "given",
        [
            {},
            {"id": str(uuid4())},
            {"timestamp": NOON.astimezone(timezone(timedelta(hours=3)))},
            {"timestamp": 1_769_860_800_000},
            {"correlation_id": uuid4(), "causation_id": str(uuid4())},
            {"metadata": {"source": "web", "sessionId": "s3cret"}},
        ],
    )
    def test_is_what_validation_makes_of_the_same_envelope(self, given: dict[str, Any]) -> None:
        payload = completed()
        given = {"id": uuid4(), "timestamp": NOON, **given}
        event = Event.of(payload, **given)
        assert event == Event.model_validate(
            {
                **{to_camel(name): value for name, value in given.items()},
                "type": "donation.completed",
                "version": "2.0.0",
                "payload": payload.to_wire(),
            }
        )
        assert (event.timestamp, event.timestamp.tzinfo) == (NOON, UTC)
        assert isinstance(event.id, UUID)

    @pytest.mark.parametrize(
        ("given", "reasons"),
        [
            ({"id": "x"}, ("id: must be a UUID",)),
            ({"id": 5, "correlation_id": ""}, ("id: must be a UUID", "correlation_id: must be a UUID")),
            ({"timestamp": "now"}, ("timestamp: must be a number of milliseconds",)),
            ({"timestamp": datetime(1999, 12, 31, tzinfo=UTC)}, ("timestamp: must not be before the year 2000",)),
            ({"metadata": []}, ("metadata: must be an object",)),
            ({"metadata": {"a": "\x00"}}, ("metadata.a: must not contain U+0000 or a lone surrogate",)),
        ],
    )
    def test_is_refused_with_the_same_words(self, given: dict[str, Any], reasons: tuple[str, ...]) -> None:
        with pytest.raises(InvalidEvent) as caught:
            Event.of(completed(), **given)
        assert caught.value.reasons == reasons

    def test_odd_values_of_its_payload_are_refused(self) -> None:
        with pytest.raises(InvalidEvent, match="transactionId: must not contain"):
            Event.of(with_odd("\x00"))
        with pytest.raises(InvalidEvent, match="amount: must be a finite number"):
            Event.of(with_odd(Decimal("NaN")))

    def test_what_it_keeps_for_publishing_is_no_part_of_it(self) -> None:
        event = Event.of(completed(), timestamp=NOON)
        bare = event.placed(7).model_copy(update={"position": None})
        assert (event.payload_json, bare.payload_json) == (dumps(event.payload.to_wire()),) * 2
        assert (event == bare, repr(event), dict(event)) == (True, repr(bare), dict(bare))
        assert event.to_envelope() == bare.to_envelope()
        copy = event.model_copy(deep=True)
        assert (copy, copy.payload_json) == (event, event.payload_json)
