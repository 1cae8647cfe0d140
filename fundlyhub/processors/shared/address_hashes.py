"""Keyed hashes of addresses, for tables and logs that hold no addresses."""

from __future__ import annotations

import hashlib
import hmac
import re

from fundlyhub.addresses import canonical_email, canonical_phone
from fundlyhub.channels.messages import ChannelName


def keyed_hash(purpose: str, value: str, secret: bytes) -> str:
    """A keyed hash of a value, 32 hexadecimal characters; ``purpose`` keeps uses apart."""
    return hmac.new(secret, f"{purpose}\0{value}".encode(errors="surrogatepass"), hashlib.sha256).hexdigest()[:32]


def address_hash(channel: ChannelName, address: str, secret: bytes) -> str:
    """The hash of an address in its canonical form."""
    return keyed_hash(channel, normalized(channel, address), secret)


def normalized(channel: ChannelName, address: str) -> str:
    """The canonical form of a mail address or a phone number; a device token as it is."""
    match channel:
        case "email":
            return canonical_email(address)
        case "sms":
            return canonical_phone(address)
        case _:
            return address


LAST_DIGITS = 9
"""Of a number, for counting: two numbers that share them count together."""


def mailbox(channel: ChannelName, address: str) -> str:
    """What all spellings of one mailbox or number have in common, for counting alone.

    Many providers deliver ``jane+anything@`` to ``jane@``, and some ignore dots. A number is known by its last digits:
    some networks take the ``0`` that is dialled at home after the country, or a second ``+``.
    """
    known = normalized(channel, address)
    if channel == "sms":
        return known.replace("+", "")[-LAST_DIGITS:]
    if channel != "email":
        return known
    local, _, domain = known.rpartition("@")
    local = local.partition("+")[0] or local
    if domain in ("gmail.com", "googlemail.com"):
        local, domain = local.replace(".", "") or local, "gmail.com"
    return f"{local}@{domain}"


def address_hashes(channel: ChannelName, address: str, secret: bytes) -> tuple[str, ...]:
    """The hash of an address, and the one that the previous release used, where that differs.

    Hashes cannot be made anew, since no address is stored beside them. So lookups ask for both.
    """
    match channel:
        case "email":
            former = address.strip().casefold()
        case "sms":
            former = re.sub(r"[^0-9+]", "", address)
        case _:
            former = address
    return tuple(dict.fromkeys((address_hash(channel, address, secret), keyed_hash(channel, former, secret))))
