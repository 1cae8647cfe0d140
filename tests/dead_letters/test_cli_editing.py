"""`fundlyhub dlq edit`: by a patch, a payload or in an editor, and what is not saved."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dead_letters.command import Dlq
from tests.dead_letters.letters import AUDIT, dead
from tests.processing.conftest import Query
from tests.support.command import environment
from tests.support.platform import wait_until


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


@pytest.mark.chaos  # for its length
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
