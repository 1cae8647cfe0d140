"""A person as keyed hashes of ids and addresses, so that what is remembered of an erasure names nobody."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any
from uuid import UUID

from fundlyhub.addresses import canonical_phone
from fundlyhub.processors.shared.address_hashes import address_hash, address_hashes, keyed_hash

_MOST_DIGITS = 20
_ADDRESS = re.compile(r"([^\s<>\"',;:()\[\]@]{1,64})@(\w(?:[\w.-]{0,253}\w)?)")
_UNUSUAL = re.compile(r"[^\w.+-]")
_ID = re.compile(r"[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")
_NEXT_NUMBER = re.compile(r"\s+(?=\+|00)")
_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NUMBER = re.compile(r"\+?\d[\d ()./-]{5,30}\d")


class Person:
    """Knows a person's ids, addresses and things (donations, campaigns, payout requests) when it sees them.

    ``ids``, ``addresses`` and ``tokens`` of devices are what was seen of them in clear, while this process runs.
    """

    def __init__(self, secret: bytes, hashes: Iterable[str] = ()) -> None:
        self._secret, self.hashes = secret, set(hashes)
        self.ids: set[UUID] = set()
        self.addresses: set[str] = set()
        self.tokens: set[str] = set()

    def add_id(self, id: UUID) -> None:
        """One of their ids."""
        self.ids.add(id)
        self.hashes.add(_hash("person", str(id), self._secret))

    def add_thing(self, id: str) -> None:
        """The id of a thing of theirs."""
        self.hashes.add(_hash("thing", id, self._secret))

    def add_address(self, address: str) -> None:
        """One of their addresses: of mail with an ``@``, else of a phone."""
        self.addresses.add(address)
        self.hashes.update(address_hashes("email" if "@" in address else "sms", address, self._secret))

    def is_id(self, value: Any) -> bool:
        """Whether this is their id."""
        if not isinstance(value, str) or not 32 <= len(value) <= 45:
            return False
        if _hash("person", value, self._secret) not in self.hashes:
            return False
        self.ids.add(UUID(value))
        return True

    def has_thing(self, value: Any) -> bool:
        """Whether this is the id of a thing of theirs."""
        return isinstance(value, str) and _hash("thing", value, self._secret) in self.hashes

    def has_address(self, value: Any) -> bool:
        """Whether this is one of their addresses."""
        if not isinstance(value, str) or len(value) > 320:
            return False
        if "@" in value:
            found = _address("email", value, self._secret) in self.hashes
        else:
            digits = canonical_phone(value)
            found = 7 <= len(digits) <= _MOST_DIGITS and _address("sms", value, self._secret) in self.hashes
        if found:
            self.addresses.add(value)
        return found

    def is_in(self, text: str) -> bool:
        """Whether one of their ids or addresses stands in a text."""
        return any(map(self.is_id, _ID.findall(text))) or any(map(self.has_address, _addresses(text)))


def _addresses(text: str) -> Iterator[str]:
    """What may be an address: also at the end of a URL or a sentence, and one number after the other."""
    for local, domain in _ADDRESS.findall(text):
        for one in {local, _UNUSUAL.split(local)[-1]} - {""}:
            yield f"{one}@{domain}"
    for number in _NUMBER.findall(text):
        yield number
        yield from _NEXT_NUMBER.split(number)


@lru_cache(maxsize=100_000)
def _hash(purpose: str, id: str, secret: bytes) -> str:
    if not _UUID.fullmatch(id):  # in its usual form it need not be read, which costs as much as the hash
        with suppress(ValueError):
            id = str(UUID(id))
    return keyed_hash(purpose, id, secret)


@lru_cache(maxsize=10_000)
def _address(channel: Any, value: str, secret: bytes) -> str:
    return address_hash(channel, value, secret)
