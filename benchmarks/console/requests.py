"""What is requested: each GET route of the pages and of the API, with the ids and filters that people use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from fundlyhub.console.api import ROUTES
from fundlyhub.console.api.routing import PREFIX
from fundlyhub.console.pages import PAGES

_SAMPLES = {
    "position": "SELECT position FROM events.events WHERE position % 7 = 0 ORDER BY md5(position::text) LIMIT 50",
    "event": "SELECT id FROM events.events WHERE position % 11 = 0 ORDER BY md5(position::text) LIMIT 50",
    "letter": "SELECT id FROM events.dead_letters WHERE state = 'open' ORDER BY md5(id::text) LIMIT 50",
    "message": "SELECT id FROM app.notifications ORDER BY md5(id::text) LIMIT 50",
    "mail_sent": "SELECT id FROM app.notifications WHERE channel = 'email' ORDER BY md5(id::text) LIMIT 50",
    "held": "SELECT id FROM events.quarantine ORDER BY md5(id::text) LIMIT 50",
    "user": "SELECT user_id FROM app.contacts ORDER BY md5(email) LIMIT 50",
    "mail": "SELECT email FROM app.contacts ORDER BY md5(email) LIMIT 50",
    "aggregate": "SELECT aggregate_id FROM events.events WHERE type = 'campaign.created' LIMIT 50",
    "correlation": "SELECT correlation_id FROM events.events ORDER BY md5(id::text) LIMIT 50",
    "largest": "SELECT fingerprint FROM events.dead_letters GROUP BY 1 ORDER BY count(*) DESC LIMIT 1",
    "fault": "SELECT fingerprint FROM events.dead_letters WHERE state = 'open' GROUP BY 1 ORDER BY count(*) LIMIT 50",
}  # fmt: skip
_NAMES: Mapping[str, Sequence[str]] = {
    "processor": ["activity_feed", "campaign_stats", "email_notification", "search_index"],
    "breaker": ["smtp", "elasticsearch"],
    "stream": [f"stream-{number}" for number in range(5)],
    "trace": ["4bf92f3577b34da6a3ce929d0e0e4736"],
    "nothing": ["3f2504e0-4f89-41d3-9a0c-0305e82c3301"],
}

_PATHS = {
    "/processors/{name}": "/processors/<processor>",
    "/breakers/{name}": "/breakers/<breaker>",
    "/events/{position}": "/events/<position>",
    "/letters/{letter}": "/letters/<letter>",
    "/messages/{id}": "/messages/<message>",
    "/streams/quarantine/{id}": "/streams/quarantine/<held>",
    "/quarantine/{id}": "/quarantine/<held>",
    "/rebuilds/{processor}": "/rebuilds/<processor>",
    "/letters/choose": "/letters/choose?fingerprint=<fault>",
    "/letters/behind": "/letters/behind?fingerprint=<fault>",
    "/letters/choice": "/letters/choice?fingerprint=<fault>",
    "/events/search": "/events/search?id=<event>",
}
"""How a route is filled in that cannot be requested as it stands."""
NOT_REQUESTED = {"/letters/replays/{run}": "it shows a thread of this process, and no table"}
"""Routes that are left out, and why."""

_MORE: Mapping[str, str] = {
    "the newest events, live": "/events",
    "events of one type": "/events?type=donation.refunded",
    "events of types, by pattern": "/events?type=campaign.**",
    "events of a type that there is not": "/events?type=organization.verified",
    "events of an aggregate": "/events?aggregate=<aggregate>",
    "events of a correlation": "/events?correlation=<correlation>",
    "events of a kind of aggregate": "/events?aggregate-type=user",
    "events since a time": "/events?since=30d&until=20d",
    "an event's id is found": "/events?id=<event>",
    "a message's id is found": "/events?id=<message>",
    "an aggregate is found": "/events?id=<aggregate>",
    "a trace is not found": "/events?id=<trace>",
    "an id is not found": "/events?id=<nothing>",
    "groups of one processor": "/letters?processor=search_index",
    "groups of one type": "/letters?type=donation.completed",
    "letters of the largest fault": "/letters/list?fingerprint=<largest>",
    "letters of a small fault": "/letters/list?fingerprint=<fault>",
    "letters of a processor": "/letters/list?processor=search_index",
    "letters of an aggregate": "/letters/list?aggregate=<aggregate>",
    "all letters": "/letters/list",
    "letters that were resolved": "/letters/list?state=resolved",
    "the largest fault is chosen": "/letters/choose?fingerprint=<largest>",
    "messages of unknown outcome": "/messages?state=unknown",
    "messages that failed": "/messages?state=failed",
    "messages of a user": "/messages?user=<user>",
    "messages of an event": "/messages?event=<event>",
    "quarantine of a stream": "/streams?stream=<stream>",
    "quarantine that was released": "/streams?state=released",
    "released of a stream": "/streams?state=released&stream=<stream>",
    "audit of letters": "/audit?kind=letters",
    "audit of letters by one who did nothing": "/audit?kind=letters&who=nobody",
    "audit of quarantine": "/audit?kind=quarantine",
    "API: events of a type": f"{PREFIX}/events?type=donation.refunded",
    "API: letters of the largest fault": f"{PREFIX}/letters?fingerprint=<largest>&limit=200",
    "API: quarantine of a stream": f"{PREFIX}/quarantine?stream=<stream>&limit=200",
    "API: messages of a user": f"{PREFIX}/messages?user=<user>",
}
"""Pages with the filters that people use."""
_FORMS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "messages to an address": ("/messages/to-address", {"address": "<mail>"}),
    "messages to an address of nobody": ("/messages/to-address", {"address": "nobody@example.org"}),
    "a letter with its payload": ("/letters/<letter>/payload", {"reason": "measured"}),
    "a letter is edited": ("/letters/<letter>/edit", {"reason": "measured"}),
    "a message as it was seen": ("/messages/<mail_sent>/shown", {"reason": "measured"}),
}
"""Forms that only look."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Something that is requested: its name, its path with places for samples, and a form's fields."""

    name: str
    path: str
    form: Mapping[str, str] | None = None

    def filled(self, samples: Mapping[str, Sequence[str]], turn: int) -> tuple[str, dict[str, str] | None]:
        """The path and the fields of one turn."""

        def of(text: str) -> str:
            return re.sub(r"<(\w+)>", lambda found: samples[found[1]][turn % len(samples[found[1]])], text)

        return of(self.path), None if self.form is None else {name: of(value) for name, value in self.form.items()}

    @property
    def is_unknown(self) -> bool:
        """Whether nothing is found by it."""
        return "<nothing>" in self.path or "<trace>" in self.path

    @property
    def is_api(self) -> bool:
        """Whether it wants a token, and no cookie."""
        return self.path.startswith(PREFIX)


def asked() -> Iterator[Asked]:
    """All that is requested. Raises KeyError for a new route with parameters that nobody has filled in here."""
    routes = [*(page.path for page in PAGES if page.method == "GET"),
              *(f"{PREFIX}{route.path}" for route in ROUTES if route.method == "GET")]  # fmt: skip
    for route in routes:
        bare = route.removeprefix(PREFIX)
        if bare in NOT_REQUESTED:
            continue
        filled = _PATHS[bare] if "{" in bare or bare in _PATHS else bare
        yield Asked(route, route.removesuffix(bare) + filled)
    yield from (Asked(name, path) for name, path in _MORE.items())
    yield from (Asked(name, path, form) for name, (path, form) in _FORMS.items())


def samples(db: psycopg.Connection[Any]) -> dict[str, Sequence[str]]:
    """Ids of things that there are."""
    found = {name: [str(value) for (value,) in db.execute(query.encode())] for name, query in _SAMPLES.items()}
    return {**found, **_NAMES}
