"""Addresses in one form, whoever writes them."""

from __future__ import annotations

import pytest

from fundlyhub.addresses import Mailbox, ascii_url, canonical_email, sender_mailbox
from fundlyhub.processors.shared.address_hashes import address_hash


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("Ada@Example.ORG ", "ada@example.org"),
        ("ada@exämple.org", "ada@xn--exmple-cua.org"),
        ("ada@EXÄMPLE.org", "ada@xn--exmple-cua.org"),
        ("ada@exa\u0308mple.org", "ada@xn--exmple-cua.org"),
        ("ada@XN--EXMPLE-CUA.ORG", "ada@xn--exmple-cua.org"),
        ("ada@faß.de", "ada@xn--fa-hia.de"),
        ("ada@例え。jp", "ada@xn--r8jz45g.jp"),
        ("Zoë@example.org", "zoë@example.org"),
        ("zoe\u0308@example.org", "zoë@example.org"),
        ("ada@example.org.", "ada@example.org"),
        ("no address", "no address"),
        ("ada@..", "ada@.."),
        ("ada@a\u2060b", "ada@ab"),
        ("", ""),
    ],
)
def test_an_address_has_one_form(written: str, form: str) -> None:
    assert canonical_email(written) == form
    assert canonical_email(form) == form


def test_a_bounce_that_names_the_punycode_form_is_about_the_same_address() -> None:
    assert address_hash("email", "ada@exämple.org", b"k") == address_hash("email", "Ada@xn--exmple-cua.org", b"k")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("no-reply@localhost", Mailbox("", "no-reply@localhost")),
        ("FundlyHub <no-reply@localhost>", Mailbox("FundlyHub", "no-reply@localhost")),
        ("FundlyHub <hello@exämple.org>", Mailbox("FundlyHub", "hello@xn--exmple-cua.org")),
        ('"FundlyHub, \\"Inc.\\"" <a@b.example>', Mailbox('FundlyHub, "Inc."', "a@b.example")),
        ("FundlyHub, Inc. <a@b.example>", Mailbox("FundlyHub, Inc.", "a@b.example")),
        ("Für Alle <a@b.example>", Mailbox("Für Alle", "a@b.example")),
        ("<a@B.example>", Mailbox("", "a@b.example")),
    ],
)
def test_a_sender_is_a_name_and_an_address_in_ascii(text: str, found: Mailbox) -> None:
    assert sender_mailbox(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "s3cret", "", "@", "a@", "@b", "a@b@c", "a b@c.example", "jürgen@c.example", "a@b.example, c@d.example",
        "A <a@b.example>, C <c@d.example>", "A <a@b.example> B", "x\nBcc: <a@b.example>", "A\u2028 <a@b.example>",
        "=?utf-8?q?a?=@b.example", "a@exa mple.org", "a@-\u00ad-", f"{'a' * 65}@b.example", "a..b@c.example",
    ],
)  # fmt: skip
def test_what_no_mail_could_come_from_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be") as caught:
        sender_mailbox(text)
    assert "example" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("https://hooks.example/unsubscribe/a.b", "https://hooks.example/unsubscribe/a.b"),
        ("https://exämple.org:8443/ü?x=%20&y=1", "https://xn--exmple-cua.org:8443/%C3%BC?x=%20&y=1"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("https://x.example/?a=?utf-8?q?b?=", "https://x.example/?a=%3Futf-8?q?b?="),
        ("https://x.example/a b\r\n<c>", "https://x.example/a%20b%3Cc%3E"),
    ],
)
def test_a_link_is_ascii_where_a_header_takes_it(url: str, written: str) -> None:
    assert ascii_url(url) == written
