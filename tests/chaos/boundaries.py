"""The boundaries at which a process is killed: where each is seen on the wire, and on which brokers it exists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.support.proxy.wire import Side

Line = Literal["database", "queue", "provider"]
BOTH = ("rabbitmq", "valkey")


@dataclass(frozen=True, slots=True)
class Boundary:
    """``pattern`` is what passes on ``line`` there; ``queue`` lines speak each broker's own language.

    ``unknown`` are the moments at which a mail has been taken to be sent and is not settled: whoever dies then
    leaves one whose outcome nobody can know.
    """

    name: str
    process: Literal["publisher", "relay", "worker"]
    line: Line
    pattern: str
    nth: int = 1
    side: Side = "client"
    brokers: tuple[str, ...] = BOTH
    unknown: tuple[str, ...] = ()

    def in_doubt(self, when: str) -> tuple[int, ...]:
        """How many mails may be left in doubt: a main process takes its children with it, one perhaps in a call."""
        if self.process == "worker" and self.line == "queue":
            return (0, 1)
        return (int(when in self.unknown),)


RABBITMQ, VALKEY = ("rabbitmq",), ("valkey",)
BOUNDARIES = (
    Boundary("publish commit", "publisher", "database", "^COMMIT of .*events.append_events"),
    Boundary("cursor read", "relay", "database", "^SELECT position, left"),
    Boundary("broker publish", "relay", "queue", "^basic.publish fundlyhub ", nth=3, brokers=RABBITMQ),
    Boundary("broker publish", "relay", "queue", "^LPUSH ", nth=3, brokers=VALKEY),
    # Valkey confirms nothing beside its reply, and that is "broker publish, after".
    Boundary("confirm", "relay", "queue", "^basic.ack", side="server", brokers=RABBITMQ),
    Boundary("cursor advance", "relay", "database", "^COMMIT of .*UPDATE events.relay_cursors SET seen"),
    Boundary("task receipt", "worker", "queue", "^basic.deliver ", nth=2, side="server", brokers=RABBITMQ),
    Boundary("task receipt", "worker", "queue", "^reply to BRPOP ", nth=2, side="server", brokers=VALKEY),
    Boundary("claim", "worker", "database", "^WITH fresh AS .*INSERT INTO processed_events", nth=4),
    Boundary("effect", "worker", "database", "^INSERT INTO chaos_effects", nth=4),
    Boundary("commit", "worker", "database", "^COMMIT of .*INSERT INTO chaos_effects", nth=2),
    Boundary("provider call", "worker", "provider", "^POST /v3/mail/send", unknown=("before", "after")),
    Boundary("ledger update", "worker", "database", "^WITH ended AS .* SET state = CASE", unknown=("before",)),
    Boundary("ack", "worker", "queue", "^basic.ack", nth=3, brokers=RABBITMQ),
    Boundary("ack", "worker", "queue", "^EXEC of ZREM unacked_index .*HDEL unacked ", nth=3, brokers=VALKEY),
    Boundary("dead-letter write", "worker", "database", "^COMMIT of .*INSERT INTO events.dead_letters"),
)
"""In the order of an event's way."""
