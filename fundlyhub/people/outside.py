"""What lies outside of the databases: mirrored streams, messages in the outbox folder, the search engine."""

from __future__ import annotations

import email
import email.policy
import json
import re
from collections.abc import Collection, Iterator
from logging import getLogger
from pathlib import Path
from typing import Any
from uuid import UUID

import redis

from fundlyhub.errors import ProcessingError, Unavailable
from fundlyhub.people.belongings import mentions
from fundlyhub.people.person import Person
from fundlyhub.processors.projections.search_index import SearchIndexProcessor
from fundlyhub.redis_servers import redis_at
from fundlyhub.relay.mirror_config import CHANNEL
from fundlyhub.settings import Settings

log = getLogger(__name__)

PATIENCE = 10.0
"""Seconds that Redis has to answer."""
PAGE = 500
_ENDINGS = ("eml", "txt", "json")
_TO = re.compile(rb"^(?:To|Reference): ?(.*)$", re.MULTILINE)


def erase_mirrored(settings: Settings, person: Person, events: Collection[UUID]) -> int:
    """Delete the entries of these events, and others that name the person, from the mirror's streams; how many."""
    if not mirrors(settings):
        return 0
    gone = 0
    try:
        with streams(settings) as client:
            for stream, ids in mirrored(client, person, events):
                gone += int(client.xdel(stream, *ids))
            if gone:
                _rewrite(client)
    except redis.RedisError as error:
        raise Unavailable(f"the server of streams does not answer ({type(error).__name__}): run it again") from None
    return gone


def mirrors(settings: Settings) -> bool:
    """Whether there are streams to look at: a server of streams is set."""
    return settings.streams_url is not None or settings.redis_url is not None


def streams(settings: Settings) -> redis.Redis:
    """A client of the server of streams, for one look."""
    return redis_at(settings.streams, patience=PATIENCE, client_name="fundlyhub-people")


def mirrored(client: redis.Redis, person: Person, events: Collection[UUID] = ()) -> Iterator[tuple[Any, list[Any]]]:
    """The entries about the person, by stream; ``events`` are ids of events that are."""
    wanted = {str(id).encode() for id in events}
    for stream in client.scan_iter(match=f"{CHANNEL}*", _type="stream"):
        first = b"-"
        while entries := list[Any](client.xrange(stream, min=first, count=PAGE) or ()):
            found = [id for id, fields in entries if fields.get(b"id") in wanted or _names(fields, person)]
            if found:
                yield stream, found
            first = b"(" + entries[-1][0]


def _names(fields: dict[bytes, bytes], person: Person) -> bool:
    return any(mentions(value.decode("utf-8", "replace"), person) for value in fields.values())


def _rewrite(client: redis.Redis) -> None:
    """Have the server write its append-only file anew, without the entries that are gone."""
    try:
        client.bgrewriteaof()
    except redis.exceptions.ResponseError:  # it keeps none, or is at it
        return


def erase_messages(settings: Settings, person: Person, about: Collection[UUID]) -> int:
    """Delete the files of messages to the person, and ``about`` them to others, from the outbox folder; how many."""
    files = list(messages(settings.data_dir, person, about))
    for path in files:
        path.unlink(missing_ok=True)
    return len(files)


def messages(data_dir: Path, person: Person, about: Collection[UUID] = ()) -> Iterator[Path]:
    """The files of messages to the person, and of those with these ids; a killed worker may have left a hidden one."""
    ids = {str(id) for id in about}
    for path in sorted((data_dir / "outbox").glob("*/*")):
        name = path.name.removesuffix(".tmp")
        stem, _, ending = name.rpartition(".")
        if ending in _ENDINGS and path.is_file() and (stem[-36:] in ids or _is_to(path, ending, person)):
            yield path


def _is_to(path: Path, ending: str, person: Person) -> bool:
    content = path.read_bytes()
    if ending == "eml":
        mail = email.message_from_bytes(content, policy=email.policy.compat32)
        return person.is_in(str(mail.get("To", "")))
    if ending == "txt":
        return any(person.has_address(one.decode("utf-8", "replace").strip()) for one in _TO.findall(content))
    try:
        return str(json.loads(content).get("token")) in person.tokens
    except (ValueError, AttributeError, RecursionError):
        return False


def flush_search() -> None:
    """Send what has changed to the external search engine, if one is set. What is not taken stays, and goes later."""
    try:
        SearchIndexProcessor().afterwards()
    except ProcessingError as error:
        log.warning("the search engine has not got the changes yet, and gets them by the sweep: %s", error)
