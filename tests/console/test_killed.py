"""A console that is killed half way through a replay or an exchange: nothing is lost or doubled, and its successor says
what happened and goes on.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.settings import get_settings
from tests.console.site import running
from tests.console.stage import REBUILT, BrokenStats, Stage, dead_letters_of, staged
from tests.support.platform import wait_until
from tests.verification.world import sql

pytestmark = pytest.mark.chaos  # for the seconds that a platform takes
MANY = 40
ENDS = """
    SELECT d.state, count(*) FROM events.dead_letters d WHERE d.id = ANY (%s) GROUP BY d.state
"""
APPLIED = """
    SELECT letter_id, count(*) FROM events.dead_letter_audit
    WHERE letter_id = ANY (%s) AND action IN ('applied', 'skipped') GROUP BY letter_id
"""


@pytest.fixture
def stage(postgres: Postgres, full: str, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A platform whose relay and workers do not run yet."""
    with staged(postgres, valkey, full, tmp_path_factory.mktemp("killed")) as ready:
        yield ready


def test_a_replay_whose_console_is_killed_is_gone_on_with_by_the_next(stage: Stage) -> None:
    letters = dead_letters_of(BrokenStats, MANY)
    stage.work()
    given = {"ids": ",".join(map(str, letters)), "reason": "mended", "rate": "4", "max_failures": "10"}
    begun = stage.site.visitor("operator").post("/letters/replay", given)
    path = begun.headers["location"]
    wait_until(lambda: 3 <= dict(sql(ENDS, letters)).get("resolved", 0) < MANY, what="some of the letters")
    stage.site.process.kill()

    with running(stage.platform.folder) as site:
        visitor = site.visitor("operator")
        gone = visitor.get(path)
        assert gone.status_code == 404
        assert "what was sent goes on, see the letters" in gone.text
        wait_until(lambda: "replayed" not in dict(sql(ENDS, letters)), what="the end of what was sent")
        left = [
            id for (id,) in sql("SELECT id FROM events.dead_letters WHERE id = ANY (%s) AND state = 'open'", letters)
        ]
        assert left, "it was killed half way"
        again = visitor.post("/letters/replay", {"ids": ",".join(map(str, letters)), "reason": "the rest"})
        wait_until(lambda: "over" in visitor.get(again.headers["location"]).text, what="the end of the rest")
    assert sql(ENDS, letters) == [("resolved", MANY)]
    assert {count for _, count in sql(APPLIED, letters)} == {1}, "each was applied once"
    verified = stage.platform.run("verify", "--processor", REBUILT, "--wait", "60")
    assert verified.returncode == 0, verified.stdout


def test_an_exchange_whose_console_is_killed_has_not_happened_and_is_begun_anew(stage: Stage) -> None:
    path = f"/rebuilds/{REBUILT}"
    visitor = stage.site.visitor("operator")
    with psycopg.connect(get_settings().dsn("analytics")) as db:
        db.execute("LOCK TABLE analytics.campaign_stats_projection IN ACCESS SHARE MODE")
        assert visitor.post(f"{path}/swap", {"reason": "right sums"}).status_code == 303
        wait_until(lambda: "Waiting for the locks" in visitor.get(path).text, what="the exchange")
        assert "the exchange has happened whole or not" in visitor.get(path).text
        stage.site.process.kill()

    with running(stage.platform.folder) as site:
        visitor = site.visitor("operator")
        page = visitor.get(path).text
        assert "following" in page, "the state says that it has not happened"
        assert "Begun by operator" not in page, "of the run nothing is known"
        assert "right sums" in visitor.get("/audit?kind=console").text, "but who asked for it, and why"
        assert visitor.post(f"{path}/swap", {"reason": "once more"}).status_code == 303
        wait_until(lambda: "are those of the rebuild" in visitor.get(path).text, what="the exchange")
    assert sql("SELECT state FROM analytics.rebuilds") == [("swapped",)]
