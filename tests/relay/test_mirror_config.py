"""What the mirror shows: chosen types, chosen fields, and nobody's data unless a setting names it."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from fundlyhub.errors import WrongUse
from fundlyhub.events import Event
from fundlyhub.events.catalogue import CURRENT, VERSIONS
from fundlyhub.relay.mirror_config import SAFE_FIELDS, Mirrored
from tests.support.make import completed

# No field that is mirrored by default has one of these in its name, but for a campaign's own id and the like.
PERSONAL = ("user", "donor", "email", "name", "author", "by", "address", "phone", "reason", "note", "text", "title",
            "body", "message", "story", "follower", "changes", "values", "query", "agent", "location")  # fmt: skip
ORGANIZATIONS = [kind for kind in VERSIONS if kind.startswith("organization.")]


@pytest.mark.parametrize("kind", SAFE_FIELDS)
def test_each_safe_field_is_one_and_tells_of_nobody(kind: str) -> None:
    known = {field.alias or name for name, field in CURRENT[kind].model_fields.items()}
    assert set(SAFE_FIELDS[kind]) <= known
    personal = [name for name in SAFE_FIELDS[kind] if any(part in name.lower() for part in PERSONAL)]
    assert personal == [name for name in personal if name == "donorCount"]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ("", {}),
        (" , ", {}),
        ("donation.completed", {"donation.completed": ("donationId", "campaignId", "amount", "currency")}),
        ("user.registered", {"user.registered": ()}),
        ("user.registered = name + email", {"user.registered": ("name", "email")}),
        ("donation.completed=", {"donation.completed": ()}),
        (
            "campaign.goal_*, campaign.goal_reached=campaignId",
            {"campaign.goal_reached": ("campaignId",)},
        ),
        (
            "organization.**=organizationId",
            dict.fromkeys((k for k in VERSIONS if k.startswith("organ")), ("organizationId",)),
        ),
    ],
)
def test_what_a_setting_chooses(chosen: str, expected: dict[str, tuple[str, ...]]) -> None:
    found = Mirrored(chosen)
    assert found.fields == expected
    assert bool(found) is bool(expected)
    assert all(map(found.wants, expected))
    assert not found.wants("search.query.submitted")


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ("donation.complete", "FUNDLYHUB_MIRROR: 'donation.complete' is no event type and matches none"),
        ("campaign.*=nothing", "FUNDLYHUB_MIRROR: campaign.created has no field 'nothing'; it has campaignId, "),
        ("=x", "FUNDLYHUB_MIRROR: '' is no event type"),
    ],
)
def test_what_a_setting_cannot_mean_is_said(chosen: str, said: str) -> None:
    with pytest.raises(WrongUse, match=said.replace(".", r"\.")):
        Mirrored(chosen)


def test_an_alias_is_the_type_that_it_stands_for() -> None:
    assert Mirrored("user.followed_campaign").wants("user.campaign_followed")


def test_an_entry_has_the_events_id_and_no_more_of_it_than_was_chosen() -> None:
    event = Event.of(completed(donor_email="ada@example.org", donor_name="Ada", amount=Decimal("10.10")))
    entry = Mirrored("**").entry(event)
    assert (entry["id"], entry["type"], entry["version"]) == (str(event.id), "donation.completed", "2.0.0")
    assert set(entry) == {"id", "type", "version", "timestamp", "position", "payload"}
    assert set(json.loads(entry["payload"])) == {"donationId", "campaignId", "amount", "currency"}
    assert b"10.10" in entry["payload"]
