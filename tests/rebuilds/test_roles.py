"""A rebuild with each process in its own database role, as `fundlyhub up` and the compose file start them."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.support.command import fundlyhub
from tests.support.platform import Platform, wait_until
from tests.support.roles import Roles
from tests.support.traffic import published

STATS = "campaign_stats"


@pytest.mark.chaos  # for its length
@pytest.mark.timeout(900)
def test_workers_fill_the_tables_that_the_owner_makes_and_exchanges(platform: Platform, dsn: str) -> None:
    roles = Roles(dsn)
    platform.environment["FUNDLYHUB_PROCESSORS"] = ""
    queues = "writes,projections,rebuilds"
    celery = ["celery", "-A", "fundlyhub", "worker", "-Q", queues, "-c", "2", "-n", f"{uuid4().hex}@%h", "-l", "INFO"]
    platform.start("relay", [platform.python, "-m", "fundlyhub", "relay"], roles.variables("relay"))
    platform.start("worker", [platform.python, "-m", *celery], roles.variables("worker"))

    def run(verb: str, *options: str) -> Any:
        settings = {**platform.environment, **roles.variables("owner")}
        ours = {name: value for name, value in settings.items() if name.startswith("FUNDLYHUB_")}
        done = fundlyhub("rebuild", verb, STATS, *options, "--json", settings=ours)
        assert done.returncode == 0, (verb, done.stdout, done.stderr)
        return json.loads(done.stdout)

    _, tally = published(300)
    wait_until(lambda: platform.relayed() >= len(tally.positions), what="the relay")
    wait_until(lambda: platform.applied(STATS) > 20, what="some claims")
    run("start")
    assert run("status", "--wait", "50")["phase"] == "following"
    run("diff")
    run("swap")
    before = platform.applied(STATS)
    published(100)
    wait_until(lambda: platform.applied(STATS) > before, what="the workers, which write to the new tables")
    run("undo")
    run("prune")
    campaign = str(platform.value("SELECT campaign_id FROM analytics.campaign_stats_projection LIMIT 1"))
    platform.execute(
        "UPDATE analytics.campaign_stats_projection SET total_raised = -1 WHERE campaign_id = %s", campaign
    )
    assert {one["table"] for one in run("diff", "--aggregate", campaign) if one["changed"]} == {f"{STATS}_projection"}
    assert run("swap", "--aggregate", campaign)["locked_ms"] > 0
    assert not any(one["changed"] for one in run("diff", "--aggregate", campaign))
    roles.reconcile()
    lines = [line for one in platform.processes for line in one.log.read_text(errors="replace").splitlines()]
    assert [line for line in lines if "42501" in line or "permission denied" in line] == []
    assert platform.value("SELECT count(*) FROM events.dead_letters") == 0
