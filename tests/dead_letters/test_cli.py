"""`fundlyhub dlq` as operators and their scripts use it: what it prints, what it refuses, and its exit status."""

from __future__ import annotations

import getpass
import json
import os
import pty
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fundlyhub.processing.executor import execute
from tests.dead_letters.letters import AUDIT, STATES, correct, dead, discard
from tests.processing.conftest import Query
from tests.support.command import Done, dsns, environment, fundlyhub
from tests.support.platform import wait_until
from tests.support.processors import TestCountProcessor

CONTRACT = ("id", "processor", "position", "event_id", "type", "error", "fingerprint", "attempts", "first_failed_at",
            "last_failed_at", "state")  # fmt: skip


@pytest.fixture
def variables(query: Query, settings: Any) -> dict[str, str]:
    """The environment of a command on the test's database."""
    own = {"FUNDLYHUB_BROKER_URL": settings.broker, "FUNDLYHUB_PROCESSORS": "tests.support.processors"}
    return {**dsns(settings.dsn("events")), **own, "COLUMNS": "250"}


class Dlq:
    """`fundlyhub dlq` with the settings of a test."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables

    def __call__(
        self, *args: object, status: int = 0, input: bytes | None = None, settings: Mapping[str, str] | None = None
    ) -> Done:
        done = fundlyhub("dlq", *map(str, args), settings={**self.variables, **(settings or {})}, input=input)
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def json(self, *args: object, status: int = 0) -> Any:
        """The one document that it prints."""
        return json.loads(self(*args, "--json", status=status).stdout)


@pytest.fixture
def dlq(variables: dict[str, str]) -> Dlq:
    return Dlq(variables)


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


def test_a_patch_and_a_payload_and_undo(dlq: Dlq, query: Query, tmp_path: Path) -> None:
    (id,) = dead("permanent")
    patch = b'[{"op": "replace", "path": "/query", "value": "fine"}]'
    done = dlq("edit", id, "--patch", "-", "--reason", "typo", "--by", "ann", input=patch)
    assert done.stdout == f"{id}: saved (query); `fundlyhub dlq replay {id}`\n"
    assert query(AUDIT)[-1] == ("ann", "edited", "query: typo")
    refused = dlq("edit", id, "--payload", "-", status=1, input=b'{"query": 7}')
    assert refused.stderr == "fundlyhub: payload.query: must be a text\n"
    assert "the payload: is no JSON" in dlq("edit", id, "--payload", "-", status=1, input=b"{").stderr
    file = tmp_path / "payload.json"
    file.write_text('{"query": "better", "nonsense": 1}')
    done = dlq("edit", id, "--payload", file)
    assert "the type knows no nonsense; left out" in done.stderr
    assert query("SELECT payload FROM events.corrections") == [({"query": "better"},)]
    assert dlq.json("edit", id, "--undo") == {"id": id, "changed": [], "ignored": [], "undone": True, "letters": [id]}
    assert "has no corrected payload" in dlq("edit", id, "--undo", status=1).stderr
    assert query("SELECT count(*) FROM events.corrections") == [(0,)]


EDITOR = """
import os, pathlib, stat, sys
file = pathlib.Path(sys.argv[1])
report = pathlib.Path(os.environ["REPORT"])
runs = report.read_text().splitlines() if report.exists() else []
report.write_text("\\n".join([*runs, f"{stat.S_IMODE(file.stat().st_mode):o} {file}"]))
text = file.read_text()
file.write_text(text.replace(*os.environ["CHANGES"].split(" ")[len(runs)].split(">")))
"""


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


@pytest.fixture
def editor(tmp_path: Path) -> dict[str, str]:
    """An editor that makes the changes of $CHANGES, one each time, and reports what it was given."""
    script = tmp_path / "editor.py"
    script.write_text(EDITOR)
    return {"EDITOR": f"{sys.executable} {script}", "VISUAL": "", "REPORT": str(tmp_path / "report")}


def test_in_an_editor_in_a_file_that_nobody_else_reads_and_that_is_gone_afterwards(
    dlq: Dlq, query: Query, editor: dict[str, str]
) -> None:
    (id,) = dead("permanent")
    dlq("edit", id, settings={**editor, "CHANGES": "permanent>fine"})
    assert query("SELECT payload FROM events.corrections") == [({"query": "fine"},)]
    mode, file = Path(editor["REPORT"]).read_text().split(" ")
    assert mode == "600"
    assert not Path(file).exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [("x>y", "nothing was changed in the editor"), ('"permanent">7', "payload.query: must be a text"),
     ("{>", "the payload: is no JSON")],
)  # fmt: skip
def test_what_the_editor_leaves_wrong_is_not_saved(
    dlq: Dlq, query: Query, editor: dict[str, str], changes: str, said: str
) -> None:
    (id,) = dead("permanent")
    assert said in dlq("edit", id, status=1, settings={**editor, "CHANGES": changes}).stderr
    assert query("SELECT count(*) FROM events.corrections") == [(0,)]


def test_an_editor_that_fails_saves_nothing(dlq: Dlq, query: Query) -> None:
    (id,) = dead("permanent")
    assert "nothing is saved" in dlq("edit", id, status=1, settings={"EDITOR": "false", "VISUAL": ""}).stderr
    assert "set $EDITOR" in dlq("edit", id, status=2, settings={"EDITOR": "", "VISUAL": ""}).stderr
    assert query("SELECT count(*) FROM events.corrections") == [(0,)]


def test_a_person_whose_edit_is_refused_may_edit_it_again(dlq: Dlq, query: Query, editor: dict[str, str]) -> None:
    (id,) = dead("permanent")
    ours, theirs = pty.openpty()
    changes = '"permanent">7 7>"fine"'
    process = subprocess.Popen(
        [sys.executable, "-m", "fundlyhub", "dlq", "edit", str(id)],
        env=environment({**dlq.variables, **editor, "CHANGES": changes}), stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    said = b""
    while b"Edit it again?" not in said:
        said += os.read(ours, 1024)
    os.write(ours, b"y\n")
    wait_until(lambda: query("SELECT payload FROM events.corrections"), what="the second edit")
    assert process.wait(30) == 0
    os.close(ours)
    assert b"refused: payload.query: must be a text" in said
    assert query("SELECT payload FROM events.corrections") == [({"query": "fine"},)]


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
    execute(TestCountProcessor, [1, 2], due=True)
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
        (("discard", "--all", "--reason", " "), "the reason must be a text"),
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
