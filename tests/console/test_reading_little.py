"""Lists and counts of large tables have an index each, so that a page reads about what it shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, event

from fundlyhub.database import get_engine
from fundlyhub.processors.notifications.ledger.search import Wanted
from fundlyhub.processors.notifications.ledger.search import find as find_messages
from fundlyhub.settings import Branch, Settings
from fundlyhub.streams import quarantine

LOOKS: dict[str, tuple[Branch, Callable[[Connection], Any], list[str]]] = {
    "messages to an address": (
        "app", lambda db: find_messages(db, Wanted(address="ann@example.org"), b"secret", 50),
        ["contacts_email_idx", "contacts_phone_idx", "notifications_address_idx", "notifications_user_id_idx"],
    ),
    "messages to a number": (
        "app", lambda db: find_messages(db, Wanted(address="+491701234567"), b"secret", 50),
        ["contacts_phone_idx", "notifications_address_idx", "notifications_user_id_idx"],
    ),
    "messages of a state": (
        "app", lambda db: find_messages(db, Wanted(state="unknown"), b"", 50), ["notifications_states_idx"],
    ),
    "quarantine of a stream": ("events", lambda db: quarantine.find(db, stream="one"), ["quarantine_stream_idx"]),
    "how much of a stream": (
        "events", lambda db: quarantine.count(db, stream="one", most=10_000), ["quarantine_stream_idx"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", LOOKS)
def test_it_can_be_read_by_indexes_alone(settings: Settings, what: str) -> None:
    branch, look, wanted = LOOKS[what]
    with get_engine(branch).begin() as db:
        plan = plan_of(db, look)
    assert "Seq Scan" not in plan, plan
    assert [name for name in wanted if name not in plan] == [], plan


def plan_of(db: Connection, look: Callable[[Connection], Any]) -> str:
    """The plan of what it really sends, where tables are read as a whole only if there is no other way."""
    sent: list[tuple[str, Any]] = []

    def note(_: object, cursor: object, statement: str, given: Any, *rest: object) -> None:
        sent.append((statement, given))

    event.listen(db, "before_cursor_execute", note)
    look(db)
    event.remove(db, "before_cursor_execute", note)
    db.exec_driver_sql("SET LOCAL enable_seqscan = off")
    ((statement, given),) = sent
    return "\n".join(db.exec_driver_sql(f"EXPLAIN (COSTS OFF) {statement}", given).scalars())
