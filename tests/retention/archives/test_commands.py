"""`fundlyhub events archive`, `archives` and `restore`: what people and programs give and see."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from fundlyhub.account import account
from fundlyhub.database import connect
from fundlyhub.settings import Settings
from tests.retention.archives.old import Old
from tests.retention.claims.kept import values
from tests.support.command import Done, dsns, fundlyhub
from tests.support.platform import Platform, wait_until

WAITS = "SELECT 1 FROM events.archives WHERE (SELECT count(*) FROM events.event_ids) = 3"


@pytest.fixture
def variables(settings: Settings) -> dict[str, str]:
    """The environment of commands."""
    return {**dsns(settings.dsn("events")), "COLUMNS": "200"}


def document(done: Done) -> Any:
    """What a command printed as JSON, and nothing beside it."""
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_try_archive_list_and_restore(old: Old, variables: dict[str, str]) -> None:
    old.settled("fine", "fine", "permanent", "fine")
    before = old.whole()
    kept = "1 open dead letters of test_count, the first at position 3"
    tried = document(fundlyhub("events", "archive", "--older-than", "30", "--dry-run", "--json", settings=variables))
    assert tried == {
        "dry_run": True, "file": None, "low": 1, "high": 2, "events": 0, "resumed": [],
        "kept_by": [{"above": 2, "why": kept}],
    }  # fmt: skip
    assert old.whole() == before

    words = ("events", "archive", "--before-position", "4", "--to", str(old.folder), "--by", "ann")
    done = fundlyhub(*words, settings=variables)
    (name,) = old.files()
    file = str(old.folder / name)
    assert (done.returncode, done.stdout) == (0, f"2 events, positions 1 to 2, are in {file}\n")
    assert done.stderr == f"what is above position 2 stays: {kept}\n"
    again = fundlyhub(*words, settings=variables)
    assert (again.returncode, again.stdout, kept in again.stderr) == (0, "Nothing was archived\n", True)
    ancient = fundlyhub("events", "archive", "--older-than", "900", "--dry-run", settings=variables)
    assert (ancient.returncode, ancient.stdout) == (0, "Nothing to archive: the log has no such event\n")

    (listed,) = document(fundlyhub("events", "archives", "--json", settings=variables))
    del listed["archived_at"]
    assert (listed.pop("account"), listed.pop("role")) == (account(), "fundlyhub")
    assert listed == {"low": 1, "high": 2, "events": 2, "file": file, "who": "ann", "state": "away"}
    assert "away" in fundlyhub("events", "archives", settings=variables).stdout

    back = document(fundlyhub("events", "restore", file, file, "--json", settings=variables))
    assert back == [{"file": file, "restored": 2}, {"file": file, "restored": 0}]
    assert old.whole() == before
    assert "was restored before" in fundlyhub("events", "restore", file, settings=variables).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "either --before-position N or --older-than DAYS"),
        (("--before-position", "4", "--older-than", "30"), "either --before-position N or --older-than DAYS"),
        (("--before-position", "4"), "say where the file goes"),
        (("--older-than", "0.5", "--to", "/"), "--older-than must be at least 3.17: so many days"),
        (("--before-position", "4", "--to", "/nowhere"), "does not exist"),
    ],
)
def test_what_is_not_clear_is_wrong_use(variables: dict[str, str], words: tuple[str, ...], said: str) -> None:
    done = fundlyhub("events", "archive", *words, settings=variables)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_between_two_steps(
    old: Old, variables: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    old.settled("fine", "fine", "fine")
    known = old.known()
    words = ("events", "archive", "--before-position", "4", "--to", str(old.folder))
    dsn = variables["FUNDLYHUB_EVENTS_DSN"]
    with Platform(variables, dsn, None, tmp_path) as platform, connect("events") as somebody:
        somebody.execute("SELECT pg_current_xact_id()")  # so that it waits
        process = platform.start("archive", [sys.executable, "-m", "fundlyhub", *words], {})
        wait_until(lambda: values(old.events, WAITS), what="the wait")
        process.popen.send_signal(number)
        assert process.popen.wait(30) == 1
        assert process.log.read_text().endswith(
            "fundlyhub: stopped before the end; nothing is lost: run it again, and it goes on\n"
        )
    assert old.known() == known
    assert [one["state"] for one in document(fundlyhub("events", "archives", "--json", settings=variables))] == [
        "away in part"
    ]
    done = fundlyhub(*words, settings=variables)
    assert (done.returncode, "a former run had begun it" in done.stdout) == (0, True), done.stderr
    assert (old.known(), len(old.ids())) == (known, 3)
