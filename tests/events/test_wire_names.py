"""Keys on the wire are camelCase and nothing else; Python calls fields by their names."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic.alias_generators import to_snake

from fundlyhub import CampaignCreated, Event, InvalidEvent, SearchQuerySubmitted
from fundlyhub.events.catalogue import CURRENT, PAYLOADS
from fundlyhub.events.catalogue.campaign import Milestone
from fundlyhub.events.log import StoredEvent
from fundlyhub.events.payload import WireModel, dropped_keys
from tests.streams.entries import now_ms
from tests.support.make import campaign, completed, initiated

SNAKE_TYPES = {"campaign.access.checked", "campaign.link.rotated"}


def snake(value: Any) -> Any:
    """The same with snake_case keys, at every depth."""
    if isinstance(value, dict):
        return {to_snake(key): snake(item) for key, item in value.items()}
    return [snake(item) for item in value] if isinstance(value, list) else value


def envelope(**fields: Any) -> dict[str, Any]:
    return {**Event.of(initiated()).to_envelope(), **fields}


def in_the_log(**fields: Any) -> StoredEvent:
    now = datetime.now(UTC)
    row = StoredEvent(1, uuid4(), "donation.initiated", "1.0.0", now, now, None, None, "{}", "{}")
    return row._replace(**fields)


def test_snake_case_is_an_unknown_key_in_the_envelope() -> None:
    event = Event.model_validate(envelope(correlation_id=str(uuid4()), causation_id="no UUID"))
    assert (event.correlation_id, event.causation_id) == (None, None)


def test_snake_case_is_an_unknown_key_in_the_payload_at_every_door() -> None:
    said = initiated().to_wire()
    for given in (snake(said), {**said, "campaignId": None, "campaign_id": said["campaignId"]}):
        with pytest.raises(InvalidEvent, match=r"payload\.campaignId: "):
            Event.model_validate(envelope(payload=given))
    text = f'{{"donation_id": "{uuid4()}", "campaign_id": "{uuid4()}", "amount": 5, "payment_method": "card"}}'
    with pytest.raises(InvalidEvent, match=r"payload\.donationId: is required"):
        Event.stored(in_the_log(payload=text))


def test_its_name_is_counted_and_an_optional_field_stays_empty() -> None:
    dropped_keys.clear()
    event = Event.model_validate(envelope(payload={**initiated().to_wire(), "donor_id": str(uuid4())}))
    assert b"donor" not in event.payload_json
    assert dropped_keys == {"DonationInitiated.donor_id": 1}


def test_nor_does_a_model_inside_a_payload_take_it() -> None:
    milestones = [{"title": "A", "target_amount": 5}]
    with pytest.raises(InvalidEvent, match=r"payload\.milestones\.0\.targetAmount: is required"):
        Event.model_validate(
            envelope(type="campaign.created", payload={**campaign().to_wire(), "milestones": milestones})
        )
    filled = {"query": "a", "metadata": {"max_results": 5, "cacheKey": "k"}}
    event = Event.model_validate(envelope(type="search.query.submitted", payload=filled))
    assert event.payload.to_wire()["metadata"] == {"cacheKey": "k"}


@pytest.mark.parametrize(("kind", "version"), sorted(PAYLOADS))
def test_no_class_answers_to_another_name_than_that_on_the_wire(kind: str, version: str) -> None:
    found = PAYLOADS[kind, version]
    others = {name for name, field in found.model_fields.items() if (field.alias or name) != name}
    assert bool(others) or kind in SNAKE_TYPES or all("_" not in name for name in found.model_fields)
    with pytest.raises(InvalidEvent) as caught:
        Event.model_validate(envelope(type=kind, version=version, payload=dict.fromkeys(others, 5)))
    assert not [reason for reason in caught.value.reasons if "is required" not in reason]


@pytest.mark.parametrize("kind", sorted(SNAKE_TYPES))
def test_two_types_are_snake_case_on_the_wire_and_take_no_other(kind: str) -> None:
    said = {"campaign_id": str(uuid4()), "method": "public", "link_token_last4": "abcd", "user_id": str(uuid4())}
    assert Event.model_validate(envelope(type=kind, payload=said)).payload.aggregate_id == said["campaign_id"]
    with pytest.raises(InvalidEvent, match=r"payload\.campaign_id: must be a UUID"):
        Event.model_validate(envelope(type=kind, payload={**said, "campaign_id": None, "campaignId": str(uuid4())}))


def test_python_calls_fields_by_their_names_or_as_the_wire_does() -> None:
    one, other = uuid4(), uuid4()
    by_name = SearchQuerySubmitted(query="a", user_id=one, metadata={"max_results": 5})
    as_on_the_wire: dict[str, Any] = {"query": "a", "userId": str(one), "metadata": {"maxResults": 5}}
    by_alias = SearchQuerySubmitted(**as_on_the_wire)
    assert by_name == by_alias
    assert by_name.to_wire() == {"query": "a", "userId": one, "metadata": {"maxResults": 5}}
    made = completed(campaign_id=one)
    event = Event(
        id=other, type="donation.completed", version="2.0.0", timestamp=Event.of(made).timestamp, payload=made,
        correlation_id=one, causation_id=other,
    )  # fmt: skip
    assert (event.correlation_id, event.causation_id) == (one, other)
    assert Event.model_validate(event.to_envelope()) == event


def test_models_inside_may_be_given_as_models_or_as_dicts() -> None:
    given = campaign(milestones=[{"title": "A", "target_amount": Decimal(5)}, Milestone(title="B", target_amount=6)])
    assert isinstance(given, CampaignCreated)
    assert [one["targetAmount"] for one in given.to_wire()["milestones"]] == [5, 6]


def test_what_python_makes_is_read_from_the_wire_and_stays_the_same() -> None:
    for payload in (initiated(), completed(), campaign(milestones=[Milestone(title="B", target_amount=6)])):
        assert type(payload).model_validate(payload.to_wire()) == payload
        assert not [key for key in payload.to_wire() if "_" in key]


def test_what_is_dumped_by_the_names_of_fields_leaves_the_same_out() -> None:
    dumped = initiated().model_dump(by_alias=False)
    assert "donation_id" in dumped
    assert "donor_id" not in dumped


def test_a_class_of_another_package_needs_nothing_for_it() -> None:
    class Inside(WireModel):
        some_thing: UUID

    assert Inside(some_thing=UUID(int=1)).model_dump() == {"someThing": UUID(int=1)}
    with pytest.raises(ValueError, match="someThing"):
        Inside.model_validate({"some_thing": UUID(int=1)})


def test_times_at_the_ends_of_the_calendar_are_normalised_or_refused_by_their_name() -> None:
    said = {
        "userId": str(uuid4()), "suspendedBy": str(uuid4()), "reason": "spam", "duration": 7,
    }  # fmt: skip
    for text, good in {
        "9999-12-31T23:59:59Z": True,
        "9999-12-31T23:59:59+14:00": True,
        "0001-01-01T00:00:00-05:00": True,
        "9999-12-31T23:59:59-05:00": False,
        "9999-12-31T19:00:00-23:59": False,
        "0001-01-01T00:00:00+00:01": False,
    }.items():
        document = envelope(type="admin.user.suspended", payload={**said, "suspendedUntil": text})
        if good:
            again = Event.model_validate(document)
            assert Event.model_validate(again.to_envelope()) == again
            continue
        with pytest.raises(InvalidEvent, match=r"^payload\.suspendedUntil: must lie in the years 1 to 9999"):
            Event.model_validate(document)


@pytest.mark.parametrize("moment", [10**30, 10**40, -(10**40), 10**300, Decimal("1E+250"), -1, 0, 2**63, float("inf")])
def test_a_moment_in_milliseconds_has_a_year_in_the_envelope_and_in_payloads(moment: Any) -> None:
    with pytest.raises(InvalidEvent, match=r"^timestamp: must"):
        Event.model_validate(envelope(timestamp=moment))
    said = {"userId": str(uuid4()), "timestamp": moment}
    with pytest.raises(InvalidEvent, match=r"^payload\.timestamp: must"):
        Event.model_validate(envelope(type="user.logged_in", payload=said, timestamp=now_ms()))
    assert "user.logged_in" in CURRENT
