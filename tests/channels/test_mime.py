"""What a mail is, to a reader that is not ours: just our headers, each saying the text that it was given."""

from __future__ import annotations

import base64
import re
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage

import pytest
from hypothesis import example, given
from hypothesis import settings as options
from hypothesis import strategies as st

from fundlyhub.channels.clean_text import lines, one_line
from fundlyhub.channels.messages import Mail, Push, Sms
from fundlyhub.channels.mime import written
from fundlyhub.errors import Permanent
from tests.channels.senders import ADDRESS, FROM
from tests.support.examples import examples

USUAL = ["From", "To", "Subject", "Date", "Message-ID"]
REST = ["MIME-Version", "Content-Type"]
REPLY = "=?utf-8?q?Wells=0D=0AReply-To=3A_eve=40evil.example?="
HOSTILE = [
    REPLY,
    f"=?utf-8?b?{base64.b64encode(b'x%sBcc: eve@evil.example' % bytes([13, 10])).decode()}?=",
    "=?utf-8?q?x=0D=0AContent-Type=3A_text/html=0D=0A=0D=0A<h1>foreign</h1>?=",
    "=?iso-8859-1?Q?a=0ABcc:_eve?= =?utf-8?B?DQpCY2M6IGV2ZQ==?=",
    "=?utf-16?b?DQAKAEIAYwBjADoAIABlAHYAZQA=?=", "=?utf-7?q?+AA0ACg-Bcc: eve?=", "=?us-ascii*en?q?=0D=0ABcc=3A_eve?=",
    "=?utf-8?q?=3D=3Futf-8=3Fq=3F=0D=0ABcc:eve=3F=3D?=", "=?utf-8?q?wells", "?= =?utf-8?q?", "=?x-unknown?q?=0D=0A?=",
    "=?utf-8?q?a=0D=0A?=\r\n =?utf-8?q?Bcc=3A_eve?=", "=?utf-8?q?=00=0B=E2=80=A8=C2=85?=", "=?utf-8?b?????=",
    "Wells\r\nBcc: eve@evil.example", "Wells\rBcc: eve", "a\nb", "x\x00y",
    "x\u2028Bcc: eve\u2029z\u0085w\x0b\x0c\x1c\x1d",
    "\ud800\udc00 \udfff", "👩‍👩‍👧‍👦" * 60, "ä" * 5_000, "x" * 5_000, "word " * 1_000,
    "", " ", ":", "\u00a0", "=", "=?", "?=",
    "می‌خواهم", "क्‍ष", "-- \r\n--=_x--", "\ufeffx", "a\u2060b",
]  # fmt: skip
ENGLAND = "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
hostile = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(), max_size=200),
    st.lists(st.one_of(st.sampled_from([*HOSTILE, "=?", "?=", "?q?", "utf-8", "=0D=0A", "\r", "\n", " ", "\t"]),
                       st.text(max_size=8)), max_size=8).map("".join),
)  # fmt: skip


def header_lines(mail: bytes) -> tuple[list[str], list[bytes]]:
    """The names of the header's fields, and their lines, read with nothing but a split."""
    head = mail[: mail.index(b"\r\n\r\n")].split(b"\r\n")
    return [line.split(b":")[0].decode() for line in head if line[:1] not in b" \t"], head


def header(mail: bytes, name: str) -> str:
    """A header's value as it stands there, unfolded."""
    return re.sub(r"\r\n(?=[ \t])", "", str(message_from_bytes(mail)[name]))


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def as_lines(text: str) -> str:
    """A text as it arrives: one kind of line break, and one at its end."""
    text = re.sub(r"\r\n|\r", "\n", text)
    return text if text.endswith("\n") else f"{text}\n"


def assert_exact(mail: bytes, given: Mail, *extra: str) -> EmailMessage:
    """Three readings of the mail find what was given and nothing beside it."""
    names, head = header_lines(mail)
    assert names == [*USUAL, *extra, *REST]
    assert max(map(len, mail.split(b"\r\n"))) <= 998
    assert all(len(line) <= 78 for line in head if b"=?" in line)
    assert mail.count(b"\r") == mail.count(b"\n") == mail.count(b"\r\n")
    assert mail.endswith(b"--\r\n")
    new, old = message_from_bytes(mail, policy=policy.default), message_from_bytes(mail)
    assert isinstance(new, EmailMessage)
    assert new.keys() == old.keys() == names
    for name, said in {"Subject": given.subject, **given.headers}.items():
        assert str(make_header(decode_header(header(mail, name)))) == said
    assert new.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in new.walk()][1:] == ["text/plain", "text/html"]
    assert not new.defects
    return new


@example(subject=REPLY, note=REPLY, text="x", html="x")
@options(max_examples=examples(300), deadline=None)
@given(subject=hostile, note=hostile, text=hostile, html=hostile)
@pytest.mark.chaos  # for its length
def test_whatever_a_header_says_it_makes_no_other(subject: str, note: str, text: str, html: str) -> None:
    text, html = (one.encode(errors="replace").decode() for one in (text, html))
    mail = Mail(ADDRESS, subject, text, html, "n-1", {"X-Note": note, "List-Unsubscribe": note})
    assert mail.subject == one_line(subject)
    _, content = written(mail, FROM)
    read = assert_exact(content, mail, "X-Note", "List-Unsubscribe")
    assert (read["From"], read["To"], read["Message-ID"]) == (FROM, ADDRESS, "<n-1@example.org>")
    assert (body(read, "plain"), body(read, "html")) == (as_lines(text), as_lines(html))


@options(max_examples=examples(100), deadline=None)
@given(reference=hostile)
def test_nor_does_a_reference(reference: str) -> None:
    mail = Mail(ADDRESS, "Wells", "x", "x", reference)
    assert re.fullmatch(r"<[A-Za-z0-9-]{1,200}@example\.org>", assert_exact(written(mail, FROM)[1], mail)["Message-ID"])


@options(max_examples=examples(100), deadline=None)
@given(name=hostile.filter(lambda text: text.isprintable()))
def test_a_senders_name_is_read_as_it_was_set(name: str) -> None:
    name = name.translate({ord(sign): None for sign in '<>"\\'}).strip()[:200].strip()
    mail = Mail(ADDRESS, "Wells", "x", "x", "n-1")
    content = written(mail, f"{name} <no-reply@exämple.org>")[1]
    read = assert_exact(content, mail)
    (author,) = read["From"].addresses
    assert author.addr_spec == "no-reply@xn--exmple-cua.org"
    # Not the parser's word for the name: Python 3.11 has a blank between two words, where RFC 2047 has none.
    said = str(make_header(decode_header(header(content, "From").rpartition("<")[0])))
    assert " ".join(said.strip().strip('"').split()) == " ".join(name.split())


@pytest.mark.parametrize("to", [f"{REPLY}@example.org", "=?utf-8?q?a?=@example.org"])
def test_an_address_that_would_be_decoded_is_refused(to: str) -> None:
    with pytest.raises(Permanent, match="the address is no e-mail address"):
        written(Mail(to, "Wells", "x", "x", "n-1"), FROM)


def test_a_way_to_leave_is_written_whole() -> None:
    url = f"<https://hooks.fundlyhub.example/unsubscribe/{'a' * 300}.campaigns.{'b' * 32}>"
    mail = Mail(
        ADDRESS, "x", "x", "x", "n-1", {"List-Unsubscribe": url, "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    )
    _, head = header_lines(written(mail, FROM)[1])
    assert f"List-Unsubscribe: {url}".encode() in head
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click" in head


def test_a_long_subject_of_plain_words_stays_readable() -> None:
    mail = Mail(ADDRESS, "Clean water for Kisumu " * 12, "x", "x", "n-1")
    content = written(mail, FROM)[1]
    assert b"=?" not in content
    assert max(map(len, header_lines(content)[1])) <= 76
    assert assert_exact(content, mail)["Subject"] == "Clean water for Kisumu " * 11 + "Clean water for Kisumu"


@pytest.mark.parametrize(
    "text", ["a" * 5_000, ".\n..\n.x\nFrom me\n", "trailing \n\t\n", "ä" * 300, "a\x00b\x0c", "Дорогая", "=20=\n"]
)
def test_a_body_arrives_as_it_was(text: str) -> None:
    mail = Mail(ADDRESS, "Wells", text, f"<p>{text}</p>", "n-1")
    read = assert_exact(written(mail, FROM)[1], mail)
    assert (body(read, "plain"), body(read, "html")) == (as_lines(text), as_lines(f"<p>{text}</p>"))


def test_a_header_is_there_once() -> None:
    with pytest.raises(Permanent, match="twice"):
        written(Mail(ADDRESS, "Wells", "x", "x", "n-1", {"X-Note": "a", "x-note": "b"}), FROM)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("👩‍👩‍👧‍👦 and 🏳️‍🌈 and 🧑🏽‍⚕️", "👩‍👩‍👧‍👦 and 🏳️‍🌈 and 🧑🏽‍⚕️"), ("🙂‍↔️", "🙂‍↔️"), ("🏴‍☠️", "🏴‍☠️"),
        ("می‌خواهم", "می‌خواهم"), ("क्‍ष र्‍य", "क्‍ष र्‍य"), ("ه‍", "ه‍"), ("ශ්‍රී", "ශ්‍රී"),
        (ENGLAND, ENGLAND),
        ("We\u200dlls\u200c", "Wells"), ("\u200d\u200cWells", "Wells"), ("می\u200c\u200c\u200dخواهم", "می\u200cخواهم"),
        ("👩\u200d", "👩"), ("a \u200b b", "a b"), ("We\u2060lls\ufeff\u00ad", "Wells"), ("x\U000e0041\U000e0042", "x"),
        ("a\u202eb\u2066c\u061c", "abc"), ("\u2068אב\u2069 x", "\u2068אב\u2069 x"), ("a\ud800b", "a b"),
        ("a\r\n\tb\x1b[1m", "a b [1m"),
    ],
)  # fmt: skip
def test_what_joins_letters_and_emoji_stays_and_what_nobody_sees_goes(text: str, kept: str) -> None:
    assert one_line(text) == kept


@given(text=hostile)
def test_a_line_is_one_line_however_often_it_is_made_one(text: str) -> None:
    once = one_line(text)
    assert one_line(once) == once
    assert len(once.splitlines()) <= 1
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u2060\u202e]", once)
    assert lines(lines(text)) == lines(text)
    once.encode()


@given(text=hostile)
def test_push_and_text_messages_hold_no_control_characters(text: str) -> None:
    push, sms = Push("token", text, text, text, {"x": text}), Sms(text, text, text)
    for said in (push.title, push.reference, push.data["x"], sms.to, sms.reference):
        assert said == one_line(text)
    for said in (push.body, sms.body):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", said)
