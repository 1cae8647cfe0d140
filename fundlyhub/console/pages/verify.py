"""Verify: compare a sample of the log with what came of it, and send again what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from fundlyhub.console.access import Access
from fundlyhub.console.runs import Run
from fundlyhub.console.verifications import Verification
from fundlyhub.console.visits import Visit, page
from fundlyhub.database.audited import reasoned
from fundlyhub.database.console_audit import note
from fundlyhub.database.faults import DATABASE_ERRORS
from fundlyhub.errors import FundlyHubError, WrongState, WrongUse
from fundlyhub.observability.redaction import describe
from fundlyhub.rebuilds.model import branches
from fundlyhub.rebuilds.rights import Rights, rights
from fundlyhub.verification.repairing import Repairs
from fundlyhub.web.refusals import Refusal

LEAST, MOST = 1, 100_000
"""Events of a sample."""
SIZE = f"a sample has {LEAST} to {MOST:,} events"
USUAL = 1_000
SHOWN = 50
"""Findings that the page shows; the report lists more."""
REPAIR = "verify"
"""What the run that sends events again is about: no processor is called so."""


@dataclass(frozen=True, slots=True)
class State:
    """The newest verification and its report; ``again`` counts, by processor, the events that can be sent again.

    ``repair`` is the run that sends them. ``restricted`` is the name of a database role that may not compare tables;
    ``missing`` says why our rights are not known. Both are empty otherwise.
    """

    newest: Verification | None
    report: Mapping[str, Any] | None
    again: Mapping[str, int]
    repair: Run | None
    restricted: str
    missing: str


@page("/verify")
def verify(visit: Visit) -> Response:
    """The form, and the verification that runs or the last report."""
    now = state(visit)
    newest, repair, known = now.newest, now.repair, _fingerprint(now.newest, visit.site.runs.of(REPAIR))
    if visit.is_fragment and visit.given("known") == known:
        return Response(status_code=204)
    report = now.report or {}
    values: dict[str, Any] = {
        "run": newest, "report": now.report, "known": known, "usual": USUAL, "most": MOST,
        "findings": report.get("findings", [])[:SHOWN], "names": sorted(visit.site.processors), "missing": now.missing,
        "restricted": now.restricted, "repair": repair, "again": sum(now.again.values()),
    }  # fmt: skip
    return visit.page("parts/verify.html" if visit.is_fragment else "verify.html", **values)


@page("/verify/start", "operator", "POST")
def start(visit: Visit) -> Response:
    """Begin a verification of a sample. Raises WrongUse for a wrong size, and WrongState while one runs."""
    size = visit.field("sample")
    if not (size.isascii() and size.isdigit() and len(size) < 9):
        raise WrongUse(SIZE)
    names = [name for name in visit.site.processors if visit.field(f"processor:{name}") == "yes"]
    begin(visit, int(size), names, tables=visit.field("tables") == "yes", reason=visit.field("reason"))
    return visit.go("/verify")


@page("/verify/stop", "operator", "POST", asks_why=False)
def stop(visit: Visit) -> Response:
    """End the verification that runs."""
    end(visit)
    return visit.go("/verify", "The verification is told to end, and drops what it made.")


@page("/verify/repair", "operator", "POST")
def repair(visit: Visit) -> Response:
    """Send again what the report that the form names found missing or overdue."""
    send_again(visit, visit.field("report"), visit.field("reason"))
    return visit.go("/verify")


def state(access: Access) -> State:
    """The newest verification, what can be done about its findings, and what our role may compare."""
    newest, repair = access.site.verifications.newest, access.site.runs.of(REPAIR)
    if repair is not None and (newest is None or repair.began < newest.began):
        repair = None  # of the report before
    report = newest.report if newest else None
    again = Repairs.of((report or {}).get("findings", ()), access.site.processors).counts
    allowed, missing = _rights(access)
    restricted = next((one.role for one in allowed if not one.is_owner), "")
    return State(newest, report, again, repair, restricted, missing)


def begin(access: Access, size: int, names: Iterable[str], *, tables: bool, reason: str) -> Verification:
    """Begin a verification of a sample: of these processors, or of all of them where none is named.

    With ``tables`` the statistics of campaigns are compared too. Raises WrongUse for a wrong size, an unknown name and
    no reason, Refusal where the database role may not compare tables, and WrongState while a verification runs.
    """
    if not LEAST <= size <= MOST:
        raise WrongUse(SIZE)
    reason = reasoned(reason)
    options = ["--sample", str(size)]
    for name in sorted(set(names)):
        if name not in access.site.processors:
            raise WrongUse(f"no such processor: {name}; there are {', '.join(access.site.processors)}")
        options += ["--processor", name]
    if tables:
        for one in _rights(access)[0]:
            if not one.is_owner:
                raise Refusal(
                    409, f"the console's database role {one.role} makes no schemas, which comparing tables needs: "
                         f"run `fundlyhub verify {' '.join(options)}` as the owner's role",
                )  # fmt: skip
    else:
        options.append("--no-tables")
    begun = access.site.verifications.start(options, who=access.who)
    said = f"{reason} ({' '.join(options)[:1_000]})"
    with access.transaction() as db:
        note(db, access.who, who=access.who, action="verification started", details=said)
    return begun


def end(access: Access) -> None:
    """End the verification that runs, and note who did."""
    access.site.verifications.stop()
    with access.transaction() as db:
        note(db, access.who, who=access.who, action="verification stopped")


def send_again(access: Access, key: str, reason: str) -> Run:
    """Begin to send again what can be sent of the report with this key, and note why.

    Raises WrongUse without a reason, and WrongState if the report is not the newest.
    """
    reason = reasoned(reason)
    newest, processors = access.site.verifications.newest, access.site.processors
    if newest is None or newest.key != key or newest.report is None:
        raise WrongState("there is a newer report, or none: look at it first")
    repairs = Repairs.of(newest.report["findings"], processors)
    if not repairs.counts:
        raise WrongState("the report lists nothing that can be sent again")
    access.site.settings.broker  # noqa: B018  # a missing URL is better said before that

    def work(_: Run) -> int:
        from fundlyhub.celery import app  # loaded for this alone: it takes a second

        return repairs.send(app, processors)

    counts = ", ".join(f"{name} {count:,}" for name, count in repairs.counts.items())
    details = f"{reason} ({counts[:500]})"
    with access.transaction() as db:
        note(db, access.who, who=access.who, action="events sent again", details=details[:1_000])
    return access.site.runs.start(Run("repair", REPAIR, access.who), work)


def _rights(access: Access) -> tuple[list[Rights], str]:
    """What our role may do in the databases that have tables, and why that is not known of all of them."""
    settings, some = access.site.settings, branches(access.site.processors)
    try:
        return access.site.looks.get("rights", lambda: [rights(settings, branch) for branch in some]), ""
    except (FundlyHubError, *DATABASE_ERRORS) as error:
        return [], describe(error)


def _fingerprint(one: Verification | None, repair: Run | None) -> str:
    """Changes when the page would: it is drawn anew then, and at no other time."""
    parts = [one.key, one.what, str(one.done), str(one.is_stopped), str(one.is_over)] if one else []
    parts += [repair.key, str(repair.is_over)] if repair else []
    return "-".join(parts).replace(" ", ".") or "none"
