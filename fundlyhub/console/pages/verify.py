"""Verify: compare a sample of the log with what came of it, and send again what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
from sqlalchemy.exc import DBAPIError
from starlette.responses import Response

from fundlyhub.console import users
from fundlyhub.console.runs import Run
from fundlyhub.console.verifications import Verification
from fundlyhub.console.visits import Page, Visit
from fundlyhub.errors import FundlyHubError, WrongState, WrongUse
from fundlyhub.observability.redaction import describe
from fundlyhub.rebuilds.model import branches
from fundlyhub.rebuilds.rights import Rights, rights
from fundlyhub.verification.repairing import Repairs
from fundlyhub.web.refusals import Refusal

LEAST, MOST = 1, 100_000
"""Events of a sample."""
USUAL = 1_000
SHOWN = 50
"""Findings that the page shows; the report lists more."""
REPAIR = "verify"
"""What the run that sends events again is about: no processor is called so."""


def verify(visit: Visit) -> Response:
    """The form, and the verification that runs or the last report."""
    newest, repair = visit.site.verifications.newest, visit.site.runs.of(REPAIR)
    known = _fingerprint(newest, repair)
    if visit.is_fragment and visit.given("known") == known:
        return Response(status_code=204)
    report = (newest.report if newest else None) or {}
    if repair is not None and (newest is None or repair.began < newest.began):
        repair = None  # of the report before
    allowed, missing = _rights(visit)
    values: dict[str, Any] = {
        "run": newest, "report": newest.report if newest else None, "known": known, "usual": USUAL, "most": MOST,
        "findings": report.get("findings", [])[:SHOWN], "names": sorted(visit.site.processors), "missing": missing,
        "restricted": next((one.role for one in allowed if not one.is_owner), ""), "repair": repair,
        "again": sum(Repairs.of(report.get("findings", ()), visit.site.processors).counts.values()),
    }  # fmt: skip
    return visit.page("parts/verify.html" if visit.is_fragment else "verify.html", **values)


def start(visit: Visit) -> Response:
    """Begin a verification of a sample. Raises WrongUse for a wrong size, and WrongState while one runs."""
    options = list(_options(visit))
    if visit.field("tables") == "yes":
        for one in _rights(visit)[0]:
            if not one.is_owner:
                raise Refusal(
                    409, f"the console's database role {one.role} makes no schemas, which comparing tables needs: "
                         f"run `fundlyhub verify {' '.join(options)}` as the owner's role",
                )  # fmt: skip
    else:
        options.append("--no-tables")
    visit.site.verifications.start(options, who=visit.who)
    with visit.transaction() as db:
        users.note(db, visit.who, who=visit.who, action="verification started", details=" ".join(options)[:1_000])
    return visit.go("/verify")


def stop(visit: Visit) -> Response:
    """End the verification that runs."""
    visit.site.verifications.stop()
    return visit.go("/verify", "The verification is told to end, and drops what it made.")


def repair(visit: Visit) -> Response:
    """Send again what the report that the form names found missing or overdue."""
    newest, processors = visit.site.verifications.newest, visit.site.processors
    if newest is None or newest.key != visit.field("report") or newest.report is None:
        raise WrongState("there is a newer report, or none: look at it first")
    repairs = Repairs.of(newest.report["findings"], processors)
    if not repairs.counts:
        raise WrongState("the report lists nothing that can be sent again")
    visit.site.settings.broker  # noqa: B018  # a missing URL is better said before that

    def work(_: Run) -> int:
        from fundlyhub.celery import app  # loaded for this alone: it takes a second

        return repairs.send(app, processors)

    details = ", ".join(f"{name} {count:,}" for name, count in repairs.counts.items())
    with visit.transaction() as db:
        users.note(db, visit.who, who=visit.who, action="events sent again", details=details[:1_000])
    visit.site.runs.start(Run("repair", REPAIR, visit.who), work)
    return visit.go("/verify")


def _options(visit: Visit) -> Iterator[str]:
    size = visit.field("sample")
    if not (size.isascii() and size.isdigit() and len(size) < 9 and LEAST <= int(size) <= MOST):
        raise WrongUse(f"a sample has {LEAST} to {MOST:,} events")
    yield from ("--sample", str(int(size)))
    for name in sorted(visit.site.processors):
        if visit.field(f"processor:{name}") == "yes":
            yield from ("--processor", name)


def _rights(visit: Visit) -> tuple[list[Rights], str]:
    """What our role may do in the databases that have tables, and why that is not known of all of them."""
    settings, some = visit.site.settings, branches(visit.site.processors)
    try:
        return visit.site.looks.get("rights", lambda: [rights(settings, branch) for branch in some]), ""
    except (FundlyHubError, DBAPIError, psycopg.Error) as error:
        return [], describe(error)


def _fingerprint(one: Verification | None, repair: Run | None) -> str:
    """Changes when the page would: it is drawn anew then, and at no other time."""
    parts = [one.key, one.what, str(one.done), str(one.is_stopped), str(one.is_over)] if one else []
    parts += [repair.key, str(repair.is_over)] if repair else []
    return "-".join(parts).replace(" ", ".") or "none"


PAGES = [
    Page("/verify", verify),
    Page("/verify/start", start, "operator", "POST"),
    Page("/verify/stop", stop, "operator", "POST"),
    Page("/verify/repair", repair, "operator", "POST"),
]
