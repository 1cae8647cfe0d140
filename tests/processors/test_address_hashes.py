"""An address has one hash, however it is written, and is still found under the hash that the release before gave it."""

from __future__ import annotations

import pytest

from fundlyhub.channels.messages import ChannelName
from fundlyhub.database import get_engine
from fundlyhub.processors.notifications import contacts
from fundlyhub.processors.notifications.suppressions import Cause, suppress
from fundlyhub.processors.shared.address_hashes import address_hash, address_hashes, keyed_hash, normalized
from fundlyhub.settings import Settings

KEY = b"key"


@pytest.mark.parametrize(
    ("channel", "one", "others"),
    [
        ("sms", "+491701234567", [
            "00491701234567", "+49 170 1234567", "0049 170 / 123-45-67", "+49 (0)170 1234567", "(0049) 170.1234567",
            "tel:+49-170-1234567", "\uff0b\uff14\uff19 170 1234567", "+\u0664\u0669\u0661\u0667\u0660 1234567",
            "\u200e+49\u00a0170\u20111234567", " 0049(0)1701234567 ",
        ]),
        ("sms", "+390612345678", ["0039 06 12345678", "+39 06 12345678"]),
        ("sms", "+12025550101", ["001 (202) 555-0101", "+1 (202) 555-0101"]),
        ("sms", "01701234567", ["0170 1234567", "0170/1234567"]),
        ("email", "zoe@xn--exmple-cua.org", [
            "zoe@exämple.org", "Zoe@EXÄMPLE.org", "zoe@XN--EXMPLE-CUA.ORG", "zoe@exa\u0308mple.org", "zoe@exämple.org.",
            " zoe@exämple\u3002org ",
        ]),
        ("email", "ada@example.org", ["Ada@Example.ORG", "ada@example.org.", "ADA@EXAMPLE.ORG"]),
        ("email", "zoë@example.org", ["ZOË@example.org", "zoe\u0308@example.org"]),
    ],
)  # fmt: skip
def test_all_writings_of_an_address_have_one_hash(channel: ChannelName, one: str, others: list[str]) -> None:
    assert normalized(channel, one) == one
    assert {normalized(channel, other) for other in others} == {one}
    assert len({address_hash(channel, other, KEY) for other in (one, *others)}) == 1


@pytest.mark.parametrize(
    ("channel", "one", "other"),
    [
        ("sms", "+491701234567", "+391701234567"),
        ("sms", "01701234567", "+491701234567"),
        ("email", "ada@example.org", "ada@example.com"),
        ("email", "a.da@example.org", "ada@example.org"),
        ("email", "ada+x@example.org", "ada@example.org"),
        ("push", "Token", "token"),
    ],
)
def test_other_addresses_have_other_hashes(channel: ChannelName, one: str, other: str) -> None:
    assert address_hash(channel, one, KEY) != address_hash(channel, other, KEY)


def test_nothing_that_is_no_address_is_an_error() -> None:
    for text in ("", "+", "00", "\ud800", "@", "a@", "@b", "\u0000", "(0)", "+" * 1_000):
        for channel in ("email", "sms"):
            assert len(address_hash(channel, text, KEY)) == 32


@pytest.mark.parametrize(
    ("channel", "address", "former"),
    [("email", "Zoe@exämple.org", "zoe@exämple.org"), ("sms", "0049 170 1234567", "00491701234567")],
)
def test_what_the_release_before_suppressed_is_still_suppressed(
    settings: Settings, channel: ChannelName, address: str, former: str
) -> None:
    hashed = keyed_hash(channel, former, KEY)
    assert address_hashes(channel, address, KEY) == (address_hash(channel, address, KEY), hashed)
    with get_engine("app").begin() as db:
        suppress(db, [Cause(channel, hashed, "bounced", "smtp", "")])
        assert contacts.suppressed(db, channel, {address, "other"}, KEY) == {address: "bounced"}


def test_two_writings_of_a_suppressed_address_in_one_batch_are_both_suppressed(settings: Settings) -> None:
    with get_engine("app").begin() as db:
        suppress(db, [Cause("email", address_hash("email", "ada@example.org", KEY), "complained", "smtp", "")])
        both = {"Ada@example.org": "complained", "ada@example.org": "complained"}
        assert contacts.suppressed(db, "email", set(both), KEY) == both
