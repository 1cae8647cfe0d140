"""Dead letters of real workers on both brokers, from the failure to the replay that is applied."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fundlyhub import publish_events
from tests.support.make import search
from tests.support.platform import Platform, wait_until
from tests.support.processors import TABLES

LETTERS = "SELECT count(*) FROM events.dead_letters"
EFFECTS = "SELECT count(*) FROM analytics.test_effects"
DOUBLE = "SELECT count(*) FROM (SELECT 1 FROM analytics.test_effects GROUP BY position HAVING count(*) > 1) d"
# As if a person had corrected these payloads: the events that would fail are harmless then.
MEND = """
    INSERT INTO events.corrections
    SELECT processor, position, event_id, '1.0.0', '{"query": "fine"}' FROM events.dead_letters WHERE position > %s
"""

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def ready(platform: Platform) -> Platform:
    """A platform with a relay, a worker, and the tables of the test's processors."""
    platform.execute(TABLES)
    platform.relay()
    platform.worker()
    return platform


def dead(platform: Platform, *words: str) -> list[int]:
    """The ids of the letters of these searches, which all fail."""
    publish_events(search(word) for word in words)
    wait_until(lambda: platform.value(LETTERS) == len(words), what="the dead letters")
    return list(platform.value("SELECT array_agg(id ORDER BY position) FROM events.dead_letters"))


def dlq(platform: Platform, *args: object, status: int = 0, input: bytes | None = None) -> Any:
    """The document that `fundlyhub dlq ARGS --json` prints."""
    done = platform.run("dlq", *map(str, args), "--json", input=input)
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_from_a_failure_to_a_replay_that_is_applied(ready: Platform) -> None:
    (id,) = dead(ready, "permanent")
    (listed,) = dlq(ready, "list", "--processor", "test_count")
    assert (listed["id"], listed["error"], listed["state"]) == (id, "Permanent", "open")
    assert [entry["action"] for entry in dlq(ready, "show", id)["timeline"]] == ["failed"]
    again = dlq(ready, "replay", id, status=1)
    assert (again["failed"], again["applied"]) == ([id], [])
    assert dlq(ready, "list")[0]["attempts"] == 2
    patch = b'[{"op": "replace", "path": "/query", "value": "fine"}]'
    assert dlq(ready, "edit", id, "--patch", "-", input=patch)["changed"] == ["query"]
    assert dlq(ready, "replay", id, "--reason", "corrected")["applied"] == [id]
    assert dlq(ready, "replay", id)["unchanged"] == [{"id": id, "state": "resolved"}]
    assert (ready.value(EFFECTS), ready.applied("test_count")) == (1, 1)
    assert [entry["action"] for entry in dlq(ready, "show", id)["timeline"]] == [
        "failed", "replayed", "failed", "edited", "replayed", "applied"
    ]  # fmt: skip
    assert dlq(ready, "list") == []


@pytest.mark.chaos  # for its length
def test_a_canary_stops_on_failures_and_goes_through_when_they_are_mended(ready: Platform) -> None:
    ids = dead(ready, *["permanent"] * 40)
    stopped = dlq(ready, "replay", "--all", status=1)
    assert (stopped["failed"], stopped["left"]) == (ids[:1], ids[1:])
    assert "1 of 1 failed again" in stopped["stopped"]
    ready.execute(MEND, 0)
    ready.execute("DELETE FROM events.corrections WHERE position BETWEEN 4 AND 7")
    stopped = dlq(ready, "replay", "--type", "search.query.submitted", status=1)
    assert (len(stopped["applied"]), stopped["failed"]) == (7, ids[3:7])
    assert "4 of 10 failed again" in stopped["stopped"]
    ready.execute("DELETE FROM events.corrections")
    ready.execute(MEND, 0)
    done = dlq(ready, "replay", "--fingerprint", dlq(ready, "list")[0]["fingerprint"], "--rate", "30")
    assert (len(done["applied"]), done["stopped"]) == (33, None)
    assert (ready.value(EFFECTS), ready.value(DOUBLE)) == (40, 0)


def test_replaying_what_was_applied_changes_nothing_and_says_so(ready: Platform) -> None:
    (id,) = dead(ready, "permanent")
    ready.execute(
        "INSERT INTO analytics.processed_events SELECT processor, position, event_id FROM events.dead_letters"
    )
    document = dlq(ready, "replay", id)
    assert (document["applied"], document["applied_before"]) == ([], [id])
    assert ready.value(EFFECTS) == 0
    assert ready.value("SELECT state FROM events.dead_letters") == "resolved"


@pytest.mark.chaos
def test_a_kill_between_commit_and_broker_is_healed_by_the_sweep(ready: Platform) -> None:
    ids = dead(ready, "permanent", "permanent")
    ready.execute(MEND, 0)
    killed = subprocess.run(
        [sys.executable, "-m", "tests.dead_letters.replay_and_die", *map(str, ids)], env=ready.environment, timeout=60
    )
    assert killed.returncode == -signal.SIGKILL
    wait_until(lambda: ready.value(EFFECTS) == 1, what="the sweep")
    wait_until(lambda: ready.value("SELECT state FROM events.dead_letters ORDER BY id") == "resolved", what="its end")
    assert ready.value("SELECT state FROM events.dead_letters ORDER BY id DESC") == "open", "it was not come to"
    assert ready.value("SELECT count(*) FROM events.attempts") == 0


@pytest.mark.chaos
def test_messages_of_a_replay_that_are_lost_are_sent_again(ready: Platform) -> None:
    ids = dead(ready, *["permanent"] * 5)
    ready.execute(MEND, 0)
    for process in ready.processes[1:]:
        process.kill()
    assert dlq(ready, "replay", "--all", "--no-wait")["pending"] == ids
    ready.purge()
    ready.worker()
    wait_until(lambda: ready.value(EFFECTS) == 5, what="the sweep")
    assert ready.value(DOUBLE) == 0


def test_discard_restore_and_a_file_that_goes_out_and_in(ready: Platform, tmp_path: Path) -> None:
    ids = dead(ready, "permanent", "permanent")
    assert dlq(ready, "discard", ids[0], "--reason", "a test")["changed"] == [ids[0]]
    assert dlq(ready, "replay", ids[0], status=1)["unchanged"] == [{"id": ids[0], "state": "discarded"}]
    file = tmp_path / "letters.jsonl"
    assert ready.run("dlq", "export", str(file)).returncode == 0
    assert dlq(ready, "restore", "--all")["changed"] == [ids[0]]
    ready.execute(MEND, 0)
    assert len(dlq(ready, "replay", "--all")["applied"]) == 2
    assert dlq(ready, "import", file) == {"imported": 0, "unchanged": 2, "refused": []}
    assert (ready.value(EFFECTS), ready.value(DOUBLE)) == (2, 0)
