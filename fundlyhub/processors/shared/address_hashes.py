"""Keyed hashes: what stands for an address where the address itself has no business."""

from __future__ import annotations

import hashlib
import hmac
import re

from fundlyhub.addresses import canonical_email, canonical_phone
from fundlyhub.channels.messages import ChannelName


def keyed_hash(purpose: str, value: str, secret: bytes) -> str:
    """32 hexadecimal characters that only somebody with the key can tie to the value; ``purpose`` keeps uses apart."""
    return hmac.new(secret, f"{purpose}\0{value}".encode(errors="surrogatepass"), hashlib.sha256).hexdigest()[:32]


def address_hash(channel: ChannelName, address: str, secret: bytes) -> str:
    """The hash of an address, in whatever way it is written."""
    return keyed_hash(channel, normalized(channel, address), secret)


def normalized(channel: ChannelName, address: str) -> str:
    """An address in one way of writing: a mail address or a number in its canonical form, a token as it is."""
    match channel:
        case "email":
            return canonical_email(address)
        case "sms":
            return canonical_phone(address)
        case _:
            return address


def address_hashes(channel: ChannelName, address: str, secret: bytes) -> tuple[str, ...]:
    """The hash of an address, and the one under which the release before knew it, where that differs.

    Hashes cannot be made anew, since no address is stored beside them. So whatever looks an address up asks for both.
    """
    match channel:
        case "email":
            former = address.strip().casefold()
        case "sms":
            former = re.sub(r"[^0-9+]", "", address)
        case _:
            former = address
    return tuple(dict.fromkeys((address_hash(channel, address, secret), keyed_hash(channel, former, secret))))
