"""Erasures of people that a database lacks, because it was restored from a backup, or that were not finished."""

from __future__ import annotations

from fundlyhub.people import journal
from fundlyhub.verification.findings import Finding, Findings
from fundlyhub.verification.rights import unreadable
from fundlyhub.verification.scope import Db, Places, Scope

PEOPLE = "people"
"""What stands in place of a processor's name."""
AGAIN = "run `fundlyhub people erase --again`"


def unreadable_in(places: Places) -> str:
    """Why the erasures cannot be read, in a sentence; empty if they can."""
    databases = {"events": places.events, **places.effects}
    return next((why for name, db in databases.items() if (why := unreadable(db, f"{name}.erasures"))), "")


def check(places: Places, scope: Scope, findings: Findings) -> None:
    """Find the erasures that are not applied in each of these databases."""
    databases: dict[str, Db] = {"events": places.events}
    databases.update((str(branch), db) for branch, db in places.effects.items())
    for erasure, lacking in journal.lacking(databases, scope.settings.data_dir):
        where = ", ".join(lacking)
        if erasure.finished:
            what = f"a person was erased, and is not in a database that was restored since ({where}): {AGAIN}"
            findings.add(Finding("missing", PEOPLE, what))
        else:
            findings.add(Finding("stuck", PEOPLE, f"the erasure of a person is not finished ({where}): {AGAIN}"))
