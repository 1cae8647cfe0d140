"""`fundlyhub dlq` as operators and their scripts use it: what it prints, what it refuses, and its exit status."""

from __future__ import annotations

import getpass
import stat
from pathlib import Path

import pytest

from fundlyhub.processing.executor import execute
from tests.dead_letters.command import Dlq
from tests.dead_letters.letters import AUDIT, STATES, correct, dead, discard
from tests.processing.conftest import Query
from tests.support.processors import TestCountProcessor

CONTRACT = ("id", "processor", "position", "event_id", "type", "error", "fingerprint", "attempts", "first_failed_at",
            "last_failed_at", "state")  # fmt: skip


def test_the_list_and_its_groups(dlq: Dlq) -> None:
    ids = dead("a", "b", "c")
    listed = dlq.json("list")
    assert [one["id"] for one in listed] == ids[::-1]
    assert set(CONTRACT) <= listed[0].keys()
    assert (listed[0]["error"], listed[0]["state"], listed[0]["attempts"]) == ("Permanent", "open", 1)
    shown = dlq("list", "--limit", 2).stdout
    assert "the newest 2 of 3" in shown
    assert "a fault of ours" in shown
    (group,) = dlq.json("list", "--group")
    assert (group["letters"], group["sample"], group["fingerprint"]) == (3, ids[-1], listed[0]["fingerprint"])
    assert group["fingerprint"] in dlq("list", "--group").stdout
    assert dlq.json("list", "--error", "KeyError") == []
    assert len(dlq.json("list", "--newer", "2h", "--processor", "test_count")) == 3
    assert dlq.json("list", "--older", "2h") == dlq.json("list", "--state", "discarded") == []
    for grouped in ((), ("--group",)):
        assert (
            "no processor is called test_cuont; there are activity_feed"
            in dlq("list", *grouped, "--processor", "test_cuont").stderr
        )
        assert dlq("list", *grouped, "--processor", "campaign_stats").stderr == ""
    discard(ids[0])
    assert len(dlq.json("list")) == 2
    assert len(dlq.json("list", "--state", "all")) == 3


def test_one_letter_and_what_its_event_says_only_when_asked(dlq: Dlq) -> None:
    (id,) = dead("a-secret")
    shown = dlq("show", id).stdout
    for said in ("a fault of ours", "handle_batch", "search.query.submitted 1.0.0", "Timeline", "--payload shows it"):
        assert said in shown
    document = dlq.json("show", id)
    assert "a-secret" not in shown + str(document)
    assert [entry["action"] for entry in document["timeline"]] == ["failed"]
    assert document["event"]["version"] == "1.0.0"
    assert '"query": "a-secret"' in dlq("show", id, "--payload").stdout
    assert dlq.json("show", id, "--payload")["payload"] == {"query": "a-secret"}
    assert "there is no dead letter 999" in dlq("show", 999, status=1).stderr


def two_letters_of_one_event(query: Query) -> tuple[int, int]:
    """Letters of two processors."""
    (first,) = dead("permanent")
    query(
        """INSERT INTO events.dead_letters (processor, position, event_id, type, error_class, error_message, traceback,
                                            fingerprint, attempts, first_failed_at, last_failed_at)
           SELECT 'other', position, event_id, type, error_class, error_message, traceback, 'other', attempts,
                  first_failed_at, last_failed_at FROM events.dead_letters RETURNING id"""
    )
    return first, first + 1


def test_letters_are_found_by_event_and_position_and_by_the_beginning_of_an_id(dlq: Dlq, query: Query) -> None:
    first, second = two_letters_of_one_event(query)
    (third,) = dead("another")
    by_id = {one["id"]: one for one in dlq.json("list")}
    event, position = by_id[first]["event_id"], by_id[first]["position"]
    for wanted in (("--event", event), ("--event", event[:23]), ("--position", position)):
        assert sorted(one["id"] for one in dlq.json("list", *wanted)) == [first, second]
    assert [one["id"] for one in dlq.json("list", "--fingerprint", by_id[first]["fingerprint"][:8])] == [third, first]
    assert dlq.json("list", "--event", "00000000-0000-4000-8000-000000000000") == []
    (common,) = {one["event_id"][:6] for one in by_id.values()}
    assert "write more of it" in dlq("discard", "--event", common, "--reason", "x", status=2).stderr
    assert "a UUID, or at least its first 4" in dlq("list", "--event", "no id", status=2).stderr
    assert {state for (state,) in query(STATES)} == {"open"}


def test_one_correction_counts_for_all_processors_of_an_event(dlq: Dlq, query: Query) -> None:
    first, second = two_letters_of_one_event(query)
    patch = b'[{"op": "replace", "path": "/query", "value": "fine"}]'
    done = dlq("edit", second, "--all-processors", "--patch", "-", "--by", "ann", input=patch)
    assert done.stdout == f"{second}, {first}: saved (query); `fundlyhub dlq replay {second} {first}`\n"
    corrected = "SELECT processor, payload FROM events.corrections ORDER BY processor"
    assert query(corrected) == [("other", {"query": "fine"}), ("test_count", {"query": "fine"})]
    assert [line[:2] for line in query(AUDIT)[-2:]] == [("ann", "edited")] * 2
    undone = dlq.json("edit", first, "--undo", "--all-processors")
    assert undone["letters"] == [first, second]
    assert query(corrected) == []


def test_discard_and_restore(dlq: Dlq, query: Query) -> None:
    ids = dead("a", "b", "c")
    assert "Missing option '--reason'" in dlq("discard", ids[0], status=2).stderr
    assert dlq("discard", ids[0], "--reason", "a test").stdout == "1 letter is discarded now\n"
    assert query(AUDIT)[-1] == (getpass.getuser(), "discarded", "a test")
    again = dlq("discard", ids[0], ids[1], "--reason", "a test")
    assert (again.stdout, again.stderr) == ("1 letter is discarded now\n", f"{ids[0]}: is discarded, and stays so\n")
    assert "999: there is no such letter" in dlq("discard", 999, "--reason", "x", status=1).stderr
    assert dlq.json("restore", "--processor", "test_count") == {"changed": ids[:2], "unchanged": []}
    assert dlq.json("restore", ids[2], 999, status=1)["unchanged"] == [
        {"id": ids[2], "state": "open"}, {"id": 999, "state": "unknown"}
    ]  # fmt: skip
    assert dlq("discard", "--all", "--reason", "all of it").stdout == "3 letters are discarded now\n"
    assert query(STATES) == [("discarded",)] * 3


def test_a_dry_run_and_a_replay_that_nobody_waits_for(dlq: Dlq, query: Query) -> None:
    ids = dead("a", "b")
    assert dlq("replay", "--all", "--dry-run").stdout == f"2 would be replayed: {ids[0]}, {ids[1]}\n"
    assert dlq.json("replay", ids[0], 999, "--dry-run") == {
        "dry_run": True, "would_replay": [ids[0]], "unchanged": [{"id": 999, "state": "unknown"}]
    }  # fmt: skip
    assert query(STATES) == [("open",)] * 2
    document = dlq.json("replay", "--all", "--no-wait", "--by", "ann", "--reason", "mended")
    assert (document["replayed"], document["pending"], document["stopped"]) == (2, ids, None)
    assert query(STATES) == [("replayed",)] * 2
    assert query(AUDIT)[-1] == ("ann", "replayed", "mended")
    execute(TestCountProcessor, [1, 2], ends_wait=True)
    done = dlq("replay", ids[0])
    assert done.stderr == f"{ids[0]}: is resolved, and stays so\n"
    assert done.stdout == "0 replayed\n"


def test_a_broker_that_is_away_is_told_and_what_is_committed_goes_out_later(dlq: Dlq, query: Query) -> None:
    ids = dead("a", "b")
    done = dlq("replay", "--all", status=1, settings={"FUNDLYHUB_BROKER_URL": "redis://:s3cret@127.0.0.1:1/0"})
    assert "stopped: " in done.stderr
    assert "the sweep sends what is under way" in done.stderr
    assert "s3cret" not in done.stderr
    assert f"1 left as they were: {ids[1]}" in done.stdout
    assert query("SELECT position FROM events.attempts") == [(1,)]


def test_export_and_import(dlq: Dlq, query: Query, tmp_path: Path) -> None:
    ids = dead("a-secret", "b")
    correct(ids[0], {"query": "another-secret"})
    file = tmp_path / "letters.jsonl"
    assert dlq("export", file, "--payload").stderr == "2 letters written\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "secret" not in dlq("export", "-").stdout
    assert len(dlq("export", "-", "--fingerprint", "none").stdout) == 0
    query("TRUNCATE events.dead_letters, events.dead_letter_audit, events.corrections")
    assert dlq.json("import", file) == {"imported": 2, "unchanged": 0, "refused": []}
    assert query("SELECT payload FROM events.corrections") == [({"query": "another-secret"},)]
    bad = dlq("import", "-", status=1, input=b'{"state": 7}\n' + file.read_bytes())
    assert bad.stderr.startswith("line 1: ")
    assert bad.stdout == "0 imported, 2 unchanged, 1 refused\n"
    assert "cannot write" in dlq("export", tmp_path / "no" / "folder", status=1).stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("list", "--older", "yesterday"), "write it as 90s, 15m, 2h or 7d"),
        (("list", "--state", "gone"), "'gone' is not one of"),
        (("show", "x"), "'x' is not a valid integer"),
        (("edit", "1", "--undo", "--patch", "-"), "give one of --patch, --payload and --undo"),
        (("replay",), "say which: IDs, or a filter, or --all"),
        (("replay", "1", "--all"), "say which"),
        (("replay", "1", "--error", "E"), "say which"),
        (("discard", "--reason", "x"), "say which"),
        (("restore",), "say which"),
        (("replay", "--all", "--max-failures", "2"), "0<=x<=1"),
        (("discard", "--all", "--reason", " "), "the reason must be one printable line"),
        (("import", "/no/such/file"), "No such file"),
    ],
)
def test_wrong_use_is_told_in_one_line(dlq: Dlq, query: Query, args: tuple[str, ...], said: str) -> None:
    dead("a")
    done = dlq(*args, status=2)
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
    assert query(STATES) == [("open",)]
