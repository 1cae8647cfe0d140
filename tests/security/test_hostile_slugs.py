"""A campaign's slug stands in the links of other people's messages: it brings no text and no link of its own."""

from __future__ import annotations

import json
from decimal import Decimal
from email import message_from_bytes, policy

import pytest
from pydantic import ValidationError

from fundlyhub.database import get_engine
from fundlyhub.settings import get_settings
from tests.notifications.conftest import post  # noqa: F401 - a fixture
from tests.notifications.post import JOHN, ME, WELLS, Post
from tests.support.make import campaign, completed

HOSTILE = [
    "x\n\nConfirm your card within 24 hours:\nhttps://paypa1.evil.example/login",
    "x https://evil.example", "x\" onclick=\"alert(1)", "x'><script>alert(1)</script>", "../../logout?now=1#x",
    "//evil.example/x", "@evil.example", "x\u2028evil.example", "x\u202eelpmaxe.live", "x%0d%0aBcc: eve@evil.example",
    "..", ".", "x\x00", "x\x1b[31m", "х" * 300, "a/b", "a\\b", "a?b", "a#b", "a b", "a\tb", "javascript:alert(1)",
]  # fmt: skip


@pytest.mark.parametrize("slug", HOSTILE, ids=lambda slug: repr(slug[:20]))
def test_a_slug_that_an_earlier_release_took_is_quoted_in_every_link(post: Post, slug: str) -> None:  # noqa: F811
    post.people(JOHN)
    with get_engine("app").begin() as db:
        stored = {"slug": json.dumps(slug.replace("\x00", ""))}
        db.exec_driver_sql("UPDATE entity_fields SET value = %(slug)s::text::jsonb WHERE field = 'slug'", stored)
    post.tell(completed(WELLS, donor_id=JOHN, amount=Decimal(25)))
    mails = sorted((get_settings().data_dir / "outbox" / "email").glob("*.eml"))
    assert len(mails) == 2, "the donor's receipt and the owner's"
    site = get_settings().site_url.rstrip("/")
    for mail in mails:
        found = message_from_bytes(mail.read_bytes(), policy=policy.default)
        for part in ("plain", "html"):
            body = found.get_body((part,))
            assert body is not None
            text = body.get_content()
            assert "Confirm your card" not in text
            assert "<script" not in text
            assert "onclick=" not in text
            for link in (word for word in text.replace('"', " ").split() if "://" in word):
                assert link.startswith((site, get_settings().public_url, "http://www.w3.org/")), link
                assert link.rpartition("/")[2] not in (".", "..", ""), link


@pytest.mark.parametrize("slug", [one for one in HOSTILE if one != "х" * 300], ids=lambda slug: repr(slug[:20]))
def test_such_a_slug_is_refused_at_the_door(slug: str) -> None:
    with pytest.raises(ValidationError, match="slug"):
        campaign(WELLS, user_id=ME, slug=slug)


@pytest.mark.parametrize("slug", ["wells", "Wells-for_Kitui.2", "für-kinder", "井戸", "~a", ""])
def test_a_slug_of_letters_is_taken(slug: str) -> None:
    assert campaign(WELLS, user_id=ME, slug=slug).slug == slug
