"""Health checks: of what a process needs, for `fundlyhub health` and /readyz."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal, get_args

from fundlyhub.database import connect
from fundlyhub.database.revisions import require_current
from fundlyhub.errors import Unavailable
from fundlyhub.monitoring.processors import processors_keep_up, processors_run, workers_run
from fundlyhub.monitoring.servers import ask_nodes, redis_client
from fundlyhub.monitoring.time_limited import Bounded, Result
from fundlyhub.observability.redaction import describe
from fundlyhub.relay.leader import leader
from fundlyhub.relay.status import relay_lag
from fundlyhub.settings import BRANCHES, Branch, Settings

Role = Literal["relay", "worker", "ingest", "api"]
ROLES: tuple[Role, ...] = get_args(Role)
MAX_WAIT = 600.0
"""Seconds that an event may wait for a processor; as in the alert."""
MAX_LAG = 60.0
"""Seconds that an event may be in the log without being relayed."""
GRACE = 1.0
"""Seconds beyond the clients' timeouts, whose errors say more than ours."""

Check = Callable[[], str]
"""Returns one line on what it found, or raises."""

# The databases that each role needs. An API publishes, so it needs only the log.
_DATABASES: Mapping[Role | None, tuple[Branch, ...]] = {
    "relay": BRANCHES, "worker": BRANCHES, "ingest": ("events",), "api": ("events",), None: BRANCHES,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check. ``said`` is one line without secrets."""

    check: str
    ok: bool
    said: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Health:
    """The results of all checks."""

    role: Role | None
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return all(finding.ok for finding in self.findings)

    def document(self) -> dict[str, Any]:
        """The results as a JSON document."""
        return {"ok": self.ok, "role": self.role, "checks": [asdict(finding) for finding in self.findings]}


def look(
    settings: Settings,
    bounded: Bounded,
    role: Role | None = None,
    max_lag: float = MAX_LAG,
    max_wait: float | None = None,
) -> Health:
    """Check what a role needs, or everything, within CONNECT_TIMEOUT and a second.

    With ``max_wait`` also check that workers run and processors keep up. A process that checks itself omits this, since
    its restart would not help. Raises WrongUse if a setting is missing.
    """
    results = bounded.run(checks(settings, role, max_lag, max_wait), settings.connect_timeout + GRACE)
    return Health(role, tuple(_finding(name, result) for name, result in results.items()))


def checks(settings: Settings, role: Role | None, max_lag: float, max_wait: float | None = None) -> dict[str, Check]:
    """The checks of a role by name. Raises WrongUse if a setting is missing."""
    quick = settings.model_copy(update={"statement_timeout": settings.connect_timeout})
    found: dict[str, Check] = {}
    for branch in _DATABASES[role]:
        settings.dsn(branch)
        found[f"{branch} database"] = partial(_database, branch, quick)
    if role in {"relay", "worker", None}:
        settings.broker  # noqa: B018  # a missing URL is wrong use
        found["broker"] = partial(ask_nodes, quick)
    if role == "ingest":
        found["streams"] = partial(_redis, settings.streams, settings)
    elif role in {"worker", None} and settings.redis_url is not None:
        found["redis"] = partial(_redis, settings.redis, settings)
    if role in {"relay", None}:
        found["relay leads"] = partial(_leads, quick)
        found["relay keeps up"] = partial(_keeps_up, quick, max_lag)
    if max_wait is not None:
        found["workers"] = partial(workers_run, quick)
        found["processors keep up"] = partial(processors_keep_up, quick, max_wait)
        found["processors run"] = partial(processors_run, quick)
    return found


def _finding(name: str, result: Result) -> Finding:
    said = str(result.value) if result.error is None else " ".join(describe(result.error).split())
    return Finding(name, result.error is None, said, round(result.seconds, 3))


def _database(branch: Branch, settings: Settings) -> str:
    require_current(branch, settings=settings)
    return "answers, and has this version's tables"


def _redis(url: str, settings: Settings) -> str:
    with redis_client(url, settings) as client:
        client.ping()
    return "answers"


def _leads(settings: Settings) -> str:
    with connect("events", settings=settings, autocommit=True) as db:
        who = leader(db, "main")
    if who is None:
        raise Unavailable("nobody leads: start a relay (`fundlyhub relay`)")
    return f"leads since {who['since']}" if who["since"] else "leads"


def _keeps_up(settings: Settings, max_lag: float) -> str:
    with connect("events", settings=settings, autocommit=True) as db:
        lag = relay_lag(db)
    said = f"{lag['lag_events']:,} events are not relayed, the oldest for {lag['lag_seconds']:.1f} s"
    if lag["lag_seconds"] > max_lag:
        raise Unavailable(f"{said}: more than {max_lag:g} s; see `fundlyhub relay status`")
    return said
