"""Two operators who decide about the same thing at the same moment: one of them has decided, and the other is told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg

from fundlyhub import Event
from fundlyhub.settings import get_settings
from tests.console.site import Site
from tests.console.test_messages import event, state_of, written
from tests.support.platform import wait_until
from tests.verification.world import sql

__all__ = ["event"]
WAITING = """
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
NOTED = "SELECT who, action FROM events.console_audit WHERE name = %s"


def test_of_two_who_settle_a_message_at_once_one_has_settled_it(site: Site, event: Event) -> None:
    id = written(event, "unknown")
    operators = [site.visitor("operator"), site.visitor("privacy")]
    assert all(one.csrf for one in operators)
    outcomes = ["sent", "not sent"]
    with psycopg.connect(get_settings().dsn("app")) as db, ThreadPoolExecutor(2) as threads:
        db.execute("SELECT FROM app.notifications WHERE id = %s FOR UPDATE", (id,))
        asked = [
            threads.submit(one.post, f"/messages/{id}/settle", {"outcome": outcome, "reason": "its log"})
            for one, outcome in zip(operators, outcomes, strict=True)
        ]
        wait_until(lambda: sql(WAITING) == [(2,)], what="both of them")
        db.rollback()
        assert [one.result(60).status_code for one in asked] == [303, 303]
    said = [one.get(f"/messages/{id}").text for one in operators]
    settled = ["It is settled as" in text for text in said]
    assert sorted(settled) == [False, True], "one is told that it has settled it"
    assert ["Its outcome was not unknown any more" in text for text in said] == [not one for one in settled]
    winner = settled.index(True)
    assert sql(NOTED, f"message {id}") == [(("operator", "privacy")[winner], f"settled as {outcomes[winner]}")]
    assert state_of(id)[2] == (outcomes[winner] == "sent")
