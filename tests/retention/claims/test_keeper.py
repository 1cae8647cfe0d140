"""The keeper beside a real relay, and `fundlyhub claims`: what people and programs see of the partitions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fundlyhub import publish_event
from fundlyhub.database import connect
from fundlyhub.retention.claims.partitions import existing
from fundlyhub.settings import Settings
from tests.retention.claims.kept import Kept, names, values
from tests.support.command import Done, dsns, fundlyhub
from tests.support.make import search
from tests.support.platform import Platform, wait_until
from tests.support.processors import TABLES

AGED = "UPDATE events.log_marks SET taken_at = taken_at - interval '31 days'"


@pytest.fixture
def variables(kept: Kept, settings: Settings) -> dict[str, str]:
    """The environment of commands: a month of claims is kept."""
    kept.applied(25)
    kept.age()
    kept.settle()
    return {
        **dsns(settings.dsn("events")), "FUNDLYHUB_CLAIMS_RETENTION": "30", "COLUMNS": "200",
        "FUNDLYHUB_PROCESSORS": "tests.support.processors",
    }  # fmt: skip


def document(done: Done) -> Any:
    """What a command printed as JSON; only logs beside it."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_see_try_and_drop(kept: Kept, variables: dict[str, str]) -> None:
    found = document(fundlyhub("claims", "status", "--json", settings=variables))
    assert found["retention_days"] == 30
    first, _, third = found["databases"]["analytics"]["partitions"][:3]
    assert first == {"name": "processed_events_0", "low": 0, "high": 9, "kept_by": []}
    assert third["kept_by"] == ["younger than the retention", "not passed by test_count"]
    assert "processed_events_20" in fundlyhub("claims", "status", settings=variables).stdout

    tried = document(fundlyhub("claims", "prune", "--dry-run", "--json", settings=variables))
    assert [(one["database"], one["low"]) for one in tried["dropped"]] == [("analytics", 0), ("analytics", 10)]
    assert len(names(kept.db)) == 3

    done = document(fundlyhub("claims", "prune", "--by", "ann", "--json", settings=variables))
    assert [one["claims"] for one in done["dropped"]] == [{"test_count": 9}, {"test_count": 10}]
    assert names(kept.db) == ["processed_events_20"]
    assert "0 partitions dropped" in fundlyhub("claims", "prune", settings=variables).stdout
    dropped = document(fundlyhub("claims", "status", "--json", settings=variables))["databases"]["analytics"]["dropped"]
    assert [(one["low"], one["who"]) for one in dropped] == [(0, "ann"), (10, "ann")]


def test_without_a_retention_nothing_is_dropped_and_too_short_a_one_is_wrong_use(variables: dict[str, str]) -> None:
    done = fundlyhub("claims", "prune", settings=variables | {"FUNDLYHUB_CLAIMS_RETENTION": "0"})
    assert (done.returncode, "all claims are kept" in done.stderr) == (2, True)
    short = variables | {"FUNDLYHUB_CLAIMS_RETENTION": "0.5", "FUNDLYHUB_BROKER_URL": "redis://localhost:1"}
    for command in (("relay",), ("claims", "prune")):
        done = fundlyhub(*command, settings=short)
        assert (done.returncode, "must be at least" in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize("platform", ["valkey"], indirect=True)
def test_the_relay_makes_partitions_and_drops_old_ones_by_itself(platform: Platform) -> None:
    platform.environment |= {
        "FUNDLYHUB_SWEEP_INTERVAL": "0.2", "FUNDLYHUB_SWEEP_GRACE": "0.1", "FUNDLYHUB_CLAIMS_RETENTION": "30",
        "FUNDLYHUB_CLAIMS_PARTITION": "1000",
    }  # fmt: skip
    with connect("analytics", autocommit=True) as db, connect("events", autocommit=True) as events:
        events.execute(TABLES)
        platform.worker("projections")
        platform.relay()
        publish_event(search("fine"))
        events.execute("SELECT setval('events.events_position_seq', 20000000)")
        publish_event(search("fine"))
        wait_until(lambda: "processed_events_20000000" in names(db), what="a partition for the jump")
        wait_until(lambda: values(events, "SELECT count(*) > 0 FROM events.log_marks") == [True], what="a mark")

        def first_is_gone() -> bool:
            events.execute(AGED)
            publish_event(search("fine"))
            return existing(db)[0].range.low > 0

        wait_until(first_is_gone, what="the end of the first partition")
        assert values(db, "SELECT who FROM dropped_claims") == ["keeper"]
