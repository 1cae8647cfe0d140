"""Runs a verification, from the head of the log to its report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from logging import getLogger

from celery import Celery

from fundlyhub.errors import Unavailable, WrongUse
from fundlyhub.events.archived import last_away
from fundlyhub.events.log import head
from fundlyhub.processing.claims import last_dropped
from fundlyhub.processing.processor import NotificationProcessor, Processor
from fundlyhub.processing.publisher import Publisher
from fundlyhub.relay import forged
from fundlyhub.relay.registration import starts
from fundlyhub.settings import Branch, Settings
from fundlyhub.verification import erasures, log
from fundlyhub.verification.findings import LISTED, Finding, Report, Tell
from fundlyhub.verification.in_flight import Flight, Untraced
from fundlyhub.verification.ledger import Ledger, channel_of
from fundlyhub.verification.repairing import Repairs
from fundlyhub.verification.rights import unreadable
from fundlyhub.verification.scope import Places, Scope, places
from fundlyhub.verification.tables.check import Tables, derived_tables
from fundlyhub.verification.tables.sample import Sample, draw
from fundlyhub.verification.traces import Tracer

logger = getLogger(__name__)


def verify(
    settings: Settings,
    processors: Mapping[str, type[Processor]],
    *,
    app: Celery | None = None,
    sample: int | None = None,
    since: int = 0,
    grace: float | None = None,
    wait: float = 0.0,
    tables: bool = True,
    repair: bool = False,
    tell: Tell = lambda what, done, total: None,
) -> Report:
    """Compare the log with what these processors have left of it.

    ``sample`` draws this many events and campaigns at random; ``since`` leaves out what lies at or below a position;
    ``grace`` (seconds; ``sweep_grace`` by default) is how long an event may be on its way; ``wait`` (seconds) waits
    until nothing is, and then takes all that is left for missing. ``app`` tells how much waits in the queues, and is
    needed to ``repair``: then what is missing is sent again at once, and with ``wait`` all is looked at once more.

    Handlers run in this process, with its own settings: the secret key must be the workers'.

    Raises Unavailable when a database cannot be reached, or when claims or events were taken away meanwhile.
    """
    if repair and app is None:
        raise WrongUse("repair: wants the app, whose broker takes what is sent again")
    started = time.monotonic()
    scope = Scope(
        settings, processors, settings.sweep_grace if grace is None else grace, sample, since, wait, _depths(app)
    )
    if repair and app is not None:
        report, repairs = _verify(replace(scope, wait=0.0), tables and not wait, tell)
        sent = repairs.send(app, processors)
        healed, why = repairs.heal(settings)
        if wait:
            report, _ = _verify(scope, tables, tell)
        report.repaired = sent + healed
        if why:
            report.left_out["the repair of forged events"] = why
    else:
        report, _ = _verify(scope, tables, tell)
    report.seconds = time.monotonic() - started
    return report


def _verify(scope: Scope, tables: bool, tell: Tell) -> tuple[Report, Repairs]:
    report, repairs = Report(), Repairs()
    dropped = last_dropped(cls.database for cls in scope.processors.values())
    with places(scope) as db:
        archived = last_away(db.events)
        scope = replace(scope, dropped=dropped, archived=archived, since=max(scope.since, dropped, archived))
        report.head = head(db.events)
        if lacking := erasures.unreadable_in(db):
            report.left_out["erasures of people"] = lacking
        else:
            erasures.check(db, scope, report.findings)
        tracers = _trace(scope, db, report, repairs, tell)
        untraced: Untraced = {name: tracer.open.untraced for name, tracer in tracers.items()}
        flight = Flight(db, scope, report.findings, tell)
        untraced = flight.wait(untraced, report.head)
        missing, report.in_flight = flight.settle(untraced)
        repairs.missing = {name: [*missing[name], *tracer.open.misclaimed] for name, tracer in tracers.items()}
        repairs.overdue = flight.stuck()
        _compare_tables(scope, db, report, tables, tell)
        if last_away(db.events) > archived:
            raise Unavailable("events were archived meanwhile; run `fundlyhub verify` again")
    return report, repairs


def _trace(scope: Scope, db: Places, report: Report, repairs: Repairs, tell: Tell) -> dict[str, Tracer]:
    """One pass over the log for all processors: each page's traces, and its messages."""
    first, findings = starts(db.events), report.findings
    for name in scope.processors.keys() - first.keys():
        report.left_out[f"{name} (traces)"] = "no relay has registered it yet, so that it wants nothing"
    tracers = {name: Tracer(db, cls, first.get(name, report.head), findings) for name, cls in scope.processors.items()}
    ledgers = {name: Ledger(db, scope, cls, findings) for name, cls in scope.processors.items() if channel_of(cls)}
    if scope.sample is None:
        pages = log.pages(db.events, scope.since, report.head)
    else:
        pages = log.sampled(db.events, scope.since, report.head, scope.sample)
    for page in pages:
        for name, tracer in tracers.items():
            claims = tracer.check(page)
            if name in ledgers:
                report.checked["messages"] += ledgers[name].check(page, claims)
        for position, event_id in forged.among(db.events, [row.position for row in page.rows]):
            findings.add(Finding("forged", "", "its transaction id is not its own", position, event_id))
            repairs.forged.append(position)
        report.checked["events"] += len(page.rows)
        tell("comparing traces", page.rows[-1].position if page.rows else report.head, report.head)
    far = forged.far(db.events, LISTED)
    for position, event_id in far:
        what = "its position is never passed: delete its row, and publish it again under a new id if it happened"
        findings.add(Finding("forged", "", what, position, event_id))
    if beyond := forged.look(db.events).future_positions - len(far):
        findings.add(Finding("forged", "", f"{beyond} positions are not given out yet, and will fail publications"))
        repairs.beyond = True
    if scope.sample is not None:
        report.sampled["events"] = report.checked["events"]
    for tracer in tracers.values():
        tracer.check_beyond(max(report.head, scope.since))
    for name, ledger in ledgers.items():
        ledger.check_idle()
        if lacking := unreadable(db.of(scope.processors[name]), "digest_members"):
            report.left_out["digests"] = lacking
        else:
            ledger.check_digests()
        ledger.check_shared()
    return tracers


def _compare_tables(scope: Scope, db: Places, report: Report, tables: bool, tell: Tell) -> None:
    for name, reason in _left_out(scope, tables).items():
        report.left_out[name] = reason
    if scope.dropped:
        report.left_out[f"events up to position {scope.dropped}"] = "their claims have been dropped"
    if scope.archived:
        why = "they are archived: restore them to compare them (`fundlyhub events archives`)"
        report.left_out[f"events up to position {scope.archived} that are not in the log"] = why
    if not tables or scope.dropped or scope.archived or (scope.since and scope.sample is None):
        return
    sample: Sample | None = None
    if scope.sample is not None:
        if "campaign_stats" not in scope.processors:
            return
        tell("drawing campaigns", 0, 0)
        sample = draw(db.events, db.effects["analytics"], scope.sample, scope.since)
        report.sampled["campaigns"] = len(sample.campaigns)
    branches: list[Branch] = sorted({cls.database for cls in scope.processors.values()})
    for branch in branches:
        Tables(scope, db, branch, sample, report, tell).check()


def _left_out(scope: Scope, tables: bool) -> dict[str, str]:
    """What is compared by its traces alone, and why."""
    found = {}
    for name, cls in scope.processors.items():
        if issubclass(cls, NotificationProcessor):
            if not channel_of(cls):
                found[name] = "its messages: it keeps no ledger that is known here"
        elif not cls.tables:
            found[name] = "its tables: it is not known which of them follow from the events alone (`tables` names them)"
        elif not tables:
            found[name] = "its tables: --no-tables"
        elif scope.dropped:
            found[name] = "its tables: they follow from all events, and the claims of old ones have been dropped"
        elif scope.archived:
            found[name] = "its tables: they follow from all events, and old ones are archived: restore them to compare"
        elif scope.sample is not None and not any(table.sample for table in derived_tables(cls)):
            found[name] = "its tables: their rows depend on many aggregates, which no sample holds"
        elif scope.since and scope.sample is None:
            found[name] = "its tables: they follow from all events, not from those after a position"
    return found


def _depths(app: Celery | None) -> Mapping[str, int] | None:
    """How many messages wait in each queue; None without a broker, or when it does not answer."""
    if app is None:
        return None
    try:
        with Publisher(app) as publisher:
            return publisher.depths()
    except Exception as error:  # whatever ails the broker: without it the age of an event alone decides
        logger.warning("the broker does not tell how much waits in its queues (%s)", type(error).__name__)
        return None
