"""The circuit breakers of outside services: their states, what failed, and opening and closing one by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from starlette.responses import Response

from fundlyhub.channels.breaker import SERVICES, shared
from fundlyhub.channels.breaker.shared import Look, look, shared_breaker
from fundlyhub.channels.breaker.state import Change
from fundlyhub.console.access import Access
from fundlyhub.console.visits import Visit, page
from fundlyhub.database.audited import reasoned
from fundlyhub.errors import Unavailable, WrongUse
from fundlyhub.monitoring.servers import asking_redis
from fundlyhub.settings import Settings
from fundlyhub.web.refusals import Refusal

STRIP = timedelta(hours=24)
"""How far back the strip of a breaker's history goes."""
WIDTH = 480.0


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the strip: where it begins, how wide it is (of WIDTH), and the state in it."""

    x: float
    width: float
    state: str


@dataclass(frozen=True, slots=True)
class Row:
    """A breaker, what its service is for, and its last day."""

    look: Look
    used_for: str
    strip: Sequence[Part]


@page("/breakers")
def breakers(visit: Visit) -> Response:
    """All breakers. Without Redis the page says so: each worker then goes by its own."""
    settings = visit.site.settings
    rows, missing = visit.site.looks.get("breakers", lambda: read(settings))
    template = "parts/breakers.html" if visit.is_fragment else "breakers.html"
    return visit.page(template, rows=rows, missing=missing, width=WIDTH)


def read(settings: Settings) -> tuple[list[Row], str]:
    """All breakers, or why nobody can tell how they stand."""
    used = uses(settings)
    try:
        with asking_redis(settings.redis) as url:
            found = [(look(name, url), shared.history(name, url)) for name in SERVICES]
    except (Unavailable, WrongUse) as error:
        return [], str(error)
    return [Row(one, used.get(one.service, ""), list(strip(changes))) for one, changes in found], ""


@page("/breakers/{name}")
def breaker(visit: Visit) -> Response:
    """One breaker with its last changes."""
    name = _named(visit)
    one, changes = seen(visit, name)
    row = Row(one, uses(visit.site.settings).get(name, ""), list(strip(changes)))
    return visit.page("breaker.html", one=row, changes=changes, width=WIDTH)


@page("/breakers/{name}/open", "operator", "POST")
def open_(visit: Visit) -> Response:
    """Let no call to a service through until somebody closes the breaker."""
    name = _named(visit)
    open_one(visit, name, visit.field("reason"))
    return visit.go(f"/breakers/{name}", f"{name} is not called any more until somebody closes the breaker.")


@page("/breakers/{name}/close", "operator", "POST")
def close(visit: Visit) -> Response:
    """Let calls to a service through again, few at first."""
    name = _named(visit)
    done = close_one(visit, name, visit.field("reason"))
    said = f"{name} is called again, little by little." if done else f"{name}: the breaker was closed already."
    return visit.go(f"/breakers/{name}", said)


def seen(access: Access, name: str) -> tuple[Look, Sequence[Change]]:
    """The state of a breaker, and its last changes, the newest first."""
    with asking_redis(access.site.settings.redis) as url:
        return look(name, url), shared.history(name, url)


def open_one(access: Access, name: str, reason: str) -> None:
    """Open a breaker by hand. Raises WrongUse without a reason."""
    reason = reasoned(reason)
    with asking_redis(access.site.settings.redis) as url:
        shared_breaker(name, url).open_by_hand(reason, access.who)
    access.site.forget()


def close_one(access: Access, name: str, reason: str) -> bool:
    """Close a breaker by hand; False for one that is closed already. Raises WrongUse without a reason."""
    reason = reasoned(reason)
    with asking_redis(access.site.settings.redis) as url:
        done = shared_breaker(name, url).close_by_hand(reason, access.who)
    access.site.forget()
    return done


def require(name: str) -> str:
    """The name of a breaker. Raises Refusal if there is none of this name."""
    if name not in SERVICES:
        raise Refusal(404, "there is no such breaker")
    return name


def uses(settings: Settings) -> dict[str, str]:
    """What each service in use is for, by its name."""
    found = {
        settings.email_backend: "e-mail",
        settings.push_backend: "push messages",
        settings.sms_backend: "text messages",
        settings.search_backend: "searches",
    }
    return {name: what for name, what in found.items() if name in SERVICES}


def strip(changes: Sequence[Change], now: datetime | None = None) -> Iterator[Part]:
    """The states of the last day, the oldest first. Before the first known change nothing is drawn."""
    end = now or datetime.now(UTC)
    begin, until = end - STRIP, end
    found: list[Part] = []
    for change in changes:
        at = datetime.fromisoformat(change["at"])
        since = max(at, begin)
        if until > since:
            found.append(Part(_x(since - begin), _x(until - since), change["to"]))
        until = min(until, at)
        if at <= begin:
            break
    else:
        if changes and until > begin:
            found.append(Part(0.0, _x(until - begin), changes[-1]["from"]))
    return reversed(found)


def _x(passed: timedelta) -> float:
    return round(WIDTH * (passed / STRIP), 2)


def _named(visit: Visit) -> str:
    return require(visit.path("name"))
