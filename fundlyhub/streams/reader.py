"""Reads streams as one consumer of a group: new entries, and those that a dead consumer left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from logging import getLogger
from typing import Any

import redis

from fundlyhub.errors import WrongUse
from fundlyhub.observability.redaction import describe
from fundlyhub.redis_servers import redis_at
from fundlyhub.streams.entry import MAX_KEPT, Entry, Fields
from fundlyhub.streams.scripts import FORGET, READ, TRIM

log = getLogger(__name__)

BLOCK = 1.0
"""Seconds that a read waits for something new; so long may a stop take."""
PATIENCE = 10.0
"""Seconds that the server has to answer beyond that."""
MAX_READ = 4 * 1024 * 1024
"""Bytes of each stream that one read takes, with the entry that passes the limit: what a batch needs of memory."""
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
        self._batch, self._count, self._scripts = batch, 1, True

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
        """Entries that no consumer was given yet; waits up to ``block`` seconds for the first of each stream."""
        return self._read(">") or self._asked(">", 1, "BLOCK", int(block * 1000))  # a script cannot wait

    def own(self) -> list[Entry]:
        """What this consumer was given and has not acknowledged, the oldest first."""
        return self._read("0")

    def take_over(self, idle: float) -> Iterator[tuple[str, int]]:
        """Take over what has not been acknowledged for ``idle`` seconds, in batches: the stream, and how many.

        The caller reads each batch with ``own``, which has a limit of bytes, before it asks for the next.
        """
        for stream in self._streams:
            cursor: Any = b"0-0"
            while True:
                cursor, ids, *gone = self._ask(
                    "XAUTOCLAIM", stream, self._group, self._consumer, int(idle * 1000), cursor,
                    "COUNT", self._batch, "JUSTID",
                )  # fmt: skip
                self._tell_gone(stream, gone[0] if gone else ())
                yield stream, len(ids)
                if cursor == b"0-0":
                    break

    def acknowledge(self, entries: Iterable[Entry]) -> None:
        """They are done with."""
        for stream, ids in _by_stream(entries).items():
            self._redis.xack(stream, self._group, *ids)

    def trim(self) -> int:
        """Drop what every group has acknowledged; how many entries went."""
        return sum(int(self._tidied(TRIM, stream)) for stream in self._streams)

    def forget_idle(self, also: str = "") -> None:
        """Remove the names of consumers that are long gone, or are ``also`` named, and hold nothing."""
        for stream in self._streams:
            self._tidied(FORGET, stream, self._group, str(int(FORGOTTEN_AFTER * 1000)), also)

    def leave(self) -> None:
        """Remove this consumer's name where it holds nothing: it will not come back."""
        self.forget_idle(also=self._consumer)

    def _ask(self, *words: Any) -> Any:
        return self._redis.execute_command(*words)  # type: ignore[no-untyped-call]  # so in the library

    def _tidied(self, script: str, stream: str, *values: str) -> Any:
        """Run a script. A server that does not let us tidy up is no reason not to read."""
        try:
            return self._redis.eval(script, 1, stream, *values)
        except redis.ResponseError as error:
            log.warning("%s: cannot be tidied up: %s", stream, describe(error))
            return 0

    def _read(self, start: str) -> list[Entry]:
        """Entries up to ``batch`` and MAX_READ of each stream, without a wait."""
        if self._scripts:
            arguments = (self._group, self._consumer, start, str(self._batch), str(MAX_READ), str(MAX_KEPT))
            try:
                answer: Any = self._redis.eval(READ, len(self._streams), *self._streams, *arguments)
                return self._entries((raw[0].decode(), *raw[1:]) for raw in answer)
            except redis.exceptions.NoPermissionError as error:
                log.warning("reads have no exact limit of bytes, because scripts are forbidden: %s", describe(error))
                self._scripts = False
        found = self._asked(start, self._count)
        # From one entry on, twice as many each time, and one again after large ones.
        large = sum(entry.size for entry in found) > MAX_READ
        self._count = 1 if large else min(2 * self._count, self._batch)
        return found

    def _asked(self, start: str, count: int, *options: Any) -> list[Entry]:
        answer = self._ask(
            "XREADGROUP", "GROUP", self._group, self._consumer, "COUNT", count, *options,
            "STREAMS", *self._streams, *[start] * len(self._streams),
        )  # fmt: skip
        return self._entries((stream, id, 0, fields) for stream, raw in _by_name(answer) for id, fields in raw)

    def _entries(self, raw: Iterable[tuple[str, bytes, int, Sequence[bytes] | None]]) -> list[Entry]:
        found: list[Entry] = []
        gone: dict[str, list[bytes]] = {}
        for stream, id, size, fields in raw:
            if fields is None:  # nothing is left to read: this is logged
                gone.setdefault(stream, []).append(id)
            else:
                found.append(Entry(stream, id.decode(), _pairs(fields), size or None))
        for stream, ids in gone.items():
            self._tell_gone(stream, ids)
            self._redis.xack(stream, self._group, *ids)
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


def _pairs(flat: Sequence[bytes]) -> Fields:
    return tuple(zip(flat[::2], flat[1::2], strict=True))


def _by_stream(entries: Iterable[Entry]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entry in entries:
        found.setdefault(entry.stream, []).append(entry.id)
    return found
