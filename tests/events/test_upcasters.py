"""Older payloads are brought up to the newest version of their type."""

from __future__ import annotations

from typing import Any

import pytest

from fundlyhub.errors import UnknownEventType, UnknownVersion, WrongUse
from fundlyhub.events.catalogue import PAYLOADS, VERSIONS, DonationCompleted, payload_class
from fundlyhub.events.upcasters import Upcasters, upcast

OLD_DONATION = {
    "donationId": "0b5e6a3c-1111-4222-8333-444455556666",
    "campaignId": "0b5e6a3c-1111-4222-8333-444455556667",
    "amount": 25,
    "netAmount": 24,
    "paymentProvider": "stripe",
    "transactionId": "pi_1",
}


def marked(name: str) -> Any:
    return lambda payload: payload | {"way": [*payload.get("way", []), name]}


@pytest.fixture
def steps() -> Upcasters:
    return Upcasters()


@pytest.mark.parametrize("given", [{}, {"currency": None}], ids=["missing", "null"])
def test_an_old_donation_without_a_currency_was_in_dollars(given: dict[str, Any]) -> None:
    version, payload = upcast("donation.completed", "1.0.0", OLD_DONATION | given)
    assert version == "2.0.0"
    assert isinstance(payload_class("donation.completed", version).model_validate(payload), DonationCompleted)
    assert payload["currency"] == "USD"


def test_a_value_that_is_there_is_kept() -> None:
    assert upcast("donation.completed", "1.0.0", OLD_DONATION | {"currency": "EUR"})[1]["currency"] == "EUR"
    _, payload = upcast("user.registered", "1.0.0", {"registrationMethod": "google"})
    assert payload["registrationMethod"] == "google"


def test_an_old_registration_was_by_email() -> None:
    assert upcast("user.registered", "1.0.0", {}) == ("2.0.0", {"registrationMethod": "email"})


def test_the_payload_that_was_given_stays_as_it_was() -> None:
    given = dict(OLD_DONATION)
    upcast("donation.completed", "1.0.0", given)
    assert given == OLD_DONATION


def test_the_newest_version_passes_through_untouched() -> None:
    payload: dict[str, Any] = {}
    version, result = upcast("donation.completed", "2.0.0", payload)
    assert (version, result) == ("2.0.0", {})
    assert result is payload


def test_every_known_version_has_a_way_to_the_newest() -> None:
    for kind, version in PAYLOADS:
        assert upcast(kind, version, {})[0] == VERSIONS[kind][-1]


def test_unknown_types_and_versions_are_told_apart() -> None:
    with pytest.raises(UnknownEventType):
        upcast("donation.complete", "1.0.0", {})
    with pytest.raises(UnknownVersion) as caught:
        upcast("donation.completed", "3.0.0", {})
    assert caught.value.newer


@pytest.mark.parametrize("order", [1, -1], ids=["long way first", "short way first"])
def test_the_shortest_way_is_taken(steps: Upcasters, order: int) -> None:
    known = [("1.0.0", "1.1.0"), ("1.1.0", "1.2.0"), ("1.2.0", "3.0.0"), ("1.1.0", "3.0.0")]
    for old, new in known[::order]:
        steps.step("a.b", old, new)(marked(f"{old}>{new}"))
    assert steps.upcast("a.b", "1.0.0", {}, newest="3.0.0") == {"way": ["1.0.0>1.1.0", "1.1.0>3.0.0"]}


def test_versions_compare_as_numbers(steps: Upcasters) -> None:
    steps.step("a.b", "2.0", "10.0.0")(marked("up"))
    assert steps.upcast("a.b", "2.0.0", {}, newest="10.0.0") == {"way": ["up"]}


def test_a_later_step_opens_a_way_that_was_not_there(steps: Upcasters) -> None:
    with pytest.raises(UnknownVersion, match=r"no upcaster leads from 1\.0\.0 of a\.b to 2\.0\.0"):
        steps.upcast("a.b", "1.0.0", {}, newest="2.0.0")
    steps.step("a.b", "1.0.0", "2.0.0")(marked("up"))
    assert steps.upcast("a.b", "1.0.0", {}, newest="2.0.0") == {"way": ["up"]}


@pytest.mark.parametrize("new", ["1.0.0", "0.9.0"])
def test_a_step_must_lead_upwards(steps: Upcasters, new: str) -> None:
    with pytest.raises(WrongUse, match="newer version"):
        steps.step("a.b", "1.0.0", new)


def test_two_steps_of_the_same_versions_are_a_mistake(steps: Upcasters) -> None:
    steps.step("a.b", "1.0.0", "2.0.0")(marked("first"))
    with pytest.raises(WrongUse, match="already"):
        steps.step("a.b", "1.0.0", "2.0.0")(marked("second"))
