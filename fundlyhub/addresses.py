"""E-mail addresses and links in one form: what is sent, what is compared, and who mails come from."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple
from urllib.parse import quote, urlsplit

_NAMED = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]*)>")
_INTERNATIONAL = re.compile(r"[\s(\u200e\u202a\u2066]*(?:tel:)?[\s(]*(?:[+\uff0b]|00)")
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOMAIN = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
ENCODED_WORD = "=?"
"""How RFC 2047 begins a word that mail programs decode, Python's own parser even inside an address."""


class Mailbox(NamedTuple):
    """A name, which may be empty, and an address in ASCII."""

    name: str
    address: str


def canonical_email(address: str) -> str:
    """An address in the one form in which addresses are compared and hashed: small letters, its domain in punycode.

    Mail servers name the punycode form of an internationalised domain, people the other one. What is no address
    comes back in small letters.
    """
    local, at, domain = address.strip().rpartition("@")
    try:
        host = ascii_domain(domain)
    except ValueError:
        host = domain.casefold()
    return f"{unicodedata.normalize('NFC', local).casefold()}{at}{host}"


def canonical_phone(number: str) -> str:
    """A phone number in the one form in which numbers are compared, hashed and sent: ``+`` and digits (E.164).

    ``00`` before the country stands for ``+``, and a ``(0)`` after it is dialled at home only. A number without its
    country keeps its digits: nobody can tell where it belongs.
    """
    text = unicodedata.normalize("NFKC", number).replace("(0)", "") if _INTERNATIONAL.match(number) else number
    signs = (str(unicodedata.digit(sign, "")) or sign for sign in text)
    digits = "".join(sign for sign in signs if sign.isdigit() or sign == "+")
    return f"+{digits[2:]}" if digits.startswith("00") else digits


def ascii_domain(domain: str) -> str:
    """A domain in small letters and punycode (IDNA 2008). Raises ValueError for what is none."""
    plain = domain.rstrip(".")
    if not plain.isascii():
        import idna  # loads large tables, for few

        return idna.encode(plain, uts46=True).decode()
    if not _DOMAIN.fullmatch(plain):
        raise ValueError("not a domain")
    return plain.lower()


def sender_mailbox(text: str) -> Mailbox:
    """Who mails come from: an address, or a name with an address in angle brackets.

    A domain beyond ASCII becomes punycode. Raises ValueError that says what is wrong, and quotes nothing.
    """
    named = _NAMED.fullmatch(text.strip())
    name, address = (named["name"].strip(), named["address"].strip()) if named else ("", text.strip())
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    local, _, domain = address.rpartition("@")
    try:
        if not text.isprintable() or not _LOCAL.fullmatch(local) or ENCODED_WORD in local:
            raise ValueError
        if len(local) > 64 or len(name) > 200:
            raise ValueError
        return Mailbox(name, f"{local}@{ascii_domain(domain)}")
    except ValueError:
        raise ValueError("must be an address, or a name with an address in angle brackets") from None


def ascii_url(url: str) -> str:
    """A link in ASCII, as a header takes it: its host in punycode, other signs percent-encoded.

    A port and what else stands beside the host stay. Raises ValueError for what is no link.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    netloc = parts.netloc if parts.netloc.isascii() else parts.netloc.replace(host, ascii_domain(host))
    if not netloc.isascii():
        raise ValueError("not a link")
    whole = parts._replace(netloc=netloc).geturl()
    return quote(whole, safe="!#$%&'()*+,/:;=?@[]~").replace(ENCODED_WORD, "=%3F")
