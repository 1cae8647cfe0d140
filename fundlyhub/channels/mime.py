"""Mails in the format of RFC 5322, for SMTP and for .eml files.

``email.message`` is not used: it decodes RFC 2047 words in header values, so that a campaign's name could become a
header. A written mail is checked before it leaves.
"""

from __future__ import annotations

import re
from base64 import encodebytes
from binascii import b2a_base64, b2a_qp
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime, formataddr
from functools import lru_cache
from secrets import token_hex

from email_validator import EmailNotValidError, validate_email

from fundlyhub.addresses import ENCODED_WORD, Mailbox, sender_mailbox
from fundlyhub.channels.clean_text import one_line
from fundlyhub.channels.messages import Mail
from fundlyhub.errors import Permanent

_NAME = re.compile(r"[!-9;-~]{1,60}")
_OURS = frozenset(
    {"from", "to", "cc", "bcc", "sender", "reply-to", "subject", "date", "message-id", "mime-version"}
    | {"content-type", "content-transfer-encoding", "content-disposition", "received", "dkim-signature"}
)
_FOLDED, _LONGEST = 76, 998
"""Characters of a line: where it is folded if possible, and the maximum of RFC 5322."""
_ROOM = 45
"""Bytes of text in one RFC 2047 word."""

sender_of = lru_cache(16)(sender_mailbox)
"""Name and address of the sender in the setting. Raises ValueError."""


def mailbox(text: str) -> str:
    """A valid address, with its domain in ASCII where possible. Raises Permanent."""
    try:
        valid = validate_email(text, check_deliverability=False)
    except EmailNotValidError:
        raise Permanent("the address is no e-mail address") from None
    if ENCODED_WORD in valid.normalized:  # mail programs would decode it
        raise Permanent("the address is no e-mail address")
    return valid.ascii_email or valid.normalized


def extra_headers(mail: Mail) -> Mapping[str, str]:
    """The extra headers of a mail. Raises Permanent for a reserved, invalid or repeated name."""
    for name in mail.headers:
        if not _NAME.fullmatch(name) or name.lower() in _OURS:
            raise Permanent("a header of the mail has a name that is not allowed")
    if len({name.lower() for name in mail.headers}) < len(mail.headers):
        raise Permanent("a header of the mail is there twice")
    return mail.headers


def header_value(name: str, text: str) -> str:
    """A header's value in ASCII; a text that is not ASCII, or looks like an RFC 2047 word, as RFC 2047 words."""
    text = one_line(text)
    longest = max(map(len, text.split(" ")))
    if text.isascii() and ENCODED_WORD not in text and len(name) + 2 + longest <= _LONGEST:
        return text
    return _words(name, text)


def written(mail: Mail, sender: str) -> tuple[str, bytes]:
    """The recipient's address and the whole mail, with lines that end in CR LF. Raises Permanent.

    The Message-ID contains the reference, so a mail program recognizes a second copy.
    """
    to, extra = mailbox(mail.to), extra_headers(mail)
    try:
        author = sender_of(sender)
        boundary = f"=_{token_hex(12)}"  # cannot occur in quoted-printable or base64
        headers = {
            "From": _author(author),
            "To": to,  # not ASCII only if the server has SMTPUTF8
            "Subject": header_value("Subject", mail.subject),
            "Date": format_datetime(datetime.now(UTC)),
            "Message-ID": f"<{_identity(mail.reference)}@{author.address.rpartition('@')[2]}>",
            **{name: header_value(name, text) for name, text in extra.items()},
            "MIME-Version": "1.0",
            "Content-Type": f'multipart/alternative; boundary="{boundary}"',
        }
        head = "\r\n".join(_folded(name, value) for name, value in headers.items()).encode()
        edge = f"\r\n--{boundary}".encode()
        parts = [_part(kind, text) for kind, text in (("plain", mail.text), ("html", mail.html))]
        whole = b"".join([head, b"\r\n", *(edge + b"\r\n" + part for part in parts), edge, b"--\r\n"])
    except ValueError:
        raise Permanent("the mail cannot be written down") from None
    _check(whole, tuple(headers))
    return to, whole


def _author(author: Mailbox) -> str:
    name, address = author
    if name.isascii() and ENCODED_WORD not in name:
        return formataddr(author)
    return f"{_words('From', name)}\r\n <{address}>"


def _words(name: str, text: str) -> str:
    """RFC 2047 words in base64, each of whole characters, on lines of the allowed length."""
    data, begin, words = text.encode(), 0, []
    room = max(6, (_FOLDED - len(f"{name}: =?utf-8?b??=")) // 4 * 3)
    while begin < len(data):
        end = min(begin + room, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:  # within a character
            end -= 1
        words.append(f"=?utf-8?b?{b2a_base64(data[begin:end], newline=False).decode()}?=")
        begin, room = end, _ROOM
    return "\r\n ".join(words)


def _identity(reference: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", reference)[:200] or "-"


def _folded(name: str, value: str) -> str:
    """A header, folded at spaces; a word is never split."""
    if len(name) + 2 + len(value) <= _FOLDED or "\r\n" in value:
        return f"{name}: {value}"
    first, *words = value.split(" ")
    lines = [f"{name}: {first}"]
    for word in words:
        if len(lines[-1]) + 1 + len(word) > _FOLDED:
            lines.append("")
        lines[-1] += f" {word}"
    return "\r\n".join(lines)


def _part(kind: str, text: str) -> bytes:
    """A part with its headers, in quoted-printable, or in base64 where that is shorter."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    data = (text if text.endswith("\n") else f"{text}\n").encode()
    readable = len(data) - len(text) <= len(data) // 4
    data = data.replace(b"\n", b"\r\n")
    body = b2a_qp(data) if readable else encodebytes(data).replace(b"\n", b"\r\n")
    encoding = "quoted-printable" if readable else "base64"
    head = f'Content-Type: text/{kind}; charset="utf-8"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n'
    return head.encode() + body


def _check(mail: bytes, names: Sequence[str]) -> None:
    """Check the written mail: only our headers, only CR LF, no line too long. Raises Permanent."""
    lines = mail.split(b"\r\n")
    head = lines[: lines.index(b"")]
    found = tuple(line.partition(b":")[0].decode() for line in head if line[:1] not in (b" ", b"\t"))
    loose = {mail.count(sign) for sign in (b"\r", b"\n", b"\r\n")} != {len(lines) - 1} or b"\0" in mail
    if found != tuple(names) or loose or max(map(len, lines)) > _LONGEST:
        raise Permanent("the mail would not be the one that was meant")
