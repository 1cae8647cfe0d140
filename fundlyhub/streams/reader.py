"""Reads streams as one consumer of a group: new entries, and those that a dead consumer left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from logging import getLogger
from typing import Any

import redis

from fundlyhub.errors import WrongUse
from fundlyhub.observability.redaction import describe
from fundlyhub.redis_servers import redis_at
from fundlyhub.streams.entry import Entry, Fields
from fundlyhub.streams.scripts import FORGET, TRIM

log = getLogger(__name__)

BLOCK = 1.0
"""Seconds that a read waits for something new; so long may a stop take."""
PATIENCE = 10.0
"""Seconds that the server has to answer beyond that."""
FORGOTTEN_AFTER = 86_400.0
"""Seconds after which the name of a consumer that holds nothing is removed."""

Raw = Sequence[Any]


def client_of(url: str) -> redis.Redis:
    """A client that hands over what it reads as it is, and never repeats a command by itself."""
    client = redis_at(url, patience=BLOCK + PATIENCE, connect=PATIENCE, client_name="fundlyhub-ingest")
    # The library makes a dict of an entry's fields: of a name that stands there twice one would be lost.
    for command in ("XREADGROUP", "XAUTOCLAIM"):
        client.set_response_callback(command, lambda answer, **_: answer)
    return client


class Reader:
    """One consumer of ``group`` on several streams. Raises redis.RedisError when the server is away or refuses."""

    def __init__(self, client: redis.Redis, streams: Sequence[str], group: str, consumer: str, *, batch: int) -> None:
        self._redis, self._streams, self._group, self._consumer = client, streams, group, consumer
        self._batch = batch

    def join(self) -> None:
        """Make the group on each stream where it is not, from the very first entry on.

        Raises WrongUse when the key of a stream holds something else.
        """
        for stream in self._streams:
            try:
                self._redis.xgroup_create(stream, self._group, id="0", mkstream=True)
            except redis.ResponseError as error:
                if "WRONGTYPE" in str(error):
                    raise WrongUse(f"FUNDLYHUB_INGEST_STREAMS: the key {stream!r} holds no stream") from None
                if "BUSYGROUP" not in str(error):
                    raise

    def fresh(self, block: float = BLOCK) -> list[Entry]:
        """Entries that no consumer was given yet; waits up to ``block`` seconds for them."""
        wait = ("BLOCK", int(block * 1000))
        return self._read(">", *wait)

    def own(self) -> list[Entry]:
        """What this consumer was given and has not acknowledged, the oldest first."""
        return self._read("0")

    def abandoned(self, idle: float) -> Iterator[list[Entry]]:
        """Take over what has not been acknowledged for ``idle`` seconds, in batches."""
        for stream in self._streams:
            cursor: Any = b"0-0"
            while True:
                cursor, found, *gone = self._ask(
                    "XAUTOCLAIM", stream, self._group, self._consumer, int(idle * 1000), cursor, "COUNT", self._batch
                )
                self._tell_gone(stream, [*(gone[0] if gone else ()), *(one[0] for one in found if one and not one[1])])
                yield list(_entries(stream, found))
                if cursor == b"0-0":
                    break

    def acknowledge(self, entries: Iterable[Entry]) -> None:
        """They are done with."""
        for stream, ids in _by_stream(entries).items():
            self._redis.xack(stream, self._group, *ids)

    def trim(self) -> int:
        """Drop what every group has acknowledged; how many entries went."""
        return sum(int(self._tidied(TRIM, stream)) for stream in self._streams)

    def forget_idle(self) -> None:
        """Remove the names of consumers that are long gone and hold nothing."""
        self._forget(idle=FORGOTTEN_AFTER)

    def leave(self) -> None:
        """Remove this consumer's name where it holds nothing: it will not come back."""
        self._forget(idle=FORGOTTEN_AFTER, also=self._consumer)

    def _forget(self, *, idle: float, also: str = "") -> None:
        for stream in self._streams:
            self._tidied(FORGET, stream, self._group, str(int(idle * 1000)), also)

    def _ask(self, *words: Any) -> Any:
        return self._redis.execute_command(*words)  # type: ignore[no-untyped-call]  # so in the library

    def _tidied(self, script: str, stream: str, *values: str) -> Any:
        """Run a script. A server that does not let us tidy up is no reason not to read."""
        try:
            return self._redis.eval(script, 1, stream, *values)
        except redis.ResponseError as error:
            log.warning("%s: cannot be tidied up: %s", stream, describe(error))
            return 0

    def _read(self, start: str, *options: Any) -> list[Entry]:
        places = [start] * len(self._streams)
        answer = self._ask(
            "XREADGROUP", "GROUP", self._group, self._consumer, "COUNT", self._batch, *options,
            "STREAMS", *self._streams, *places,
        )  # fmt: skip
        found: list[Entry] = []
        for stream, raw in _by_name(answer):
            gone = [one[0] for one in raw if one[1] is None]
            if gone:  # nothing is left to read: this is logged
                self._tell_gone(stream, gone)
                self._redis.xack(stream, self._group, *gone)
            found += _entries(stream, raw)
        return found

    def _tell_gone(self, stream: str, ids: Sequence[bytes]) -> None:
        """Log entries that were trimmed or deleted before they were acknowledged; they may be in the log."""
        if ids:
            log.error(
                "%s: %d entries were deleted from the stream before they were acknowledged, %s first: does a publisher "
                "trim it?", stream, len(ids), ids[0].decode(),
            )  # fmt: skip


def _by_name(answer: Any) -> Iterator[tuple[str, Raw]]:
    """Streams with their entries: a list of pairs, a map in the newer protocol, or nothing."""
    pairs = answer.items() if isinstance(answer, dict) else answer or ()
    for name, entries in pairs:
        yield name.decode(), entries


def _entries(stream: str, raw: Raw) -> Iterator[Entry]:
    for one in raw:
        if one and one[1] is not None:
            yield Entry(stream, one[0].decode(), _pairs(one[1]))


def _pairs(flat: Sequence[bytes]) -> Fields:
    return tuple(zip(flat[::2], flat[1::2], strict=True))


def _by_stream(entries: Iterable[Entry]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entry in entries:
        found.setdefault(entry.stream, []).append(entry.id)
    return found
